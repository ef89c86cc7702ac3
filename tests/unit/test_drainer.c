/* SPDX-License-Identifier: BSD-2-Clause */
/* What the drainer makes of gateways and of questions; nobody has sessions to close here, for which see test_drain.py. */
#include "run/drainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <event2/event.h>

#include "base/clock.h"
#include "small_daemon.h"

#define INI \
	"[global]\nuser =\n[listener l]\nbind = 127.0.0.1:0\npool = p\n" \
	"[pool p]\ndrain_rate = 100/s\ngateway = a 127.0.0.1:1\ngateway = b 127.0.0.1:2\n"

struct world {
	struct daemon *daemon;
	struct event_base *base;
	struct drainer *drainer;
	struct pool *pool;
};

static void
world_init(struct world *w)
{
	w->daemon = small_daemon(INI);
	w->base = event_base_new();
	w->drainer = drainer_new(w->base, w->daemon);
	w->pool = w->daemon->edition->pool[0];
}

static void
world_fini(struct world *w)
{
	drainer_free(w->drainer);
	event_base_free(w->base);
	small_daemon_free(w->daemon);
}

static void
hold(struct gateway *g, unsigned sessions)
{
	while (gateway_sessions(g) > sessions)
		gateway_leave(g, true);
	while (gateway_sessions(g) < sessions)
		assert_true(gateway_enter(g, true));
}

/* It ticks while a gateway's time is over and somebody is left there, and else not at all. */
static void
ticks_while_something_is_due(void **state)
{
	struct gateway *a;
	struct world w;

	(void)state;
	world_init(&w);
	a = small_gateway(w.daemon, 0, "a");
	hold(a, 3);
	drainer_look(w.drainer);
	assert_int_equal(event_base_loop(w.base, EVLOOP_NONBLOCK), 1);	/* no event is waited for */
	assert_int_equal(drainer_closing(w.drainer, a), 0);

	gateway_drain(a, clock_coarse_ms(), false);
	gateway_tick(a, clock_coarse_ms() + 1);
	drainer_look(w.drainer);
	assert_int_equal(drainer_closing(w.drainer, a), 3);
	assert_int_equal(event_base_loop(w.base, EVLOOP_ONCE), 0);
	assert_int_equal(event_base_loop(w.base, EVLOOP_NONBLOCK), 0);
	hold(a, 0);
	assert_int_equal(event_base_dispatch(w.base), 1);			/* ends by itself */
	assert_int_equal(drainer_closing(w.drainer, a), 0);
	world_fini(&w);
}

/* A gateway that no configuration names is kept in mind as long as it has sessions. */
static void
remembers_who_is_gone(void **state)
{
	struct gateway *a;
	struct world w;

	(void)state;
	world_init(&w);
	a = small_gateway(w.daemon, 0, "a");
	hold(a, 1);
	gateway_remove(a, clock_coarse_ms());
	assert_int_equal(drainer_closing(w.drainer, a), 1);
	drainer_look(w.drainer);
	hold(a, 0);
	assert_int_equal(event_base_dispatch(w.base), 1);
	world_fini(&w);
}

static void
answers_for_a_rebalance(void **state)
{
	const struct conf_rate rate = { 50, 1000 };
	struct drainer_progress progress;
	struct gateway *a, *b;
	struct world w;
	const char *why;
	size_t moving;

	(void)state;
	world_init(&w);
	a = small_gateway(w.daemon, 0, "a");
	b = small_gateway(w.daemon, 0, "b");
	assert_false(drainer_progress(w.drainer, w.pool, &progress));
	hold(a, 10);
	assert_true(drainer_rebalance(w.drainer, w.pool, &rate, &moving, &why));
	assert_int_equal(moving, 5);
	assert_true(drainer_progress(w.drainer, w.pool, &progress));
	assert_int_equal(progress.left, 5);
	assert_int_equal(progress.rate.count, 50);
	hold(a, 0);
	gateway_take_down(a);
	gateway_take_down(b);
	assert_false(drainer_rebalance(w.drainer, w.pool, &rate, &moving, &why));
	assert_string_equal(why, "no gateway of the pool takes newcomers");
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_while_something_is_due),
		cmocka_unit_test(remembers_who_is_gone),
		cmocka_unit_test(answers_for_a_rebalance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
