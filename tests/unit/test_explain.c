/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of cookies and keys of all kinds, and that saying it changes nothing. */
#include "affinity/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "affinity/legacy.h"
#include "small_daemon.h"

static const char ini[] =
    "[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[pool game]\n"
    "gateway = gw1 127.0.0.1:9001\ngateway = gw2 127.0.0.1:9002 max_sessions=1\n"
    "affinity = header:X-Player-Id, query:player, cookie:SID, cookie, rewrite:BACK\n"
    "cookie_idle = 1h\ncookie_life = 24h\ncookie_legacy = SERVERID\ncookie_cors_twin = TWIN\n"
    "on_down = wait:5s\non_full = reject\ncheck = none\n"
    "[pool chat]\ngateway = c1 127.0.0.1:9003\naffinity = cookie\ncheck = none\n"
    "[pool hash]\ngateway = h1 127.0.0.1:9004\ngateway = h2 127.0.0.1:9005\naffinity = query:id\nassign = hash\n"
    "check = none\n"
    "[pool net]\ngateway = n1 127.0.0.1:9007\naffinity = source/24/64\ncheck = none\n"
    "[pool bare]\ngateway = b1 127.0.0.1:9006\naffinity =\ncheck = none\n";

enum { GAME, CHAT, HASH, NET, BARE };

static struct daemon *d;
static struct sealer *sealer;

static int
begin(void **state)
{
	(void)state;
	d = small_daemon(ini);
	sealer = sealer_new(d->edition->ring);
	assert_non_null(sealer);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	sealer_free(sealer);
	small_daemon_free(d);
	return 0;
}

static struct explain_source
source(size_t pool)
{
	return (struct explain_source){
		.conf = d->edition->pool[pool]->conf, .pool = d->edition->pool[pool], .shared = &d->shared, .sealer = sealer,
	};
}

static struct explain
explained(size_t pool, struct slice text)
{
	struct explain_source src = source(pool);
	struct explain e;

	explain_text(&src, text, SMALL_NOW, &e);
	return e;
}

static struct slice
sealed(size_t pool, uint64_t tag, uint32_t born_s, uint32_t seen_s)
{
	static char text[SEAL_TEXT];
	struct seal_binding b = { .tag = tag, .born_s = born_s, .seen_s = seen_s };
	size_t n = seal_close(sealer, slice_of(d->edition->pool[pool]->name), &b, text);

	assert_int_not_equal(n, 0);
	return slice_make(text, n);
}

static const char *
selectors_of(size_t pool, const struct explain *e)
{
	static char all[256];
	struct explain_source src = source(pool);

	all[0] = '\0';
	for (size_t i = 0; i < src.conf->selectors; i++)
		if (explain_concerns(&src, e, &src.conf->selector[i])) {
			strcat(all, all[0] != '\0' ? " " : "");
			strcat(all, src.conf->selector[i].text);
		}
	return all;
}

static void
test_a_cookie(void **state)
{
	struct gateway *g = small_gateway(d, GAME, "gw1");
	struct explain e = explained(GAME, sealed(GAME, gateway_tag(g), SMALL_NOW - 7200, SMALL_NOW - 60));

	(void)state;
	assert_int_equal(e.kind, EXPLAIN_SEAL);
	assert_string_equal(e.why, "");
	assert_ptr_equal(e.gateway, g);
	assert_int_equal(e.home, EXPLAIN_BOUND);
	assert_int_equal(e.born_s, SMALL_NOW - 7200);
	assert_int_equal(e.seen_s, SMALL_NOW - 60);
	assert_int_equal(e.fate, EXPLAIN_KEPT);
	assert_string_equal(selectors_of(GAME, &e), "cookie rewrite:BACK");
}

/* However it was copied: from Cookie, from Set-Cookie, in quotes, with the gateway's own value behind it. */
static void
test_a_cookie_with_its_name(void **state)
{
	static const struct {
		const char *before, *after, *selectors;
	} forms[] = {
		{ "STICKYD=", "", "cookie" },
		{ "STICKYD=", "; Path=/; HttpOnly", "cookie" },
		{ "STICKYD=\"", "\"", "cookie" },
		{ "TWIN=", "", "cookie" },
		{ "BACK=", "", "rewrite:BACK" },
		{ "BACK=", "~its own", "rewrite:BACK" },
	};
	struct gateway *g = small_gateway(d, GAME, "gw2");

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct slice seal = sealed(GAME, gateway_tag(g), SMALL_NOW, SMALL_NOW);
		char text[256];
		struct explain e;

		snprintf(text, sizeof text, "%s%.*s%s", forms[i].before, SLICE_FMT(seal), forms[i].after);
		e = explained(GAME, slice_of(text));
		assert_int_equal(e.kind, EXPLAIN_SEAL);
		assert_string_equal(e.why, "");
		assert_ptr_equal(e.gateway, g);
		assert_string_equal(selectors_of(GAME, &e), forms[i].selectors);
	}
}

static void
test_cookies_that_do_not_count(void **state)
{
	struct gateway *g = small_gateway(d, GAME, "gw1");
	struct explain e;
	struct slice text;

	(void)state;
	e = explained(GAME, sealed(GAME, gateway_tag(g), SMALL_NOW - 7200, SMALL_NOW - 3700));
	assert_string_equal(e.why, "idle");
	assert_ptr_equal(e.gateway, g);
	assert_int_equal(e.fate, EXPLAIN_NEW);
	e = explained(GAME, sealed(GAME, gateway_tag(g), SMALL_NOW - 25 * 3600, SMALL_NOW - 60));
	assert_string_equal(e.why, "expired");
	e = explained(GAME, sealed(GAME, gateway_tag(g), SMALL_NOW + 3600, SMALL_NOW + 3600));
	assert_string_equal(e.why, "future");
	e = explained(CHAT, sealed(GAME, gateway_tag(g), SMALL_NOW, SMALL_NOW));
	assert_string_equal(e.why, "forged");
	assert_int_equal(e.home, EXPLAIN_NOWHERE);
	assert_int_equal(e.born_s, 0);
	text = sealed(CHAT, gateway_tag(small_gateway(d, CHAT, "c1")), SMALL_NOW, SMALL_NOW);
	e = explained(CHAT, slice_head(text, text.n - 1));
	assert_int_equal(e.kind, EXPLAIN_SEAL);
	assert_string_equal(e.why, "malformed");
	assert_int_equal(e.fate, EXPLAIN_NEW);
}

static void
test_a_gateway_that_is_gone(void **state)
{
	struct explain e = explained(GAME, sealed(GAME, 4711, SMALL_NOW, SMALL_NOW));

	(void)state;
	assert_string_equal(e.why, "");
	assert_int_equal(e.home, EXPLAIN_GONE);
	assert_null(e.gateway);
	assert_int_equal(e.fate, EXPLAIN_REASSIGNED);
	assert_string_equal(e.because, "gone");
}

/* As on_down and on_full say. */
static void
test_what_would_happen_now(void **state)
{
	struct gateway *gw1 = small_gateway(d, GAME, "gw1"), *gw2 = small_gateway(d, GAME, "gw2");
	struct explain e;

	(void)state;
	gateway_judge(gw1, false, "test");
	e = explained(GAME, sealed(GAME, gateway_tag(gw1), SMALL_NOW, SMALL_NOW));
	assert_int_equal(e.fate, EXPLAIN_WAITS);
	assert_string_equal(e.because, "down");
	assert_true(gateway_enter(gw2, true));
	e = explained(GAME, sealed(GAME, gateway_tag(gw2), SMALL_NOW, SMALL_NOW));
	assert_int_equal(e.fate, EXPLAIN_REFUSED);
	assert_string_equal(e.because, "full");
	e = explained(GAME, SLICE_LIT("nobody knows me"));
	assert_int_equal(e.fate, EXPLAIN_REFUSED);	/* one is down, one is full */
	gateway_leave(gw2, true);
	e = explained(GAME, SLICE_LIT("nobody knows me"));
	assert_int_equal(e.fate, EXPLAIN_NEW);
	gateway_drain(gw2, 0, false);
	e = explained(GAME, sealed(GAME, gateway_tag(gw2), SMALL_NOW, SMALL_NOW));
	assert_int_equal(e.fate, EXPLAIN_KEPT);
	assert_string_equal(e.because, "");
	assert_string_equal(gateway_why(e.gateway), "an operator drains it");
	gateway_judge(gw1, true, "test");
	gateway_drain(gw2, 1, false);
	e = explained(GAME, sealed(GAME, gateway_tag(gw2), SMALL_NOW, SMALL_NOW));
	assert_int_equal(e.fate, EXPLAIN_REASSIGNED);
	assert_string_equal(e.because, "draining");
}

static void
test_a_key(void **state)
{
	struct gateway *gw1 = small_gateway(d, GAME, "gw1"), *gw2 = small_gateway(d, GAME, "gw2");
	struct table_key k = table_key(d->shared.table, SLICE_LIT("game"), SLICE_LIT("alice"));
	struct history_move m = {
		.key = k, .from = gateway_tag(gw2), .to = gateway_tag(gw1), .at_s = SMALL_NOW - 30, .why = "down",
	};
	struct explain e;

	(void)state;
	e = explained(GAME, SLICE_LIT("alice"));
	assert_int_equal(e.kind, EXPLAIN_KEY);
	assert_int_equal(e.home, EXPLAIN_NOWHERE);
	assert_int_equal(e.fate, EXPLAIN_NEW);
	assert_string_equal(selectors_of(GAME, &e), "header:X-Player-Id query:player cookie:SID");
	small_bind(d, GAME, "alice", gateway_tag(gw1), SMALL_NOW - 100);
	history_add(d->shared.history, &m);
	for (unsigned i = 0; i < 2; i++) {	/* asking renews nothing */
		e = explained(GAME, SLICE_LIT("alice"));
		assert_ptr_equal(e.gateway, gw1);
		assert_int_equal(e.born_s, SMALL_NOW - 100);
		assert_int_equal(e.seen_s, SMALL_NOW - 100);
		assert_int_equal(e.confirmed_s, 0);
		assert_int_equal(e.fate, EXPLAIN_KEPT);
		assert_int_equal(e.moves, 1);
		assert_string_equal(e.move[0].why, "down");
	}
	e = explained(GAME, SLICE_LIT("SID=alice"));
	assert_ptr_equal(e.gateway, gw1);
	assert_string_equal(selectors_of(GAME, &e), "cookie:SID");
	e = explained(GAME, SLICE_LIT("OTHER=alice"));	/* no cookie of ours: all of it is a key */
	assert_int_equal(e.home, EXPLAIN_NOWHERE);
	assert_int_equal(explain_key(&e).n, 11);
	e = explained(GAME, slice_make("a\0b\xff", 4));
	assert_int_equal(e.kind, EXPLAIN_KEY);
}

static void
test_a_key_that_is_hashed(void **state)
{
	struct explain e = explained(HASH, SLICE_LIT("alice"));
	const struct gateway *owner = e.owner, *other;

	(void)state;
	assert_non_null(owner);
	assert_int_equal(e.home, EXPLAIN_HASHED);
	assert_ptr_equal(e.gateway, owner);
	other = d->edition->pool[HASH]->gateway[d->edition->pool[HASH]->gateway[0] == owner];
	small_bind(d, HASH, "alice", gateway_tag(other), SMALL_NOW);
	e = explained(HASH, SLICE_LIT("alice"));
	assert_int_equal(e.home, EXPLAIN_BOUND);
	assert_ptr_equal(e.gateway, other);
	assert_ptr_equal(e.owner, owner);
}

static void
test_a_signed_key(void **state)
{
	struct signature *s = signature_new(SLICE_LIT("0123456789abcdef"));
	struct explain_source src = source(GAME);
	struct gateway *g = small_gateway(d, GAME, "gw1");
	char text[5 + 1 + SIGNATURE_TEXT] = "alice.";
	struct explain e;

	(void)state;
	src.signature = s;
	signature_make(s, SLICE_LIT("alice"), text + 6);
	small_bind(d, GAME, "alice", gateway_tag(g), SMALL_NOW);
	explain_text(&src, slice_make(text, sizeof text), SMALL_NOW, &e);
	assert_string_equal(e.why, "");
	assert_ptr_equal(e.gateway, g);
	assert_int_equal(explain_key(&e).n, 5);
	text[10] ^= 1;
	explain_text(&src, slice_make(text, sizeof text), SMALL_NOW, &e);
	assert_string_equal(e.why, "signature");
	assert_int_equal(e.fate, EXPLAIN_NEW);
	explain_text(&src, SLICE_LIT("alice"), SMALL_NOW, &e);
	assert_string_equal(e.why, "");
	assert_ptr_equal(e.gateway, g);		/* an operator has no signatures at hand */
	assert_int_equal(e.fate, EXPLAIN_KEPT);
	signature_free(s);
}

static void
test_another_balancers_cookie(void **state)
{
	struct gateway *g = small_gateway(d, GAME, "gw2");
	unsigned char digest[LEGACY_DIGEST];
	char text[128] = "SERVERID=";
	struct explain e;

	(void)state;
	if (!legacy_digest(gateway_address(g), digest))
		skip();
	for (unsigned i = 0; i < sizeof digest; i++)
		sprintf(text + strlen(text), "%02x", digest[i]);
	sprintf(text + strlen(text), "|%d|%d", SMALL_NOW - 60, SMALL_NOW - 600);
	e = explained(GAME, slice_of(text));
	assert_int_equal(e.kind, EXPLAIN_LEGACY);
	assert_string_equal(e.why, "");
	assert_ptr_equal(e.gateway, g);
	assert_int_equal(e.born_s, SMALL_NOW - 600);
	assert_string_equal(selectors_of(GAME, &e), "cookie");
	e = explained(GAME, slice_of(strchr(text, '=') + 1));
	assert_int_equal(e.kind, EXPLAIN_LEGACY);
	text[9] = text[9] == '0' ? '1' : '0';
	e = explained(GAME, slice_of(text));
	assert_string_equal(e.why, "unknown");
	assert_int_equal(e.fate, EXPLAIN_NEW);
	e = explained(GAME, SLICE_LIT("SERVERID=x"));
	assert_int_equal(e.kind, EXPLAIN_LEGACY);
	assert_string_equal(e.why, "malformed");
}

/* As the network that the selector makes of it, with a port or without. */
static void
test_an_address(void **state)
{
	static const char *const texts[] = { "10.1.2.3", "10.1.2.99:443", "10.1.2.0/24" };
	struct explain e;

	(void)state;
	small_bind(d, NET, "10.1.2.0/24", gateway_tag(small_gateway(d, NET, "n1")), SMALL_NOW);
	small_bind(d, NET, "2001:db8::/64", gateway_tag(small_gateway(d, NET, "n1")), SMALL_NOW);
	for (size_t i = 0; i < COUNT(texts); i++) {
		e = explained(NET, slice_of(texts[i]));
		assert_int_equal(e.home, EXPLAIN_BOUND);
		assert_true(slice_eq(explain_key(&e), SLICE_LIT("10.1.2.0/24")));
		assert_string_equal(selectors_of(NET, &e), "source/24/64");
	}
	e = explained(NET, SLICE_LIT("2001:db8::1234"));
	assert_int_equal(e.home, EXPLAIN_BOUND);
	e = explained(NET, SLICE_LIT("10.1.3.1"));
	assert_int_equal(e.home, EXPLAIN_NOWHERE);
	e = explained(GAME, SLICE_LIT("10.1.2.3"));
	assert_string_equal(e.network, "");
}

static void
test_a_pool_that_looks_at_nothing(void **state)
{
	struct explain e = explained(BARE, SLICE_LIT("alice"));

	(void)state;
	assert_int_equal(e.kind, EXPLAIN_NOTHING);
	assert_int_equal(e.fate, EXPLAIN_NEW);
	assert_string_equal(selectors_of(BARE, &e), "");
	e = explained(CHAT, SLICE_NONE);
	assert_string_equal(e.why, "malformed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_cookie, begin, end),
		cmocka_unit_test_setup_teardown(test_a_cookie_with_its_name, begin, end),
		cmocka_unit_test_setup_teardown(test_cookies_that_do_not_count, begin, end),
		cmocka_unit_test_setup_teardown(test_a_gateway_that_is_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_what_would_happen_now, begin, end),
		cmocka_unit_test_setup_teardown(test_a_key, begin, end),
		cmocka_unit_test_setup_teardown(test_a_key_that_is_hashed, begin, end),
		cmocka_unit_test_setup_teardown(test_a_signed_key, begin, end),
		cmocka_unit_test_setup_teardown(test_another_balancers_cookie, begin, end),
		cmocka_unit_test_setup_teardown(test_an_address, begin, end),
		cmocka_unit_test_setup_teardown(test_a_pool_that_looks_at_nothing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
