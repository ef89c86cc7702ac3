/* SPDX-License-Identifier: BSD-2-Clause */
/* Amounts at the edges of their units. */
#include "ctl/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"

static void
test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *words;
	} cases[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" }, { 1536, "1.5 KiB" }, { 10300, "10 KiB" },
		{ 1048575, "1 MiB" }, { 20 << 20, "20 MiB" }, { UINT64_MAX, "16 EiB" },
	};
	char text[WORDS];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(words_bytes(cases[i].bytes, text), cases[i].words);
}

static void
test_rates(void **state)
{
	static const struct {
		double rate;
		const char *words;
	} cases[] = { { 0, "0" }, { 0.42, "0.4" }, { 7, "7" }, { 9.96, "10" }, { 12.3, "12" }, { 15000.2, "15000" } };
	char text[WORDS];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(words_rate(cases[i].rate, text), cases[i].words);
}

static void
test_times(void **state)
{
	static const struct {
		uint64_t us;
		const char *words;
	} cases[] = { { 0, "0 us" }, { 999, "999 us" }, { 1500, "1.5 ms" }, { 20000, "20 ms" }, { 2100000, "2.1 s" } };
	char text[WORDS];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(words_us(cases[i].us, text), cases[i].words);
	assert_string_equal(words_span(0, text), "0 s");
	assert_string_equal(words_span(119, text), "119 s");
	assert_string_equal(words_span(120, text), "2 min");
	assert_string_equal(words_span(7200, text), "2 h");
	assert_string_equal(words_span(48 * 3600, text), "2 days");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
