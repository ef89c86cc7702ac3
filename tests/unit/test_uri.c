/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments, parameters and what percent-encoded text means. */
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

#define NONE "(none)"

static const char *
text_or_none(struct slice s)
{
	static char text[128];

	must(s.n < sizeof text);
	if (s.p == NULL)
		return NONE;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return text;
}

static void
test_segments(void **state)
{
	static const struct {
		const char *path;
		unsigned n;
		const char *segment;
	} cases[] = {
		{ "/", 1, "" },
		{ "/", 2, NONE },
		{ "", 1, NONE },
		{ "/one", 1, "one" },
		{ "/one", 2, NONE },
		{ "/one/", 1, "one" },
		{ "/one/", 2, "" },
		{ "/one/", 3, NONE },
		{ "/one/two/three", 1, "one" },
		{ "/one/two/three", 2, "two" },
		{ "/one/two/three", 3, "three" },
		{ "/one/two/three", 4, NONE },
		{ "/one/two/three", 4000000000U, NONE },
		{ "//two", 1, "" },
		{ "//two", 2, "two" },
		/* as it was sent */
		{ "/a%2Fb/c", 1, "a%2Fb" },
		{ "/a;v=1/b", 1, "a;v=1" },
		{ "/a/../b", 2, ".." },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(text_or_none(uri_segment(slice_of(cases[i].path), cases[i].n)), cases[i].segment);
	assert_null(uri_segment(SLICE_NONE, 1).p);
}

static void
test_parameters(void **state)
{
	static const struct {
		const char *query, *name, *values;	/* each in "<>" */
	} cases[] = {
		{ "", "k", "" },
		{ "k", "k", "<>" },
		{ "k=", "k", "<>" },
		{ "k=1", "k", "<1>" },
		{ "k=1&k=2", "k", "<1><2>" },
		{ "a=1&k=2&b=3", "k", "<2>" },
		{ "&&k=1&", "k", "<1>" },
		{ "k=a=b", "k", "<a=b>" },
		{ "K=1", "k", "" },
		{ "kk=1&xk=2&k", "k", "<>" },
		{ "=1", "k", "" },
		{ "=1&&", "", "<1>" },
		{ "k=%41+b", "k", "<%41+b>" },
		{ "k;k=1", "k", "" },
		/* names are compared decoded */
		{ "%6b=1", "k", "<1>" },
		{ "pl%61y%65r=1", "player", "<1>" },
		{ "a+b=1&a%20b=2&a%2Bb=3", "a b", "<1><2>" },
		{ "a+b=1&a%2bb=2", "a+b", "<2>" },
		{ "%6=1&%=2&%6g=3", "%6", "<1>" },
		{ "%6b%6b=1", "k", "" },
		{ "k%00=1&k=2", "k", "<2>" },
		{ "%C3%A9=1", "\xc3\xa9", "<1>" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice rest = slice_of(cases[i].query), value;
		char text[64];
		struct buf found = buf_of(text, sizeof text);

		while (uri_parameter(&rest, slice_of(cases[i].name), &value)) {
			buf_byte(&found, '<');
			buf_add(&found, value);
			buf_byte(&found, '>');
		}
		assert_false(uri_parameter(&rest, slice_of(cases[i].name), &value));
		if (!slice_eq(buf_slice(&found), slice_of(cases[i].values)))
			fail_msg("%s: %.*s", cases[i].query, SLICE_FMT(buf_slice(&found)));
	}
}

static void
test_no_query(void **state)
{
	struct slice rest = SLICE_NONE, value;

	(void)state;
	assert_false(uri_parameter(&rest, SLICE_LIT("k"), &value));
	assert_false(uri_parameter(&rest, SLICE_NONE, &value));
}

static void
test_decode(void **state)
{
	static const struct {
		const char *text;
		enum uri_coding coding;
		struct slice plain;
	} cases[] = {
		{ "", URI_FORM, { "", 0 } },
		{ "abc", URI_FORM, { "abc", 3 } },
		{ "a%62c", URI_PERCENT, { "abc", 3 } },
		{ "%61%62%63", URI_PERCENT, { "abc", 3 } },
		{ "a%62c", URI_PLAIN, { "a%62c", 5 } },
		{ "a+b", URI_PERCENT, { "a+b", 3 } },
		{ "a+b", URI_FORM, { "a b", 3 } },
		{ "a+b%2B%2b", URI_FORM, { "a b++", 5 } },
		{ "+a%20", URI_FORM, { " a ", 3 } },
		{ "%c3%A9", URI_PERCENT, { "\xc3\xa9", 2 } },
		{ "a%00b", URI_PERCENT, { "a\0b", 3 } },
		{ "%ff%FE", URI_FORM, { "\xff\xfe", 2 } },
		/* once, and not again */
		{ "%2541", URI_PERCENT, { "%41", 3 } },
		/* what is no encoding stands for itself */
		{ "%", URI_PERCENT, { "%", 1 } },
		{ "%4", URI_PERCENT, { "%4", 2 } },
		{ "%4g%g4%%41", URI_PERCENT, { "%4g%g4%A", 8 } },
		{ "100%+", URI_FORM, { "100% ", 5 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice text = slice_of(cases[i].text), plain;

		/* with just as much room as it takes, and with less */
		for (size_t room = 0; room <= cases[i].plain.n; room++) {
			char *memory = mem_realloc(NULL, room + 1);
			struct buf to = buf_of(memory + 1, room);
			bool fits = uri_decode(text, cases[i].coding, &to, &plain);

			assert_true(fits == (room == cases[i].plain.n) || plain.p == text.p);
			assert_false(to.full);
			if (fits) {
				assert_true(slice_eq(plain, cases[i].plain));
				assert_int_equal(to.n, plain.p == text.p ? 0 : plain.n);
			} else {
				assert_int_equal(to.n, 0);
			}
			free(memory);
		}
	}
}

/* Several keys of one request stand one behind the other. */
static void
test_decode_many(void **state)
{
	char text[8];
	struct buf to = buf_of(text, sizeof text);
	struct slice one, two, three;

	(void)state;
	assert_true(uri_decode(SLICE_LIT("%61bc"), URI_PERCENT, &to, &one));
	assert_true(uri_decode(SLICE_LIT("d%65f"), URI_PERCENT, &to, &two));
	assert_false(uri_decode(SLICE_LIT("gh%69"), URI_PERCENT, &to, &three));
	assert_int_equal(to.n, 6);
	assert_true(uri_decode(SLICE_LIT("g%68"), URI_PERCENT, &to, &three));
	assert_true(slice_eq(one, SLICE_LIT("abc")) && slice_eq(two, SLICE_LIT("def")));
	assert_true(slice_eq(three, SLICE_LIT("gh")));
}

/* Every byte, encoded in either case, means itself. */
static void
test_all_bytes(void **state)
{
	char encoded[2 * 3 * 256], decoded[2 * 256];
	struct buf to = buf_of(decoded, sizeof decoded);
	struct slice plain;

	(void)state;
	for (unsigned i = 0; i < 512; i++) {
		const char *hex = i < 256 ? "0123456789abcdef" : "0123456789ABCDEF";

		encoded[3 * i] = '%';
		encoded[3 * i + 1] = hex[i >> 4 & 15];
		encoded[3 * i + 2] = hex[i & 15];
	}
	assert_true(uri_decode(slice_make(encoded, sizeof encoded), URI_FORM, &to, &plain));
	assert_int_equal(plain.n, 512);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal((unsigned char)plain.p[i], i & 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_no_query),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_many),
		cmocka_unit_test(test_all_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
