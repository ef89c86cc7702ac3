/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads as they come and as they must not come, each of them cut in every way. */
#include "http/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#define MAX_BYTES 16384

/* What the parser makes of the first n bytes, which lie alone in memory, so that reading further is seen. */
static enum h1_result
parse_alone(struct h1 *p, struct slice bytes, struct head *head, char **kept)
{
	char *copy = mem_zalloc(bytes.n + 1);
	char *exact = mem_realloc(copy, bytes.n != 0 ? bytes.n : 1);
	enum h1_result r;

	if (bytes.n != 0)
		memcpy(exact, bytes.p, bytes.n);
	r = h1_parse(p, slice_make(exact, bytes.n), head);
	free(*kept);
	*kept = exact;
	return r;
}

struct answer {
	enum h1_result result;
	const char *why;
	size_t head_bytes;
};

static struct answer
answer_of(const struct h1 *p, enum h1_result r)
{
	return (struct answer){ r, p->why, r == H1_HEAD ? p->head_bytes : 0 };
}

static void
assert_same(struct slice bytes, struct answer a, struct answer b)
{
	if (a.result == b.result && a.head_bytes == b.head_bytes && (a.why == b.why || strcmp(a.why, b.why) == 0))
		return;
	fail_msg("%.*s: %d (%s) and %d (%s)", SLICE_FMT(bytes), a.result, a.why, b.result, b.why);
}

static struct answer
parse_whole(enum h1_kind kind, struct slice bytes, size_t max_bytes, struct head *head, char **kept)
{
	struct h1 p;

	h1_init(&p, kind, max_bytes);
	return answer_of(&p, parse_alone(&p, bytes, head, kept));
}

static struct answer
parse_bytewise(enum h1_kind kind, struct slice bytes, size_t max_bytes)
{
	struct head head;
	struct h1 p;
	char *kept = NULL;
	enum h1_result r = H1_MORE;

	h1_init(&p, kind, max_bytes);
	for (size_t n = 0; n <= bytes.n && r == H1_MORE; n++)
		r = parse_alone(&p, slice_head(bytes, n), &head, &kept);
	free(kept);
	return answer_of(&p, r);
}

static struct answer
parse_in_two(enum h1_kind kind, struct slice bytes, size_t cut, size_t max_bytes)
{
	struct head head;
	struct h1 p;
	char *kept = NULL;
	enum h1_result r;

	h1_init(&p, kind, max_bytes);
	r = parse_alone(&p, slice_head(bytes, cut), &head, &kept);
	if (r == H1_MORE)
		r = parse_alone(&p, bytes, &head, &kept);
	free(kept);
	return answer_of(&p, r);
}

/* The answer, which has been seen to be the same however the bytes were cut. */
static struct answer
parse_all_ways(enum h1_kind kind, struct slice bytes, size_t max_bytes)
{
	struct head head;
	char *kept = NULL;
	struct answer a = parse_whole(kind, bytes, max_bytes, &head, &kept);

	free(kept);
	assert_same(bytes, a, parse_bytewise(kind, bytes, max_bytes));
	for (size_t cut = 0; cut <= bytes.n; cut++)
		assert_same(bytes, a, parse_in_two(kind, bytes, cut, max_bytes));
	return a;
}

struct head_case {
	struct slice bytes;
	enum h1_result result;
};

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define OK200 "HTTP/1.1 200 OK\r\n"
#define GOOD(text) { SLICE_LIT(text), H1_HEAD }
#define BAD(text) { SLICE_LIT(text), H1_BAD }
#define VERSION(text) { SLICE_LIT(text), H1_VERSION }
#define MORE(text) { SLICE_LIT(text), H1_MORE }

static const struct head_case request_lines[] = {
	GOOD("GET / HTTP/1.1\r\n" H "\r\n"),
	GOOD("\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	GOOD("GET /a/b?c=d&e HTTP/1.1\r\n" H "\r\n"),
	GOOD("GET /?{\"a\"|^} HTTP/1.1\r\n" H "\r\n"),
	GOOD("GET //x/../y HTTP/1.1\r\n" H "\r\n"),
	GOOD("GET / HTTP/1.0\r\n\r\n"),
	GOOD("GET / HTTP/1.7\r\n" H "\r\n"),
	GOOD("M-SEARCH /x HTTP/1.1\r\n" H "\r\n"),
	GOOD("get / HTTP/1.1\r\n" H "\r\n"),
	GOOD("OPTIONS * HTTP/1.1\r\n" H "\r\n"),
	GOOD("OPTIONS /x HTTP/1.1\r\n" H "\r\n"),
	GOOD("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
	GOOD("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"),
	GOOD("GET http://a/x?y HTTP/1.1\r\n" H "\r\n"),
	GOOD("GET HTTPS://a HTTP/1.1\r\nHost: A\r\n\r\n"),
	GOOD("OPTIONS http://a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
	GOOD("GET http://a/ HTTP/1.0\r\n\r\n"),
	BAD("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	BAD("\nGET / HTTP/1.1\r\n" H "\r\n"),
	BAD(" GET / HTTP/1.1\r\n" H "\r\n"),
	BAD("\r\n GET / HTTP/1.1\r\n" H "\r\n"),
	BAD("GET  / HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /  HTTP/1.1\r\n" H "\r\n"),
	BAD("GET / HTTP/1.1 \r\n" H "\r\n"),
	BAD("GET\t/ HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\tHTTP/1.1\r\n" H "\r\n"),
	BAD("GET / x HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\r\n" H "\r\n"),
	BAD("GET\r\n" H "\r\n"),
	BAD("GET \r\n\r\n"),
	BAD("GET  HTTP/1.1\r\n" H "\r\n"),
	BAD("G(T / HTTP/1.1\r\n" H "\r\n"),
	BAD("G\xc3\x8aT / HTTP/1.1\r\n" H "\r\n"),
	BAD("GET x HTTP/1.1\r\n" H "\r\n"),
	BAD("GET * HTTP/1.1\r\n" H "\r\n"),
	BAD("GET ?x HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /#x HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\x80 HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\x7f HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\0 HTTP/1.1\r\n" H "\r\n"),
	BAD("GET /\r HTTP/1.1\r\n" H "\r\n"),
	BAD("GET / HTTP/1.1\n" H "\r\n"),
	BAD("GET / HTTP/1.1\r" H "\r\n"),
	BAD("GET / HTTP/1.1\r\r\n" H "\r\n"),
	BAD("GET / http/1.1\r\n" H "\r\n"),
	BAD("GET / HTTP/1.10\r\n" H "\r\n"),
	BAD("GET / HTTP/11\r\n" H "\r\n"),
	BAD("GET / HTTP/1,1\r\n" H "\r\n"),
	BAD("GET / HTTP/1.\r\n" H "\r\n"),
	BAD("GET / HTTP/+1.1\r\n" H "\r\n"),
	BAD("GET / HTTP\r\n" H "\r\n"),
	BAD("GET / HTTP/2.0\x80\r\n" H "\r\n"),
	VERSION("GET / HTTP/2.0\r\n" H "\r\n"),
	VERSION("GET / HTTP/0.9\r\n" H "\r\n"),
	VERSION("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	BAD("GET ftp://a/ HTTP/1.1\r\n" H "\r\n"),
	BAD("GET http:/a/ HTTP/1.1\r\n" H "\r\n"),
	BAD("GET http:///x HTTP/1.1\r\nHost:\r\n\r\n"),
	BAD("GET http://a?x HTTP/1.1\r\n" H "\r\n"),
	BAD("GET http://u@a/ HTTP/1.1\r\n" H "\r\n"),
	BAD("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
	BAD("GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n"),
	BAD("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n"),
	BAD("GET http://a/ HTTP/1.1\r\n\r\n"),
	BAD("OPTIONS *x HTTP/1.1\r\n" H "\r\n"),
	BAD("CONNECT / HTTP/1.1\r\n" H "\r\n"),
	BAD("CONNECT a HTTP/1.1\r\n" H "\r\n"),
	BAD("CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n"),
	BAD("CONNECT [::1] HTTP/1.1\r\nHost: [::1]\r\n\r\n"),
	BAD("CONNECT 10.0.0.1 HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"),
	BAD("CONNECT a:1 HTTP/1.1\r\nHost: a:2\r\n\r\n"),
	BAD("CONNECT http://a:1/ HTTP/1.1\r\nHost: a:1\r\n\r\n"),
	/* known by their first bytes */
	BAD("\x16\x03\x01\x02\x00\x01\x00"),
	BAD("{"),
	BAD("\x80"),
	BAD("SSH-2.0-OpenSSH_9.2\r\n"),
	BAD("HTTP/1.1 200 OK\r\n"),
	BAD("\r\n{"),
	BAD("\rG"),
	BAD("\0"),
	BAD("GET /\n"),
	MORE(""),
	MORE("\r"),
	MORE("\r\n"),
	MORE("G"),
	MORE("GET / HTTP/1.1\r"),
	MORE("GET / HTTP/1.1\r\n"),
	MORE(GET),
	MORE(GET "\r"),
};

static const struct head_case fields[] = {
	GOOD(GET "A:b\r\n\r\n"),
	GOOD(GET "A: \t b \t \r\n\r\n"),
	GOOD(GET "A:\r\n\r\n"),
	GOOD(GET "A:\t\r\n\r\n"),
	GOOD(GET "A: b\tc d\x80\xff\"(),/:;<=>?@[\\]{}\r\n\r\n"),
	GOOD(GET "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n"),
	GOOD(GET "A: b\r\nA: c\r\na: d\r\n\r\n"),
	BAD(GET "A : b\r\n\r\n"),
	BAD(GET "A\t: b\r\n\r\n"),
	BAD(GET " A: b\r\n\r\n"),
	BAD(GET "\tA: b\r\n\r\n"),
	BAD(GET "A: b\r\n c\r\n\r\n"),
	BAD(GET "A: b\r\n\tc\r\n\r\n"),
	BAD(GET "A: b\r\n \r\n\r\n"),
	BAD("GET / HTTP/1.1\r\n Host: a\r\n" H "\r\n"),
	BAD(GET ": b\r\n\r\n"),
	BAD(GET "A\r\n\r\n"),
	BAD(GET "A b: c\r\n\r\n"),
	BAD(GET "A(b): c\r\n\r\n"),
	BAD(GET "\xc3\xa4: c\r\n\r\n"),
	BAD(GET "A\0: b\r\n\r\n"),
	BAD(GET "A: b\0c\r\n\r\n"),
	BAD(GET "A: b\x01" "c\r\n\r\n"),
	BAD(GET "A: b\x1f\r\n\r\n"),
	BAD(GET "A: b\x7f\r\n\r\n"),
	BAD(GET "A: b\vc\r\n\r\n"),
	BAD(GET "A: b\n\r\n"),
	BAD(GET "A: b\rc\r\n\r\n"),
	BAD(GET "A: b\r\r\n\r\n"),
	BAD(GET "A: 1234567\x01\r\n\r\n"),
	BAD(GET "A: 12345678\x01\r\n\r\n"),
	BAD(GET "A: \t\t\t\t\t\t\t\t\t\t\x01\r\n\r\n"),
	BAD(GET "\n"),
	BAD(GET "\r\r\n"),
	BAD(GET "\rX"),
};

#define HOST(value) "GET / HTTP/1.1\r\nHost:" value "\r\n\r\n"

static const struct head_case hosts[] = {
	GOOD(HOST(" a")),
	GOOD(HOST("")),
	GOOD(HOST(" a.example:8080")),
	GOOD(HOST(" a:")),
	GOOD(HOST(" a_b.example.")),
	GOOD(HOST(" 10.0.0.1:1")),
	GOOD(HOST(" [::1]")),
	GOOD(HOST(" [2001:db8::1.2.3.4]:65535")),
	GOOD("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
	BAD("GET / HTTP/1.1\r\n\r\n"),
	BAD("GET / HTTP/1.1\r\nHostx: a\r\n\r\n"),
	BAD(GET H "\r\n"),
	BAD(GET "HOST: b\r\n\r\n"),
	BAD("GET / HTTP/1.0\r\n" H H "\r\n"),
	BAD(HOST(" a, b")),
	BAD(HOST(" a,b")),
	BAD(HOST(" a b")),
	BAD(HOST(" a/b")),
	BAD(HOST(" a?b")),
	BAD(HOST(" a#b")),
	BAD(HOST(" a@b")),
	BAD(HOST(" a%41")),
	BAD(HOST(" a\\b")),
	BAD(HOST(" \"a\"")),
	BAD(HOST(" <a>")),
	BAD(HOST(" a:65536")),
	BAD(HOST(" a:99999999999999999999")),
	BAD(HOST(" a:+1")),
	BAD(HOST(" a:1 ,")),
	BAD(HOST(" a:1:2")),
	BAD(HOST(" a:b")),
	BAD(HOST(" :80")),
	BAD(HOST(" [::1")),
	BAD(HOST(" [::1]x")),
	BAD(HOST(" [::1]:x")),
	BAD(HOST(" []")),
	BAD(HOST(" [:::1]")),
	BAD(HOST(" [::1%eth0]")),
	BAD(HOST(" [v1.x]")),
	BAD(HOST(" [1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]")),
	BAD(HOST(" ::1")),
	BAD(HOST(" \xc3\xa4")),
};

static const struct head_case request_framing[] = {
	GOOD(GET "Content-Length: 0\r\n\r\n"),
	GOOD(GET "Content-Length: 0005\r\n\r\n"),
	GOOD(GET "Content-Length: 9223372036854775807\r\n\r\n"),
	GOOD(GET "Transfer-Encoding: chunked\r\n\r\n"),
	GOOD(GET "transfer-encoding:\tCHUNKED \r\n\r\n"),
	GOOD("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"),
	BAD(GET "Content-Length: 9223372036854775808\r\n\r\n"),
	BAD(GET "Content-Length: 18446744073709551617\r\n\r\n"),
	BAD(GET "Content-Length: 99999999999999999999999\r\n\r\n"),
	BAD(GET "Content-Length:\r\n\r\n"),
	BAD(GET "Content-Length: -1\r\n\r\n"),
	BAD(GET "Content-Length: +5\r\n\r\n"),
	BAD(GET "Content-Length: 0x5\r\n\r\n"),
	BAD(GET "Content-Length: 5a\r\n\r\n"),
	BAD(GET "Content-Length: 5 5\r\n\r\n"),
	BAD(GET "Content-Length: 5, 5\r\n\r\n"),
	BAD(GET "Content-Length: 5,\r\n\r\n"),
	BAD(GET "Content-Length: 5;a\r\n\r\n"),
	BAD(GET "Content-Length: 5.0\r\n\r\n"),
	BAD(GET "Content-Length: \"5\"\r\n\r\n"),
	BAD(GET "Content-Length: \xb2\r\n\r\n"),
	BAD(GET "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
	BAD(GET "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"),
	BAD(GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	BAD(GET "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
	BAD(GET "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked, gzip\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked,\r\n\r\n"),
	BAD(GET "Transfer-Encoding: ,chunked\r\n\r\n"),
	BAD(GET "Transfer-Encoding: chunked;q=1\r\n\r\n"),
	BAD(GET "Transfer-Encoding: xchunked\r\n\r\n"),
	BAD(GET "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	BAD(GET "Transfer-Encoding: gzip\r\n\r\n"),
	BAD(GET "Transfer-Encoding: identity\r\n\r\n"),
	BAD(GET "Transfer-Encoding:\r\n\r\n"),
	BAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(GET "Connection: clo se\r\n\r\n"),
	BAD(GET "Connection: \"close\"\r\n\r\n"),
};

static const struct head_case responses[] = {
	GOOD(OK200 "\r\n"),
	GOOD("HTTP/1.1 200 \r\n\r\n"),
	GOOD("HTTP/1.1 200\r\n\r\n"),
	GOOD("HTTP/1.0 404 Not  Found at\tall \xe4\r\n\r\n"),
	GOOD("HTTP/1.1 100 Continue\r\n\r\n"),
	GOOD("HTTP/1.1 599 x\r\n\r\n"),
	GOOD(OK200 "Transfer-Encoding: chunked\r\n\r\n"),
	GOOD("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"),
	GOOD("HTTP/1.1 101 x\r\nContent-Length: 0\r\n\r\n"),
	GOOD("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"),
	GOOD("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
	GOOD("HTTP/1.1 205 x\r\nContent-Length: 5\r\n\r\n"),
	BAD("\r\n" OK200 "\r\n"),
	BAD("HTTP/1.1  200 OK\r\n\r\n"),
	BAD("HTTP/1.1\t200 OK\r\n\r\n"),
	BAD(" HTTP/1.1 200 OK\r\n\r\n"),
	BAD("HTTP/1.1 2000 OK\r\n\r\n"),
	BAD("HTTP/1.1 20 OK\r\n\r\n"),
	BAD("HTTP/1.1 20\r\n\r\n"),
	BAD("HTTP/1.1 \r\n\r\n"),
	BAD("HTTP/1.1\r\n\r\n"),
	BAD("HTTP/1.1 2x0 OK\r\n\r\n"),
	BAD("HTTP/1.1 +20 OK\r\n\r\n"),
	BAD("HTTP/1.1 099 OK\r\n\r\n"),
	BAD("HTTP/1.1 600 OK\r\n\r\n"),
	BAD("HTTP/1.1 999 OK\r\n\r\n"),
	BAD("HTTP/1.1 200\tOK\r\n\r\n"),
	BAD("HTTP/1.1 200 O\0K\r\n\r\n"),
	BAD("HTTP/1.1 200 OK\n\r\n"),
	BAD("http/1.1 200 OK\r\n\r\n"),
	BAD("HTTP/1 200 OK\r\n\r\n"),
	VERSION("HTTP/2.0 200 OK\r\n\r\n"),
	BAD("ICY 200 OK\r\n\r\n"),
	BAD("<"),
	BAD("HTTX"),
	MORE("HTT"),
	MORE("HTTP/1.1 2"),
	BAD(OK200 "A : b\r\n\r\n"),
	BAD(OK200 "A: b\r\n c\r\n\r\n"),
	BAD(OK200 "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
	BAD(OK200 "Content-Length: 5, 5\r\n\r\n"),
	BAD(OK200 "Content-Length: x\r\n\r\n"),
	BAD(OK200 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	BAD(OK200 "Transfer-Encoding: gzip\r\n\r\n"),
	BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"),
	BAD("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD("HTTP/1.1 101 x\r\nContent-Length: 5\r\n\r\n"),
	BAD("HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
};

static void
check_cases(enum h1_kind kind, const struct head_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct answer a = parse_all_ways(kind, cases[i].bytes, MAX_BYTES);

		if (a.result != cases[i].result)
			fail_msg("%.*s: %d (%s)", SLICE_FMT(cases[i].bytes), a.result, a.why);
		assert_true((a.why != NULL) == (a.result != H1_HEAD && a.result != H1_MORE));
		if (a.result == H1_HEAD)
			assert_int_equal(a.head_bytes, cases[i].bytes.n);
	}
}

static void
test_cases(void **state)
{
	(void)state;
	check_cases(H1_REQUEST, request_lines, COUNT(request_lines));
	check_cases(H1_REQUEST, fields, COUNT(fields));
	check_cases(H1_REQUEST, hosts, COUNT(hosts));
	check_cases(H1_REQUEST, request_framing, COUNT(request_framing));
	check_cases(H1_RESPONSE, responses, COUNT(responses));
}

/* One head at a time, kept for the facts in it. */
static struct head parsed;
static struct h1 parser;

static const struct head *
parse(enum h1_kind kind, const char *text)
{
	h1_init(&parser, kind, MAX_BYTES);
	memset(&parsed, 0xa5, sizeof parsed);	/* nothing may be left to chance */
	if (h1_parse(&parser, slice_of(text), &parsed) != H1_HEAD)
		fail_msg("%s: %s", text, parser.why);
	return &parsed;
}

static const struct head *
request(const char *text)
{
	return parse(H1_REQUEST, text);
}

static const struct head *
response(const char *text)
{
	return parse(H1_RESPONSE, text);
}

static void
assert_text(struct slice s, const char *text)
{
	if (!slice_eq(s, slice_of(text)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_FMT(s), text);
}

static void
test_targets(void **state)
{
	static const struct {
		const char *line, *target, *path, *query, *host;
	} cases[] = {
		{ "GET /a/b?c?d HTTP/1.1\r\nHost: h:1\r\n\r\n", "/a/b?c?d", "/a/b", "c?d", "h:1" },
		{ "GET /a? HTTP/1.1\r\nHost:\r\n\r\n", "/a?", "/a", "", "" },
		{ "GET /a HTTP/1.0\r\n\r\n", "/a", "/a", NULL, "" },
		{ "GET http://H:1/a?b HTTP/1.1\r\nHost: h:1\r\n\r\n", "/a?b", "/a", "b", "h:1" },
		{ "GET http://h HTTP/1.0\r\n\r\n", "/", "/", NULL, "h" },
		{ "OPTIONS http://h HTTP/1.0\r\n\r\n", "*", "", NULL, "h" },
		{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", "", NULL, "h" },
		{ "CONNECT h:1 HTTP/1.0\r\n\r\n", "h:1", "", NULL, "h:1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct head *h = request(cases[i].line);

		assert_text(h->target, cases[i].target);
		assert_text(h->path, cases[i].path);
		assert_text(h->host, cases[i].host);
		assert_true((h->query.p == NULL) == (cases[i].query == NULL));
		assert_text(h->query, cases[i].query);
	}
}

static void
test_methods(void **state)
{
	static const struct {
		const char *text;
		enum head_method method;
		bool idempotent;
	} cases[] = {
		{ "GET", METHOD_GET, true },	     { "HEAD", METHOD_HEAD, true },   { "POST", METHOD_POST, false },
		{ "PUT", METHOD_PUT, true },	     { "PATCH", METHOD_PATCH, false }, { "DELETE", METHOD_DELETE, true },
		{ "OPTIONS", METHOD_OPTIONS, true }, { "TRACE", METHOD_TRACE, true },  { "get", METHOD_OTHER, false },
		{ "QUERY", METHOD_OTHER, false },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof text, "%s / HTTP/1.0\r\n\r\n", cases[i].text);
		assert_int_equal(request(text)->method, cases[i].method);
		assert_text(parsed.method_text, cases[i].text);
		assert_int_equal(head_is_idempotent(parsed.method), cases[i].idempotent);
	}
}

static void
test_fields(void **state)
{
	const struct head *h = request("GET / HTTP/1.1\r\nhOST: a\r\nX: \t1 2\t \r\nEmpty: \r\nCookie:b\r\n\r\n");

	(void)state;
	assert_int_equal(h->fields, 4);
	assert_text(h->field[0].name, "hOST");
	assert_int_equal(h->field[0].id, FIELD_HOST);
	assert_text(h->field[1].value, "1 2");
	assert_int_equal(h->field[1].id, FIELD_OTHER);
	assert_text(h->field[2].value, "");
	assert_text(head_find(h, FIELD_COOKIE)->value, "b");
	assert_null(head_find(h, FIELD_DATE));
	assert_int_equal(h->framing, FRAMING_NONE);
	assert_int_equal(h->minor, 1);
	assert_true(h->keep_alive);
	assert_false(h->expect_continue || h->upgrade_websocket || h->accepts_trailers);
	for (unsigned i = 0; i < h->fields; i++)
		assert_false(h->field[i].hop);
}

/* What may be copied as it stands: a name, ": ", a value and nothing behind it. */
static void
test_plain_fields(void **state)
{
	static const struct {
		const char *line;
		bool plain;
	} cases[] = {
		{ "A: b", true }, { "A: b c", true }, { "A: b\t,c", true }, { "A: ,", true }, { "A:b", false },
		{ "A:", false }, { "A: ", false }, { "A:  b", false }, { "A:\tb", false }, { "A: \tb", false },
		{ "A: b ", false }, { "A: b\t", false }, { "A:  ", false }, { "A: \t", false },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", cases[i].line);
		if (request(text)->field[1].plain != cases[i].plain)
			fail_msg("%s", cases[i].line);
	}
}

static void
test_request_framing(void **state)
{
	(void)state;
	assert_int_equal(request(GET "Content-Length: 0042\r\n\r\n")->framing, FRAMING_LENGTH);
	assert_int_equal(parsed.content_length, 42);
	assert_int_equal(request(GET "Transfer-Encoding: Chunked\r\n\r\n")->framing, FRAMING_CHUNKED);
	assert_int_equal(request(GET "Content-Length: 0\r\n\r\n")->framing, FRAMING_LENGTH);
}

static enum head_framing
framing_to(bool to_head, bool to_connect, const char *text)
{
	h1_init(&parser, H1_RESPONSE, MAX_BYTES);
	parser.to_head = to_head;
	parser.to_connect = to_connect;
	assert_int_equal(h1_parse(&parser, slice_of(text), &parsed), H1_HEAD);
	return parsed.framing;
}

static void
test_response_framing(void **state)
{
	(void)state;
	assert_int_equal(response(OK200 "\r\n")->framing, FRAMING_CLOSE);
	assert_false(parsed.keep_alive);	/* it ends with the connection */
	assert_int_equal(parsed.status, 200);
	assert_text(parsed.reason, "OK");
	assert_int_equal(response(OK200 "Content-Length: 7\r\n\r\n")->framing, FRAMING_LENGTH);
	assert_int_equal(parsed.content_length, 7);
	assert_true(parsed.keep_alive);
	assert_int_equal(response(OK200 "Transfer-Encoding: chunked\r\n\r\n")->framing, FRAMING_CHUNKED);
	assert_int_equal(response("HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n")->framing, FRAMING_NONE);
	assert_true(parsed.field[0].hop);	/* a 204 must not say so: it stays here */
	assert_text(parsed.reason, "");
	assert_int_equal(response("HTTP/1.1 103 x\r\n\r\n")->framing, FRAMING_NONE);
	assert_int_equal(response("HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n")->framing, FRAMING_NONE);
	assert_false(parsed.field[0].hop);
	assert_true(parsed.keep_alive);
	assert_int_equal(framing_to(true, false, OK200 "Content-Length: 7\r\n\r\n"), FRAMING_NONE);
	assert_int_equal(framing_to(true, false, OK200 "Transfer-Encoding: chunked\r\n\r\n"), FRAMING_NONE);
	assert_int_equal(framing_to(true, false, OK200 "\r\n"), FRAMING_NONE);
	assert_true(parsed.keep_alive);
	assert_int_equal(framing_to(false, true, OK200 "Content-Length: 7\r\n\r\n"), FRAMING_NONE);
	assert_int_equal(framing_to(false, true, "HTTP/1.1 403 x\r\nContent-Length: 7\r\n\r\n"), FRAMING_LENGTH);
}

static void
test_keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{ GET "\r\n", true },
		{ GET "Connection: close\r\n\r\n", false },
		{ GET "Connection: Keep-Alive, CLOSE\r\n\r\n", false },
		{ GET "Connection: keep-alive\r\nConnection: close\r\n\r\n", false },
		{ GET "Connection: , closed,\r\n\r\n", true },
		{ GET "Connection:\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: foo, keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(request(cases[i].text)->keep_alive, cases[i].keep_alive);
}

static void
test_hop_by_hop(void **state)
{
	static const struct {
		const char *line;
		bool hop;
	} cases[] = {
		{ "Connection: x", true },
		{ "Keep-Alive: x", true },
		{ "Proxy-Connection: x", true },
		{ "TE: x", true },
		{ "Transfer-Encoding: chunked", true },
		{ "Upgrade: x", true },
		{ "Trailer: x", false },
		{ "Proxy-Authenticate: x", false },
		{ "Named: x", true },
		{ "cookie: x", true },
		{ "Forwarded: x", false },
		{ "X-Forwarded-For: x", false },
		{ "X-Forwarded-Host: x", false },
		{ "X-Forwarded-Proto: x", false },
		{ "X-Request-Id: x", false },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof text, GET "%s\r\nConnection: close , NAMED,,X-Forwarded-For, x-forwarded-host\r\n"
		    "Connection: Cookie, x-forwarded-proto, X-Request-Id, Host, Content-Length, forwarded\r\n"
		    "Content-Length: 0\r\n\r\n", cases[i].line);
		if (strncmp(cases[i].line, "Transfer", 8) == 0)
			snprintf(text, sizeof text, GET "%s\r\n\r\n", cases[i].line);
		if (request(text)->field[1].hop != cases[i].hop)
			fail_msg("%s", cases[i].line);
		assert_false(parsed.field[0].hop);
		if (parsed.fields > 4)
			assert_false(parsed.field[4].hop);
	}
}

static void
test_upgrade_and_others(void **state)
{
	(void)state;
	assert_true(request(GET "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n")->upgrade_websocket);
	assert_false(request(GET "Upgrade: websocket\r\n\r\n")->upgrade_websocket);
	assert_false(request(GET "Connection: upgrade\r\n\r\n")->upgrade_websocket);
	assert_false(request(GET "Connection: upgrade\r\nUpgrade: websockets\r\n\r\n")->upgrade_websocket);
	assert_false(request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")->upgrade_websocket);
	assert_true(response("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")->upgrade_websocket);
	assert_true(request(GET "Expect: 100-Continue\r\n\r\n")->expect_continue);
	assert_false(request(GET "Expect: 200-ok\r\n\r\n")->expect_continue);
	assert_false(request("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")->expect_continue);
	assert_true(request(GET "TE: deflate, trailers\r\n\r\n")->accepts_trailers);
}

/* A head of exactly n bytes. */
static struct slice
request_of(char *to, size_t n)
{
	static const char begin[] = GET "X: ", end[] = "\r\n\r\n";

	memset(to, 'x', n);
	memcpy(to, begin, sizeof begin - 1);
	memcpy(to + n - (sizeof end - 1), end, sizeof end - 1);
	return slice_make(to, n);
}

static void
test_limits(void **state)
{
	static const struct slice line = SLICE_LIT("GET /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx HTTP/1.1\r\n" H "\r\n");
	static const struct slice status = SLICE_LIT("HTTP/1.1 200 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n");
	char text[256];

	(void)state;
	assert_int_equal(parse_all_ways(H1_REQUEST, request_of(text, 100), 100).result, H1_HEAD);
	assert_int_equal(parse_all_ways(H1_REQUEST, request_of(text, 101), 100).result, H1_TOO_LARGE);
	assert_int_equal(parse_all_ways(H1_REQUEST, request_of(text, 250), 100).result, H1_TOO_LARGE);
	assert_int_equal(parse_all_ways(H1_REQUEST, line, 40).result, H1_URI_TOO_LONG);
	assert_int_equal(parse_all_ways(H1_REQUEST, line, line.n - 1).result, H1_TOO_LARGE);
	assert_int_equal(parse_all_ways(H1_REQUEST, line, line.n).result, H1_HEAD);
	assert_int_equal(parse_all_ways(H1_RESPONSE, status, 40).result, H1_TOO_LARGE);
	/* what is wrong before the limit is wrong, what is wrong behind it is not seen */
	assert_int_equal(parse_all_ways(H1_REQUEST, SLICE_LIT(GET "A : b\r\n\r\n"), sizeof(GET "A : b\r\n") - 1).result, H1_BAD);
	assert_int_equal(parse_all_ways(H1_REQUEST, SLICE_LIT(GET "A : b\r\n\r\n"), sizeof GET).result, H1_TOO_LARGE);
}

/* A request with Host and then n - 1 more fields; the last is `last`. */
static struct slice
request_with(char *to, size_t room, unsigned n, const char *last)
{
	struct buf b = buf_of(to, room);

	buf_lit(&b, GET);
	for (unsigned i = 0; i < n - 2; i++)
		buf_lit(&b, "A: b\r\n");
	buf_add(&b, slice_of(last));
	buf_lit(&b, "\r\n\r\n");
	assert_false(b.full);
	return buf_slice(&b);
}

static enum h1_result
parse_with(unsigned n, const char *last)
{
	char text[2048];

	return parse_all_ways(H1_REQUEST, request_with(text, sizeof text, n, last), MAX_BYTES).result;
}

static void
test_field_count(void **state)
{
	(void)state;
	assert_int_equal(parse_with(HEAD_FIELDS, "A: c"), H1_HEAD);
	assert_int_equal(parse_with(HEAD_FIELDS + 1, "A: c"), H1_TOO_LARGE);
	assert_int_equal(parse_with(HEAD_FIELDS + 1, "A : c"), H1_TOO_LARGE);
	assert_int_equal(parse_with(HEAD_FIELDS + 1, "A\n"), H1_BAD);
}

/* What follows a head is not looked at. */
static void
test_pipelined(void **state)
{
	static const struct slice two = SLICE_LIT("\r\n" GET "\r\n\n garbage\0");
	struct answer a = parse_all_ways(H1_REQUEST, two, MAX_BYTES);

	(void)state;
	assert_int_equal(a.result, H1_HEAD);
	assert_int_equal(a.head_bytes, two.n - sizeof "\n garbage");
}

/* Every byte in a value and in a name, whatever its place in the eight that are looked at together. */
static void
test_every_byte(void **state)
{
	char text[128];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bool good = c == '\t' || (c >= ' ' && c != 0x7f);

		for (unsigned at = 0; at < 17; at++) {
			struct buf b = buf_of(text, sizeof text);
			struct head head;
			struct h1 p;

			h1_init(&p, H1_REQUEST, MAX_BYTES);
			buf_lit(&b, GET "A: <1234567890abcdefg>\r\n\r\n");
			text[sizeof(GET "A: <") - 1 + at] = (char)c;
			assert_int_equal(h1_parse(&p, buf_slice(&b), &head), good ? H1_HEAD : H1_BAD);
		}
	}
}

static void
test_reasons(void **state)
{
	(void)state;
	assert_string_equal(h1_reason(200), "OK");
	assert_string_equal(h1_reason(431), "Request Header Fields Too Large");
	assert_string_equal(h1_reason(299), "Unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_plain_fields),
		cmocka_unit_test(test_request_framing),
		cmocka_unit_test(test_response_framing),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_hop_by_hop),
		cmocka_unit_test(test_upgrade_and_others),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_field_count),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
