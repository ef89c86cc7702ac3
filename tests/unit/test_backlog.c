/* SPDX-License-Identifier: BSD-2-Clause */
/* The order in which a server is told, whatever fails on the way. */
#include "store/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct backlog b;
static struct gateway *gateway[2];

static int
setup(void **state)
{
	static char names[2][4] = { "gw1", "gw2" }, address[] = "127.0.0.1:1";
	static char pool_name[] = "game";
	const struct conf_pool game = { .name = pool_name };
	const char *why;

	(void)state;
	backlog_init(&b);
	for (unsigned i = 0; i < 2; i++) {
		struct conf_gateway cf = { .name = names[i], .address = address };

		gateway[i] = gateway_new(&cf, &game, &why);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	backlog_fini(&b);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(gateway[i]->refs, 1);
		gateway_unref(gateway[i]);
	}
	return 0;
}

static void
add(char key, unsigned g)
{
	struct table_key k = { .low = (unsigned char)key };

	assert_true(backlog_add(&b, &k, SLICE_LIT("game"), slice_make(&key, 1), gateway[g]));
}

static struct told *
next(char key, unsigned g)
{
	struct told *t = backlog_next(&b);

	assert_non_null(t);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->text[0], key);
	assert_true(slice_eq(t->pool, SLICE_LIT("game")));
	assert_ptr_equal(t->gateway, gateway[g]);
	return t;
}

static void
first_in_first_out(void **state)
{
	(void)state;
	assert_null(backlog_next(&b));
	assert_false(backlog_drop(&b));
	add('a', 0);
	add('b', 1);
	add('c', 0);
	assert_int_equal(b.n, 3);
	assert_true(backlog_drop(&b));
	backlog_done(&b, next('b', 1));
	backlog_done(&b, next('c', 0));
	assert_int_equal(b.n, 0);
}

static void
the_later_word_of_a_key_counts(void **state)
{
	struct told *t;

	(void)state;
	add('a', 0);
	add('b', 0);
	add('a', 1);
	assert_int_equal(b.n, 2);
	backlog_done(&b, next('b', 0));
	t = next('a', 1);
	add('a', 0); /* while it flies */
	assert_null(backlog_next(&b));
	backlog_done(&b, t);
	backlog_done(&b, next('a', 0));
	assert_int_equal(b.n, 0);
}

/* Some are answered well, some are not: who failed comes first, in the old order. */
static void
what_failed_is_told_again(void **state)
{
	struct told *t[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add((char)('a' + i), 0);
	for (unsigned i = 0; i < 4; i++)
		t[i] = next((char)('a' + i), 0);
	add('e', 1);
	add('c', 1);
	backlog_failed(&b, t[0]);
	backlog_done(&b, t[1]);
	backlog_failed(&b, t[2]);
	backlog_failed(&b, t[3]);
	backlog_done(&b, next('a', 0));
	backlog_done(&b, next('c', 1));
	(void)next('d', 0);
	(void)next('e', 1);
	backlog_ground(&b);
	backlog_done(&b, next('d', 0));
	(void)next('e', 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_in_first_out, setup, teardown),
		cmocka_unit_test_setup_teardown(the_later_word_of_a_key_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_failed_is_told_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
