/* SPDX-License-Identifier: BSD-2-Clause */
/* The access log's line: the whole of it in both spellings, what is escaped and cut, and JSON read back by
 * jansson. */
#include "log/access.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char line[ACCESS_LINE + 1];

static struct record
request(void)
{
	struct record r = {
		.kind = RECORD_REQUEST, .at_us = 1795365461123456,
		.listener = "public", .pool = "game", .gateway = "gw1", .how = "cookie", .because = "", .tls = true,
		.method = SLICE_LIT("GET"), .target = SLICE_LIT("/x?y=1"), .minor = 1,
		.host = SLICE_LIT("game.example.com"), .referer = SLICE_LIT("https://example.com/"),
		.user_agent = SLICE_LIT("Mozilla/5.0 (X11; Linux x86_64)"),
		.request_id = SLICE_LIT("0123456789abcdef"), .status = 200, .retries = 1,
		.bytes_in = 123, .bytes_out = UINT64_MAX,
		.queue_us = 123, .response_us = 1234, .total_us = 12345678,
		.why = END_DONE, .whose = END_BY_SELF,
	};

	assert_true(addr_parse(SLICE_LIT("1.2.3.4:5678"), &r.client));
	assert_true(addr_parse(SLICE_LIT("[2001:db8::1]:443"), &r.peer));
	return r;
}

static struct record
session(void)
{
	struct record r = request();

	r.kind = RECORD_SESSION;
	r.status = 101;
	r.messages_in = 7;
	r.messages_out = 0;
	r.close_code = 1000;
	r.why = END_CLIENT_CLOSED;
	r.whose = END_BY_CLIENT;
	return r;
}

/* Nothing was understood, nothing was answered. */
static struct record
nothing(void)
{
	struct record r = {
		.listener = "public", .pool = "-", .gateway = "-", .how = "-", .because = "",
		.why = END_CLIENT_TLS, .whose = END_BY_CLIENT,
	};

	assert_true(addr_parse(SLICE_LIT("1.2.3.4:5678"), &r.client));
	r.peer = r.client;
	return r;
}

static const char *
format(enum conf_log_format how, const struct record *r)
{
	size_t n = access_format(how, r, line);

	assert_true(n <= ACCESS_LINE);
	assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
	line[n] = '\0';
	return line;
}

static void
test_whole_lines(void **state)
{
	struct record q = request(), s = session(), none = nothing();

	(void)state;
	assert_string_equal(format(CONF_FORMAT_TEXT, &q),
	    "2026-11-22T16:37:41.123Z request client=1.2.3.4:5678 peer=[2001:db8::1]:443 listener=public tls=yes "
	    "pool=game gateway=gw1 how=cookie because=- \"GET /x?y=1 HTTP/1.1\" host=\"game.example.com\" status=200 "
	    "in=123 out=18446744073709551615 msgs_in=- msgs_out=- close=- queue_ms=0.123 response_ms=1.234 "
	    "total_ms=12345.678 retries=1 why=done by=stickyd id=0123456789abcdef "
	    "referer=\"https://example.com/\" agent=\"Mozilla/5.0 (X11; Linux x86_64)\"\n");
	assert_string_equal(format(CONF_FORMAT_TEXT, &s),
	    "2026-11-22T16:37:41.123Z session client=1.2.3.4:5678 peer=[2001:db8::1]:443 listener=public tls=yes "
	    "pool=game gateway=gw1 how=cookie because=- \"GET /x?y=1 HTTP/1.1\" host=\"game.example.com\" status=101 "
	    "in=123 out=18446744073709551615 msgs_in=7 msgs_out=0 close=1000 queue_ms=0.123 response_ms=1.234 "
	    "total_ms=12345.678 retries=1 why=client-closed by=client id=0123456789abcdef "
	    "referer=\"https://example.com/\" agent=\"Mozilla/5.0 (X11; Linux x86_64)\"\n");
	assert_string_equal(format(CONF_FORMAT_TEXT, &none),
	    "1970-01-01T00:00:00.000Z request client=1.2.3.4:5678 peer=1.2.3.4:5678 listener=public tls=no "
	    "pool=- gateway=- how=- because=- \"- - -\" host=- status=- in=0 out=0 msgs_in=- msgs_out=- close=- "
	    "queue_ms=0.000 response_ms=- total_ms=0.000 retries=0 why=client-tls by=client id=- referer=- "
	    "agent=-\n");
	assert_string_equal(format(CONF_FORMAT_JSON, &s),
	    "{\"time\":\"2026-11-22T16:37:41.123Z\",\"kind\":\"session\",\"client\":\"1.2.3.4:5678\","
	    "\"peer\":\"[2001:db8::1]:443\",\"listener\":\"public\",\"tls\":true,\"pool\":\"game\","
	    "\"gateway\":\"gw1\",\"how\":\"cookie\",\"because\":null,\"method\":\"GET\",\"target\":\"/x?y=1\",\"version\":\"1.1\","
	    "\"host\":\"game.example.com\",\"status\":101,\"in\":123,\"out\":18446744073709551615,\"msgs_in\":7,"
	    "\"msgs_out\":0,\"close\":1000,\"queue_ms\":0.123,\"response_ms\":1.234,\"total_ms\":12345.678,"
	    "\"retries\":1,\"why\":\"client-closed\",\"by\":\"client\",\"id\":\"0123456789abcdef\","
	    "\"referer\":\"https://example.com/\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64)\"}\n");
	assert_string_equal(format(CONF_FORMAT_JSON, &none),
	    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"request\",\"client\":\"1.2.3.4:5678\","
	    "\"peer\":\"1.2.3.4:5678\",\"listener\":\"public\",\"tls\":false,\"pool\":null,\"gateway\":null,"
	    "\"how\":null,\"because\":null,\"method\":null,\"target\":null,\"version\":null,\"host\":null,\"status\":null,"
	    "\"in\":0,\"out\":0,\"msgs_in\":null,\"msgs_out\":null,\"close\":null,\"queue_ms\":0.000,"
	    "\"response_ms\":null,\"total_ms\":0.000,\"retries\":0,\"why\":\"client-tls\",\"by\":\"client\","
	    "\"id\":null,\"referer\":null,\"agent\":null}\n");
}

static void
test_escapes(void **state)
{
	static const struct {
		struct slice agent;
		const char *text, *json;
	} cases[] = {
		{ SLICE_LIT("a b"), "a b", "a b" },
		{ SLICE_LIT("\"\\"), "\\x22\\x5c", "\\\"\\\\" },
		{ SLICE_LIT("12345678\"12345678\\12345678"),
		    "12345678\\x2212345678\\x5c12345678", "12345678\\\"12345678\\\\12345678" },
		{ SLICE_LIT("\n\r\t\0\x1f\x7f"),
		    "\\x0a\\x0d\\x09\\x00\\x1f\\x7f", "\\u000a\\u000d\\u0009\\u0000\\u001f\x7f" },
		{ SLICE_LIT("caf\xc3\xa9"), "caf\\xc3\\xa9", "caf\xc3\xa9" },
		{ SLICE_LIT("\xf0\x9f\x8e\xae!"), "\\xf0\\x9f\\x8e\\xae!", "\xf0\x9f\x8e\xae!" },
		{ SLICE_LIT("\xff"), "\\xff", "\xef\xbf\xbd" },
		{ SLICE_LIT("\xc0\x80"), "\\xc0\\x80", "\xef\xbf\xbd\xef\xbf\xbd" },		/* overlong */
		{ SLICE_LIT("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ SLICE_LIT("\xed\xa0\x80"), "\\xed\\xa0\\x80",
		    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },		/* a surrogate */
		{ SLICE_LIT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80",
		    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },			/* beyond U+10FFFF */
		{ SLICE_LIT("a\xe2\x82"), "a\\xe2\\x82", "a\xef\xbf\xbd\xef\xbf\xbd" },		/* cut short */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct record r = request();
		char expected[256];
		size_t n;

		r.user_agent = cases[i].agent;
		format(CONF_FORMAT_TEXT, &r);
		n = (size_t)snprintf(expected, sizeof expected, " agent=\"%s\"\n", cases[i].text);
		assert_string_equal(line + strlen(line) - n, expected);
		format(CONF_FORMAT_JSON, &r);
		n = (size_t)snprintf(expected, sizeof expected, ",\"agent\":\"%s\"}\n", cases[i].json);
		assert_string_equal(line + strlen(line) - n, expected);
	}
}

/* All fields but the agent are without blanks, whatever is in them. */
static void
test_fields(void **state)
{
	struct record r = session();
	unsigned blanks = 0;

	(void)state;
	r.method = r.target = r.host = r.referer = r.request_id = SLICE_LIT("a \"b\" \nc=d");
	r.user_agent = SLICE_NONE;
	format(CONF_FORMAT_TEXT, &r);
	for (const char *p = line; *p != '\0'; p++)
		blanks += *p == ' ';
	assert_int_equal(blanks, 28);
	assert_non_null(strstr(line, " how=cookie because=- \"a\\x20\\x22b\\x22\\x20\\x0ac=d a\\x20"));
}

/* The longest line there can be, of bytes that grow most. */
static void
test_cut(void **state)
{
	static const char *const bytes[] = { "x", "\x01", "\xff", "\xf0\x9f\x8e\xae", "\"", " " };
	char *huge = malloc(100001), name[65] = "", selector[330] = "";

	(void)state;
	memset(name, 'n', sizeof name - 1);
	memset(selector, 's', sizeof selector - 1);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		struct record r = session();
		size_t n = strlen(bytes[i]);
		const char *at;

		for (size_t k = 0; k < 100000; k++)
			huge[k] = bytes[i][k % n];
		huge[100000] = '\0';
		r.listener = r.pool = r.gateway = name;
		r.how = selector;
		r.method = r.target = r.host = r.referer = r.request_id = r.user_agent = slice_of(huge);
		r.bytes_in = r.bytes_out = r.messages_in = r.messages_out = UINT64_MAX;
		r.at_us = r.queue_us = r.response_us = r.total_us = UINT64_MAX;
		r.minor = r.status = r.close_code = r.retries = UINT32_MAX;
		assert_true(addr_parse(SLICE_LIT("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), &r.client));
		r.peer = r.client;
		r.peer.sa.v6.sin6_scope_id = 1;
		format(CONF_FORMAT_TEXT, &r);
		assert_string_equal(line + strlen(line) - 5, "...\"\n");
		format(CONF_FORMAT_JSON, &r);
		at = strstr(line, "...\",\"version\":");
		assert_non_null(at);
		assert_true(at - line > 8000 - 16);
		json_decref(json_loads(line, 0, NULL));
	}
	free(huge);
}

static const char *
word(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text != NULL ? text : "";
}

/* Whatever bytes come, it is JSON; and ASCII comes back as it was. */
static void
test_json_is_json(void **state)
{
	char bytes[40];
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct record r = request();
		json_error_t error;
		json_t *o;

		for (size_t k = 0; k < sizeof bytes; k++)
			bytes[k] = (char)((seed = seed * 1103515245 + 12345) >> 16 & (i % 2 == 0 ? 0xff : 0x7f));
		r.bytes_out = INT64_MAX;	/* as far as jansson goes */
		r.target = slice_make(bytes, i % sizeof bytes);
		r.user_agent = slice_make(bytes + i % 7, i % 33);
		format(CONF_FORMAT_JSON, &r);
		o = json_loads(line, JSON_ALLOW_NUL, &error);
		if (o == NULL)
			fail_msg("%s at %d: %s", error.text, error.position, line);
		assert_string_equal(word(o, "gateway"), "gw1");
		if (i % 2 == 1 && r.target.n != 0) {
			const json_t *target = json_object_get(o, "target");

			assert_int_equal(json_string_length(target), r.target.n);
			assert_memory_equal(json_string_value(target), r.target.p, r.target.n);
		}
		json_decref(o);
	}
}

static struct slice
fact(const struct access_fact *facts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(facts[i].name, slice_of(name)))
			return facts[i].value;
	return SLICE_NONE;
}

/* Both spellings say the same, and so do their facts; what is not known is none. */
static void
test_facts(void **state)
{
	static const struct { const char *name, *text, *json; } cases[] = {
		{ "kind", "session", NULL }, { "method", "GET", NULL }, { "version", "1.1", NULL },
		{ "target", "/a\\x20\\x22b\\x22", "/a \\\"b\\\"" }, { "gateway", "gw1", NULL }, { "status", "101", NULL },
		{ "agent", "one \\x5c two", "one \\\\ two" }, { "referer", "", NULL }, { "time", "", NULL },
		{ "because", "", NULL }, { "why", "done", NULL },
	};
	struct record r = session();

	(void)state;
	r.method = SLICE_LIT("GET");
	r.minor = 1;
	r.target = SLICE_LIT("/a \"b\"");
	r.user_agent = SLICE_LIT("one \\ two");
	r.referer = SLICE_NONE;
	r.gateway = "gw1";
	r.because = "";
	r.status = 101;
	r.why = END_DONE;
	for (unsigned json = 0; json < 2; json++) {
		struct access_fact facts[ACCESS_FACTS];
		size_t n;

		format(json ? CONF_FORMAT_JSON : CONF_FORMAT_TEXT, &r);
		n = access_facts(slice_make(line, strlen(line) - 1), facts);
		for (size_t i = 0; i < COUNT(cases); i++) {
			const char *want = json && cases[i].json != NULL ? cases[i].json : cases[i].text;
			struct slice got = fact(facts, n, cases[i].name);

			if (!slice_eq(got, slice_of(want)))
				fail_msg("%s is '%.*s', not '%s'", cases[i].name, SLICE_FMT(got), want);
		}
	}
}

/* Cut anywhere, it is still within its bounds. */
static void
test_facts_of_anything(void **state)
{
	struct record r = session();

	(void)state;
	r.target = SLICE_LIT("/\\\"x");
	for (unsigned json = 0; json < 2; json++) {
		size_t whole;

		format(json ? CONF_FORMAT_JSON : CONF_FORMAT_TEXT, &r);
		whole = strlen(line);
		for (size_t n = 0; n <= whole; n++) {
			struct access_fact facts[ACCESS_FACTS];
			char *cut = malloc(n != 0 ? n : 1);
			size_t found;

			memcpy(cut, line, n);
			found = access_facts(slice_make(cut, n), facts);
			assert_in_range(found, 0, ACCESS_FACTS);
			for (size_t i = 0; i < found; i++)
				assert_true(facts[i].value.p + facts[i].value.n <= cut + n);
			free(cut);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_lines),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_json_is_json),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_facts_of_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
