/* SPDX-License-Identifier: BSD-2-Clause */
/* Characters and what is none, and texts that a terminal may see. */
#include "ctl/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static void
test_characters(void **state)
{
	static const struct {
		struct slice bytes;
		size_t n;
		uint32_t code;
	} cases[] = {
		{ SLICE_LIT(""), 0, 0 },
		{ SLICE_LIT("\0"), 1, 0 },
		{ SLICE_LIT("ab"), 1, 'a' },
		{ SLICE_LIT("\xc3\xbc."), 2, 0xfc },
		{ SLICE_LIT("\xe2\x82\xac"), 3, 0x20ac },
		{ SLICE_LIT("\xf0\x9f\x98\x80"), 4, 0x1f600 },
		{ SLICE_LIT("\xf4\x8f\xbf\xbf"), 4, 0x10ffff },
		{ SLICE_LIT("\x80"), 0, 0 },			/* a continuation alone */
		{ SLICE_LIT("\xc3"), 0, 0 },			/* cut short */
		{ SLICE_LIT("\xe2\x82"), 0, 0 },
		{ SLICE_LIT("\xc3."), 0, 0 },
		{ SLICE_LIT("\xc0\xaf"), 0, 0 },		/* "/" with more bytes than it needs */
		{ SLICE_LIT("\xe0\x80\xaf"), 0, 0 },
		{ SLICE_LIT("\xed\xa0\x80"), 0, 0 },		/* half of a surrogate pair */
		{ SLICE_LIT("\xf4\x90\x80\x80"), 0, 0 },	/* above the last */
		{ SLICE_LIT("\xff"), 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t code = 0;

		assert_int_equal(utf8_take(cases[i].bytes, &code), cases[i].n);
		if (cases[i].n != 0)
			assert_int_equal(code, cases[i].code);
	}
	assert_int_equal(utf8_width(SLICE_LIT("gr\xc3\xbc\xc3\x9f" "e")), 5);
}

static void
test_safe(void **state)
{
	static const struct {
		const char *text, *safe;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\x1b[2Jx", "\\x1b[2Jx" },
		{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
		{ "\xc2\x9b" "2J", "\\x9b2J" },			/* CSI as one character of C1 */
		{ "\x9b" "2J", "\\x9b2J" },			/* and as a byte */
		{ "\xc2\xa0\xc3\xbc\xe2\x82\xac", "\xc2\xa0\xc3\xbc\xe2\x82\xac" },
		{ "\xc2", "\\xc2" },
		{ "\xe2\x80\xae" "x", "\\u202ex" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *safe = utf8_safe(cases[i].text);

		assert_string_equal(safe, cases[i].safe);
		free(safe);
	}
}

static void
test_json(void **state)
{
	static const struct {
		struct slice json;
		const char *means;	/* of its first element */
	} cases[] = {
		{ SLICE_LIT("[\n  \"plain \\n \xc3\xbc\"\n]\n"), "plain \n \xc3\xbc" },
		{ SLICE_LIT("[\"\xc2\x9b\x7f\"]"), "\xc2\x9b\x7f" },
		{ SLICE_LIT("[\"\xe2\x80\xae\"]"), "\xe2\x80\xae" },
		{ SLICE_LIT("[\"a\xff\xc3\"]"), "a\\xff\\xc3" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n;
		char *safe = utf8_safe_json(cases[i].json, &n);
		json_t *value = json_loadb(safe, n, 0, NULL);

		assert_string_equal(json_string_value(json_array_get(value, 0)), cases[i].means);
		assert_null(strchr(safe, '\x7f'));
		assert_null(strstr(safe, "\xc2\x9b"));
		json_decref(value);
		free(safe);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
