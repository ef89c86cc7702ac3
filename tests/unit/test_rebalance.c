/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways with sessions that nobody has: who has to give, who gets, and when it is even enough. */
#include "run/rebalance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

struct world {
	struct conf *conf;
	struct pool *pool;
};

static void
on_mistake(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void
world_init(struct world *w, const char *gateways)
{
	char *ini = mem_printf("[listener l]\nbind = 127.0.0.1:0\npool = p\n[pool p]\n%s", gateways);

	w->conf = conf_load_bytes(ini, strlen(ini), "test.ini", on_mistake, NULL);
	assert_non_null(w->conf);
	w->pool = pool_new(&w->conf->pool[0], on_mistake, NULL);
	assert_non_null(w->pool);
	free(ini);
}

static void
world_fini(struct world *w)
{
	pool_free(w->pool);
	conf_free(w->conf);
}

static void
hold(struct world *w, unsigned i, unsigned sessions)
{
	while (gateway_sessions(w->pool->gateway[i]) > sessions)
		gateway_leave(w->pool->gateway[i], true);
	while (gateway_sessions(w->pool->gateway[i]) < sessions)
		assert_true(gateway_enter(w->pool->gateway[i], true));
}

static void
let_all_go(struct world *w)
{
	for (unsigned i = 0; i < w->pool->gateways; i++)
		hold(w, i, 0);
}

#define THREE "gateway = a 127.0.0.1:1\ngateway = b 127.0.0.1:2\ngateway = c 127.0.0.1:3\n"

/* From the fullest to the emptiest, until all are even. */
static void
evens_out(void **state)
{
	struct rebalance_step step;
	struct rebalance *r;
	struct world w;
	unsigned steps = 0;

	(void)state;
	world_init(&w, THREE);
	hold(&w, 0, 100);
	hold(&w, 1, 50);
	r = rebalance_new(w.pool);
	assert_int_equal(rebalance_left(r), 50);
	while (rebalance_next(r, &step)) {
		size_t n = step.most < 7 ? step.most : 7;

		assert_ptr_equal(step.from, w.pool->gateway[0]);
		assert_ptr_equal(step.to, w.pool->gateway[2]);
		assert_false(step.overfull);
		rebalance_note(r, &step, n);
		hold(&w, 0, gateway_sessions(step.from) - (unsigned)n);
		hold(&w, 2, gateway_sessions(step.to) + (unsigned)n);
		assert_true(++steps < 100);
	}
	assert_int_equal(steps, 8);
	assert_int_equal(rebalance_left(r), 0);
	assert_false(rebalance_again(r, w.pool));
	rebalance_free(r);
	let_all_go(&w);
	world_fini(&w);
}

/* By weight, and nobody gets more than it may hold. */
static void
shares(void **state)
{
	static const struct {
		const char *gateways;
		unsigned sessions[3];
		size_t left;
		const char *from, *to;
		bool overfull;
	} cases[] = {
		{ THREE, { 34, 33, 33 }, 0, NULL, NULL, false },
		{ THREE, { 35, 33, 32 }, 0, NULL, NULL, false },			/* a twentieth */
		{ THREE, { 0, 0, 0 }, 0, NULL, NULL, false },
		{ "gateway = a 127.0.0.1:1 weight=3\ngateway = b 127.0.0.1:2\n", { 60, 60 }, 30, "b", "a", false },
		{ "gateway = a 127.0.0.1:1\ngateway = b 127.0.0.1:2 max_sessions=20\n", { 80, 0 }, 20, "a", "b", false },
		{ "gateway = a 127.0.0.1:1\ngateway = b 127.0.0.1:2 weight=0\n", { 10, 90 }, 0, NULL, NULL, false },
		{ "gateway = a 127.0.0.1:1\ngateway = b 127.0.0.1:2 backup\n", { 90, 0 }, 0, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rebalance_step step;
		struct rebalance *r;
		struct world w;

		world_init(&w, cases[i].gateways);
		for (unsigned g = 0; g < w.pool->gateways; g++)
			hold(&w, g, cases[i].sessions[g]);
		r = rebalance_new(w.pool);
		assert_int_equal(rebalance_left(r), cases[i].left);
		assert_int_equal(rebalance_next(r, &step), cases[i].from != NULL);
		if (cases[i].from != NULL) {
			assert_string_equal(gateway_name(step.from), cases[i].from);
			assert_string_equal(gateway_name(step.to), cases[i].to);
			assert_int_equal(step.overfull, cases[i].overfull);
		}
		rebalance_free(r);
		let_all_go(&w);
		world_fini(&w);
	}
}

/* Who was closed and is not back yet is no reason to close more; who comes back elsewhere than he should, some
 * rounds long. */
static void
clients_that_do_as_they_like(void **state)
{
	struct rebalance_step step;
	struct rebalance *r;
	struct world w;
	unsigned rounds = 1;

	(void)state;
	world_init(&w, THREE);
	hold(&w, 0, 300);
	r = rebalance_new(w.pool);
	assert_int_equal(rebalance_left(r), 200);
	while (rebalance_next(r, &step))
		rebalance_note(r, &step, step.most);
	hold(&w, 0, 100);
	assert_false(rebalance_again(r, w.pool));		/* nobody is back */
	rebalance_free(r);

	hold(&w, 0, 300);
	r = rebalance_new(w.pool);
	do
		hold(&w, 0, 300 - 10 * rounds);			/* some have gone for good, and nobody is elsewhere */
	while (rebalance_again(r, w.pool) && ++rounds < 100);
	assert_int_equal(rounds, REBALANCE_ROUNDS);
	rebalance_free(r);

	hold(&w, 0, 300);
	r = rebalance_new(w.pool);
	assert_false(rebalance_again(r, w.pool));		/* it did not help at all */
	rebalance_free(r);
	let_all_go(&w);
	world_fini(&w);
}

/* A gateway that goes down meanwhile gets nobody. */
static void
no_one_to_go_to(void **state)
{
	struct rebalance_step step;
	struct rebalance *r;
	struct world w;

	(void)state;
	world_init(&w, THREE);
	hold(&w, 0, 90);
	r = rebalance_new(w.pool);
	gateway_take_down(w.pool->gateway[1]);
	assert_true(rebalance_next(r, &step));
	assert_ptr_equal(step.to, w.pool->gateway[2]);
	gateway_take_down(w.pool->gateway[2]);
	assert_false(rebalance_next(r, &step));
	rebalance_free(r);
	let_all_go(&w);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evens_out),
		cmocka_unit_test(shares),
		cmocka_unit_test(clients_that_do_as_they_like),
		cmocka_unit_test(no_one_to_go_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
