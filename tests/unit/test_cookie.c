/* SPDX-License-Identifier: BSD-2-Clause */
/* Cookies as browsers, libraries and people send them. */
#include "http/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

/* All pairs of some lines, written as <name|value|whole>. */
static void
assert_pairs(const char *const *lines, size_t n, const char *expected)
{
	static struct head head;
	char text[512];
	struct buf b = buf_of(text, sizeof text);
	struct cookie_iter it;
	struct cookie_pair pair;

	head.fields = 0;
	for (size_t i = 0; i < n; i++) {
		head.field[head.fields++] = (struct field){ .name = SLICE_LIT("X"), .value = SLICE_LIT("no=cookie") };
		head.field[head.fields++] = (struct field){ .value = slice_of(lines[i]), .id = FIELD_COOKIE };
	}
	cookie_iter_init(&it, &head);
	while (cookie_next(&it, &pair)) {
		buf_byte(&b, '<');
		buf_add(&b, pair.name);
		buf_byte(&b, '|');
		buf_add(&b, pair.value);
		buf_byte(&b, '|');
		buf_add(&b, pair.whole);
		buf_byte(&b, '>');
	}
	assert_false(cookie_next(&it, &pair));
	assert_false(b.full);
	if (!slice_eq(buf_slice(&b), slice_of(expected)))
		fail_msg("%s: %.*s", lines[0], SLICE_FMT(buf_slice(&b)));
}

static void
test_pairs(void **state)
{
	static const struct {
		const char *line, *pairs;
	} cases[] = {
		{ "", "" },
		{ " ; ;;", "" },
		{ "a=1", "<a|1|a=1>" },
		{ "a=1; b=2", "<a|1|a=1><b|2|b=2>" },
		{ "a=1;b=2 ;\tc=3;", "<a|1|a=1><b|2|b=2><c|3|c=3>" },
		{ "a=", "<a||a=>" },
		{ "a=b=c", "<a|b=c|a=b=c>" },
		{ "=x", "<|x|=x>" },
		{ "x", "<|x|x>" },
		{ "a = 1", "<a|1|a = 1>" },
		{ "a=\"1\"", "<a|1|a=\"1\">" },
		{ "a=\"\"", "<a||a=\"\">" },
		{ "a=\"", "<a|\"|a=\">" },
		{ "a=\"1;2\"", "<a|\"1|a=\"1><|2\"|2\">" },
		{ "a=1, b=2", "<a|1, b=2|a=1, b=2>" },
		{ "a=1; A=2; a=3", "<a|1|a=1><A|2|A=2><a|3|a=3>" },
	};
	static const char *const two[] = { "a=1; b=2", "", "c=3" };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_pairs(&cases[i].line, 1, cases[i].pairs);
	assert_pairs(two, COUNT(two), "<a|1|a=1><b|2|b=2><c|3|c=3>");
	assert_pairs(NULL, 0, "");
}

static void
test_without(void **state)
{
	static const struct {
		const char *value, *name, *left;
	} cases[] = {
		{ "", "s", "" },
		{ "s=1", "s", "" },
		{ "s=1; s=2;s", "s", "s" },
		{ "s=1; s=2; ", "s", "" },
		{ "s", "s", "s" },
		{ "a=1", "s", "a=1" },
		{ "a=1; s=2", "s", "a=1" },
		{ "s=1; a=2", "s", "a=2" },
		{ "a=1; s=2; b=3", "s", "a=1; b=3" },
		{ "a=1;s=2;b=3;c=4", "s", "a=1;b=3;c=4" },
		{ "a=1 ;  s=2;  b=3 ", "s", "a=1;  b=3" },
		{ "S=1; ss=2; s s=3", "s", "S=1; ss=2; s s=3" },
		{ "s =1; a=\"2\"; s=\"3\"", "s", "a=\"2\"" },
		{ "a=s; b=s=1", "s", "a=s; b=s=1" },
		{ ";;a=1;;b=2;;", "s", "a=1;b=2" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice value = slice_of(cases[i].value);
		char *to = mem_realloc(NULL, value.n != 0 ? value.n : 1);	/* no more room than was promised */
		size_t n = cookie_without(value, slice_of(cases[i].name), to);

		if (!slice_eq(slice_make(to, n), slice_of(cases[i].left)))
			fail_msg("%s: %.*s", cases[i].value, (int)n, to);
		free(to);
	}
}

static void
test_set_names(void **state)
{
	static const struct {
		const char *value, *name;
	} cases[] = {
		{ "a=1", "a" },	  { "a=1; Path=/", "a" }, { " a = 1", "a" }, { "a", "" },
		{ "a; b=c", "" }, { "=1", "" },		  { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(slice_eq(cookie_set_name(slice_of(cases[i].value)), slice_of(cases[i].name)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs), cmocka_unit_test(test_without), cmocka_unit_test(test_set_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
