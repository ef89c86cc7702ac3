/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves: by key and by gateway, the latest first, bounded. */
#include "store/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
add(struct history *h, uint64_t key, uint64_t from, uint64_t at_s)
{
	history_add(h, &(struct history_move){ .key = { key, key }, .from = from, .to = 9, .at_s = at_s, .why = "down" });
}

static void
test_find(void **state)
{
	struct history *h = history_new();
	struct history_move m[4];

	(void)state;
	assert_int_equal(history_find(h, &(struct table_key){ 0, 0 }, 0, m, 4), 0);
	assert_int_equal(history_find(h, NULL, 0, m, 4), 0);
	for (unsigned i = 0; i < 10; i++)
		add(h, i % 2, i % 5, 100 + i);
	assert_int_equal(history_find(h, &(struct table_key){ 1, 1 }, 0, m, 4), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(m[i].at_s, 109 - 2 * i);
	assert_string_equal(m[0].why, "down");
	assert_int_equal(history_find(h, &(struct table_key){ 1, 2 }, 0, m, 4), 0);
	assert_int_equal(history_find(h, NULL, 3, m, 4), 2);
	assert_int_equal(m[0].at_s, 108);
	assert_int_equal(m[1].at_s, 103);
	history_free(h);
	history_free(NULL);
}

static void
test_bounded(void **state)
{
	struct history *h = history_new();
	struct history_move m[2];

	(void)state;
	for (unsigned i = 0; i <= HISTORY_MOVES; i++)
		add(h, i, i, i);
	assert_int_equal(history_find(h, NULL, 0, m, 2), 0);	/* the oldest went */
	assert_int_equal(history_find(h, NULL, 1, m, 2), 1);
	assert_int_equal(history_find(h, NULL, HISTORY_MOVES, m, 2), 1);
	history_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
