/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule as stories: a client comes, is given a cookie, comes back; meanwhile gateways fall. */
#include "affinity/affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1700000000
#define GATEWAYS 3

static char names[GATEWAYS][4] = { "gw1", "gw2", "gw3" }, address[] = "127.0.0.1:1", pool_name[] = "game";
static char cookie_name[] = "STICKYD", slash[] = "/", cookie_selector[] = "cookie";
static char *selectors[] = { cookie_selector };

/* One pool, its rule, and a client with at most one cookie. */
struct world {
	struct conf_gateway gateway[GATEWAYS];
	struct conf_pool cf;
	struct pool *pool;
	struct sealer *sealer;
	struct affinity *affinity;
	struct pool_tried tried;
	uint64_t now_s;
	char cookie[AFFINITY_SET_COOKIE];	/* what the client sends; "": none */
	char set_cookie[AFFINITY_SET_COOKIE];	/* what it was last told; "": nothing */
	struct affinity_choice choice;
};

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void
world_init(struct world *w)
{
	*w = (struct world){ .now_s = NOW };
	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateway[i] = (struct conf_gateway){ .name = names[i], .address = address, .weight = 1 };
	w->cf = (struct conf_pool){
		.name = pool_name,
		.gateway = w->gateway,
		.gateways = GATEWAYS,
		.affinity = { selectors, 1 },
		.balance = CONF_BALANCE_ROUNDROBIN,
		.cookie = { .name = cookie_name, .path = slash, .samesite = CONF_SAMESITE_LAX, .secure = CONF_AUTO,
		    .httponly = true },
	};
}

static void
world_start(struct world *w)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(
	    SLICE_LIT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), &line, &why);

	w->pool = pool_new(&w->cf, no_report, NULL);
	w->sealer = sealer_new(r);
	w->affinity = affinity_new(&w->cf, w->pool, &why);
	assert_non_null(w->affinity);
	seal_ring_free(r);
}

static void
world_end(struct world *w)
{
	affinity_free(w->affinity);
	sealer_free(w->sealer);
	pool_free(w->pool);
}

/* One request: chooses, believes the Set-Cookie, gives the gateway back. Returns the access log's word. */
static const char *
visit(struct world *w)
{
	static struct head head;
	struct addr client = { .len = 0 };
	struct affinity_choice *c = &w->choice;

	head.fields = 0;
	if (w->cookie[0] != '\0')
		head.field[head.fields++] = (struct field){ .id = FIELD_COOKIE, .value = slice_of(w->cookie) };
	affinity_choose(w->affinity, w->sealer, &head, &client, &w->tried, w->now_s, c);
	w->set_cookie[0] = '\0';
	if (c->issue) {
		size_t n = affinity_set_cookie(w->affinity, w->sealer, c, false, w->now_s, w->set_cookie);

		assert_in_range(n, 1, AFFINITY_SET_COOKIE - 1);
		w->set_cookie[n] = '\0';
		snprintf(w->cookie, sizeof w->cookie, "%.*s", (int)strcspn(w->set_cookie, ";"), w->set_cookie);
	}
	if (c->gateway != NULL) {
		assert_int_equal(gateway_load(c->gateway), 1);
		gateway_release(c->gateway);
		gateway_unref(c->gateway);	/* the pool keeps it */
	}
	return affinity_how(c);
}

static void
assert_issued(const struct world *w, bool issued)
{
	assert_int_equal(w->choice.issue, issued);
	assert_int_equal(w->set_cookie[0] != '\0', issued);
}

static void
test_comes_back(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	world_start(&w);
	assert_string_equal(visit(&w), "new");
	assert_int_equal(w.choice.outcome, AFFINITY_NEW);
	assert_string_equal(w.choice.selector, "");
	assert_issued(&w, true);
	home = w.choice.gateway;
	for (unsigned i = 0; i < 5; i++) {
		w.now_s += 100000;
		assert_string_equal(visit(&w), "cookie");
		assert_int_equal(w.choice.outcome, AFFINITY_HIT);
		assert_ptr_equal(w.choice.gateway, home);
		assert_issued(&w, false);
	}
	/* without its cookie it is a stranger, and goes where it is the next one's turn */
	w.cookie[0] = '\0';
	assert_string_equal(visit(&w), "new");
	assert_ptr_not_equal(w.choice.gateway, home);
	world_end(&w);
}

static void
test_gateway_falls(void **state)
{
	struct world w;
	struct gateway *home, *second;

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	w.now_s += 50;
	gateway_set_state(home, GATEWAY_DOWN, "the test says so");
	assert_string_equal(visit(&w), "reassigned");
	assert_issued(&w, true);
	assert_int_equal(w.choice.born_s, w.now_s);
	second = w.choice.gateway;
	assert_ptr_not_equal(second, home);

	/* it stays there, also when its old home returns */
	assert_string_equal(visit(&w), "cookie");
	gateway_set_state(home, GATEWAY_UP, "the test says so");
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, second);

	/* tried in vain by this very request: the next one */
	w.tried = (struct pool_tried){ .n = 1, .gateway = { second } };
	assert_string_equal(visit(&w), "reassigned");
	assert_ptr_not_equal(w.choice.gateway, second);
	assert_issued(&w, true);
	world_end(&w);
}

static void
test_nobody_left(void **state)
{
	struct world w;
	char cookie[AFFINITY_SET_COOKIE];

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	memcpy(cookie, w.cookie, sizeof cookie);
	for (unsigned i = 0; i < GATEWAYS; i++)
		gateway_set_state(w.pool->gateway[i], GATEWAY_DOWN, "the test says so");
	assert_string_equal(visit(&w), "rejected");
	assert_null(w.choice.gateway);
	assert_issued(&w, false);

	/* it keeps what it holds, for when that gateway is back */
	gateway_set_state(w.pool->gateway[0], GATEWAY_UP, "the test says so");
	assert_string_equal(w.cookie, cookie);
	assert_string_equal(visit(&w), "cookie");
	world_end(&w);
}

/* Weight 0 keeps the bound and takes no new ones. */
static void
test_weight_zero(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	atomic_store(&home->weight, 0);
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, home);
	for (unsigned i = 0; i < 6; i++) {
		w.cookie[0] = '\0';
		visit(&w);
		assert_ptr_not_equal(w.choice.gateway, home);
	}
	world_end(&w);
}

static void
test_invalid(void **state)
{
	static const struct {
		const char *cookie, *why;
	} cases[] = {
		{ "STICKYD=", "malformed" },
		{ "STICKYD=10.0.0.1:8000", "malformed" },
		{ "STICKYD=AQABAgMEBQYHCAkKCxc78FHJ4gBZrGie_M4qm9CEt7QSAlCOK3Z5pKeRUGnA", "forged" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;

		world_init(&w);
		world_start(&w);
		snprintf(w.cookie, sizeof w.cookie, "%s", cases[i].cookie);
		assert_string_equal(visit(&w), "invalid");
		assert_int_equal(w.choice.outcome, AFFINITY_INVALID);
		assert_string_equal(w.choice.why, cases[i].why);
		assert_issued(&w, true);
		assert_string_equal(visit(&w), "cookie");
		world_end(&w);
	}
}

/* A gateway that the pool no longer has; the others keep theirs although all moved up by one. */
static void
test_gone(void **state)
{
	struct world w, smaller;

	(void)state;
	world_init(&w);
	world_start(&w);
	for (unsigned i = 0; i < GATEWAYS; i++) {
		w.cookie[0] = '\0';
		visit(&w);
		world_init(&smaller);
		smaller.cf.gateway++;
		smaller.cf.gateways--;
		world_start(&smaller);
		memcpy(smaller.cookie, w.cookie, sizeof w.cookie);
		assert_string_equal(visit(&smaller), w.choice.gateway->index == 0 ? "reassigned" : "cookie");
		assert_issued(&smaller, w.choice.gateway->index == 0);
		if (w.choice.gateway->index != 0)
			assert_string_equal(smaller.choice.gateway->name, w.choice.gateway->name);
		world_end(&smaller);
	}
	world_end(&w);
}

/* Idle time slides by renewals; the birthday stays, so that the absolute life ends all the same. */
static void
test_renewal(void **state)
{
	struct world w;
	struct gateway *home;
	unsigned issued = 0;

	(void)state;
	world_init(&w);
	w.cf.cookie.idle_ms = 100 * 1000;
	w.cf.cookie.life_ms = 1000 * 1000;
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	for (unsigned s = 1; s <= 1000; s++) {
		w.now_s = NOW + s;
		assert_string_equal(visit(&w), "cookie");
		assert_ptr_equal(w.choice.gateway, home);
		assert_int_equal(w.choice.born_s, NOW);
		issued += w.choice.issue;
	}
	assert_int_equal(issued, 100);		/* each tenth of the idle time */
	w.now_s++;
	assert_string_equal(visit(&w), "invalid");
	assert_string_equal(w.choice.why, "expired");
	assert_int_equal(w.choice.born_s, w.now_s);

	w.now_s += 100;
	assert_string_equal(visit(&w), "cookie");
	w.now_s += 101;
	assert_string_equal(visit(&w), "invalid");
	assert_string_equal(w.choice.why, "idle");
	world_end(&w);
}

/* The shortest idle time is renewed each second, and a proxy whose clock is behind renews nothing. */
static void
test_renewal_of_seconds(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.cf.cookie.idle_ms = 1000;
	world_start(&w);
	visit(&w);
	for (unsigned s = 1; s < 10; s++) {
		w.now_s = NOW + s;
		assert_string_equal(visit(&w), "cookie");
		assert_issued(&w, true);
		assert_string_equal(visit(&w), "cookie");
		assert_issued(&w, false);
	}
	w.now_s -= 200;
	assert_string_equal(visit(&w), "cookie");
	assert_issued(&w, false);
	world_end(&w);
}

static void
test_without_affinity(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.cf.affinity.n = 0;
	world_start(&w);
	snprintf(w.cookie, sizeof w.cookie, "STICKYD=junk");
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(visit(&w), "balance");
		assert_int_equal(w.choice.outcome, AFFINITY_NEW);
		assert_int_equal(w.choice.gateway->index, i);
		assert_issued(&w, false);
	}
	assert_int_equal(affinity_cookie_name(w.affinity).n, 0);
	gateway_set_state(w.pool->gateway[0], GATEWAY_DOWN, "the test says so");
	w.tried = (struct pool_tried){ .n = 2, .gateway = { w.pool->gateway[1], w.pool->gateway[2] } };
	assert_string_equal(visit(&w), "rejected");
	world_end(&w);
}

static void
test_attributes(void **state)
{
	static char path[] = "/play/", domain[] = "example.com";
	static const struct {
		struct conf_cookie cookie;
		bool by_tls;
		const char *attributes;
	} cases[] = {
		{ { .path = slash }, true, "; Path=/" },
		{ { .path = slash, .secure = CONF_AUTO }, false, "; Path=/" },
		{ { .path = slash, .secure = CONF_AUTO }, true, "; Path=/; Secure" },
		{ { .path = slash, .secure = CONF_YES }, false, "; Path=/; Secure" },
		{ { .path = slash, .samesite = CONF_SAMESITE_NONE }, false, "; Path=/; Secure; SameSite=None" },
		{ { .path = slash, .partitioned = true }, false, "; Path=/; Secure; Partitioned" },
		{ { .path = slash, .samesite = CONF_SAMESITE_STRICT }, false, "; Path=/; SameSite=Strict" },
		{ { .path = slash, .samesite = CONF_SAMESITE_LAX, .httponly = true }, false,
		    "; Path=/; HttpOnly; SameSite=Lax" },
		{ { .path = path, .domain = domain, .max_age_ms = 86400000, .secure = CONF_AUTO, .httponly = true,
		      .samesite = CONF_SAMESITE_LAX, .partitioned = true },
		    true,
		    "; Path=/play/; Domain=example.com; Max-Age=86400; Secure; HttpOnly; SameSite=Lax; Partitioned" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w;
		struct affinity_choice choice;
		char text[AFFINITY_SET_COOKIE];
		size_t n, attributes_n = strlen(cases[i].attributes);

		world_init(&w);
		w.cf.cookie = cases[i].cookie;
		w.cf.cookie.name = cookie_name;
		world_start(&w);
		choice = (struct affinity_choice){ .gateway = w.pool->gateway[0], .issue = true };
		n = affinity_set_cookie(w.affinity, w.sealer, &choice, cases[i].by_tls, NOW, text);
		assert_int_equal(n, strlen("STICKYD=") + 60 + attributes_n);
		assert_memory_equal(text, "STICKYD=", 8);
		assert_memory_equal(text + n - attributes_n, cases[i].attributes, attributes_n);
		assert_true(slice_eq(affinity_cookie_name(w.affinity), SLICE_LIT("STICKYD")));
		world_end(&w);
	}
}

static void
test_refused(void **state)
{
	static char long_path[AFFINITY_SET_COOKIE], source[] = "source";
	struct world w;
	char *list[] = { cookie_selector, source };
	const char *why = NULL;

	(void)state;
	world_init(&w);
	memset(long_path, '/', sizeof long_path - 1);
	w.cf.cookie.path = long_path;
	assert_null(affinity_new(&w.cf, NULL, &why));
	assert_string_equal(why, "cookie_name, cookie_path and cookie_domain are too long together");
	w.cf.cookie.path = slash;
	w.cf.affinity = (struct conf_strings){ list, COUNT(list) };
	assert_null(affinity_new(&w.cf, NULL, &why));
	assert_string_equal(why, "is not a selector of this version, which knows: cookie");
	affinity_free(NULL);
}

static void
test_words(void **state)
{
	static const char *const words[] = { "hit", "new", "reassigned", "invalid", "rejected" };

	(void)state;
	for (unsigned i = 0; i < AFFINITY_OUTCOMES; i++)
		assert_string_equal(affinity_outcome_name(i), words[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_gateway_falls),
		cmocka_unit_test(test_nobody_left),
		cmocka_unit_test(test_weight_zero),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_renewal_of_seconds),
		cmocka_unit_test(test_without_affinity),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
