/* SPDX-License-Identifier: BSD-2-Clause */
/* Bindings: got, bound, claimed, forgotten, expired, evicted in order; chains under chosen keys; several threads. */
#include "store/table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TTL 100

static const struct slice pool = { "game", 4 };

static struct table_key
key_of(const struct table *t, unsigned i)
{
	char text[24];

	return table_key(t, pool, slice_make(text, (size_t)snprintf(text, sizeof text, "player-%u", i)));
}

static void
bind(struct table *t, unsigned i, uint64_t tag, uint32_t now_s)
{
	struct table_key k = key_of(t, i);

	table_bind(t, &k, tag, now_s, false, NULL);
}

static bool
peek(struct table *t, unsigned i, uint32_t now_s, struct table_binding *b)
{
	struct table_key k = key_of(t, i);

	return table_peek(t, &k, now_s, b);
}

static bool
is_bound(struct table *t, unsigned i, uint32_t now_s)
{
	struct table_binding b;

	return peek(t, i, now_s, &b);
}

static void
test_keys(void **state)
{
	static const struct {
		struct slice pool_a, a, pool_b, b;
		bool same;
	} cases[] = {
		{ SLICE_LIT("game"), SLICE_LIT("x"), SLICE_LIT("game"), SLICE_LIT("x"), true },
		{ SLICE_LIT("game"), SLICE_LIT("x"), SLICE_LIT("login"), SLICE_LIT("x"), false },
		{ SLICE_LIT("game"), SLICE_LIT("x"), SLICE_LIT("gamex"), SLICE_LIT(""), false },
		{ SLICE_LIT("ga"), SLICE_LIT("mex"), SLICE_LIT("gam"), SLICE_LIT("ex"), false },
		{ SLICE_LIT("game"), SLICE_LIT(""), SLICE_LIT("game"), SLICE_LIT("\0"), false },
		{ SLICE_LIT("game"), SLICE_LIT("a\0b"), SLICE_LIT("game"), SLICE_LIT("a\0c"), false },
		{ SLICE_LIT("game"), { NULL, 0 }, SLICE_LIT("game"), SLICE_LIT(""), true },
	};
	struct table *t = table_new(10, TTL), *other = table_new(10, TTL);
	struct table_key a, b;
	char long_key[8000];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		a = table_key(t, cases[i].pool_a, cases[i].a);
		b = table_key(t, cases[i].pool_b, cases[i].b);
		assert_int_equal(a.high == b.high && a.low == b.low, cases[i].same);
	}
	memset(long_key, 'k', sizeof long_key);
	a = table_key(t, pool, slice_make(long_key, sizeof long_key));
	long_key[sizeof long_key - 1] = 'l';
	b = table_key(t, pool, slice_make(long_key, sizeof long_key));
	assert_true(a.high != b.high && a.low != b.low);
	b = table_key(other, pool, slice_make(long_key, sizeof long_key));
	a = table_key(t, pool, slice_make(long_key, sizeof long_key));
	assert_true(a.high != b.high);		/* each table draws its own key */
	table_set_hash_key(other, table_hash_key(t));
	b = table_key(other, pool, slice_make(long_key, sizeof long_key));
	assert_true(a.high == b.high && a.low == b.low);
	table_free(t);
	table_free(other);
	table_free(NULL);
}

static void
test_bind(void **state)
{
	struct table *t = table_new(10, TTL);
	struct table_key k = key_of(t, 1);
	struct table_binding b;
	uint64_t was = 0;

	(void)state;
	assert_false(table_get(t, &k, 1000, &b));
	assert_int_equal(table_bind(t, &k, 7, 1000, false, &was), TABLE_NEW);
	assert_true(table_get(t, &k, 1010, &b));
	assert_true(b.tag == 7 && b.born_s == 1000 && b.seen_s == 1010 && b.confirmed_s == 0);
	assert_int_equal(table_bind(t, &k, 7, 1020, true, &was), TABLE_SAME);
	assert_int_equal(table_bind(t, &k, 7, 1030, false, &was), TABLE_SAME);
	assert_true(table_peek(t, &k, 1030, &b));
	assert_true(b.born_s == 1000 && b.seen_s == 1030 && b.confirmed_s == 1020);
	assert_int_equal(was, 0);
	assert_int_equal(table_bind(t, &k, 8, 1040, false, &was), TABLE_MOVED);
	assert_int_equal(was, 7);
	assert_true(table_peek(t, &k, 1040, &b));
	assert_true(b.tag == 8 && b.born_s == 1040 && b.confirmed_s == 0);
	assert_int_equal(table_bind(t, &k, 9, 1040, true, NULL), TABLE_MOVED);
	assert_true(table_peek(t, &k, 1040, &b));
	assert_int_equal(b.confirmed_s, 1040);
	assert_int_equal(table_counts(t).keys, 1);
	table_free(t);
}

static void
test_claim(void **state)
{
	struct table *t = table_new(10, TTL);
	struct table_key k = key_of(t, 1);
	struct table_binding b;

	(void)state;
	assert_int_equal(table_claim(t, &k, 7, 1000, &b), TABLE_NEW);
	assert_true(b.tag == 7 && b.born_s == 1000 && b.seen_s == 1000 && b.confirmed_s == 0);
	assert_int_equal(table_claim(t, &k, 8, 1090, &b), TABLE_SAME);
	assert_true(b.tag == 7 && b.born_s == 1000 && b.seen_s == 1090);
	assert_true(table_peek(t, &k, 1190, &b));	/* it was renewed */
	assert_int_equal(table_claim(t, &k, 8, 1191, &b), TABLE_NEW);
	assert_true(b.tag == 8 && b.born_s == 1191);
	assert_int_equal(table_counts(t).expired, 1);
	table_free(t);
}

static void
test_forget(void **state)
{
	struct table *t = table_new(10, TTL);
	struct table_key k = key_of(t, 1);

	(void)state;
	assert_false(table_forget(t, &k));
	bind(t, 1, 7, 1000);
	assert_true(table_forget(t, &k));
	assert_false(table_forget(t, &k));
	assert_false(is_bound(t, 1, 1000));
	assert_int_equal(table_counts(t).keys, 0);
	/* its place is used again: this would be more than ten otherwise */
	for (unsigned i = 0; i < 100; i++) {
		bind(t, i, i, 1000);
		k = key_of(t, i);
		assert_true(table_forget(t, &k));
	}
	assert_int_equal(table_counts(t).evicted, 0);
	table_free(t);
}

static void
test_life(void **state)
{
	struct table *t = table_new(10, TTL);
	struct table_key k = key_of(t, 1);
	struct table_binding b;

	(void)state;
	bind(t, 1, 7, 1000);
	assert_true(table_get(t, &k, 1100, &b));	/* slides */
	assert_true(table_peek(t, &k, 1200, &b));	/* does not */
	assert_int_equal(b.seen_s, 1100);
	assert_true(table_peek(t, &k, 900, &b));	/* the clock was set back */
	assert_false(table_peek(t, &k, 1201, &b));
	assert_int_equal(table_counts(t).keys, 0);
	assert_int_equal(table_counts(t).expired, 1);
	table_free(t);
}

/* Exactly the least recently used goes. */
static void
test_eviction(void **state)
{
	struct table *t = table_new(4, TTL);
	struct table_binding b;
	struct table_key k;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		bind(t, i, i, 1000);
	k = key_of(t, 0);
	assert_true(table_get(t, &k, 1000, &b));
	assert_true(is_bound(t, 1, 1000));	/* peeking renews nothing */
	bind(t, 4, 4, 1000);
	assert_true(is_bound(t, 0, 1000));
	assert_false(is_bound(t, 1, 1000));
	bind(t, 2, 9, 1000);
	bind(t, 5, 5, 1000);
	assert_false(is_bound(t, 3, 1000));
	assert_true(is_bound(t, 2, 1000));
	assert_int_equal(table_counts(t).keys, 4);
	assert_int_equal(table_counts(t).evicted, 2);
	assert_int_equal(table_counts(t).expired, 0);
	table_free(t);
}

/* What has expired goes before anybody who is in use. */
static void
test_expired_first(void **state)
{
	struct table *t = table_new(4, TTL);

	(void)state;
	bind(t, 0, 0, 1000);
	bind(t, 1, 1, 1000);
	bind(t, 2, 2, 1090);
	bind(t, 3, 3, 1090);
	bind(t, 4, 4, 1101);
	bind(t, 5, 5, 1101);
	assert_int_equal(table_counts(t).evicted, 0);
	assert_int_equal(table_counts(t).expired, 2);
	for (unsigned i = 2; i < 6; i++)
		assert_true(is_bound(t, i, 1101));
	table_free(t);
}

static void
test_one_place(void **state)
{
	struct table *t = table_new(1, TTL);

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		bind(t, i, i, 1000);
		assert_true(is_bound(t, i, 1000));
	}
	assert_int_equal(table_counts(t).keys, 1);
	table_free(t);
}

/* Against a plain array, with keys that come and go. */
static void
test_model(void **state)
{
	struct { uint64_t tag; uint32_t seen_s; bool bound; } model[64] = { { 0, 0, false } };
	struct table *t = table_new_sharded(1024, TTL, 4);
	struct table_binding b;
	struct table_key k;

	(void)state;
	srandom(1);
	for (uint32_t step = 0, now_s = 1000; step < 50000; step++, now_s += step % 3 == 0) {
		unsigned i = (unsigned)random() % 64, what = (unsigned)random() % 8;
		bool bound = model[i].bound && now_s - model[i].seen_s <= TTL;

		k = key_of(t, i);
		if (what == 0) {
			(void)table_forget(t, &k);
			model[i].bound = false;
		} else if (what == 1) {
			table_bind(t, &k, step, now_s, false, NULL);
			model[i].tag = step;
			model[i].seen_s = now_s;
			model[i].bound = true;
		} else {
			assert_int_equal(what == 2 ? table_get(t, &k, now_s, &b) : table_peek(t, &k, now_s, &b), bound);
			assert_true(!bound || b.tag == model[i].tag);
			if (what == 2)
				model[i].seen_s = now_s;
			model[i].bound = bound;
		}
	}
	assert_int_equal(table_counts(t).evicted, 0);
	table_free(t);
}

/* A large table: however its keys fall on the shards, all fit. */
static void
test_all_fit(void **state)
{
	struct table *t = table_new(100000, TTL);
	struct table_counts c;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		bind(t, i, i, 1000);
	c = table_counts(t);
	assert_int_equal(c.keys, 100000);
	assert_int_equal(c.evicted, 0);
	for (unsigned i = 0; i < 100000; i++)
		assert_true(is_bound(t, i, 1000));
	bind(t, 100000, 0, 1000);
	c = table_counts(t);
	assert_int_equal(c.keys, 100000);
	assert_int_equal(c.evicted, 1);
	table_free(t);
}

/* And no more. */
static void
test_bound(void **state)
{
	struct table *t = table_new(70001, TTL);
	struct table_counts c;

	(void)state;
	for (unsigned i = 0; i < 200000; i++)
		bind(t, i, i, 1000);
	c = table_counts(t);
	assert_int_equal(c.keys, 70001);
	assert_int_equal(c.evicted, 200000 - 70001);
	/* a random function's longest chain; nobody can choose a longer one */
	assert_in_range(table_longest_chain(t), 2, 12);
	table_free(t);
}

static void
test_copy(void **state)
{
	struct table *t = table_new_sharded(3000, TTL, 8), *copy = table_new_sharded(3000, TTL, 2);
	struct table_entry e[100];
	uint64_t at = 0;
	size_t n, all = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		bind(t, i, i, 1000);
	for (unsigned i = 0; i < 2000; i++) {
		struct table_key k = key_of(t, i);

		if (i % 100 != 0)
			assert_true(table_forget(t, &k));	/* long rows of free ones */
	}
	table_set_hash_key(copy, table_hash_key(t));
	while ((n = table_copy(t, &at, e, COUNT(e))) != 0) {
		assert_in_range(n, 1, COUNT(e));
		for (size_t i = 0; i < n; i++)
			table_restore(copy, &e[i], 1000);
		all += n;
	}
	assert_int_equal(all, 20);
	assert_int_equal(table_copy(t, &at, e, COUNT(e)), 0);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(is_bound(copy, i, 1000), i % 100 == 0);
	table_free(t);
	table_free(copy);
}

static void
test_restore(void **state)
{
	struct table *t = table_new(2, TTL);
	struct table_entry e = { .key = { 1, 2 }, .binding = { .tag = 7, .born_s = 900, .seen_s = 950 } };
	struct table_binding b;

	(void)state;
	table_restore(t, &e, 1051);
	assert_int_equal(table_counts(t).keys, 0);	/* expired */
	table_restore(t, &e, 1000);
	assert_true(table_peek(t, &e.key, 1000, &b));
	assert_true(b.tag == 7 && b.born_s == 900 && b.seen_s == 950);
	e.binding = (struct table_binding){ .tag = 8, .born_s = 5000, .seen_s = 6000 };
	table_restore(t, &e, 1000);			/* the same key again: the later one counts */
	assert_int_equal(table_counts(t).keys, 1);
	assert_true(table_peek(t, &e.key, 1000, &b));
	assert_true(b.tag == 8 && b.born_s == 1000 && b.seen_s == 1000);	/* nothing is from the future */
	table_free(t);
}

static void
test_resize(void **state)
{
	struct table *t = table_new(1000, TTL);
	struct table_binding b;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		bind(t, i, i + 1, 1000 + i / 100);
	assert_true(table_resize(t, 100000, TTL));
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(peek(t, i, 1010, &b));
		assert_true(b.tag == i + 1 && b.born_s == 1000 + i / 100 && b.seen_s == b.born_s);
	}
	for (unsigned i = 1000; i < 100000; i++)
		bind(t, i, i + 1, 1010);
	assert_int_equal(table_counts(t).keys, 100000);
	assert_int_equal(table_counts(t).evicted, 0);
	/* the order of use is kept: first the newcomers go */
	for (unsigned i = 0; i < 10; i++) {
		struct table_key k = key_of(t, i);

		assert_true(table_get(t, &k, 1011, &b));
	}
	assert_true(table_resize(t, 20, TTL));
	assert_int_equal(table_counts(t).keys, 20);
	assert_int_equal(table_counts(t).evicted, 100000 - 20);
	for (unsigned i = 0; i < 10; i++)
		assert_true(is_bound(t, i, 1011));
	for (unsigned i = 99990; i < 100000; i++)
		assert_true(is_bound(t, i, 1011));
	bind(t, 5000000, 1, 1011);
	assert_false(is_bound(t, 99990, 1011));
	/* the life alone; and more than there is */
	assert_true(table_resize(t, 20, 10 * TTL));
	assert_true(is_bound(t, 0, 1011 + 5 * TTL));
	assert_true(table_resize(t, 20, TTL));
	assert_false(is_bound(t, 0, 1011 + 5 * TTL));
	table_free(t);
}

/* In shards: exactly as many as there is room for, wherever they fall. */
static void
test_resize_shards(void **state)
{
	static const size_t sizes[] = { 70000, 200000, 65536, 1000, 64, 100000, 7 };
	struct table *t = table_new(100000, TTL);
	unsigned bound = 0;

	(void)state;
	for (unsigned round = 0; round < COUNT(sizes); round++) {
		unsigned enough = bound + 2 * (unsigned)sizes[round];

		for (; bound < enough && round != 0; bound++)
			bind(t, bound, bound, 1000);
		assert_true(table_resize(t, sizes[round], TTL));
		assert_in_range(table_counts(t).keys, 0, sizes[round]);
		if (sizes[round] < 100)
			continue;		/* so few do not fall on all shards alike */
		for (; bound < enough + sizes[round] * 2; bound++)
			bind(t, bound, bound, 1000);
		assert_int_equal(table_counts(t).keys, sizes[round]);
	}
	table_free(t);
}

#define ROUNDS 20000

static void *
use_table(void *arg)
{
	struct table *t = arg;
	struct table_binding b;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct table_key k = key_of(t, i % 512);

		if (i % 16 == 0)
			table_bind(t, &k, i % 512, 1000 + i / 1000, false, NULL);
		else if (i % 64 == 1)
			(void)table_forget(t, &k);
		else if (i % 16 == 2)
			table_claim(t, &k, i % 512, 1000 + i / 1000, &b);
		else if (table_get(t, &k, 1000 + i / 1000, &b) && b.tag != i % 512)
			return t;
	}
	return NULL;
}

static void *
copy_table(void *arg)
{
	struct table_entry e[64];

	for (unsigned i = 0; i < 50; i++)
		for (uint64_t at = 0; table_copy(arg, &at, e, COUNT(e)) != 0;)
			;
	return NULL;
}

static void
test_threads(void **state)
{
	struct table *t = table_new_sharded(256, TTL, 2);
	pthread_t thread[5];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, i == 0 ? copy_table : use_table, t), 0);
	for (size_t i = 0; i < COUNT(thread); i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	assert_in_range(table_counts(t).keys, 1, 256);
	table_free(t);
}

/* Keys in use stay, in a table that is resized all the time; and so in what is copied meanwhile. */
#define HELD 400

static void *
hold_keys(void *arg)
{
	struct table *t = arg;
	struct table_binding b;

	for (unsigned i = 0; i < 5 * ROUNDS; i++) {
		struct table_key k = key_of(t, i % HELD);

		if (!table_get(t, &k, 1000, &b) || b.tag != i % HELD)
			return t;
		bind(t, HELD + i, 0, 1000);
	}
	return NULL;
}

static void *
copy_held(void *arg)
{
	struct table_entry e[64];

	for (unsigned round = 0; round < 10; round++) {
		struct table *copy = table_new(200000, TTL);
		size_t n;

		table_set_hash_key(copy, table_hash_key(arg));
		for (uint64_t at = 0; (n = table_copy(arg, &at, e, COUNT(e))) != 0;)
			for (size_t i = 0; i < n; i++)
				table_restore(copy, &e[i], 1000);
		for (unsigned i = 0; i < HELD; i++)
			if (!is_bound(copy, i, 1000))
				return arg;
		table_free(copy);
	}
	return NULL;
}

static void
test_resize_in_use(void **state)
{
	static const size_t sizes[] = { 40000, 20000, 100000, 25000, 16000 };	/* a cycle of use fits each shard */
	struct table *t = table_new_sharded(30000, TTL, 4);
	pthread_t thread[3];
	void *wrong;

	(void)state;
	for (unsigned i = 0; i < HELD; i++)
		bind(t, i, i, 1000);
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, i == 0 ? copy_held : hold_keys, t), 0);
	for (unsigned i = 0; i < 60; i++)
		assert_true(table_resize(t, sizes[i % COUNT(sizes)], TTL));
	for (size_t i = 0; i < COUNT(thread); i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	assert_in_range(table_counts(t).keys, HELD, 16000);
	table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_expired_first),
		cmocka_unit_test(test_one_place),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_all_fit),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_resize_shards),
		cmocka_unit_test(test_resize_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
