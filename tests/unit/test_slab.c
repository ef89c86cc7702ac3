/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of one size: aligned, apart, zeroed, taken again. */
#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OBJECTS 1000

static void
check_size(size_t bytes)
{
	static unsigned char *object[OBJECTS];
	struct slab s;

	slab_init(&s, bytes);
	/* twice, so that used ones come again */
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < OBJECTS; i++) {
			object[i] = slab_get(&s);
			assert_non_null(object[i]);
			assert_int_equal((uintptr_t)object[i] % _Alignof(max_align_t), 0);
			for (size_t at = 0; at < bytes; at++)
				assert_int_equal(object[i][at], 0);
			memset(object[i], (int)(i % 255 + 1), bytes);
		}
		assert_int_equal(s.live, OBJECTS);
		for (size_t i = 0; i < OBJECTS; i++) {
			for (size_t at = 0; at < bytes; at++)
				assert_int_equal(object[i][at], i % 255 + 1);
			slab_put(&s, object[i]);
		}
		assert_int_equal(s.live, 0);
	}
	slab_fini(&s);
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 8, 17, 24, 200, 1000, 8000 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		check_size(sizes[i]);
}

static void
test_raw(void **state)
{
	struct slab s;
	void *a, *b;

	(void)state;
	slab_init(&s, 64);
	a = slab_get_raw(&s);
	b = slab_get_raw(&s);
	assert_true(a != NULL && b != NULL && a != b);
	slab_put(&s, NULL);
	assert_int_equal(s.live, 2);
	slab_put(&s, a);
	slab_put(&s, b);
	slab_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
