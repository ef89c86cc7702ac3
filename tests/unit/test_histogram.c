/* SPDX-License-Identifier: BSD-2-Clause */
/* Each time in one bucket, the lowest whose bound it is within; bounds rise, and the last takes all. */
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"

static void
test_bounds_rise(void **state)
{
	static const uint64_t *const all[] = { histogram_of_connects, histogram_of_requests, histogram_of_sessions };

	(void)state;
	for (size_t k = 0; k < COUNT(all); k++) {
		for (size_t i = 1; i < HISTOGRAM_BUCKETS; i++)
			assert_true(all[k][i - 1] < all[k][i]);
		assert_true(all[k][HISTOGRAM_BUCKETS - 1] == UINT64_MAX);
	}
}

static void
test_where_times_go(void **state)
{
	static const struct {
		uint64_t us;
		unsigned bucket;
	} cases[] = {
		{ 0, 0 }, { 1000, 0 }, { 1001, 1 }, { 2500, 1 }, { 2501, 2 }, { 1000000, 9 }, { 60000000, 14 },
		{ 60000001, 15 }, { 1000000000000, 15 },
	};
	struct histogram h = { .sum_us = { 0 } };
	uint64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t before = counter_read(&h.bucket[cases[i].bucket]);

		histogram_note(&h, histogram_of_requests, cases[i].us);
		assert_int_equal(counter_read(&h.bucket[cases[i].bucket]), before + 1);
		sum += cases[i].us;
		assert_int_equal(counter_read(&h.sum_us), sum);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_rise),
		cmocka_unit_test(test_where_times_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
