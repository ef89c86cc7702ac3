/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets a newcomer: each balance's order, who is never chosen, and many threads at once. */
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"

#define MANY 64
#define NAME_TEXT 24

/* A pool of gateways called a, b, c ... with these weights. */
struct made {
	struct conf_pool cf;
	struct conf_gateway gateway[MANY];
	char name[MANY][NAME_TEXT], address[MANY][NAME_TEXT];
	struct pool *pool;
};

static char reported[512];

static void
keep_report(void *arg, const char *line)
{
	(void)arg;
	snprintf(reported, sizeof reported, "%s", line);
}

static void
log_nowhere(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
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

/* Its index in the pool. */
static unsigned
place_of(const struct pool *p, const struct gateway *g)
{
	unsigned i = 0;

	while (p->gateway[i] != g)
		i++;
	return i;
}

/* Chooses and keeps the reservation, gives back the reference; '-' where nobody is up, '+' where all are full. */
static char
choose_for(struct pool *p, const struct pool_wish *w)
{
	enum pool_lack lack;
	struct gateway *g = pool_choose(p, w, &lack);
	char name = g != NULL ? gateway_name(g)[0] : lack == POOL_IS_FULL ? '+' : '-';

	assert_int_equal(g != NULL, lack == POOL_LACKS_NOTHING);
	gateway_unref(g);
	return name;
}

static char
choose(struct pool *p, const struct pool_tried *tried)
{
	return choose_for(p, &(struct pool_wish){ .tried = tried });
}

static char
choose_session(struct pool *p)
{
	return choose_for(p, &(struct pool_wish){ .session = true });
}

static char
choose_and_leave(struct pool *p)
{
	char name = choose(p, NULL);

	gateway_leave(p->gateway[name - 'a'], false);
	return name;
}

static void
leave_all(struct pool *p)
{
	for (unsigned i = 0; i < p->gateways; i++)
		while (gateway_load(p->gateway[i]) != 0)
			gateway_leave(p->gateway[i], p->gateway[i]->sessions != 0);
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
			order[k] = choose(p, NULL);
		assert_string_equal(order, cases[i].order);
		leave_all(p);
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
		order[i] = choose_and_leave(p);
	assert_string_equal(order, "abcabca");

	/* the one that has fewer is filled first */
	assert_true(gateway_enter(p->gateway[0], false));
	assert_true(gateway_enter(p->gateway[0], false));
	assert_true(gateway_enter(p->gateway[1], false));
	for (unsigned i = 0; i < 3; i++)
		order[i] = choose(p, NULL);
	order[3] = '\0';
	assert_memory_equal(order, "cbc", 3);
	leave_all(p);
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
		assert_true(gateway_enter(p->gateway[1], false));
	for (unsigned i = 0; i < 3000; i++)
		got[choose_and_leave(p) - 'a']++;
	assert_int_equal(got[1], 0);
	/* a and c are equally loaded (0), so the first drawn counts: 1 to 4, and b's share falls to the other of
	 * its draw */
	assert_in_range(got[0], 500, 900);

	/* kept, loads settle at the weights */
	leave_all(p);
	for (unsigned i = 0; i < 6000; i++)
		(void)choose(p, NULL);
	assert_in_range(gateway_load(p->gateway[0]), 950, 1050);
	assert_in_range(gateway_load(p->gateway[1]), 950, 1050);
	assert_in_range(gateway_load(p->gateway[2]), 3950, 4050);
	leave_all(p);
	pool_free(p);
}

static void
test_never_chosen(void **state)
{
	static const enum conf_balance balances[] = {
		CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM, CONF_BALANCE_HASH,
	};
	static const unsigned weight[] = { 1, 9, 9, 9 };

	(void)state;
	for (size_t i = 0; i < COUNT(balances); i++) {
		struct made m;
		struct pool *p = made_pool(&m, balances[i], weight, 4);
		struct pool_tried tried = { .n = 1, .gateway = { p->gateway[2] } };

		gateway_judge(p->gateway[1], false, "the test says so");
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
		leave_all(p);
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
	enum pool_lack lack;
	struct gateway *g = pool_choose(p, &(struct pool_wish){ .session = false }, &lack);

	(void)state;
	pool_free(p);
	pool_free(NULL);
	assert_int_equal(gateway_load(g), 1);
	gateway_leave(g, false);
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
		assert_ptr_equal(pool_find_tag(p, gateway_tag(p->gateway[i])), p->gateway[i]);
		assert_null(pool_find_tag(p, gateway_tag(p->gateway[i]) + 1));
	}
	assert_null(pool_find_tag(p, 0));
	pool_free(p);
}

/* A gateway at its slow start's beginning has a 256th of its share; alone it is chosen none the less. */
static void
test_shares(void **state)
{
	static const enum conf_balance balances[] = {
		CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM,
	};
	static const unsigned weight[] = { 1, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(balances); i++) {
		struct made m;
		struct pool *p;

		made_conf(&m, balances[i], weight, 2);
		m.cf.slow_start_ms = 10000;
		p = m.pool = pool_new(&m.cf, keep_report, NULL);
		p->random = 12345;
		gateway_judge(p->gateway[1], false, "the test says so");
		gateway_judge(p->gateway[1], true, "the test says so");
		for (unsigned k = 0; k < 2570; k++)
			(void)choose(p, NULL);
		assert_in_range(gateway_load(p->gateway[1]), balances[i] == CONF_BALANCE_RANDOM ? 1 : 10, 10);
		gateway_judge(p->gateway[0], false, "the test says so");
		for (unsigned k = 0; k < 10; k++)
			assert_int_equal(choose(p, NULL), 'b');
		leave_all(p);
		pool_free(p);
	}
}

static void
test_can_spare(void **state)
{
	static const unsigned weight[] = { 1, 1, 0 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_LEASTCONN, weight, 3);

	(void)state;
	assert_true(pool_can_spare(p, p->gateway[0]));
	assert_true(pool_can_spare(p, p->gateway[2]));
	gateway_judge(p->gateway[1], false, "the test says so");
	assert_false(pool_can_spare(p, p->gateway[0]));		/* the third takes nobody */
	assert_true(pool_can_spare(p, p->gateway[1]));
	pool_free(p);
}

/* Backups, and gateways with few places: a has one, b two, c none left to give, d is a backup without limit. */
static void
test_full_and_backup(void **state)
{
	static const enum conf_balance balances[] = {
		CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM, CONF_BALANCE_HASH,
	};
	static const unsigned weight[] = { 1, 1, 0, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(balances); i++) {
		unsigned got[128] = { 0 };
		struct pool_tried tried = { .n = 0 };
		struct made m;
		struct pool *p;

		made_conf(&m, balances[i], weight, 4);
		m.gateway[0].max_sessions = 1;
		m.gateway[1].max_sessions = 2;
		m.gateway[3].backup = true;
		m.gateway[3].max_sessions = 4;
		p = m.pool = pool_new(&m.cf, keep_report, NULL);
		assert_true(pool_has_room(p));
		for (unsigned k = 0; k < 7; k++) {
			char name = choose_session(p);

			got[(unsigned char)name]++;
			assert_int_equal(name == 'd', k >= 3);	/* the backup comes last */
		}
		assert_int_equal(got['a'], 1);
		assert_int_equal(got['b'], 2);
		assert_false(pool_has_room(p));
		assert_int_equal(choose_session(p), '+');
		assert_int_equal(choose(p, NULL), '+');		/* newcomers of all kinds keep away */
		gateway_leave(p->gateway[1], true);
		assert_true(pool_has_room(p));
		assert_int_equal(choose(p, NULL), 'b');

		tried = (struct pool_tried){ 3, { p->gateway[0], p->gateway[1], p->gateway[3] } };
		assert_int_equal(choose(p, &tried), '-');
		for (unsigned k = 0; k < 4; k++)
			gateway_judge(p->gateway[k], false, "the test says so");
		assert_int_equal(choose(p, NULL), '-');
		assert_false(pool_has_room(p));
		leave_all(p);
		pool_free(p);
	}
}

/* By hash the owner is chosen while it can be; without it its keys go to all others, and nobody else's move. */
static void
test_by_hash(void **state)
{
	static const unsigned weight[] = { 1, 2, 1, 0, 3, 9 };
	unsigned moved_to[6] = { 0 };
	struct made m;
	struct pool *p;

	(void)state;
	made_conf(&m, CONF_BALANCE_LEASTCONN, weight, 6);
	m.gateway[5].backup = true;
	p = m.pool = pool_new(&m.cf, keep_report, NULL);
	for (uint64_t key = 1; key <= 2000; key++) {
		struct pool_wish w = { .by_hash = true, .hash = key * 0x9e3779b97f4a7c15 };
		struct gateway *owner = pool_owner(p, w.hash), *without;

		assert_true(place_of(p, owner) != 3 && place_of(p, owner) != 5);
		assert_int_equal(choose_for(p, &w), gateway_name(owner)[0]);
		gateway_judge(p->gateway[4], false, "the test says so");
		assert_ptr_equal(pool_owner(p, w.hash), owner);
		without = p->gateway[choose_for(p, &w) - 'a'];
		if (place_of(p, owner) == 4)
			moved_to[place_of(p, without)]++;
		else
			assert_ptr_equal(without, owner);
		gateway_judge(p->gateway[4], true, "the test says so");
	}
	assert_true(moved_to[0] > 50 && moved_to[1] > 150 && moved_to[2] > 50);
	assert_int_equal(moved_to[3] + moved_to[4] + moved_to[5], 0);
	leave_all(p);
	pool_free(p);
}

/* The order in the file is nobody's business, nor are gateways without weight and backups an owner. */
static void
test_owner(void **state)
{
	static const unsigned none[] = { 0, 0 }, weight[] = { 1, 2, 3 };
	struct made m, reversed;
	struct pool *p = made_pool(&m, CONF_BALANCE_HASH, none, 2), *q;

	(void)state;
	assert_null(pool_owner(p, 1));
	pool_free(p);
	p = made_pool(&m, CONF_BALANCE_HASH, weight, 3);
	made_conf(&reversed, CONF_BALANCE_HASH, weight, 3);
	for (unsigned i = 0; i < 3; i++)
		reversed.gateway[i] = m.gateway[2 - i];
	q = pool_new(&reversed.cf, keep_report, NULL);
	for (uint64_t key = 1; key <= 1000; key++)
		assert_string_equal(gateway_name(pool_owner(p, key << 32)), gateway_name(pool_owner(q, key << 32)));
	pool_free(p);
	pool_free(q);
}

static void
test_find_name(void **state)
{
	static const unsigned weight[MANY] = { 1 };
	struct made m;
	struct pool *p = made_pool(&m, CONF_BALANCE_LEASTCONN, weight, MANY);

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		assert_ptr_equal(pool_find_name(p, slice_of(gateway_name(p->gateway[i]))), p->gateway[i]);
	assert_ptr_equal(pool_find_name(p, slice_make("abc", 1)), p->gateway[0]);
	assert_null(pool_find_name(p, SLICE_NONE));
	assert_null(pool_find_name(p, SLICE_LIT("A")));
	assert_null(pool_find_name(p, SLICE_LIT("a\0")));
	assert_null(pool_find_name(p, SLICE_LIT("a99")));
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
		(void)choose(p, NULL);
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
	leave_all(p);
	pool_free(p);
}

#define CHOOSERS 4
#define PLACES 1000

struct crowd {
	struct pool *pool;
	atomic_uint got[5];
	atomic_bool exceeded;
};

static void
take_place(struct crowd *c)
{
	enum pool_lack lack;
	struct gateway *g = pool_choose(c->pool, &(struct pool_wish){ .session = true }, &lack);

	if (g == NULL)
		return;
	atomic_fetch_add(&c->got[place_of(c->pool, g)], 1);
	if (gateway_sessions(g) > gateway_max_sessions(g))
		c->exceeded = true;
	gateway_unref(g);
}

/* More clients than places; half of them belong to the first gateway and come without choosing. */
static void *
crowd_in(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < 5 * PLACES; i++)
		if (i % 2 == 0 && gateway_enter(c->pool->gateway[0], true))
			atomic_fetch_add(&c->got[0], 1);
		else
			take_place(c);
	return NULL;
}

/* Exactly as many get in as there are places. */
static void
test_threads_fill_up(void **state)
{
	static const enum conf_balance balances[] = {
		CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM, CONF_BALANCE_HASH,
	};
	static const unsigned weight[] = { 1, 1, 1, 1, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT(balances); i++) {
		struct crowd c = { .exceeded = false };
		pthread_t thread[CHOOSERS];
		struct made m;

		made_conf(&m, balances[i], weight, 5);
		for (unsigned k = 0; k < 5; k++)
			m.gateway[k].max_sessions = PLACES;
		m.gateway[4].backup = true;
		c.pool = pool_new(&m.cf, keep_report, NULL);
		for (unsigned k = 0; k < CHOOSERS; k++)
			assert_int_equal(pthread_create(&thread[k], NULL, crowd_in, &c), 0);
		for (unsigned k = 0; k < CHOOSERS; k++)
			pthread_join(thread[k], NULL);
		assert_false(c.exceeded);
		for (unsigned k = 0; k < 5; k++) {
			assert_int_equal(c.got[k], PLACES);
			assert_int_equal(c.pool->gateway[k]->sessions, PLACES);
		}
		leave_all(c.pool);
		pool_free(c.pool);
	}
}

/* Comes and goes at the last place of two gateways: one of two threads always finds one. */
static void *
come_and_go(void *arg)
{
	struct pool *p = arg;

	for (unsigned i = 0; i < 20000; i++) {
		enum pool_lack lack;
		struct gateway *g = pool_choose(p, &(struct pool_wish){ .session = true, .by_hash = i % 2 }, &lack);

		if (g == NULL)
			return p;
		gateway_leave(g, true);
		gateway_unref(g);
	}
	return NULL;
}

static void
test_threads_race_for_the_last(void **state)
{
	static const unsigned weight[] = { 1, 1 };
	struct made m;
	pthread_t thread[2];
	struct pool *p;

	(void)state;
	made_conf(&m, CONF_BALANCE_ROUNDROBIN, weight, 2);
	m.gateway[0].max_sessions = m.gateway[1].max_sessions = 1;
	p = pool_new(&m.cf, keep_report, NULL);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, p), 0);
	for (unsigned i = 0; i < 2; i++) {
		void *refused;

		pthread_join(thread[i], &refused);
		assert_null(refused);
	}
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
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_can_spare),
		cmocka_unit_test(test_full_and_backup),
		cmocka_unit_test(test_by_hash),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_find_name),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_threads_fill_up),
		cmocka_unit_test(test_threads_race_for_the_last),
	};

	log_to(log_nowhere);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
