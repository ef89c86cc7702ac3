/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads in and heads out: what is kept, what goes, what is said anew. */
#include "proxy/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ID  "0123456789abcdef"
#define AT  "Sun, 06 Nov 1994 08:49:37 GMT"

static char pool_name[] = "game", name_of_gateway[] = "gw1", address[] = "127.0.0.1:1", cookie_name[] = "STICKYD",
	    slash[] = "/", cookie_selector[] = "cookie";
static struct conf_selector selectors[] = { { .kind = CONF_SELECTOR_COOKIE, .text = cookie_selector } };

static struct conf_gateway gateway = { .name = name_of_gateway, .address = address, .weight = 1 };
static struct conf_pool cf = { .name = pool_name,
	.gateway = &gateway,
	.gateways = 1,
	.selector = selectors,
	.selectors = 1,
	.cookie = { .name = cookie_name, .path = slash, .samesite = CONF_SAMESITE_LAX, .secure = CONF_AUTO } };

static struct exchange *x;
static struct client client;
static struct proxy proxy;
static struct scene scene = { .proxy = &proxy };
static struct door door = { .proxy = &proxy };
static struct service service = { .conf = &cf };
static struct seal_ring *ring;
static struct affinity_shared shared;
static char out[131072], scratch[SELECTOR_KEY_MAX];

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static int
setup(void **state)
{
	const char *why;
	unsigned line;

	(void)state;
	x = mem_zalloc(sizeof *x);
	service.pool = pool_new(&cf, no_report, NULL);
	shared.table = table_new(100, 3600);
	shared.history = history_new();
	service.affinity = affinity_new(&cf, service.pool, &shared, no_report, NULL);
	ring = seal_ring_parse(SLICE_LIT(KEY "\n"), &line, &why);
	assert_non_null(ring);
	scene.tools.sealer = sealer_new(ring);
	scene.tools.scratch = scratch;
	client.door = &door;
	assert_true(addr_parse(SLICE_LIT("192.0.2.7:1234"), &client.peer));
	x->client = &client;
	x->proxy = &proxy;
	x->scene = &scene;
	x->service = &service;
	x->request_id = SLICE_LIT(ID);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sealer_free(scene.tools.sealer);
	seal_ring_free(ring);
	affinity_free(service.affinity);
	pool_free(service.pool);
	history_free(shared.history);
	table_free(shared.table);
	free(x);
	return 0;
}

static void
parse(enum h1_kind kind, struct slice text, struct head *h)
{
	struct h1 p;
	enum h1_result r;

	h1_init(&p, kind, 65536);
	r = h1_parse(&p, text, h);
	if (r != H1_HEAD)
		fail_msg("%s: %.*s", p.why, SLICE_FMT(text));
}

static void
assert_text(const struct buf *b, const char *wanted)
{
	if (b->n != strlen(wanted) || memcmp(b->p, wanted, b->n) != 0)
		fail_msg("it is\n%.*s\nand should be\n%s", (int)b->n, b->p, wanted);
}

/* ---- requests ---- */

struct request_case {
	const char *in; /* behind "Host: h" */
	bool trusted, tls, upgrade;
	const char *out; /* between "Host: h" and the request id */
};

#define FOR  "X-Forwarded-For: 192.0.2.7\r\n"
#define HTTP "X-Forwarded-Proto: http\r\n"
#define HOST "X-Forwarded-Host: h\r\n"

static const struct request_case requests[] = {
	{ "", false, false, false, FOR HTTP HOST },
	{ "", false, true, false, FOR "X-Forwarded-Proto: https\r\n" HOST },
	{ "Accept: */*\r\nX-Own:  two  words \r\n", false, false, false,
	    "Accept: */*\r\nX-Own: two  words\r\n" FOR HTTP HOST },
	/* runs of fields as they stood, and what interrupts them */
	{ "A: 1\r\nB: 2\r\nC:3\r\nD: 4\r\nE: 5 \r\nF: 6\r\nKeep-Alive: 7\r\nG: 8\r\n"
	  "Cookie: STICKYD=x; i=9\r\nJ: 10\r\nK:\r\n",
	    false, false, false,
	    "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 8\r\nCookie: i=9\r\nJ: 10\r\nK: \r\n" FOR HTTP HOST },
	/* hop by hop, by nature or because Connection names it (RFC 9110, 7.6.1) */
	{ "Connection: x-a, close\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n", false, false,
	    false, "X-B: 2\r\n" FOR HTTP HOST },
	{ "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n", false, false, false,
	    FOR HTTP HOST },
	{ "Connection: host, content-length, x-forwarded-for\r\nContent-Length: 3\r\n", false, false, false,
	    "Content-Length: 3\r\n" FOR HTTP HOST },
	{ "TE: trailers, gzip\r\nConnection: TE\r\n", false, false, false,
	    "Connection: TE\r\nTE: trailers\r\n" FOR HTTP HOST },
	{ "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: a\r\n", false, false, true,
	    "Sec-WebSocket-Protocol: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" FOR HTTP HOST },
	{ "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", false, false, false, NULL },
	{ "Expect: 100-continue\r\nContent-Length: 3\r\n", false, false, false,
	    "Expect: 100-continue\r\nContent-Length: 3\r\n" FOR HTTP HOST },
	/* our cookie is ours; a line that holds nothing else goes */
	{ "Cookie: a=1; STICKYD=xyz; b=2\r\n", false, false, false, "Cookie: a=1; b=2\r\n" FOR HTTP HOST },
	{ "Cookie: STICKYD=xyz\r\nCookie: c=3\r\n", false, false, false, "Cookie: c=3\r\n" FOR HTTP HOST },
	{ "Cookie: STICKYD=xyz\r\nA: b\r\nCookie: STICKYD=2; STICKYD=3\r\n", false, false, false,
	    "A: b\r\n" FOR HTTP HOST },
	{ "Cookie: XSTICKYD=1; STICKYD2=2; stickyd=3\r\n", false, false, false,
	    "Cookie: XSTICKYD=1; STICKYD2=2; stickyd=3\r\n" FOR HTTP HOST },
	/* who is not trusted says nothing of itself */
	{ "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1\r\n"
	  "X-Request-Id: mine\r\n",
	    false, false, false, FOR HTTP HOST },
	{ "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: front\r\nForwarded: for=1\r\n",
	    true, false, false,
	    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: front\r\nForwarded: for=1\r\n"
	    "X-Forwarded-For: 10.0.0.1, 192.0.2.7\r\n" },
	{ "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n", true, false, false,
	    "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7\r\n" HTTP HOST },
};

static void
requests_go_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(requests); i++) {
		const struct request_case *c = &requests[i];
		char *in = mem_printf("GET /p?q HTTP/1.1\r\nHost: h\r\n%s\r\n", c->in), *wanted;
		struct buf b = buf_of(out, sizeof out);

		parse(H1_REQUEST, slice_of(in), &x->head);
		client.trusted = c->trusted;
		client.stream.ssl = c->tls ? (SSL *)&client : NULL; /* only asked for */
		x->upgrade = c->upgrade;
		assert_true(forward_request(x, &b));
		if (c->out != NULL) {
			wanted = mem_printf("GET /p?q HTTP/1.1\r\nHost: h\r\n%sX-Request-Id: " ID "\r\n\r\n", c->out);
			assert_text(&b, wanted);
			free(wanted);
		} else {
			assert_non_null(memmem(b.p, b.n, "\r\nTransfer-Encoding: chunked\r\n", 30));
		}
		free(in);
	}
	client.trusted = false;
	client.stream.ssl = NULL;
	x->upgrade = false;
}

/* An absolute target has been taken apart: Host is what it named (RFC 9112, 3.2.2). An HTTP/1.0 request goes on as
 * HTTP/1.1. */
static void
the_line(void **state)
{
	struct buf b = buf_of(out, sizeof out);

	(void)state;
	parse(H1_REQUEST, SLICE_LIT("OPTIONS http://real:81/x HTTP/1.1\r\nHost: real:81\r\n\r\n"), &x->head);
	assert_true(forward_request(x, &b));
	assert_text(&b,
	    "OPTIONS /x HTTP/1.1\r\nHost: real:81\r\n" FOR HTTP "X-Forwarded-Host: real:81\r\nX-Request-Id: " ID
	    "\r\n\r\n");
	b.n = 0;
	parse(H1_REQUEST, SLICE_LIT("PURGE / HTTP/1.0\r\n\r\n"), &x->head);
	assert_true(forward_request(x, &b));
	assert_text(&b, "PURGE / HTTP/1.1\r\nHost: \r\n" FOR HTTP "X-Request-Id: " ID "\r\n\r\n");
}

/* ---- responses ---- */

struct response_case {
	const char *in;
	enum head_framing out_framing;
	bool keep, minor_0;
	const char *out;
};

#define DATE "Date: " AT "\r\n"

static const struct response_case responses[] = {
	{ "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 3\r\n\r\n", FRAMING_LENGTH, true, false,
	    "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 3\r\n\r\n" },
	{ "HTTP/1.0 200\r\n" DATE "Content-Length: 3\r\n\r\n", FRAMING_LENGTH, false, false,
	    "HTTP/1.1 200 \r\n" DATE "Content-Length: 3\r\nConnection: close\r\n\r\n" },
	{ "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 3\r\n\r\n", FRAMING_LENGTH, true, true,
	    "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n" },
	{ "HTTP/1.1 200 OK\r\n" DATE
	  "Transfer-Encoding: chunked\r\nKeep-Alive: 5\r\nConnection: x-a\r\nX-A: 1\r\n\r\n",
	    FRAMING_CHUNKED, true, false, "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n" },
	{ "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n", FRAMING_CLOSE, false, true,
	    "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\n\r\n" },
	{ "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\n\r\n", FRAMING_CHUNKED, true, false,
	    "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n" },
	{ "HTTP/1.1 101 Switching Protocols\r\n" DATE
	  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
	    FRAMING_NONE, true, false,
	    "HTTP/1.1 101 Switching Protocols\r\n" DATE
	    "Sec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" },
	/* a gateway does not set our cookie */
	{ "HTTP/1.1 302 Found\r\n" DATE
	  "Set-Cookie: STICKYD=evil; Path=/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
	    FRAMING_LENGTH, true, false,
	    "HTTP/1.1 302 Found\r\n" DATE "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n" },
	/* kept as it is while no cookie goes out */
	{ "HTTP/1.1 304 Not Modified\r\n" DATE "Cache-Control: public, max-age=9\r\n\r\n", FRAMING_NONE, true, false,
	    "HTTP/1.1 304 Not Modified\r\n" DATE "Cache-Control: public, max-age=9\r\n\r\n" },
};

static void
responses_go_on(void **state)
{
	static struct head h;

	(void)state;
	x->choice.issue = false;
	for (unsigned i = 0; i < COUNT(responses); i++) {
		const struct response_case *c = &responses[i];
		struct buf b = buf_of(out, sizeof out);

		parse(H1_RESPONSE, slice_of(c->in), &h);
		x->keep_client = c->keep;
		x->head.minor = c->minor_0 ? 0 : 1;
		assert_true(forward_response(x, &h, c->out_framing, &b));
		assert_text(&b, c->out);
	}
}

/* What has no Date gets one (RFC 9110, 6.6.1). */
static void
dates(void **state)
{
	static struct head h;
	struct buf b = buf_of(out, sizeof out);

	(void)state;
	parse(H1_RESPONSE, SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), &h);
	x->keep_client = true;
	x->head.minor = 1;
	assert_true(forward_response(x, &h, FRAMING_LENGTH, &b));
	assert_non_null(memmem(b.p, b.n, " GMT\r\n", 6));
}

/* An answer with our cookie is for one client (the product's rule): Cache-Control says so, whatever it said. */
static void
cache_control_with_a_cookie(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "Cache-Control: private\r\n" },
		{ "Cache-Control: public\r\n", "Cache-Control: private\r\n" },
		{ "Cache-Control: Public, max-age=60, s-maxage=600\r\n", "Cache-Control: private, max-age=60\r\n" },
		{ "Cache-Control: max-age=60\r\nCache-Control: must-revalidate\r\n",
		    "Cache-Control: private, max-age=60, must-revalidate\r\n" },
		{ "Cache-Control: private\r\n", NULL },
		{ "Cache-Control: max-age=1, PRIVATE\r\n", NULL },
		{ "Cache-Control: no-store\r\n", NULL },
		{ "Cache-Control: max-age=3\r\nCache-Control: no-store\r\n", NULL },
		{ "Connection: cache-control\r\nCache-Control: no-store\r\n", "Cache-Control: private\r\n" },
	};
	static struct head h;
	struct affinity_request rq = { .head = &x->head, .client = &client.peer, .now_s = 1700000000 };

	(void)state;
	parse(H1_REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &x->head);
	assert_int_equal(affinity_choose(service.affinity, &scene.tools, &rq, &x->choice), AFFINITY_GO);
	assert_non_null(x->choice.gateway);
	assert_true(x->choice.issue);
	x->keep_client = true;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		char *in = mem_printf("HTTP/1.1 200 OK\r\n" DATE "%sContent-Length: 0\r\n\r\n", cases[i].in);
		const char *wanted = cases[i].out != NULL ? cases[i].out : cases[i].in;
		struct buf b = buf_of(out, sizeof out);

		parse(H1_RESPONSE, slice_of(in), &h);
		assert_true(forward_response(x, &h, FRAMING_LENGTH, &b));
		assert_non_null(memmem(b.p, b.n, "\r\nSet-Cookie: STICKYD=", 22));
		if (memmem(b.p, b.n, wanted, strlen(wanted)) == NULL)
			fail_msg("%s is not in %.*s", wanted, (int)b.n, b.p);
		if (cases[i].out != NULL)
			assert_null(memmem(b.p, b.n, "ublic", 5));
		free(in);
	}
	affinity_release(&x->choice);
	x->choice = (struct affinity_choice){ 0 };
}

/* A gateway's cookies that tell where their client belongs: the value changes, and nothing else does. */
static void
sealed_cookies(void **state)
{
	static char sid[] = "SID", js[] = "JS", text[] = "-";
	static struct conf_selector list[] = { { .kind = CONF_SELECTOR_REWRITE, .text = text, .name = sid },
		{ .kind = CONF_SELECTOR_PREFIX, .text = text, .name = js } };
	static const struct {
		const char *in, *before, *after;	/* the seal between them; after NULL: as it came */
	} cases[] = {
		{ "SID=abc; Path=/; HttpOnly", "Set-Cookie: SID=", "; Path=/; HttpOnly\r\n" },
		{ "SID=\"abc\"; Path=/", "Set-Cookie: SID=\"", "\"; Path=/\r\n" },
		{ "JS=abc; Path=/", "Set-Cookie: JS=", "~abc; Path=/\r\n" },
		{ "JS=\"a~c\"", "Set-Cookie: JS=\"", "~a~c\"\r\n" },
		{ "SID=; Max-Age=0", "Set-Cookie: SID=; Max-Age=0\r\n", NULL },
		{ "XSID=1", "Set-Cookie: XSID=1\r\n", NULL },
		{ "sid=1", "Set-Cookie: sid=1\r\n", NULL },
	};
	static struct head h;

	(void)state;
	affinity_free(service.affinity);
	cf.selector = list;
	cf.selectors = COUNT(list);
	service.affinity = affinity_new(&cf, service.pool, &shared, no_report, NULL);
	x->choice = (struct affinity_choice){ .gateway = service.pool->gateway[0], .because = "" };
	for (unsigned i = 0; i < COUNT(cases); i++) {
		char *in = mem_printf("HTTP/1.1 200 OK\r\n" DATE "Set-Cookie: %s\r\nContent-Length: 0\r\n\r\n", cases[i].in);
		struct buf b = buf_of(out, sizeof out);
		const char *at;

		parse(H1_RESPONSE, slice_of(in), &h);
		assert_true(forward_response(x, &h, FRAMING_LENGTH, &b));
		at = memmem(b.p, b.n, cases[i].before, strlen(cases[i].before));
		if (at == NULL)
			fail_msg("%s is not in %.*s", cases[i].before, (int)b.n, b.p);
		at += strlen(cases[i].before);
		if (cases[i].after != NULL) {
			assert_true(seal_is_shaped(slice_make(at, 60)));
			assert_memory_equal(at + 60, cases[i].after, strlen(cases[i].after));
			assert_non_null(memmem(b.p, b.n, "Cache-Control: private", 22));
		}
		free(in);
	}
	x->choice = (struct affinity_choice){ 0 };
	affinity_free(service.affinity);
	cf.selector = selectors;
	cf.selectors = COUNT(selectors);
	service.affinity = affinity_new(&cf, service.pool, &shared, no_report, NULL);
}

static void
interim(void **state)
{
	static struct head h;
	struct buf b = buf_of(out, sizeof out);

	(void)state;
	parse(H1_RESPONSE,
	    SLICE_LIT(
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\nSet-Cookie: STICKYD=1\r\n\r\n"),
	    &h);
	assert_true(forward_interim(x, &h, &b));
	assert_text(&b, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

/* Whatever the room, it is said when it does not suffice; and no byte is written beyond it. */
static void
no_room(void **state)
{
	static const char in[] = "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; STICKYD=2; b=3\r\nA: b\r\n\r\n";
	struct buf b = buf_of(out, sizeof out);
	size_t whole;

	(void)state;
	parse(H1_REQUEST, SLICE_LIT(in), &x->head);
	assert_true(forward_request(x, &b));
	whole = b.n;
	for (size_t room = 0; room < whole; room++) {
		char *exact = malloc(room + 1); /* where a sanitizer sees its end */

		b = buf_of(exact, room);
		assert_false(forward_request(x, &b));
		free(exact);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_go_on),
		cmocka_unit_test(the_line),
		cmocka_unit_test(responses_go_on),
		cmocka_unit_test(dates),
		cmocka_unit_test(cache_control_with_a_cookie),
		cmocka_unit_test(sealed_cookies),
		cmocka_unit_test(interim),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
