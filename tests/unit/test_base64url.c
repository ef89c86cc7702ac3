/* SPDX-License-Identifier: BSD-2-Clause */
/* base64url: RFC 4648's examples without their padding, every digit, and what is not of the alphabet. */
#include "base/base64url.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_examples(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfb", "__77" }, { "\xfb\xef\xbe", "----" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice text = slice_of(cases[i].text);
		size_t n = strlen(cases[i].bytes);
		unsigned char bytes[8];
		char made[16];

		assert_int_equal(BASE64URL_TEXT(n), text.n);
		base64url_encode((const unsigned char *)cases[i].bytes, n, made);
		assert_memory_equal(made, text.p, text.n);
		if (text.n % 4 != 0)
			continue;
		assert_true(base64url_decode(text, bytes));
		assert_memory_equal(bytes, cases[i].bytes, n);
	}
}

static void
test_every_byte(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		char text[4] = { 'A', 'A', (char)i, 'A' }, again[4];
		unsigned char bytes[3];
		bool is_digit = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z') ||
		    i == '-' || i == '_';

		assert_int_equal(base64url_decode(slice_make(text, 4), bytes), is_digit);
		if (!is_digit)
			continue;
		base64url_encode(bytes, 3, again);
		assert_memory_equal(again, text, 4);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
