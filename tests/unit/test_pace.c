/* SPDX-License-Identifier: BSD-2-Clause */
/* Rates that are kept wherever one looks, by a clock of our own. */
#include "run/pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MANY 100000

static uint64_t taken_us[MANY];

/* Takes all it can for so long, at moments that are no multiple of anything. */
static size_t
take_all(struct pace *p, uint64_t for_us)
{
	size_t n = 0;

	for (uint64_t now_us = 1000, i = 0; now_us < for_us; now_us += 5000 + (i++ * 7919) % 20000)
		for (unsigned got = pace_take(p, now_us, MANY); got != 0; got--) {
			assert_true(n < MANY);
			taken_us[n++] = now_us;
		}
	return n;
}

static void
no_span_has_more(void **state)
{
	static const struct conf_rate rates[] = {
		{ 1, 1000 }, { 3, 1000 }, { 19, 1000 }, { 20, 1000 }, { 50, 1000 }, { 200, 1000 }, { 999, 1000 },
		{ 30, 60000 }, { 6000, 60000 },
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rates); r++) {
		uint64_t span_us = (uint64_t)rates[r].per_ms * 1000;
		struct pace p;
		size_t n, first = 0;

		pace_init(&p, &rates[r], 0);
		n = take_all(&p, 10 * span_us);
		for (size_t last = 0; last < n; last++) {
			while (taken_us[last] - taken_us[first] >= span_us)
				first++;
			assert_in_range(last - first + 1, 1, rates[r].count);
		}
		/* and it is made use of */
		assert_true(n >= 10 * rates[r].count * 85 / 100);
	}
}

static void
a_pause_is_followed_by_no_burst(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, &(struct conf_rate){ 200, 1000 }, 0);
	assert_int_equal(pace_take(&p, 0, 100), 1);
	assert_int_equal(pace_take(&p, 3600 * 1000000ull, 100), 11);
	assert_int_equal(pace_take(&p, 3600 * 1000000ull, 100), 0);
}

static void
what_is_given_back_can_be_taken(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, &(struct conf_rate){ 200, 1000 }, 0);
	assert_int_equal(pace_take(&p, 1000000, 4), 4);
	assert_int_equal(pace_take(&p, 1000000, 100), 7);
	pace_give_back(&p, 3);
	assert_int_equal(pace_take(&p, 1000000, 100), 3);
	pace_give_back(&p, 100);			/* no more than it holds */
	assert_int_equal(pace_take(&p, 1000000, 100), 11);
}

static void
another_rate(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, &(struct conf_rate){ 1, 1000 }, 0);
	pace_set(&p, &(struct conf_rate){ 1000, 1000 });
	assert_int_equal(pace_take(&p, 0, 100), 0);
	assert_in_range(pace_take(&p, 20000, 100), 18, 20);
	pace_set(&p, &(struct conf_rate){ 1000, 1000 });	/* the same: nothing is lost */
	assert_in_range(pace_take(&p, 30000, 100), 9, 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_span_has_more),
		cmocka_unit_test(a_pause_is_followed_by_no_burst),
		cmocka_unit_test(what_is_given_back_can_be_taken),
		cmocka_unit_test(another_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
