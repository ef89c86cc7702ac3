/* SPDX-License-Identifier: BSD-2-Clause */
/* A seal's entry: found by that seal in that pool, as long as it is looked for. */
#include "affinity/moved.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1795365461

static void
is_found_by_its_seal(void **state)
{
	struct table *t = table_new(100, 7200);
	struct moved *m = moved_new();
	struct slice pool = SLICE_LIT("game"), seal = SLICE_LIT("s1.abc");
	struct table_key k = moved_key(t, pool, seal), as_key = table_key(t, pool, seal);

	(void)state;
	assert_int_equal(moved_to(NULL, t, pool, seal, NOW), 0);
	assert_int_equal(moved_to(m, t, pool, seal, NOW), 0);
	moved_note(m, t, &k, 77, NOW);
	assert_int_equal(moved_to(m, t, pool, seal, NOW), 77);
	assert_int_equal(moved_to(m, t, SLICE_LIT("chat"), seal, NOW), 0);
	assert_int_equal(moved_to(m, t, pool, SLICE_LIT("s1.abd"), NOW), 0);
	assert_true(k.high != as_key.high || k.low != as_key.low);	/* a client's key is another thing */
	moved_note(m, t, &k, 78, NOW + 1);
	assert_int_equal(moved_to(m, t, pool, seal, NOW + 1), 78);
	moved_free(m);
	table_free(t);
}

static void
is_looked_for_for_a_while(void **state)
{
	struct table *t = table_new(100, 100000);
	struct moved *m = moved_new();
	struct slice pool = SLICE_LIT("game"), one = SLICE_LIT("one"), two = SLICE_LIT("two");
	struct table_key k = moved_key(t, pool, one), l = moved_key(t, pool, two);

	(void)state;
	moved_note(m, t, &k, 77, NOW);
	assert_int_equal(moved_to(m, t, pool, one, NOW + MOVED_LOOKED_FOR_S - 1), 77);
	assert_int_equal(moved_to(m, t, pool, one, NOW + MOVED_LOOKED_FOR_S), 0);
	moved_note(m, t, &l, 78, NOW + MOVED_LOOKED_FOR_S);
	assert_int_equal(moved_to(m, t, pool, one, NOW + MOVED_LOOKED_FOR_S), 77);
	moved_free(m);
	moved_free(NULL);
	table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_found_by_its_seal),
		cmocka_unit_test(is_looked_for_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
