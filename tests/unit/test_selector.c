/* SPDX-License-Identifier: BSD-2-Clause */
/* Every kind of selector: which of several counts, what its key is, and when it does not count. */
#include "affinity/selector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/h1.h"

#define NOW 1700000000
#define HEAD_BYTES (64 * 1024)

static char gw1[] = "gw1", gw2[] = "gw2", address[] = "127.0.0.1:1", name[] = "game", cookie_name[] = "STICKYD",
    twin[] = "STICKYDCORS";
static struct conf_gateway gateways[] = {
	{ .name = gw1, .address = address, .weight = 1 }, { .name = gw2, .address = address, .weight = 1 },
};
static struct conf_pool cf = {
	.name = name,
	.gateway = gateways,
	.gateways = 2,
	.balance = CONF_BALANCE_ROUNDROBIN,
	.cookie = { .name = cookie_name },
};
static struct pool *pool;
static struct sealer *sealer, *stranger;
static struct signature *signature;

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static struct sealer *
sealer_of(struct slice keys)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(keys, &line, &why);
	struct sealer *s = sealer_new(r);

	seal_ring_free(r);
	return s;
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new(&cf, no_report, NULL);
	sealer = sealer_of(SLICE_LIT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
	stranger = sealer_of(SLICE_LIT("ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
	signature = signature_new(SLICE_LIT("a secret of sixteen bytes"));
	return 0;
}

/* ---- requests ---- */

static void
put_seal(FILE *to, struct sealer *by, const char *in_pool, uint64_t tag, uint32_t born_s, uint32_t seen_s)
{
	struct seal_binding b = { tag, born_s, seen_s, false };
	char text[SEAL_TEXT];

	fprintf(to, "%.*s", (int)seal_close(by, slice_of(in_pool), &b, text), text);
}

static void
put_named_seal(FILE *to, char what)
{
	switch (what) {
	case '1':
		put_seal(to, sealer, name, gateway_tag(pool->gateway[0]), NOW, NOW);
		break;
	case '2':
		put_seal(to, sealer, name, gateway_tag(pool->gateway[1]), NOW, NOW);
		break;
	case 'g':
		put_seal(to, sealer, name, 42, NOW, NOW);
		break;
	case 'p':
		put_seal(to, sealer, "login", gateway_tag(pool->gateway[0]), NOW, NOW);
		break;
	case 'k':
		put_seal(to, stranger, name, gateway_tag(pool->gateway[0]), NOW, NOW);
		break;
	case 'f':
		put_seal(to, sealer, name, gateway_tag(pool->gateway[0]), NOW + 9999, NOW + 9999);
		break;
	case '@':
		fputc('@', to);
		break;
	default:
		fail_msg("no such seal: %c", what);
	}
}

/* Text in which "@" and a letter stand for a seal: 1 and 2 for the gateways, g for one that is gone, p for another
 * pool's, k for another key's, f for the future's; "@@" for itself. To be freed. */
static char *
text_of(const char *pattern)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '@')
			put_named_seal(to, *++pattern);
		else
			fputc(*pattern, to);
	}
	fclose(to);
	return text;
}

/* The selector that an operator would write so. */
static struct conf_selector
selector_of(const char *text)
{
	static const struct {
		const char *text;
		enum conf_selector_kind kind;
	} kinds[] = {
		{ "cookie:", CONF_SELECTOR_COOKIE_KEY },
		{ "rewrite:", CONF_SELECTOR_REWRITE },
		{ "prefix:", CONF_SELECTOR_PREFIX },
		{ "header:", CONF_SELECTOR_HEADER },
		{ "query:", CONF_SELECTOR_QUERY },
		{ "path:", CONF_SELECTOR_PATH },
		{ "subprotocol:", CONF_SELECTOR_SUBPROTOCOL },
		{ "learn:header:", CONF_SELECTOR_LEARN_HEADER },
		{ "learn:cookie:", CONF_SELECTOR_LEARN_COOKIE },
	};
	struct conf_selector s = { .kind = CONF_SELECTOR_COOKIE, .text = (char *)(uintptr_t)text };

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (slice_has_prefix(slice_of(text), slice_of(kinds[i].text))) {
			s.kind = kinds[i].kind;
			s.name = s.text + strlen(kinds[i].text);
			s.segment = s.kind == CONF_SELECTOR_PATH ? (unsigned)atoi(s.name) : 0;
			return s;
		}
	s.bits_v4 = 32;
	s.bits_v6 = 128;
	if (sscanf(text, "source/%u/%u", &s.bits_v4, &s.bits_v6) > 0 || strcmp(text, "source") == 0)
		s.kind = CONF_SELECTOR_SOURCE;
	else
		assert_string_equal(text, "cookie");
	return s;
}

/* The last look at a request, with what it borrows from. */
static struct seen {
	enum selector_sight sight;
	struct selector_found found;
	struct buf scratch;
	char scratch_text[SELECTOR_KEY_MAX];
	struct head head;
	char *bytes;
} last;

/* Looks at a request for this target, with these fields ("Name: value" lines; may be ""). */
static const struct seen *
look_signed(const char *selector, const char *target, const char *fields, const struct signature *by, uint64_t now_s)
{
	struct conf_selector s = selector_of(selector);
	struct selector_request rq = {
		.head = &last.head,
		.client = &(struct addr){ .len = 0 },
		.pool = pool,
		.sealer = sealer,
		.signature = by,
		.scratch = &last.scratch,
		.now_s = now_s,
	};
	char *expanded = text_of(fields);
	struct h1 p;

	free(last.bytes);
	last.bytes = mem_printf("GET %s HTTP/1.1\r\nHost: STICKYD=x\r\n%s%s\r\n", target, expanded,
	    expanded[0] != '\0' ? "\r\n" : "");
	free(expanded);
	h1_init(&p, H1_REQUEST, HEAD_BYTES);
	if (h1_parse(&p, slice_of(last.bytes), &last.head) != H1_HEAD)
		fail_msg("%s: %s", last.bytes, p.why);
	last.scratch = buf_of(last.scratch_text, sizeof last.scratch_text);
	last.sight = selector_look(&s, &rq, &last.found);
	return &last;
}

static const struct seen *
look(const char *selector, const char *target, const char *fields)
{
	return look_signed(selector, target, fields, NULL, NOW);
}

/* ---- sealed ones ---- */

struct sealed_case {
	const char *selector, *fields;
	enum selector_sight sight;
	unsigned gateway;
	const char *why;
};

static void
check_sealed(const struct sealed_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct seen *seen = look(cases[i].selector, "/", cases[i].fields);

		if (seen->sight != cases[i].sight)
			fail_msg("%s, %s: %d", cases[i].selector, cases[i].fields, seen->sight);
		assert_ptr_equal(seen->found.gateway,
		    cases[i].gateway != 0 ? pool->gateway[cases[i].gateway - 1] : NULL);
		if (seen->sight == SELECTOR_GATEWAY)
			assert_true(seen->found.binding.tag == gateway_tag(seen->found.gateway) &&
			    seen->found.binding.born_s == NOW);
		if (seen->sight == SELECTOR_GONE)
			assert_true(seen->found.binding.tag == 42);
		if (cases[i].why != NULL)
			assert_string_equal(seen->found.why, cases[i].why);
		else
			assert_null(seen->found.why);
	}
}

static void
test_cookie(void **state)
{
	static const struct sealed_case cases[] = {
		{ "cookie", "", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: ", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: other=@1", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: STICKYD=@1", SELECTOR_GATEWAY, 1, NULL },
		{ "cookie", "Cookie: STICKYD=\"@2\"", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: a=b; STICKYD=@2; c=d", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: a=b\r\nX: y\r\nCookie: STICKYD=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: STICKYD=@1; STICKYD=@2", SELECTOR_GATEWAY, 1, NULL },
		{ "cookie", "Cookie: STICKYD=junk; STICKYD=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: STICKYD=@p\r\nCookie: STICKYD=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: STICKYD=@g; STICKYD=@1", SELECTOR_GONE, 0, NULL },
		{ "cookie", "Cookie: STICKYD=", SELECTOR_INVALID, 0, "malformed" },
		{ "cookie", "Cookie: STICKYD=@1x", SELECTOR_INVALID, 0, "malformed" },
		{ "cookie", "Cookie: STICKYD=@p", SELECTOR_INVALID, 0, "forged" },
		{ "cookie", "Cookie: STICKYD=@k", SELECTOR_INVALID, 0, "forged" },
		{ "cookie", "Cookie: STICKYD=@f", SELECTOR_INVALID, 0, "future" },
		{ "cookie", "Cookie: STICKYD=@p; STICKYD=junk", SELECTOR_INVALID, 0, "forged" },
		{ "cookie", "Cookie: STICKYD=junk; STICKYD=@p", SELECTOR_INVALID, 0, "malformed" },
		/* names are matched whole, with their case */
		{ "cookie", "Cookie: XSTICKYD=@1; STICKYDX=@1; stickyd=@1; STICKY=@1", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: x=STICKYD=@1", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: @1", SELECTOR_NOTHING, 0, NULL },
		/* the twin is not looked at where none is configured */
		{ "cookie", "Cookie: STICKYDCORS=@1", SELECTOR_NOTHING, 0, NULL },
	};

	(void)state;
	check_sealed(cases, COUNT(cases));
}

static void
test_twin(void **state)
{
	static const struct sealed_case cases[] = {
		{ "cookie", "", SELECTOR_NOTHING, 0, NULL },
		{ "cookie", "Cookie: STICKYDCORS=@1", SELECTOR_GATEWAY, 1, NULL },
		{ "cookie", "Cookie: STICKYD=@1", SELECTOR_GATEWAY, 1, NULL },
		/* ours first, wherever it stands */
		{ "cookie", "Cookie: STICKYDCORS=@2; STICKYD=@1", SELECTOR_GATEWAY, 1, NULL },
		{ "cookie", "Cookie: STICKYDCORS=@2; STICKYD=@g", SELECTOR_GONE, 0, NULL },
		{ "cookie", "Cookie: STICKYD=junk; STICKYDCORS=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "cookie", "Cookie: STICKYD=junk; STICKYDCORS=@g", SELECTOR_GONE, 0, NULL },
		{ "cookie", "Cookie: STICKYDCORS=@p; STICKYD=junk", SELECTOR_INVALID, 0, "malformed" },
		{ "cookie", "Cookie: STICKYDCORS=@p", SELECTOR_INVALID, 0, "forged" },
		{ "cookie", "Cookie: STICKYD=@p", SELECTOR_INVALID, 0, "forged" },
		{ "cookie", "Cookie: XSTICKYDCORS=@1", SELECTOR_NOTHING, 0, NULL },
	};

	(void)state;
	cf.cookie.cors_twin = twin;
	check_sealed(cases, COUNT(cases));
	cf.cookie.cors_twin = NULL;
}

static void
test_rewrite_and_prefix(void **state)
{
	static const struct sealed_case cases[] = {
		{ "rewrite:sid", "Cookie: STICKYD=@1", SELECTOR_NOTHING, 0, NULL },
		{ "rewrite:sid", "Cookie: sid=@1", SELECTOR_GATEWAY, 1, NULL },
		{ "rewrite:sid", "Cookie: psid=@1; sid=\"@2\"", SELECTOR_GATEWAY, 2, NULL },
		{ "rewrite:sid", "Cookie: sid=own; sid=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "rewrite:sid", "Cookie: sid=@g", SELECTOR_GONE, 0, NULL },
		{ "rewrite:sid", "Cookie: sid=@p", SELECTOR_INVALID, 0, "forged" },
		{ "rewrite:sid", "Cookie: sid=@1~x", SELECTOR_INVALID, 0, "malformed" },
		{ "prefix:sid", "Cookie: a=b", SELECTOR_NOTHING, 0, NULL },
		{ "prefix:sid", "Cookie: sid=@1~own", SELECTOR_GATEWAY, 1, NULL },
		{ "prefix:sid", "Cookie: sid=@2~", SELECTOR_GATEWAY, 2, NULL },
		{ "prefix:sid", "Cookie: sid=@2~a~b=c", SELECTOR_GATEWAY, 2, NULL },
		{ "prefix:sid", "Cookie: sid=\"@2~own\"", SELECTOR_GATEWAY, 2, NULL },
		{ "prefix:sid", "Cookie: asid=@1~own", SELECTOR_NOTHING, 0, NULL },
		{ "prefix:sid", "Cookie: sid=@p~own; sid=@1~own", SELECTOR_GATEWAY, 1, NULL },
		{ "prefix:sid", "Cookie: sid=@g~own", SELECTOR_GONE, 0, NULL },
		{ "prefix:sid", "Cookie: sid=@k~own", SELECTOR_INVALID, 0, "forged" },
		{ "prefix:sid", "Cookie: sid=own", SELECTOR_INVALID, 0, "malformed" },
		{ "prefix:sid", "Cookie: sid=@1", SELECTOR_INVALID, 0, "malformed" },
		{ "prefix:sid", "Cookie: sid=~own", SELECTOR_INVALID, 0, "malformed" },
		{ "prefix:sid", "Cookie: sid=own~@1~", SELECTOR_INVALID, 0, "malformed" },
	};

	(void)state;
	check_sealed(cases, COUNT(cases));
}

/* So many cookies of one name, the last of which is good. */
static enum selector_sight
look_at_many(unsigned n, const char *bad, const char *good)
{
	char *fields = mem_strdup("Cookie: a=b"), *more;
	enum selector_sight sight;

	for (unsigned i = 1; i <= n; i++) {
		more = mem_printf("%s; %s", fields, i < n ? bad : good);
		free(fields);
		fields = more;
	}
	sight = look("cookie", "/", fields)->sight;
	free(fields);
	return sight;
}

/* A head full of junk costs a bounded number of decryptions. */
static void
test_many(void **state)
{
	(void)state;
	assert_int_equal(look_at_many(16, "STICKYD=@p", "STICKYD=@1"), SELECTOR_GATEWAY);
	assert_int_equal(look_at_many(17, "STICKYD=@p", "STICKYD=@1"), SELECTOR_INVALID);
	assert_int_equal(look_at_many(100, "STICKYD=@p", "STICKYD=@1"), SELECTOR_INVALID);
	assert_int_equal(look_at_many(100, "STICKYD=@2", "STICKYD=@1"), SELECTOR_GATEWAY);
	assert_int_equal(look_at_many(100, "XSTICKYD=@p", "STICKYD=@1"), SELECTOR_GATEWAY);
	cf.cookie.cors_twin = twin;
	assert_int_equal(look_at_many(101, "STICKYD=@p", "STICKYDCORS=@1"), SELECTOR_GATEWAY);
	cf.cookie.cors_twin = NULL;
}

/* A seal of which one bit is another, or that is cut. */
static void
test_damaged(void **state)
{
	struct seal_binding b = { gateway_tag(pool->gateway[0]), NOW, NOW, false };
	char seal[SEAL_TEXT], fields[128];
	size_t n = seal_close(sealer, slice_of(name), &b, seal);

	(void)state;
	for (size_t bit = 0; bit < 8 * n; bit++) {
		unsigned char c = (unsigned char)(seal[bit / 8] ^ (1 << bit % 8));
		size_t at = bit / 8;

		if (c <= ' ' || c == ';' || c == 0x7f)
			continue;	/* can't be in a field, or is the end of the pair: so it is cut short */
		snprintf(fields, sizeof fields, "Cookie: STICKYD=%.*s%s%c%.*s", (int)at, seal, c == '@' ? "@" : "", c,
		    (int)(n - at - 1), seal + at + 1);
		assert_int_equal(look("cookie", "/", fields)->sight, SELECTOR_INVALID);
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(fields, sizeof fields, "Cookie: STICKYD=%.*s", (int)i, seal);
		assert_int_equal(look("cookie", "/", fields)->sight, SELECTOR_INVALID);
	}
}

static void
test_times(void **state)
{
	static const struct {
		uint64_t idle_ms, life_ms;
		int born, seen;			/* seconds from now */
		const char *why;
	} cases[] = {
		{ 0, 0, 0, 0, NULL },
		{ 0, 0, -1700000000, -1700000000, NULL },
		{ 10000, 0, -9999, -10, NULL },
		{ 10000, 0, -11, -11, "idle" },
		{ 0, 10000, -10, -10, NULL },
		{ 0, 10000, -11, 0, "expired" },
		{ 1500, 0, -2, -2, "idle" },
		{ 1500, 0, -1, -1, NULL },
		{ 10000, 10000, -11, -11, "expired" },
		{ 10000, 10000, -11, 0, "expired" },
		{ 10000, 10000, -10, -10, NULL },
		{ 10000, 10000, 300, 300, NULL },
		{ 10000, 10000, 0, 301, "future" },
		{ 10000, 10000, 301, 0, "future" },
		{ 0, 0, 301, 301, "future" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_cookie times = { .idle_ms = cases[i].idle_ms, .life_ms = cases[i].life_ms };
		struct seal_binding b = {
			42, (uint32_t)(NOW + cases[i].born), (uint32_t)(NOW + cases[i].seen), false,
		}, opened = { 0, 0, 0, false };
		char text[SEAL_TEXT];
		size_t n = seal_close(sealer, slice_of(name), &b, text);
		const char *why = selector_open(sealer, slice_of(name), &times, slice_make(text, n), NOW, &opened);

		/* what was in it is told even where its times speak against it */
		assert_true(opened.tag == 42 && opened.born_s == b.born_s && opened.seen_s == b.seen_s);
		if (cases[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, cases[i].why);
		assert_ptr_equal(selector_times_refused(&b, &times, NOW), why);
	}
}

/* The pool's own cookie's times hold for all that is sealed. */
static void
test_idle(void **state)
{
	(void)state;
	cf.cookie.idle_ms = 10000;
	assert_int_equal(look_signed("cookie", "/", "Cookie: STICKYD=@1", NULL, NOW + 10)->sight, SELECTOR_GATEWAY);
	assert_string_equal(look_signed("cookie", "/", "Cookie: STICKYD=@1", NULL, NOW + 11)->found.why, "idle");
	assert_string_equal(look_signed("prefix:s", "/", "Cookie: s=@1~x", NULL, NOW + 11)->found.why, "idle");
	cf.cookie.idle_ms = 0;
}

/* ---- keys ---- */

static void
assert_key(const struct seen *seen, const char *selector, const char *what, struct slice key)
{
	enum selector_sight sight = key.p != NULL ? SELECTOR_KEY : SELECTOR_NOTHING;

	if (seen->sight != sight)
		fail_msg("%s, %s: %d", selector, what, seen->sight);
	if (sight == SELECTOR_KEY && !slice_eq(seen->found.key, key))
		fail_msg("%s, %s: %.*s", selector, what, SLICE_FMT(seen->found.key));
	assert_null(seen->found.why);
	assert_null(seen->found.gateway);
}

static void
test_keys_in_the_target(void **state)
{
	static const struct {
		const char *selector, *target;
		struct slice key;
	} cases[] = {
		{ "query:player", "/", { NULL, 0 } },
		{ "query:player", "/?", { NULL, 0 } },
		{ "query:player", "/?player", { NULL, 0 } },
		{ "query:player", "/?player=", { NULL, 0 } },
		{ "query:player", "/?player=ann", { "ann", 3 } },
		{ "query:player", "/a?x=1&player=ann&y=2", { "ann", 3 } },
		{ "query:player", "/?player=ann&player=bob", { "ann", 3 } },
		{ "query:player", "/?player=&player=bob", { "bob", 3 } },
		{ "query:player", "/?aplayer=ann&Player=bob&playerx=eve", { NULL, 0 } },
		{ "query:player", "/player=ann", { NULL, 0 } },
		/* equal to plain, however it is encoded */
		{ "query:player", "/?player=%61%6E%6e", { "ann", 3 } },
		{ "query:player", "/?%70layer=ann", { "ann", 3 } },
		{ "query:player", "/?player=ann+lee", { "ann lee", 7 } },
		{ "query:player", "/?player=ann%20lee", { "ann lee", 7 } },
		{ "query:player", "/?player=ann%2Blee", { "ann+lee", 7 } },
		{ "query:player", "/?player=a%26b%3Dc", { "a&b=c", 5 } },
		{ "query:player", "/?player=a=b", { "a=b", 3 } },
		{ "query:player", "/?player=100%", { "100%", 4 } },
		{ "query:player", "/?player=%00%ff%0d%0a", { "\0\xff\r\n", 4 } },
		{ "query:player", "/?player=%00", { "\0", 1 } },
		{ "path:1", "/", { NULL, 0 } },
		{ "path:1", "/room", { "room", 4 } },
		{ "path:1", "/room/7?x=/9", { "room", 4 } },
		{ "path:2", "/room/7?x=/9", { "7", 1 } },
		{ "path:3", "/room/7?x=/9", { NULL, 0 } },
		{ "path:2", "/room//7", { NULL, 0 } },
		{ "path:3", "/room//7", { "7", 1 } },
		{ "path:2", "/room/", { NULL, 0 } },
		{ "path:1", "/%72oom", { "room", 4 } },
		{ "path:1", "/a+b", { "a+b", 3 } },
		{ "path:1", "/a%2Fb/c", { "a/b", 3 } },
		{ "path:1", "/%e2%82%ac", { "\xe2\x82\xac", 3 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_key(look(cases[i].selector, cases[i].target, ""), cases[i].selector, cases[i].target,
		    cases[i].key);
}

static void
test_keys_in_fields(void **state)
{
	static const struct {
		const char *selector, *fields;
		struct slice key;
	} cases[] = {
		{ "header:X-Player", "", { NULL, 0 } },
		{ "header:X-Player", "X-Player: ann", { "ann", 3 } },
		{ "header:X-Player", "x-PLAYER:  ann lee \t", { "ann lee", 7 } },
		{ "header:X-Player", "X-Player:", { NULL, 0 } },
		{ "header:X-Player", "X-Player:\r\nX-Player: bob", { "bob", 3 } },
		{ "header:X-Player", "X-Player: ann\r\nX-Player: bob", { "ann", 3 } },
		{ "header:X-Player", "X-Playe: a\r\nX-Players: b\r\nX-Playes: c\r\nXX-Player: d", { NULL, 0 } },
		{ "header:X-Player", "X-Player: a%62c+d", { "a%62c+d", 7 } },
		{ "header:X-Player", "X-Player: \xff\x80\xfe", { "\xff\x80\xfe", 3 } },
		{ "header:User-Agent", "X: y\r\nuser-agent: x/1", { "x/1", 3 } },
		{ "header:host", "", { "STICKYD=x", 9 } },
		{ "cookie:uid", "", { NULL, 0 } },
		{ "cookie:uid", "Cookie: uid=7", { "7", 1 } },
		{ "cookie:uid", "Cookie: guid=6; uid=7; uid=8", { "7", 1 } },
		{ "cookie:uid", "Cookie: a=b\r\nCookie: uid=\"7 8\"", { "7 8", 3 } },
		{ "cookie:uid", "Cookie: uid=; uid=\"\"; uid=8", { "8", 1 } },
		{ "cookie:uid", "Cookie: UID=1; xuid=2; uidx=3; uid", { NULL, 0 } },
		{ "cookie:uid", "Cookie: uid=a%20b+c", { "a%20b+c", 7 } },
		{ "subprotocol:key.", "Upgrade: websocket", { NULL, 0 } },
		{ "subprotocol:key.", "Sec-WebSocket-Protocol: chat, key.ann", { "ann", 3 } },
		{ "subprotocol:key.", "Sec-WebSocket-Protocol: key.ann, key.bob", { "ann", 3 } },
		{ "subprotocol:key.", "Sec-WebSocket-Protocol: key., ,key.bob", { "bob", 3 } },
		{ "subprotocol:key.", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: key.bob", { "bob", 3 } },
		{ "subprotocol:key.", "Sec-WebSocket-Protocol: chat.key.ann, Key.ann, key", { NULL, 0 } },
		{ "subprotocol:key.", "X: key.ann", { NULL, 0 } },
		{ "learn:header:X-Session", "x-session: s1", { "s1", 2 } },
		{ "learn:header:X-Session", "X-Session-Id: s1", { NULL, 0 } },
		{ "learn:cookie:sid", "Cookie: xsid=0; sid=s1", { "s1", 2 } },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1", { NULL, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_key(look(cases[i].selector, "/", cases[i].fields), cases[i].selector, cases[i].fields,
		    cases[i].key);
}

static void
test_source(void **state)
{
	static const struct {
		const char *selector, *client, *key;
	} cases[] = {
		{ "source", "10.1.2.3", "10.1.2.3" },
		{ "source", "2001:db8::1", "2001:db8::1" },
		{ "source/32/128", "10.1.2.3", "10.1.2.3" },
		{ "source/24", "10.1.2.3", "10.1.2.0/24" },
		{ "source/24", "2001:db8::1", "2001:db8::1" },
		{ "source/24/64", "2001:db8:0:7:1:2:3:4", "2001:db8:0:7::/64" },
		{ "source/0", "10.1.2.3", "0.0.0.0/0" },
		{ "source/17", "10.1.200.3", "10.1.128.0/17" },
		{ "source/24", "::ffff:10.1.2.3", "10.1.2.0/24" },
	};
	static struct head head;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_selector s = selector_of(cases[i].selector);
		char text[2 * ADDR_TEXT];
		struct buf scratch = buf_of(text, sizeof text);
		struct addr client;
		struct selector_request rq = {
			.head = &head, .client = &client, .pool = pool, .signature = signature, .scratch = &scratch,
		};
		struct selector_found found;

		assert_true(addr_parse_host(slice_of(cases[i].client), &client));
		assert_int_equal(selector_look(&s, &rq, &found), SELECTOR_KEY);
		assert_true(slice_eq(found.key, slice_of(cases[i].key)));
		client.len = 0;
		assert_int_equal(selector_look(&s, &rq, &found), SELECTOR_NOTHING);
	}
}

static char *
repeated(const char *before, const char *piece, size_t n, const char *after)
{
	char *text;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	fputs(before, to);
	while (n-- > 0)
		fputs(piece, to);
	fputs(after, to);
	fclose(to);
	return text;
}

static void
check_long(const char *selector, const char *text, size_t n)
{
	const struct seen *seen = text[0] == '/' ? look(selector, text, "") : look(selector, "/", text);

	if (n <= SELECTOR_KEY_MAX) {
		assert_int_equal(seen->sight, SELECTOR_KEY);
		assert_int_equal(seen->found.key.n, n);
		return;
	}
	assert_int_equal(seen->sight, SELECTOR_INVALID);
	assert_string_equal(seen->found.why, "too-long");
	assert_int_equal(seen->scratch.n, 0);
}

static void
test_long_keys(void **state)
{
	static const struct {
		const char *selector, *before, *after;	/* what is around the key in the target or the fields */
		unsigned more;				/* bytes that are key, too */
	} cases[] = {
		{ "header:K", "K: ", "", 0 },
		{ "cookie:k", "Cookie: k=", "; a=b", 0 },
		{ "subprotocol:k.", "Sec-WebSocket-Protocol: k.", ", chat", 0 },
		{ "learn:header:K", "K: ", "", 0 },
		{ "query:k", "/?k=", "&a=b", 0 },
		{ "query:k", "/?k=%78", "", 1 },
		{ "query:k", "/?k=", "+", 1 },
		{ "path:1", "/", "/a", 0 },
		{ "path:1", "/", "%78", 1 },
	};
	static const size_t lengths[] = {
		1, 8000, SELECTOR_KEY_MAX - 1, SELECTOR_KEY_MAX, SELECTOR_KEY_MAX + 1, 20000,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t k = 0; k < COUNT(lengths); k++) {
			char *text = repeated(cases[i].before, "x", lengths[k], cases[i].after);

			check_long(cases[i].selector, text, lengths[k] + cases[i].more);
			free(text);
		}
}

/* Three times as long on the wire as it is. */
static void
test_long_binary_key(void **state)
{
	char *target = repeated("/?k=", "%00%ff", 4000, "");
	const struct seen *seen = look("query:k", target, "");

	(void)state;
	assert_int_equal(seen->sight, SELECTOR_KEY);
	assert_int_equal(seen->found.key.n, 8000);
	for (size_t i = 0; i < 8000; i++)
		assert_int_equal((unsigned char)seen->found.key.p[i], i % 2 != 0 ? 0xff : 0);
	free(target);
}

/* The keys of one request share the scratch: all stay as they are, and what has no more room is none. */
static void
test_shared_scratch(void **state)
{
	static const char *const selectors[] = { "path:1", "query:a", "source", "query:b", "query:c" };
	static const char *const keys[] = { "one", "two", "10.1.2.3", "three", NULL };
	struct selector_found found[COUNT(selectors)];
	char text[8 + ADDR_TEXT];
	struct buf scratch = buf_of(text, sizeof text);
	const struct seen *seen = look("cookie", "/on%65?a=t%77o&b=%74hree&c=%74x", "");
	struct addr client;
	struct selector_request rq = { .head = &seen->head, .client = &client, .pool = pool, .scratch = &scratch };

	(void)state;
	assert_true(addr_parse_host(SLICE_LIT("10.1.2.3"), &client));
	for (size_t i = 0; i < COUNT(selectors); i++) {
		struct conf_selector s = selector_of(selectors[i]);

		if (keys[i] == NULL)
			scratch.room = scratch.n + 1;
		assert_int_equal(selector_look(&s, &rq, &found[i]),
		    keys[i] != NULL ? SELECTOR_KEY : SELECTOR_INVALID);
	}
	for (size_t i = 0; i < COUNT(selectors); i++)
		if (keys[i] != NULL)
			assert_true(slice_eq(found[i].key, slice_of(keys[i])));
	assert_string_equal(found[4].why, "too-long");
	assert_int_equal(scratch.n, strlen("onetwo10.1.2.3three"));
}

/* ---- signed keys ---- */

/* Text in which "%s" stands for ann's signature, "%b" for bob's, "%n" for that of no key at all. */
static char *
with_signatures(const char *pattern)
{
	char *text, sig[SIGNATURE_TEXT];
	size_t n;
	FILE *to = open_memstream(&text, &n);

	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '%' || strchr("sbn", pattern[1]) == NULL) {
			fputc(*pattern, to);
			continue;
		}
		pattern++;
		signature_make(signature, slice_of(*pattern == 's' ? "ann" : *pattern == 'b' ? "bob" : ""), sig);
		fwrite(sig, 1, sizeof sig, to);
	}
	fclose(to);
	return text;
}

static void
test_signed_keys(void **state)
{
	static const struct {
		const char *selector, *target, *fields, *key, *why;
	} cases[] = {
		{ "header:K", "/", "K: ann.%s", "ann", NULL },
		{ "header:K", "/", "K: ann", NULL, "unsigned" },
		{ "header:K", "/", "K: ann.%b", NULL, "signature" },
		{ "header:K", "/", "K: .%n", NULL, "signature" },
		{ "header:K", "/", "K:", NULL, NULL },
		{ "header:K", "/", "", NULL, NULL },
		/* the first that counts does; if none, the first says why */
		{ "header:K", "/", "K: ann\r\nK: bob.%b", "bob", NULL },
		{ "header:K", "/", "K: ann.%b\r\nK: ann", NULL, "signature" },
		{ "cookie:k", "/", "Cookie: k=x; k=\"ann.%s\"", "ann", NULL },
		{ "cookie:k", "/", "Cookie: k=ann", NULL, "unsigned" },
		{ "subprotocol:k.", "/", "Sec-WebSocket-Protocol: chat, k.ann.%s", "ann", NULL },
		{ "subprotocol:k.", "/", "Sec-WebSocket-Protocol: k.ann.%b", NULL, "signature" },
		{ "query:k", "/?k=ann.%s", "", "ann", NULL },
		/* what is signed is the key, not how it is encoded */
		{ "query:k", "/?k=%61nn%2e%s", "", "ann", NULL },
		{ "query:k", "/?k=%61nn.%b", "", NULL, "signature" },
		{ "query:k", "/?k=%61nn.%b&k=%62ob.%b", "", "bob", NULL },
		{ "path:1", "/%61nn.%s/x", "", "ann", NULL },
		{ "path:1", "/ann", "", NULL, "unsigned" },
		/* what no client makes up needs no proof */
		{ "learn:header:K", "/", "K: ann", "ann", NULL },
		{ "learn:cookie:k", "/", "Cookie: k=ann", "ann", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *target = with_signatures(cases[i].target), *fields = with_signatures(cases[i].fields);
		const struct seen *seen = look_signed(cases[i].selector, target, fields, signature, NOW);

		if (cases[i].why == NULL) {
			assert_key(seen, cases[i].selector, fields, slice_of(cases[i].key));
		} else {
			assert_int_equal(seen->sight, SELECTOR_INVALID);
			assert_string_equal(seen->found.why, cases[i].why);
			assert_int_equal(seen->scratch.n, 0);
		}
		free(target);
		free(fields);
	}
}

/* A flood of wrong signatures costs a bounded number of checks. */
static void
test_many_signed(void **state)
{
	char *good = with_signatures("; k=ann.%s"), *fields = repeated("Cookie: a=b", "; k=ann", 15, good);

	(void)state;
	assert_int_equal(look_signed("cookie:k", "/", fields, signature, NOW)->sight, SELECTOR_KEY);
	free(fields);
	fields = repeated("Cookie: a=b", "; k=ann", 16, good);
	assert_int_equal(look_signed("cookie:k", "/", fields, signature, NOW)->sight, SELECTOR_INVALID);
	free(fields);
	fields = repeated("Cookie: a=b", "; k=", 100, good);	/* those cost nothing */
	assert_int_equal(look_signed("cookie:k", "/", fields, signature, NOW)->sight, SELECTOR_KEY);
	free(fields);
	free(good);
}

/* ---- answers ---- */

static void
test_learn(void **state)
{
	static const struct {
		const char *selector, *fields, *key;
	} cases[] = {
		{ "learn:header:X-Session", "", NULL },
		{ "learn:header:X-Session", "x-session: s1\r\n", "s1" },
		{ "learn:header:X-Session", "X-Session:\r\n", NULL },
		{ "learn:header:X-Session", "X-Session:\r\nX-Session: s2\r\nX-Session: s3\r\n", "s2" },
		{ "learn:header:X-Session", "X-Sessions: s1\r\nSet-Cookie: X-Session=s1\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1\r\n", "s1" },
		{ "learn:cookie:sid", "Set-Cookie: sid=\"s1\"; Path=/; HttpOnly\r\n", "s1" },
		{ "learn:cookie:sid", "Set-Cookie: asid=s1\r\nSet-Cookie: sid2=s2\r\nSet-Cookie: SID=s3\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: a=sid=s1; sid=s2\r\nCookie: sid=s3\r\nsid: s4\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=\"\"; Path=/\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1; Max-Age=0\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1; Path=/; max-age=-1; Secure\r\n", NULL },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1; Max-Age=60\r\n", "s1" },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1\r\nX: y\r\nSet-Cookie: sid=s2\r\n", "s2" },
		{ "learn:cookie:sid", "Set-Cookie: sid=s1\r\nSet-Cookie: sid=s2; Max-Age=0; Path=/old\r\n", "s1" },
		/* others learn nothing */
		{ "header:X-Session", "X-Session: s1\r\n", NULL },
		{ "cookie:sid", "Set-Cookie: sid=s1\r\n", NULL },
		{ "rewrite:sid", "Set-Cookie: sid=s1\r\n", NULL },
		{ "cookie", "Set-Cookie: STICKYD=s1\r\n", NULL },
		{ "source", "Set-Cookie: STICKYD=s1\r\n", NULL },
	};
	static struct head head;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *bytes = mem_printf("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n", cases[i].fields);
		struct conf_selector s = selector_of(cases[i].selector);
		struct slice key;
		struct h1 p;

		h1_init(&p, H1_RESPONSE, HEAD_BYTES);
		assert_int_equal(h1_parse(&p, slice_of(bytes), &head), H1_HEAD);
		if (selector_learn(&s, &head, &key) != (cases[i].key != NULL))
			fail_msg("%s: %s", cases[i].selector, cases[i].fields);
		if (cases[i].key != NULL)
			assert_true(slice_eq(key, slice_of(cases[i].key)));
		free(bytes);
	}
}

static void
test_learn_long(void **state)
{
	static const size_t lengths[] = { SELECTOR_KEY_MAX, SELECTOR_KEY_MAX + 1 };
	static struct head head;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char *bytes = repeated("HTTP/1.1 200 OK\r\nS: ", "x", lengths[i], "\r\n\r\n");
		struct conf_selector s = selector_of("learn:header:S");
		struct slice key;
		struct h1 p;

		h1_init(&p, H1_RESPONSE, HEAD_BYTES);
		assert_int_equal(h1_parse(&p, slice_of(bytes), &head), H1_HEAD);
		assert_int_equal(selector_learn(&s, &head, &key), lengths[i] <= SELECTOR_KEY_MAX);
		free(bytes);
	}
}

static void
test_has_key(void **state)
{
	static const struct {
		const char *selector;
		bool has_key;
	} cases[] = {
		{ "cookie", false }, { "rewrite:a", false }, { "prefix:a", false }, { "header:a", true },
		{ "query:a", true }, { "path:1", true }, { "cookie:a", true }, { "subprotocol:a", true },
		{ "source", true }, { "learn:header:a", true }, { "learn:cookie:a", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_selector s = selector_of(cases[i].selector);

		assert_int_equal(selector_has_key(&s), cases[i].has_key);
	}
}

static int
tear_down(void **state)
{
	(void)state;
	free(last.bytes);
	signature_free(signature);
	sealer_free(stranger);
	sealer_free(sealer);
	pool_free(pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_rewrite_and_prefix),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_keys_in_the_target),
		cmocka_unit_test(test_keys_in_fields),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_long_binary_key),
		cmocka_unit_test(test_shared_scratch),
		cmocka_unit_test(test_signed_keys),
		cmocka_unit_test(test_many_signed),
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_learn_long),
		cmocka_unit_test(test_has_key),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
