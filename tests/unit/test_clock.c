/* SPDX-License-Identifier: BSD-2-Clause */
/* The calendar's time as text. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"

static void
test_text(void **state)
{
	static const struct {
		uint64_t wall_us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 999, "1970-01-01T00:00:00.000Z" },
		{ 1795365461123456, "2026-11-22T16:37:41.123Z" },
		{ 1795365461999999, "2026-11-22T16:37:41.999Z" },	/* of the same second: remembered */
		{ 1795365462000000, "2026-11-22T16:37:42.000Z" },
		{ 1709164800045000, "2024-02-29T00:00:00.045Z" },
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 253402300799999000, "9999-12-31T23:59:59.999Z" },
		{ UINT64_MAX, "9999-12-31T23:59:59.551Z" },	/* never longer */
	};
	char text[CLOCK_TEXT + 1] = "";

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		clock_text(cases[i].wall_us, text);
		assert_string_equal(text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
