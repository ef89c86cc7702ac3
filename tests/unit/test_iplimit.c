/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits by address: how many, how fast, what is forgotten, and several threads. */
#include "net/iplimit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct conf_rate no_rate = { 0, 0 };

static struct addr
address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(slice_of(text), &a));
	return a;
}

/* May it come in? Who may is counted wherever there is a limit, nobody else. */
static bool
come(struct iplimit *l, const struct addr *a, uint64_t now_ms)
{
	bool counted, ok = iplimit_enter(l, a, now_ms, &counted);

	assert_int_equal(counted, ok);
	return ok;
}

static void
test_off(void **state)
{
	struct iplimit *l = iplimit_new(0, no_rate);
	struct addr a = address("10.0.0.1:1");
	bool counted;

	(void)state;
	assert_true(iplimit_enter(NULL, &a, 0, &counted));
	assert_false(counted);
	iplimit_free(NULL);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(iplimit_enter(l, &a, 0, &counted));
		assert_false(counted);
	}
	iplimit_free(l);
}

static void
test_connections(void **state)
{
	struct iplimit *l = iplimit_new(2, no_rate);
	struct addr a = address("10.0.0.1:1"), same = address("10.0.0.1:2"), other = address("10.0.0.2:1");

	(void)state;
	assert_true(come(l, &a, 1));
	assert_true(come(l, &same, 1));
	assert_false(come(l, &a, 1));
	assert_true(come(l, &other, 1));
	iplimit_leave(l, &same);
	assert_true(come(l, &a, 1));
	assert_false(come(l, &a, 100000));
	iplimit_leave(l, &a);
	iplimit_leave(l, &a);
	iplimit_leave(l, &other);
	iplimit_free(l);
}

static void
test_one_customer(void **state)
{
	static const struct {
		const char *a, *b;
		bool is_same;
	} cases[] = {
		{ "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:2", true },
		{ "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false },
		{ "10.0.0.1:1", "[::ffff:10.0.0.1]:1", true },
		{ "10.0.0.1:1", "10.0.1.1:1", false },
		{ "0.0.0.0:1", "[::]:1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct iplimit *l = iplimit_new(1, no_rate);
		struct addr a = address(cases[i].a), b = address(cases[i].b);

		assert_true(come(l, &a, 1));
		assert_int_equal(come(l, &b, 1), !cases[i].is_same);
		iplimit_free(l);
	}
}

static void
test_rate(void **state)
{
	struct iplimit *l = iplimit_new(0, (struct conf_rate){ 5, 1000 });
	struct addr a = address("10.0.0.1:1");

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_true(come(l, &a, 1000));
		iplimit_leave(l, &a);
	}
	assert_false(come(l, &a, 1000));
	assert_false(come(l, &a, 1199));
	assert_true(come(l, &a, 1200));	/* a token each 200 ms */
	assert_false(come(l, &a, 1399));
	iplimit_leave(l, &a);
	for (unsigned i = 0; i < 5; i++)
		assert_true(come(l, &a, 60000));	/* full again, and no fuller */
	assert_false(come(l, &a, 60000));
	iplimit_free(l);
}

/* Of each shard's idle addresses the longest unseen go first: by then they are known no more. */
static void
test_flood(void **state)
{
	struct iplimit *l = iplimit_new(0, (struct conf_rate){ 1, 60000 });
	struct addr first = address("10.0.0.1:1"), held = address("10.0.0.2:1"), a = address("11.0.0.0:1");

	(void)state;
	assert_true(come(l, &held, 1));
	assert_true(come(l, &first, 1));
	iplimit_leave(l, &first);
	assert_false(come(l, &first, 1));
	for (uint32_t i = 0; i < 200000; i++) {
		a.sa.v4.sin_addr.s_addr = htonl(0x0b000000 + i);
		assert_true(come(l, &a, 1));
		iplimit_leave(l, &a);
	}
	assert_true(come(l, &first, 1));	/* forgotten */
	assert_false(come(l, &held, 1));	/* never, while it holds something */
	iplimit_free(l);
}

/* Who came in while there was no limit is neither counted in nor out, and who came by the old one is by the new. */
static void
test_set(void **state)
{
	struct iplimit *l = iplimit_new(0, no_rate);
	struct addr a = address("10.0.0.1:1");
	bool counted;

	(void)state;
	assert_true(iplimit_enter(l, &a, 1, &counted));
	assert_false(counted);
	iplimit_set(l, 2, no_rate);
	assert_true(come(l, &a, 1));
	assert_true(come(l, &a, 1));
	assert_false(come(l, &a, 1));
	iplimit_set(l, 3, no_rate);
	assert_true(come(l, &a, 1));
	assert_false(come(l, &a, 1));
	iplimit_set(l, 1, no_rate);
	iplimit_leave(l, &a);
	iplimit_leave(l, &a);
	assert_false(come(l, &a, 1));
	iplimit_set(l, 0, no_rate);
	assert_true(iplimit_enter(l, &a, 1, &counted));
	assert_false(counted);
	iplimit_leave(l, &a); /* the last that was */
	iplimit_set(l, 1, no_rate);
	assert_true(come(l, &a, 1));
	iplimit_leave(l, &a);
	iplimit_free(l);
}

/* Buckets go on, but what is owed under a slow rate is not owed under a fast one. */
static void
test_set_rate(void **state)
{
	struct iplimit *l = iplimit_new(0, (struct conf_rate){ 1, 60000 });
	struct addr a = address("10.0.0.1:1");

	(void)state;
	assert_true(come(l, &a, 1000));
	iplimit_leave(l, &a);
	assert_false(come(l, &a, 1000));
	iplimit_set(l, 0, (struct conf_rate){ 10, 1000 });
	assert_false(come(l, &a, 1000));
	assert_true(come(l, &a, 1100));
	iplimit_set(l, 0, (struct conf_rate){ 1, 60000 });
	iplimit_leave(l, &a);
	assert_false(come(l, &a, 1500));
	iplimit_free(l);
}

struct thread {
	pthread_t id;
	bool sets; /* other limits, all the time */
	struct iplimit *limit;
	unsigned entered;
};

static void *
come_and_go(void *arg)
{
	struct thread *t = arg;
	struct addr a;

	if (!addr_parse(SLICE_LIT("10.0.0.0:1"), &a))
		return NULL;
	for (uint32_t i = 0; i < 40000; i++) {
		bool counted;

		if (t->sets && i % 100 == 0)
			iplimit_set(t->limit, i / 100 % 4, (struct conf_rate){ 1000, 1000 });
		a.sa.v4.sin_addr.s_addr = htonl(0x0a000000 + i % 64);
		t->entered += iplimit_enter(t->limit, &a, i / 100, &counted);
		if (counted)
			iplimit_leave(t->limit, &a);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct iplimit *l = iplimit_new(3, (struct conf_rate){ 1000, 1000 });
	struct thread t[4] = { { .limit = NULL } };
	unsigned entered = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		t[i].limit = l;
		t[i].sets = i == 0;
		assert_int_equal(pthread_create(&t[i].id, NULL, come_and_go, &t[i]), 0);
	}
	for (size_t i = 0; i < COUNT(t); i++) {
		pthread_join(t[i].id, NULL);
		entered += t[i].entered;
	}
	assert_true(entered > 1000);
	/* and nobody holds anything */
	iplimit_set(l, 3, (struct conf_rate){ 1000, 1000 });
	for (uint32_t i = 0; i < 64; i++) {
		struct addr a = address("10.0.0.0:1");

		a.sa.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(come(l, &a, 1000000), k < 3);
	}
	iplimit_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_one_customer),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_rate),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
