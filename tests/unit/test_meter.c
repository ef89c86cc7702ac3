/* SPDX-License-Identifier: BSD-2-Clause */
/* Books that are opened once for each listener, and what is added up of them. */
#include "proxy/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_classes(void **state)
{
	(void)state;
	assert_int_equal(meter_class(0), 0);
	assert_int_equal(meter_class(101), 1);
	assert_int_equal(meter_class(299), 2);
	assert_int_equal(meter_class(504), 5);
	assert_int_equal(meter_class(600), 0);
	assert_int_equal(meter_class(999), 0);
}

static void
test_sums(void **state)
{
	struct meter_totals sum = { 0 }, all = { 0 };
	struct meters ms;
	struct meter *a, *b;

	(void)state;
	meters_init(&ms);
	a = meters_open(&ms, "a");
	b = meters_open(&ms, "b");
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(meters_open(&ms, "a"), a);
	counter_add(&a->connections, 3);
	meter_note(a, 200, 10, 20);
	meter_note(a, 503, 1, 2);
	meter_note(b, 0, 100, 0);
	meters_add(&ms, "a", &sum);
	assert_int_equal(sum.connections, 3);
	assert_int_equal(sum.answers[2], 1);
	assert_int_equal(sum.answers[5], 1);
	assert_int_equal(sum.answers[0], 0);
	assert_int_equal(sum.bytes[METER_IN], 11);
	assert_int_equal(sum.bytes[METER_OUT], 22);
	meters_add(&ms, "nobody", &sum);
	assert_int_equal(sum.bytes[METER_IN], 11);
	meters_add(&ms, NULL, &all);
	assert_int_equal(all.bytes[METER_IN], 111);
	assert_int_equal(all.answers[0], 1);
	meters_fini(&ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
