/* SPDX-License-Identifier: BSD-2-Clause */
/* Borrowed bytes: comparing, cutting, reading numbers. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/check.h"

static void
assert_text(struct slice s, const char *text)
{
	if (!slice_eq(s, slice_of(text)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_FMT(s), text);
}

static void
test_parts(void **state)
{
	struct slice s = SLICE_LIT("abc");

	(void)state;
	assert_text(slice_head(s, 2), "ab");
	assert_text(slice_head(s, 9), "abc");
	assert_text(slice_skip(s, 1), "bc");
	assert_text(slice_skip(s, 3), "");
	assert_text(slice_skip(s, 9), "");
	assert_text(slice_skip(SLICE_NONE, 1), "");
	assert_int_equal(slice_of(NULL).n, 0);
	assert_int_equal(slice_find(s, 'c'), 2);
	assert_int_equal(slice_find(s, 'x'), 3);
	assert_int_equal(slice_find(SLICE_NONE, 'x'), 0);
}

static void
test_comparing(void **state)
{
	(void)state;
	assert_true(slice_eq(SLICE_NONE, SLICE_LIT("")));
	assert_true(slice_eq(SLICE_LIT("a\0b"), SLICE_LIT("a\0b")));
	assert_false(slice_eq(SLICE_LIT("a\0b"), SLICE_LIT("a\0c")));
	assert_false(slice_eq(SLICE_LIT("a"), SLICE_LIT("ab")));
	assert_true(slice_eq_nocase(SLICE_LIT("aZ-1"), SLICE_LIT("Az-1")));
	assert_true(slice_eq_nocase(SLICE_NONE, SLICE_LIT("")));
	assert_false(slice_eq_nocase(SLICE_LIT("a"), SLICE_LIT("ab")));
	/* neighbours of letters that differ by the same bit, and letters beyond ASCII */
	assert_false(slice_eq_nocase(SLICE_LIT("@[`{"), SLICE_LIT("`{@[")));
	assert_false(slice_eq_nocase(SLICE_LIT("\r"), SLICE_LIT("-")));
	assert_false(slice_eq_nocase(SLICE_LIT("\xc4"), SLICE_LIT("\xe4")));
	assert_true(slice_has_prefix(SLICE_LIT("abc"), SLICE_LIT("ab")));
	assert_true(slice_has_prefix(SLICE_LIT("abc"), SLICE_NONE));
	assert_false(slice_has_prefix(SLICE_LIT("a"), SLICE_LIT("ab")));
}

static void
test_trimming(void **state)
{
	(void)state;
	assert_text(slice_trim(SLICE_LIT(" \t a b\t ")), "a b");
	assert_text(slice_trim(SLICE_LIT("a")), "a");
	assert_text(slice_trim(SLICE_LIT(" \t ")), "");
	assert_text(slice_trim(SLICE_LIT("\r\n")), "\r\n");
	assert_text(slice_trim(SLICE_NONE), "");
}

static void
test_cutting(void **state)
{
	static const char *const parts[] = { "a", "", "b", "" };
	struct slice rest = SLICE_LIT("a,,b,");
	size_t n = 0;

	(void)state;
	for (; rest.p != NULL; n++) {
		assert_true(n < COUNT(parts));
		assert_text(slice_cut(&rest, ','), parts[n]);
	}
	assert_int_equal(n, COUNT(parts));
	assert_text(slice_cut(&rest, ','), "");
}

static void
test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		bool good;
	} cases[] = {
		{ "0", 0, 0, true },
		{ "007", 10, 7, true },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, true },
		{ "18446744073709551616", UINT64_MAX, 0, false },
		{ "28446744073709551615", UINT64_MAX, 0, false },
		{ "99999999999999999999999", UINT64_MAX, 0, false },
		{ "65535", 65535, 65535, true },
		{ "65536", 65535, 0, false },
		{ "9", 5, 0, false },
		{ "", 5, 0, false },
		{ "+1", 5, 0, false },
		{ "-1", 5, 0, false },
		{ " 1", 5, 0, false },
		{ "1 ", 5, 0, false },
		{ "1x", 50, 0, false },
		{ "/", 5, 0, false },
		{ ":", 50, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t v = 4711;

		if (slice_to_u64(slice_of(cases[i].text), cases[i].max, &v) != cases[i].good)
			fail_msg("\"%s\"", cases[i].text);
		assert_true(v == (cases[i].good ? cases[i].value : 4711));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),	cmocka_unit_test(test_comparing), cmocka_unit_test(test_trimming),
		cmocka_unit_test(test_cutting), cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
