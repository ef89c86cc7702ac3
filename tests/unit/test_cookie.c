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

/* s goes; p loses what stands before "~"; e becomes empty; all else stays. */
static enum cookie_fate
edit(void *arg, struct cookie_pair *pair)
{
	size_t at = slice_find(pair->value, '~');

	++*(unsigned *)arg;
	if (slice_eq(pair->name, SLICE_LIT("s")))
		return COOKIE_DROP;
	if (slice_eq(pair->name, SLICE_LIT("e"))) {
		pair->value = SLICE_NONE;
		return COOKIE_REPLACE;
	}
	if (!slice_eq(pair->name, SLICE_LIT("p")) || at == pair->value.n) {
		*pair = (struct cookie_pair){ .value = SLICE_LIT("what is kept is not looked at") };
		return COOKIE_KEEP;
	}
	pair->value = slice_skip(pair->value, at + 1);
	return COOKIE_REPLACE;
}

static void
test_edit(void **state)
{
	static const struct {
		const char *value, *left;
		unsigned pairs;
	} cases[] = {
		{ "", "", 0 },
		{ ";; ;", "", 0 },
		{ "s=1", "", 1 },
		{ "s=1; s=2;s", "s", 3 },
		{ "s=1; s=2; ", "", 2 },
		{ "s", "s", 1 },
		{ "a=1", "a=1", 1 },
		{ "a=1; s=2", "a=1", 2 },
		{ "s=1; a=2", "a=2", 2 },
		{ "a=1; s=2; b=3", "a=1; b=3", 3 },
		{ "a=1;s=2;b=3;c=4", "a=1;b=3;c=4", 4 },
		{ "a=1 ;  s=2;  b=3 ", "a=1;  b=3", 3 },
		{ "S=1; ss=2; s s=3; xs=4", "S=1; ss=2; s s=3; xs=4", 4 },
		{ "s =1; a=\"2\"; s=\"3\"", "a=\"2\"", 3 },
		{ "a=s; b=s=1", "a=s; b=s=1", 2 },
		{ ";;a=1;;b=2;;", "a=1;b=2", 2 },
		/* replaced: all but the value stays */
		{ "p=x~y", "p=y", 1 },
		{ "p=xy", "p=xy", 1 },
		{ "p=x~", "p=", 1 },
		{ "p=~x~y", "p=x~y", 1 },
		{ "p=\"x~y\"", "p=\"y\"", 1 },
		{ "p = \"x~y\" ; a=\"x~y\"", "p = \"y\"; a=\"x~y\"", 2 },
		{ "a=1;  p=x~y;\tb=2", "a=1;  p=y;\tb=2", 3 },
		{ "p=1~a; s=2; p=3~b; p=c", "p=a; p=b; p=c", 4 },
		{ "P=x~y; pp=x~y; p p=x~y", "P=x~y; pp=x~y; p p=x~y", 3 },
		{ "x~y", "x~y", 1 },
		{ "e=1; e=\"2\"; e; e=; e = 3", "e=; e=\"\"; e; e=; e = ", 5 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice value = slice_of(cases[i].value);
		char *to = mem_realloc(NULL, value.n != 0 ? value.n : 1);	/* no more room than was promised */
		unsigned pairs = 0;
		size_t n = cookie_edit(value, edit, &pairs, to);

		if (!slice_eq(slice_make(to, n), slice_of(cases[i].left)))
			fail_msg("%s: %.*s", cases[i].value, (int)n, to);
		assert_int_equal(pairs, cases[i].pairs);
		free(to);
	}
	assert_int_equal(cookie_edit(SLICE_NONE, edit, NULL, NULL), 0);
}

static void
test_set_split(void **state)
{
	static const struct {
		const char *whole, *name, *before, *value, *after;
	} cases[] = {
		{ "a=1", "a", "a=", "1", "" },
		{ "a=1; Path=/", "a", "a=", "1", "; Path=/" },
		{ "a=1;", "a", "a=", "1", ";" },
		{ "a=1 ; Path=/; Secure", "a", "a=", "1", " ; Path=/; Secure" },
		{ " a = 1 2", "a", " a = ", "1 2", "" },
		{ "a=", "a", "a=", "", "" },
		{ "a=; Max-Age=0", "a", "a=", "", "; Max-Age=0" },
		{ "a= ; Max-Age=0", "a", "a=", "", " ; Max-Age=0" },
		{ "a=\"1\"; Path=\"/\"", "a", "a=\"", "1", "\"; Path=\"/\"" },
		{ "a=\"\"", "a", "a=\"", "", "\"" },
		{ "a=\"1;2\"", "a", "a=", "\"1", ";2\"" },
		{ "a=b=c; d=e", "a", "a=", "b=c", "; d=e" },
		{ "a", "", "", "a", "" },
		{ "a; b=c", "", "", "a", "; b=c" },
		{ "=1; b=c", "", "=", "1", "; b=c" },
		{ "", "", "", "", "" },
		{ "; a=b", "", "", "", "; a=b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice whole = slice_of(cases[i].whole);
		struct cookie_set set = cookie_set_split(whole);

		if (!slice_eq(set.name, slice_of(cases[i].name)) ||
		    !slice_eq(set.before, slice_of(cases[i].before)) ||
		    !slice_eq(set.value, slice_of(cases[i].value)) ||
		    !slice_eq(set.after, slice_of(cases[i].after)))
			fail_msg("%s: %.*s|%.*s|%.*s|%.*s", cases[i].whole, SLICE_FMT(set.name),
			    SLICE_FMT(set.before), SLICE_FMT(set.value), SLICE_FMT(set.after));
	}
	assert_int_equal(cookie_set_split(SLICE_NONE).after.n, 0);
}

static void
test_set_is_end(void **state)
{
	static const struct {
		const char *value;
		bool is_end;
	} cases[] = {
		{ "a=1", false },
		{ "a=", false },
		{ "a=1; Max-Age=0", true },
		{ "a=1;max-age=0", true },
		{ "a=1; MAX-AGE = 00 ; Path=/", true },
		{ "a=1; Max-Age=-1", true },
		{ "a=1; Max-Age=-99999999999999999999", true },
		{ "a=\"1\"; Max-Age=0", true },
		{ "a=1; Max-Age=1", false },
		{ "a=1; Max-Age=010", false },
		{ "a=1; Max-Age=99999999999999999999", false },
		/* what is no number does not count */
		{ "a=1; Max-Age", false },
		{ "a=1; Max-Age=", false },
		{ "a=1; Max-Age=-", false },
		{ "a=1; Max-Age=+0", false },
		{ "a=1; Max-Age=0s", false },
		{ "a=1; Max-Age=\"0\"", false },
		{ "a=1; Max-Age=0; Max-Age=x", true },
		/* the last does */
		{ "a=1; Max-Age=0; Max-Age=60", false },
		{ "a=1; Max-Age=60; Max-Age=0", true },
		/* not an attribute */
		{ "Max-Age=0", false },
		{ "a=Max-Age=0", false },
		{ "a=1; X-Max-Age=0; Max-Age2=0", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cookie_set set = cookie_set_split(slice_of(cases[i].value));

		if (cookie_set_is_end(&set) != cases[i].is_end)
			fail_msg("%s", cases[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_set_split),
		cmocka_unit_test(test_set_is_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
