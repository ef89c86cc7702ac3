/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders and queries as values that workers share; what they do to sessions is seen in test_client. */
#include "proxy/closing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORKERS 3

static struct gateway *
gateway_of(const char *name)
{
	struct conf_gateway cf = { .name = (char *)name, .address = (char *)"127.0.0.1:9", .weight = 1 };
	struct conf_pool pool = { .name = (char *)"p" };
	const char *why;
	struct gateway *g = gateway_new(&cf, &pool, &why);

	assert_non_null(g);
	return g;
}

struct workers {
	struct loop *loop;
	struct proxy *proxy[WORKERS];
};

static void
workers_init(struct workers *w)
{
	w->loop = loop_new();
	assert_non_null(w->loop);
	for (unsigned i = 0; i < WORKERS; i++)
		w->proxy[i] = proxy_new(w->loop, &(struct proxy_setup){ .number = i });
}

static void
workers_fini(struct workers *w)
{
	for (unsigned i = 0; i < WORKERS; i++)
		proxy_free(w->proxy[i]);
	loop_free(w->loop);
}

/* It and its gateways stay until the last worker has done its part, and whoever gave it knows what is left. */
static void
an_order_goes_round(void **state)
{
	struct gateway *from = gateway_of("a"), *to = gateway_of("b");
	struct closing_order *o = closing_new(from, to, END_REBALANCED, 7, UINT64_MAX);
	struct workers w;

	(void)state;
	workers_init(&w);
	gateway_unref(from);
	gateway_unref(to);
	assert_true(closing_is_done(o));		/* nobody has it yet */
	for (unsigned i = 0; i < WORKERS; i++)
		(void)closing_ref(o);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_false(closing_is_done(o));
		proxy_close_at(w.proxy[i], o);
	}
	assert_true(closing_is_done(o));
	assert_int_equal(closing_left(o), 7);		/* there was nobody to close */
	closing_unref(o);
	closing_unref(NULL);
	workers_fini(&w);
}

static unsigned answers;

static void
on_answer(struct session_query *q)
{
	assert_int_equal(q->arg == &answers, true);
	answers++;
}

/* It is answered once, when all have done their parts. */
static void
a_query_goes_round(void **state)
{
	struct session_query *q = session_query_new(WORKERS);
	struct workers w;

	(void)state;
	answers = 0;
	workers_init(&w);
	q->limit = 10;
	q->done = on_answer;
	q->arg = &answers;
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(answers, 0);
		proxy_list_sessions(w.proxy[i], q);
	}
	assert_int_equal(answers, 1);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(q->share[i].rows + q->share[i].matching, 0);
	session_query_free(q);
	session_query_free(NULL);
	workers_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_goes_round),
		cmocka_unit_test(a_query_goes_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
