/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of one exchange: aligned, apart, bounded, given back whole. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_pieces(void **state)
{
	char *piece[64];
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < COUNT(piece); i++) {
		piece[i] = arena_alloc(&a, i * 37);
		assert_non_null(piece[i]);
		assert_int_equal((uintptr_t)piece[i] % _Alignof(max_align_t), 0);
		memset(piece[i], (int)i, i * 37);
	}
	for (size_t i = 0; i < COUNT(piece); i++)
		for (size_t at = 0; at < i * 37; at++)
			assert_int_equal(piece[i][at], i);
	arena_fini(&a);
}

static void
test_limit(void **state)
{
	struct arena a;
	size_t n = 0;

	(void)state;
	arena_init(&a, 64 * 1024);
	assert_null(arena_alloc(&a, 64 * 1024 + 1));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 64));
	while (arena_alloc(&a, 1000) != NULL)
		n++;
	assert_in_range(n, 56, 66);
	/* it can be used again */
	arena_fini(&a);
	assert_int_equal(a.held_bytes, 0);
	assert_non_null(arena_alloc(&a, 60 * 1024));
	arena_fini(&a);
}

static void
test_copies(void **state)
{
	struct slice from = SLICE_LIT("a\0b"), copy;
	struct arena a;

	(void)state;
	arena_init(&a, 8192);
	assert_true(arena_copy(&a, from, &copy));
	assert_true(copy.p != from.p && slice_eq(copy, from));
	assert_true(arena_copy(&a, SLICE_NONE, &copy));
	assert_int_equal(copy.n, 0);
	assert_false(arena_copy(&a, slice_make("", 8193), &copy));
	arena_fini(&a);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
