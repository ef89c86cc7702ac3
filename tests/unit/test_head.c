/* SPDX-License-Identifier: BSD-2-Clause */
/* Names, lists and hosts. */
#include "http/head.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "http/byte.h"

static const struct {
	const char *name;
	enum field_id id;
} names[] = {
	{ "Cache-Control", FIELD_CACHE_CONTROL },
	{ "Connection", FIELD_CONNECTION },
	{ "Content-Length", FIELD_CONTENT_LENGTH },
	{ "Cookie", FIELD_COOKIE },
	{ "Date", FIELD_DATE },
	{ "Expect", FIELD_EXPECT },
	{ "Forwarded", FIELD_FORWARDED },
	{ "Host", FIELD_HOST },
	{ "Keep-Alive", FIELD_KEEP_ALIVE },
	{ "Proxy-Connection", FIELD_PROXY_CONNECTION },
	{ "Referer", FIELD_REFERER },
	{ "Sec-WebSocket-Accept", FIELD_SEC_WEBSOCKET_ACCEPT },
	{ "Sec-WebSocket-Extensions", FIELD_SEC_WEBSOCKET_EXTENSIONS },
	{ "Sec-WebSocket-Key", FIELD_SEC_WEBSOCKET_KEY },
	{ "Sec-WebSocket-Protocol", FIELD_SEC_WEBSOCKET_PROTOCOL },
	{ "Sec-WebSocket-Version", FIELD_SEC_WEBSOCKET_VERSION },
	{ "Set-Cookie", FIELD_SET_COOKIE },
	{ "TE", FIELD_TE },
	{ "Transfer-Encoding", FIELD_TRANSFER_ENCODING },
	{ "Upgrade", FIELD_UPGRADE },
	{ "User-Agent", FIELD_USER_AGENT },
	{ "X-Forwarded-For", FIELD_X_FORWARDED_FOR },
	{ "X-Forwarded-Host", FIELD_X_FORWARDED_HOST },
	{ "X-Forwarded-Proto", FIELD_X_FORWARDED_PROTO },
	{ "X-Request-Id", FIELD_X_REQUEST_ID },
};

/* Changing any one byte makes it another name. */
static void
check_neighbours(const char *name)
{
	char text[32];
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		memcpy(text, name, n);
		text[i] = text[i] == 'q' ? 'z' : 'q';
		assert_int_equal(head_field_id(slice_make(text, n)), FIELD_OTHER);
		text[i] = '!';
		assert_int_equal(head_field_id(slice_make(text, n)), FIELD_OTHER);
	}
	assert_int_equal(head_field_id(slice_make(name, n - 1)), FIELD_OTHER);
	memcpy(text, name, n);
	text[n] = 's';
	assert_int_equal(head_field_id(slice_make(text, n + 1)), FIELD_OTHER);
}

static void
test_field_ids(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(COUNT(names), FIELD_X_REQUEST_ID);	/* all but FIELD_OTHER */
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t n = strlen(names[i].name);

		assert_int_equal(head_field_id(slice_of(names[i].name)), names[i].id);
		for (size_t at = 0; at < n; at++)
			text[at] = (char)toupper(names[i].name[at]);
		assert_int_equal(head_field_id(slice_make(text, n)), names[i].id);
		for (size_t at = 0; at < n; at++)
			text[at] = (char)tolower(names[i].name[at]);
		assert_int_equal(head_field_id(slice_make(text, n)), names[i].id);
		check_neighbours(names[i].name);
	}
	assert_int_equal(head_field_id(SLICE_NONE), FIELD_OTHER);
	assert_int_equal(head_field_id(SLICE_LIT("X_Request_Id")), FIELD_OTHER);
}

static void
test_tokens(void **state)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	(void)state;
	assert_false(head_is_token(SLICE_NONE));
	assert_true(head_is_token(SLICE_LIT("a-Z0~")));
	assert_false(head_is_token(SLICE_LIT("a b")));
	for (unsigned c = 0; c < 256; c++) {
		char text = (char)c;
		bool good = c < 128 && c != 0 && (isalnum((int)c) || strchr(others, (int)c) != NULL);

		assert_int_equal(head_is_token(slice_make(&text, 1)), good);
	}
}

static void
test_bytes(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bool printable = c > ' ' && c < 0x7f;

		assert_int_equal(byte_is((char)c, BYTE_TEXT), printable || c == ' ' || c == '\t' || c >= 0x80);
		assert_int_equal(byte_is((char)c, BYTE_TARGET), printable && c != '#');
		assert_int_equal(byte_is((char)c, BYTE_DIGIT), c >= '0' && c <= '9');
		if (c < 128 && isxdigit((int)c))
			assert_int_equal(byte_hex((char)c), c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		else
			assert_int_equal(byte_hex((char)c), -1);
	}
}

static void
test_lists(void **state)
{
	static const struct {
		const char *list, *token;
		bool has;
	} cases[] = {
		{ "a", "a", true },	     { "A, b", "B", true },	{ " ,, a\t,", "a", true },
		{ "ab", "a", false },	     { "a b", "a", false },	{ "", "a", false },
		{ "ab, ba", "a", false },    { "a;q=1", "a", false },	{ "b,a", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(head_list_has(slice_of(cases[i].list), slice_of(cases[i].token)), cases[i].has);
	assert_false(head_list_has(SLICE_NONE, SLICE_LIT("a")));
}

static void
test_host_names(void **state)
{
	static const struct {
		const char *host, *name;
	} cases[] = {
		{ "", "" },		{ "a", "a" },	    { "a:80", "a" },	     { "a:", "a" },
		{ "[::1]", "[::1]" },	{ "[::1]:80", "[::1]" },
	};
	static struct head head;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		head.host = slice_of(cases[i].host);
		assert_true(slice_eq(head_host_name(&head), slice_of(cases[i].name)));
	}
	head.host = SLICE_NONE;
	assert_int_equal(head_host_name(&head).n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field_ids),  cmocka_unit_test(test_tokens),     cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_lists),	   cmocka_unit_test(test_host_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
