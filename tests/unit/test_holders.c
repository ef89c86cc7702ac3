/* SPDX-License-Identifier: BSD-2-Clause */
/* One holder for a key: taken over, dropped by who holds it only, and by several threads exactly one at a time. */
#include "store/holders.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_take(void **state)
{
	static const struct table_key a = { 1, 2 }, b = { 1, 3 };
	static const struct holder one = { 0, 1 }, two = { 1, 1 };
	struct holders *h = holders_new();
	struct holder old = { 9, 9 };

	(void)state;
	assert_false(holders_take(h, &a, &one, &old));
	assert_false(holders_take(h, &b, &one, &old));
	assert_int_equal(holders_count(h), 2);
	assert_true(holders_take(h, &a, &two, &old));
	assert_true(old.worker == 0 && old.session == 1);
	holders_drop(h, &a, &one);		/* it holds it no more */
	assert_true(holders_take(h, &a, &one, &old));
	assert_true(old.worker == 1 && old.session == 1);
	holders_drop(h, &a, &one);
	holders_drop(h, &a, &one);
	assert_int_equal(holders_count(h), 1);
	assert_false(holders_take(h, &a, &two, &old));
	holders_free(h);			/* with keys that are held */
	holders_free(NULL);
}

static void
test_many(void **state)
{
	struct holders *h = holders_new();
	struct holder old;

	(void)state;
	for (uint64_t i = 0; i < 20000; i++)
		assert_false(holders_take(h, &(struct table_key){ i, i / 2 }, &(struct holder){ 0, i }, &old));
	assert_int_equal(holders_count(h), 20000);
	for (uint64_t i = 0; i < 20000; i++)
		holders_drop(h, &(struct table_key){ i, i / 2 }, &(struct holder){ 0, i });
	assert_int_equal(holders_count(h), 0);
	holders_free(h);
}

struct thread {
	pthread_t id;
	unsigned worker;
	struct holders *holders;
	unsigned taken, replaced;
};

static void *
take_all(void *arg)
{
	struct thread *t = arg;
	struct holder old;

	for (uint64_t i = 0; i < 20000; i++) {
		t->replaced += holders_take(t->holders, &(struct table_key){ i % 8, i % 8 },
		    &(struct holder){ t->worker, i }, &old);
		t->taken++;
	}
	return NULL;
}

/* Whoever came is gone but for the last of each key. */
static void
test_threads(void **state)
{
	struct thread t[4] = { { .holders = NULL } };
	struct holders *h = holders_new();
	unsigned replaced = 0, taken = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(t); i++) {
		t[i].worker = i;
		t[i].holders = h;
		assert_int_equal(pthread_create(&t[i].id, NULL, take_all, &t[i]), 0);
	}
	for (unsigned i = 0; i < COUNT(t); i++) {
		pthread_join(t[i].id, NULL);
		replaced += t[i].replaced;
		taken += t[i].taken;
	}
	assert_int_equal(taken - replaced, 8);
	assert_int_equal(holders_count(h), 8);
	holders_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
