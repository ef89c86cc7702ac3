/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets a newcomer: each balance's order, who is never chosen, and many threads at once. */
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MANY 64
#define NAME_TEXT 24

/* A pool of gateways called a, b, c ... with these weights. */
struct made {
	struct conf_pool cf;
	struct conf_gateway gateway[MANY];
	char name[MANY][NAME_TEXT], address[MANY][NAME_TEXT];
	struct pool *pool;
};

static const struct pool_tried none_tried = { .n = 0 };
static char reported[512];

static void
keep_report(void *arg, const char *line)
{
	(void)arg;
	snprintf(reported, sizeof reported, "%s", line);
}

static void
made_conf(struct made *m, enum conf_balance balance, const unsigned *weight, unsigned n)
{
	static char name[] = "game";

	*m = (struct made){ .cf = { .name = name, .balance = balance } };
	m->cf.gateway = m->gateway;
	m->cf.gateways = n;
	for (unsigned i = 0; i < n; i++) {
		snprintf(m->name[i], NAME_TEXT, "%c%.0u", 'a' + i % 26, i / 26);
		snprintf(m->address[i], NAME_TEXT, "127.0.0.1:%u", i + 1);
		m->gateway[i] = (struct conf_gateway){
			.name = m->name[i],
			.address = m->address[i],
			.weight = weight[i],
			.place = { "x.ini", i + 1 },
		};
	}
}

static struct pool *
made_pool(struct made *m, enum conf_balance balance, const unsigned *weight, unsigned n)
{
	made_conf(m, balance, weight, n);
	m->pool = pool_new(&m->cf, keep_report, NULL);
	assert_non_null(m->pool);
	return m->pool;
}

/* Chooses and keeps the reservation, gives back the reference; '-' where there is none. */
static char
choose(struct pool *p, const struct pool_tried *tried)
{
	struct gateway *g = pool_choose(p, tried);
	char name = g != NULL ? g->name[0] : '-';

	gateway_unref(g);
	return name;
}

static char
choose_and_release(struct pool *p)
{
	struct gateway *g = pool_choose(p, &none_tried);
	char name = g->name[0];

	gateway_release(g);
	gateway_unref(g);
	return name;
}

static void
release_all(struct pool *p)
{
	for (unsigned i = 0; i < p->gateways; i++)
		while (gateway_load(p->gateway[i]) != 0)
			gateway_release(p->gateway[i]);
}

/* Orders that have one right answer. */
static void
test_orders(void **state)
{
	static const struct {
		enum conf_balance balance;
		unsigned weight[4], n;
		const char *order;
	} cases[] = {
		{ CONF_BALANCE_ROUNDROBIN, { 1, 1, 1 }, 3, "abcabcabc" },
		{ CONF_BALANCE_ROUNDROBIN, { 5, 1, 1 }, 3, "aabacaaaabacaa" },
		{ CONF_BALANCE_ROUNDROBIN, { 2, 1 }, 2, "abaaba" },
		{ CONF_BALANCE_ROUNDROBIN, { 1, 0, 1 }, 3, "acacac" },
		{ CONF_BALANCE_ROUNDROBIN, { 1 }, 1, "aaa" },
		{ CONF_BALANCE_LEASTCONN, { 1, 1, 1 }, 3, "abcabcabc" },
		{ CONF_BALANCE_LEASTCONN, { 1, 3 }, 2, "babbbabb" },
		{ CONF_BALANCE_LEASTCONN, { 0, 1, 0, 1 }, 4, "bdbdbd" },
		{ CONF_BALANCE_RANDOM, { 0, 7 }, 2, "bbbb" },
		{ CONF_BALANCE_RANDOM, { 0, 0 }, 2, "----" },
		{ CONF_BALANCE_LEASTCONN, { 0, 0 }, 2, "----" },
		{ CONF_BALANCE_ROUNDROBIN, { 0, 0 }, 2, "----" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct made m;
		struct pool *p = made_pool(&m, cases[i].balance, cases[i].weight, cases[i].n);
		char order[32] = "";

		for (size_t k = 0; k < strlen(cases[i].order); k++)
			order[k] = choose(p, &none_tried);
		assert_string_equal(order, cases[i].order);
		release_all(p);
		pool_free(p);
	}
}

/* Between equals leastconn goes round, also when every exchange ends before the next begins. */
static void
test_leastconn_ties(void **state)
{
	static const unsigned weight[] = { 1, 1, 1 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_LEASTCONN, weight, 3);
	char order[8] = "";

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		order[i] = choose_and_release(p);
	assert_string_equal(order, "abcabca");

	/* the one that has fewer is filled first */
	gateway_reserve(p->gateway[0]);
	gateway_reserve(p->gateway[0]);
	gateway_reserve(p->gateway[1]);
	for (unsigned i = 0; i < 3; i++)
		order[i] = choose(p, &none_tried);
	order[3] = '\0';
	assert_memory_equal(order, "cbc", 3);
	release_all(p);
	pool_free(p);
}

/* One draw of two: the less loaded of any two wins, so the most loaded of all is never chosen. */
static void
test_random(void **state)
{
	static const unsigned weight[] = { 1, 1, 4 };
	unsigned got[3] = { 0 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_RANDOM, weight, 3);

	(void)state;
	p->random = 12345;
	for (unsigned i = 0; i < 10; i++)
		gateway_reserve(p->gateway[1]);
	for (unsigned i = 0; i < 3000; i++)
		got[choose_and_release(p) - 'a']++;
	assert_int_equal(got[1], 0);
	/* a and c are equally loaded (0), so the first drawn counts: 1 to 4, and b's share falls to the other of
	 * its draw */
	assert_in_range(got[0], 500, 900);

	/* kept, loads settle at the weights */
	release_all(p);
	for (unsigned i = 0; i < 6000; i++)
		(void)choose(p, &none_tried);
	assert_in_range(gateway_load(p->gateway[0]), 950, 1050);
	assert_in_range(gateway_load(p->gateway[1]), 950, 1050);
	assert_in_range(gateway_load(p->gateway[2]), 3950, 4050);
	release_all(p);
	pool_free(p);
}

static void
test_never_chosen(void **state)
{
	static const enum conf_balance balances[] = {
		CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM,
	};
	static const unsigned weight[] = { 1, 9, 9, 9 };

	(void)state;
	for (size_t i = 0; i < COUNT(balances); i++) {
		struct made m;
		struct pool *p = made_pool(&m, balances[i], weight, 4);
		struct pool_tried tried = { .n = 1, .gateway = { p->gateway[2] } };

		gateway_set_state(p->gateway[1], GATEWAY_DOWN, "the test says so");
		for (unsigned k = 0; k < 100; k++) {
			char got = choose(p, &tried);

			assert_true(got == 'a' || got == 'd');
		}
		tried.gateway[tried.n++] = p->gateway[3];
		for (unsigned k = 0; k < 10; k++)
			assert_int_equal(choose(p, &tried), 'a');
		tried.gateway[tried.n++] = p->gateway[0];
		assert_int_equal(choose(p, &tried), '-');
		assert_int_equal(gateway_load(p->gateway[1]), 0);
		assert_int_equal(gateway_load(p->gateway[2]), 0);
		release_all(p);
		pool_free(p);
	}
}

/* The caller's reference outlives the pool. */
static void
test_reference(void **state)
{
	static const unsigned weight[] = { 1 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_ROUNDROBIN, weight, 1);
	struct gateway *g = pool_choose(p, &none_tried);

	(void)state;
	pool_free(p);
	pool_free(NULL);
	assert_int_equal(gateway_load(g), 1);
	gateway_release(g);
	gateway_unref(g);
}

static void
test_find_tag(void **state)
{
	unsigned weight[MANY];
	struct made m;
	struct pool *p;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		weight[i] = 1;
	p = made_pool(&m, CONF_BALANCE_LEASTCONN, weight, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_ptr_equal(pool_find_tag(p, p->gateway[i]->tag), p->gateway[i]);
		assert_null(pool_find_tag(p, p->gateway[i]->tag + 1));
	}
	assert_null(pool_find_tag(p, 0));
	pool_free(p);
}

static void
test_refused(void **state)
{
	static const unsigned weight[] = { 1, 1, 1 };
	struct made m;

	(void)state;
	made_conf(&m, CONF_BALANCE_LEASTCONN, weight, 3);
	strcpy(m.address[1], "10.0.0.1");
	assert_null(pool_new(&m.cf, keep_report, NULL));
	assert_string_equal(reported, "x.ini:2: [pool game] gateway: 'b 10.0.0.1': is not HOST:PORT");

	/* names that are alike stand for tags that are: those can't be found by a test */
	made_conf(&m, CONF_BALANCE_LEASTCONN, weight, 3);
	strcpy(m.name[2], "a");
	assert_null(pool_new(&m.cf, keep_report, NULL));
	assert_non_null(strstr(reported, "[pool game] gateway: 'a 127.0.0.1:"));
	assert_non_null(strstr(reported, "a cookie could not tell it from 'a'; give it another name"));
}

static void
test_too_many(void **state)
{
	static struct conf_gateway gateway[POOL_GATEWAYS_MAX + 1];
	struct conf_pool cf = { .name = (char[]){ "game" }, .gateway = gateway, .gateways = COUNT(gateway) };

	(void)state;
	for (size_t i = 0; i < COUNT(gateway); i++)
		gateway[i] = (struct conf_gateway){ .name = cf.name, .address = cf.name, .place = { "x.ini", 9 } };
	assert_null(pool_new(&cf, keep_report, NULL));
	assert_string_equal(reported,
	    "x.ini:9: [pool game] gateway: 'game game': is one too many; a pool has at most 4096");
}

static void *
choose_many(void *arg)
{
	struct pool *p = arg;

	for (unsigned i = 0; i < 5000; i++)
		(void)choose(p, &none_tried);
	return NULL;
}

/* The choice and its reservation are one step: even with many threads, least loaded means even. */
static void
test_threads(void **state)
{
	static const unsigned weight[] = { 1, 1, 1, 1, 1 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_LEASTCONN, weight, 5);
	pthread_t thread[4];

	(void)state;
	for (unsigned i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, choose_many, p), 0);
	for (unsigned i = 0; i < COUNT(thread); i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < p->gateways; i++)
		assert_int_equal(gateway_load(p->gateway[i]), 4000);
	release_all(p);
	pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_leastconn_ties),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_never_chosen),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_find_tag),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
