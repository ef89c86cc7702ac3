/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule as stories: a client comes, is given a cookie, comes back; meanwhile gateways fall. */
#include "affinity/affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "affinity/legacy.h"
#include "base/mem.h"
#include "net/iplimit.h"

#define NOW 1700000000
#define GATEWAYS 3

static char names[GATEWAYS][4] = { "gw1", "gw2", "gw3" }, address[] = "127.0.0.1:1", other_address[] = "127.0.0.1:2",
	    pool_name[] = "game";
static char cookie_name[] = "STICKYD", slash[] = "/", cookie_selector[] = "cookie";
static char query_selector[] = "query:player", query_name[] = "player", header_selector[] = "header:X-Id",
	    header_name[] = "X-Id", learn_selector[] = "learn:header:X-Session", learn_name[] = "X-Session",
	    legacy_name[] = "SERVERID";

#define BY_COOKIE { .kind = CONF_SELECTOR_COOKIE, .text = cookie_selector }
#define BY_QUERY  { .kind = CONF_SELECTOR_QUERY, .text = query_selector, .name = query_name }
#define BY_HEADER { .kind = CONF_SELECTOR_HEADER, .text = header_selector, .name = header_name }
#define BY_LEARN  { .kind = CONF_SELECTOR_LEARN_HEADER, .text = learn_selector, .name = learn_name }

static struct conf_selector by_cookie[] = { BY_COOKIE };

/* One pool, its rule, and a client with at most one cookie, one query, one header. */
struct world {
	struct conf_gateway gateway[GATEWAYS];
	struct conf_pool cf;
	struct pool *pool;
	struct affinity_shared shared;
	struct affinity_tools tools;
	struct affinity *affinity;
	struct pool_tried tried;
	uint64_t now_s;
	char cookie[ISSUE_TEXT];	/* what the client sends; "": none */
	char set_cookie[ISSUE_TEXT];	/* what it was last told; "": nothing */
	const char *query, *header;	/* what the client sends; NULL: none */
	const char *learns;		/* what the gateway's answer names; NULL: nothing */
	bool session, waited, newcomer, unsettled;
	enum affinity_verdict verdict;
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
		.selector = by_cookie,
		.selectors = 1,
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
	w->shared.table = table_new(1000, 3600);
	w->shared.history = history_new();
	w->tools.sealer = sealer_new(r);
	w->tools.scratch = mem_zalloc(SELECTOR_KEY_MAX);
	w->affinity = affinity_new(&w->cf, w->pool, &w->shared, no_report, NULL);
	assert_non_null(w->affinity);
	seal_ring_free(r);
}

static void
world_end(struct world *w)
{
	affinity_free(w->affinity);
	sealer_free(w->tools.sealer);
	free(w->tools.scratch);
	history_free(w->shared.history);
	table_free(w->shared.table);
	iplimit_free(w->shared.new_keys);
	pool_free(w->pool);
}

static void
head_of(const struct world *w, struct head *h)
{
	*h = (struct head){ .path = SLICE_LIT("/") };
	if (w->query != NULL)
		h->query = slice_of(w->query);
	if (w->cookie[0] != '\0')
		h->field[h->fields++] = (struct field){ .name = SLICE_LIT("Cookie"), .id = FIELD_COOKIE,
			.value = slice_of(w->cookie) };
	if (w->header != NULL)
		h->field[h->fields++] = (struct field){ .name = SLICE_LIT("x-id"), .value = slice_of(w->header) };
}

static void
believe_cookie(struct world *w)
{
	size_t n = affinity_set_cookie(w->affinity, w->tools.sealer, &w->choice, ISSUE_OURS, false, w->now_s,
	    w->set_cookie);

	assert_in_range(n, 1, ISSUE_TEXT - 1);
	w->set_cookie[n] = '\0';
	snprintf(w->cookie, sizeof w->cookie, "%.*s", (int)strcspn(w->set_cookie, ";"), w->set_cookie);
}

/* The gateway has answered. */
static void
settle(struct world *w, const struct affinity_request *rq)
{
	static struct head answer;

	answer = (struct head){ .status = 200 };
	if (w->learns != NULL)
		answer.field[answer.fields++] =
		    (struct field){ .name = SLICE_LIT("X-Session"), .value = slice_of(w->learns) };
	affinity_settle(w->affinity, &w->tools, rq, &w->choice, &answer);
}

/* Its index in the pool. */
static unsigned
place_of(const struct pool *p, const struct gateway *g)
{
	unsigned i = 0;

	while (p->gateway[i] != g)
		i++;
	return i;
}

/* One request: chooses, believes the Set-Cookie, gives the gateway back (choice.gateway still names it; the pool keeps
 * it). Returns the access log's word. */
static const char *
visit(struct world *w)
{
	static struct head head;
	struct addr client = { .len = 0 };
	struct affinity_request rq = { .head = &head, .client = &client, .tried = &w->tried, .session = w->session,
		.waited = w->waited, .newcomer = w->newcomer, .now_s = w->now_s };
	struct affinity_choice *c = &w->choice;
	struct gateway *g;

	head_of(w, &head);
	w->verdict = affinity_choose(w->affinity, &w->tools, &rq, c);
	w->set_cookie[0] = '\0';
	if (c->issue)
		believe_cookie(w);
	g = c->gateway;
	assert_int_equal(g != NULL, w->verdict == AFFINITY_GO);
	if (g != NULL) {
		if (!w->unsettled)
			settle(w, &rq);
		affinity_release(c);
		c->gateway = g;
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
	gateway_judge(home, false, "the test says so");
	assert_string_equal(visit(&w), "reassigned");
	assert_issued(&w, true);
	assert_int_equal(w.choice.born_s, w.now_s);
	second = w.choice.gateway;
	assert_ptr_not_equal(second, home);

	/* it stays there, also when its old home returns */
	assert_string_equal(visit(&w), "cookie");
	gateway_judge(home, true, "the test says so");
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, second);

	/* tried in vain by this very request: the next one */
	w.tried = (struct pool_tried){ .n = 1, .gateway = { second } };
	assert_string_equal(visit(&w), "reassigned");
	assert_ptr_not_equal(w.choice.gateway, second);
	assert_issued(&w, true);
	world_end(&w);
}

/* Until its deadline a drain keeps who belongs there, and nobody else; then they are taken elsewhere, even where
 * on_down says otherwise, and stay when it is ready again. */
static void
test_gateway_drains(void **state)
{
	struct world w;
	struct gateway *home;
	char stranger[ISSUE_TEXT] = "";

	(void)state;
	world_init(&w);
	w.cf.on_down = (struct conf_policy){ CONF_POLICY_REJECT, 0 };
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	gateway_drain(home, 0, false);
	for (unsigned i = 0; i < 2 * GATEWAYS; i++) {
		assert_string_equal(visit(&w), "cookie");
		assert_ptr_equal(w.choice.gateway, home);
	}
	memcpy(stranger, w.cookie, sizeof stranger);
	for (unsigned i = 0; i < 2 * GATEWAYS; i++) {
		w.cookie[0] = '\0';
		assert_string_equal(visit(&w), "new");
		assert_ptr_not_equal(w.choice.gateway, home);
	}

	memcpy(w.cookie, stranger, sizeof stranger);
	gateway_drain(home, 1, false);
	assert_int_equal(gateway_state(home), GATEWAY_LEAVING);
	assert_string_equal(visit(&w), "reassigned");
	assert_string_equal(w.choice.because, "draining");
	assert_true(w.choice.from == gateway_tag(home));
	assert_ptr_not_equal(w.choice.gateway, home);
	gateway_ready(home);
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_not_equal(w.choice.gateway, home);
	world_end(&w);
}

/* Of a session that waits, or a request in mid-reload: it is in the roster still. */
static void
test_gateway_goes(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	w.cf.on_down = (struct conf_policy){ CONF_POLICY_WAIT, 1000 };
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	gateway_judge(home, false, "the test says so");
	visit(&w);
	assert_int_equal(w.verdict, AFFINITY_WAIT);
	assert_false(affinity_is_worth_a_try(w.affinity, &w.choice));
	gateway_remove(home, 0);
	assert_true(affinity_is_worth_a_try(w.affinity, &w.choice));
	assert_string_equal(visit(&w), "reassigned");
	assert_string_equal(w.choice.because, "gone");
	world_end(&w);
}

/* Weight 0 keeps the bound and takes no new ones. */
static void
test_weight_0(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	gateway_set_weight(home, 0);
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, home);
	for (unsigned i = 0; i < 2 * GATEWAYS; i++) {
		w.cookie[0] = '\0';
		visit(&w);
		assert_ptr_not_equal(w.choice.gateway, home);
	}
	world_end(&w);
}

/* Its clients stay, by cookie and by key, and hold its new name from then on; that is no move. */
static void
test_renamed(void **state)
{
	static struct conf_selector list[] = { BY_COOKIE, BY_QUERY };
	static char other_name[] = "gw9";
	struct world w, then;
	struct gateway *home;
	struct history_move m;
	struct table_key key;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.selectors = COUNT(list);
	world_start(&w);
	w.query = "player=1";
	visit(&w);
	home = w.choice.gateway;
	assert_int_equal(place_of(w.pool, home), 0);

	world_init(&then);
	then.cf.selector = list;
	then.cf.selectors = COUNT(list);
	then.gateway[0].name = other_name;
	world_start(&then);
	pool_adopt(&then.pool, 1, &w.pool, 1);
	assert_ptr_equal(then.pool->gateway[0], home);
	memcpy(then.cookie, w.cookie, sizeof w.cookie);
	assert_string_equal(visit(&then), "cookie");
	assert_ptr_equal(then.choice.gateway, home);
	assert_issued(&then, true);			/* by its new name */
	assert_string_equal(visit(&then), "cookie");
	assert_issued(&then, false);

	then.cookie[0] = '\0';
	then.query = "player=2";
	key = table_key(then.shared.table, slice_of(pool_name), SLICE_LIT("2"));
	table_bind(then.shared.table, &key, gateway_tag_of(pool_name, SLICE_LIT("gw1")), NOW, false, NULL);
	assert_string_equal(visit(&then), "query:player");
	assert_ptr_equal(then.choice.gateway, home);
	then.cookie[0] = '\0';
	visit(&then);
	assert_false(then.choice.rebind);		/* it is bound by its new name */
	assert_int_equal(history_find(then.shared.history, &key, 0, &m, 1), 0);
	world_end(&w);
	world_end(&then);
}

static void
test_nobody_left(void **state)
{
	struct world w;
	char cookie[ISSUE_TEXT];

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	memcpy(cookie, w.cookie, sizeof cookie);
	for (unsigned i = 0; i < GATEWAYS; i++)
		gateway_judge(w.pool->gateway[i], false, "the test says so");
	assert_string_equal(visit(&w), "rejected");
	assert_null(w.choice.gateway);
	assert_issued(&w, false);

	/* it keeps what it holds, for when that gateway is back */
	gateway_judge(w.pool->gateway[0], true, "the test says so");
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
		assert_string_equal(w.choice.because, cases[i].why);
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
		assert_string_equal(visit(&smaller), place_of(w.pool, w.choice.gateway) == 0 ? "reassigned" : "cookie");
		assert_issued(&smaller, place_of(w.pool, w.choice.gateway) == 0);
		if (place_of(w.pool, w.choice.gateway) != 0)
			assert_string_equal(gateway_name(smaller.choice.gateway), gateway_name(w.choice.gateway));
		world_end(&smaller);
	}
	world_end(&w);
}

/* A client that holds a cookie of the ring's second key gets one of the first, so that the second can go. */
static void
test_rotation(void **state)
{
	static const char both[] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
				    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct seal_ring *ring;
	struct gateway *home;
	const char *why;
	unsigned line;
	struct world w;

	(void)state;
	world_init(&w);
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	w.now_s += 10;
	sealer_free(w.tools.sealer);
	ring = seal_ring_parse(slice_of(both), &line, &why);
	w.tools.sealer = sealer_new(ring);
	seal_ring_free(ring);
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, home);
	assert_issued(&w, true);
	assert_int_equal(w.choice.born_s, NOW);		/* its life goes on */
	assert_string_equal(visit(&w), "cookie");
	assert_issued(&w, false);
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
	assert_string_equal(w.choice.because, "expired");
	assert_int_equal(w.choice.born_s, w.now_s);

	w.now_s += 100;
	assert_string_equal(visit(&w), "cookie");
	w.now_s += 101;
	assert_string_equal(visit(&w), "invalid");
	assert_string_equal(w.choice.because, "idle");
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
	w.cf.selectors = 0;
	world_start(&w);
	snprintf(w.cookie, sizeof w.cookie, "STICKYD=junk");
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(visit(&w), "balance");
		assert_int_equal(w.choice.outcome, AFFINITY_NEW);
		assert_int_equal(place_of(w.pool, w.choice.gateway), i);
		assert_issued(&w, false);
	}
	assert_false(affinity_knows_cookies(w.affinity));
	gateway_judge(w.pool->gateway[0], false, "the test says so");
	w.tried = (struct pool_tried){ .n = 2, .gateway = { w.pool->gateway[1], w.pool->gateway[2] } };
	assert_string_equal(visit(&w), "rejected");
	world_end(&w);
}

static void
count_line(void *arg, const char *line)
{
	(void)line;
	++*(unsigned *)arg;
}

static void
test_refused(void **state)
{
	static char long_path[ISSUE_TEXT], nowhere[] = "/nowhere/key.secret";
	struct world w;
	unsigned lines = 0;

	(void)state;
	world_init(&w);
	world_start(&w);
	memset(long_path, '/', sizeof long_path - 1);
	w.cf.cookie.path = long_path;
	w.cf.key_secret_file = nowhere;
	assert_null(affinity_new(&w.cf, w.pool, &w.shared, count_line, &lines));
	assert_int_equal(lines, 2);
	world_end(&w);
}

/* ---- keys ---- */

/* Logged in with a cookie, connected with a key: one client. And a key that is known beats a cookie behind it. */
static void
test_all_keys_are_bound(void **state)
{
	static struct conf_selector list[] = { BY_HEADER, BY_QUERY, BY_COOKIE };
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.selectors = COUNT(list);
	world_start(&w);
	assert_string_equal(visit(&w), "new");
	home = w.choice.gateway;
	w.query = "a=b&player=ann%20bee";
	assert_string_equal(visit(&w), "cookie");
	assert_issued(&w, false);
	assert_int_equal(w.choice.decided_by, 2);
	w.cookie[0] = '\0';
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, home);
	assert_issued(&w, true);		/* it does not hold one */
	w.query = NULL;
	w.cookie[0] = '\0';
	w.header = "ann bee";			/* the same key, carried in another place */
	assert_string_equal(visit(&w), "header:X-Id");
	assert_ptr_equal(w.choice.gateway, home);

	/* another one, with a cookie of its own: where the key leads, the cookie follows */
	w.header = NULL;
	w.cookie[0] = '\0';
	assert_string_equal(visit(&w), "new");
	assert_ptr_not_equal(w.choice.gateway, home);
	w.header = "ann bee";
	assert_string_equal(visit(&w), "header:X-Id");
	assert_ptr_equal(w.choice.gateway, home);
	assert_issued(&w, true);
	w.header = NULL;
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, home);
	world_end(&w);
}

/* Two keys that lead to different places: the first listed decides, the other is bound anew once that gateway has
 * answered, and not before. */
static void
test_two_keys(void **state)
{
	static struct conf_selector list[] = { BY_HEADER, BY_QUERY };
	struct world w;
	struct history_move m;
	struct gateway *one, *two;
	struct table_key key;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.selectors = COUNT(list);
	world_start(&w);
	w.header = "one";
	visit(&w);
	one = w.choice.gateway;
	w.header = NULL;
	w.query = "player=two";
	visit(&w);
	two = w.choice.gateway;
	assert_ptr_not_equal(one, two);

	w.header = "one";
	w.unsettled = true;
	assert_string_equal(visit(&w), "header:X-Id");
	assert_ptr_equal(w.choice.gateway, one);
	assert_true(w.choice.rebind);
	w.header = NULL;
	visit(&w);
	assert_ptr_equal(w.choice.gateway, two);	/* it never answered */
	w.unsettled = false;
	w.header = "one";
	visit(&w);
	w.header = NULL;
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, one);
	key = table_key(w.shared.table, slice_of(pool_name), SLICE_LIT("two"));
	assert_int_equal(history_find(w.shared.history, &key, 0, &m, 1), 1);
	assert_int_equal(m.from, gateway_tag(two));
	assert_int_equal(m.to, gateway_tag(one));
	assert_string_equal(m.why, "selector");
	world_end(&w);
}

static void
test_key_fails_over(void **state)
{
	static struct conf_selector list[] = { BY_QUERY };
	struct world w;
	struct gateway *home, *second;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	world_start(&w);
	w.query = "player=1";
	visit(&w);
	home = w.choice.gateway;
	gateway_judge(home, false, "the test says so");
	w.unsettled = true;
	assert_string_equal(visit(&w), "reassigned");
	assert_string_equal(w.choice.because, "down");
	gateway_judge(home, true, "the test says so");
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, home);	/* the other never answered: nothing is lost */
	gateway_judge(home, false, "the test says so");
	w.unsettled = false;
	visit(&w);
	second = w.choice.gateway;
	gateway_judge(home, true, "the test says so");
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, second);
	world_end(&w);
}

/* A newcomer's key is bound as soon as it is placed; if that gateway can't be reached, it has no home to be kept to. */
static void
test_newcomer_fails_over(void **state)
{
	static struct conf_selector list[] = { BY_QUERY };
	struct world w;
	struct gateway *second;
	struct table_key key;
	struct history_move m;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.on_down = (struct conf_policy){ CONF_POLICY_REJECT, 0 };
	world_start(&w);
	w.query = "player=1";
	w.unsettled = true;
	visit(&w);
	w.tried = (struct pool_tried){ .n = 1, .gateway = { w.choice.gateway } };
	w.newcomer = true;
	w.unsettled = false;
	assert_string_equal(visit(&w), "new");
	second = w.choice.gateway;
	assert_ptr_not_equal(second, w.tried.gateway[0]);
	w.tried.n = 0;
	w.newcomer = false;
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, second);
	key = table_key(w.shared.table, slice_of(pool_name), SLICE_LIT("1"));
	assert_int_equal(history_find(w.shared.history, &key, 0, &m, 1), 0);
	world_end(&w);
}

static void
test_learns(void **state)
{
	static struct conf_selector list[] = { BY_LEARN, BY_QUERY };
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.selectors = COUNT(list);
	world_start(&w);
	w.learns = "s-42";
	assert_string_equal(visit(&w), "new");
	home = w.choice.gateway;
	w.learns = NULL;
	w.query = "player=s-42";
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(visit(&w), "query:player");
		assert_ptr_equal(w.choice.gateway, home);
	}
	world_end(&w);
}

/* Nothing is stored of whoever goes by the hash, and exceptions are. */
static void
test_assign_hash(void **state)
{
	static struct conf_selector list[] = { BY_QUERY };
	char query[32];
	struct world w;
	struct gateway *home, *second;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.assign = CONF_ASSIGN_HASH;
	world_start(&w);
	w.query = query;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(query, sizeof query, "player=%u", i);
		assert_string_equal(visit(&w), "query:player");
		home = w.choice.gateway;
		visit(&w);
		assert_ptr_equal(w.choice.gateway, home);
	}
	assert_int_equal(table_counts(w.shared.table).keys, 0);
	gateway_judge(home, false, "the test says so");
	assert_string_equal(visit(&w), "reassigned");
	second = w.choice.gateway;
	assert_int_equal(table_counts(w.shared.table).keys, 1);
	gateway_judge(home, true, "the test says so");
	assert_string_equal(visit(&w), "query:player");
	assert_ptr_equal(w.choice.gateway, second);
	gateway_judge(second, false, "the test says so");
	visit(&w);
	gateway_judge(second, true, "the test says so");
	if (w.choice.gateway == home)
		assert_int_equal(table_counts(w.shared.table).keys, 0);	/* where the hash says, again */
	world_end(&w);
}

/* Above the limit keys are not stored, and go by rendezvous: the same one always to the same gateway. */
static void
test_new_keys_are_limited(void **state)
{
	static struct conf_selector list[] = { BY_QUERY };
	char query[32];
	struct world w;
	struct gateway *g;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	world_start(&w);
	w.shared.new_keys = iplimit_new(0, (struct conf_rate){ 10, 1000 * 3600 });
	w.query = query;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(query, sizeof query, "player=%u", i);
		assert_string_equal(visit(&w), "new");
	}
	assert_int_equal(table_counts(w.shared.table).keys, 10);
	g = w.choice.gateway;
	visit(&w);
	assert_ptr_equal(w.choice.gateway, g);
	snprintf(query, sizeof query, "player=3");
	assert_string_equal(visit(&w), "query:player");		/* who is known is not touched */
	world_end(&w);
}

/* ---- down and full ---- */

static void
test_policies_when_down(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	w.cf.on_down = (struct conf_policy){ CONF_POLICY_REJECT, 0 };
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	gateway_judge(home, false, "the test says so");
	assert_string_equal(visit(&w), "rejected");
	assert_int_equal(w.verdict, AFFINITY_REFUSE);
	assert_ptr_equal(w.choice.home, home);
	assert_string_equal(w.choice.because, "down");

	w.cf.on_down = (struct conf_policy){ CONF_POLICY_WAIT, 5000 };
	visit(&w);
	assert_int_equal(w.verdict, AFFINITY_WAIT);
	assert_int_equal(w.choice.wait_ms, 5000);
	assert_ptr_equal(w.choice.home, home);
	assert_false(affinity_is_worth_a_try(w.affinity, &w.choice));
	gateway_judge(home, true, "the test says so");
	assert_true(affinity_is_worth_a_try(w.affinity, &w.choice));
	assert_string_equal(visit(&w), "cookie");
	assert_ptr_equal(w.choice.gateway, home);
	gateway_judge(home, false, "the test says so");
	w.waited = true;
	assert_string_equal(visit(&w), "reassigned");
	assert_ptr_not_equal(w.choice.gateway, home);
	world_end(&w);
}

static void
test_policies_when_full(void **state)
{
	struct world w;
	struct gateway *home;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < GATEWAYS; i++)
		w.gateway[i].max_sessions = 1;
	w.cf.on_full = (struct conf_policy){ CONF_POLICY_WAIT, 2000 };
	world_start(&w);
	visit(&w);
	home = w.choice.gateway;
	assert_true(gateway_enter(home, true));
	assert_string_equal(visit(&w), "cookie");	/* a plain request needs no place */
	w.session = true;
	visit(&w);
	assert_int_equal(w.verdict, AFFINITY_WAIT);
	assert_int_equal(w.choice.wait_ms, 2000);
	assert_string_equal(w.choice.because, "full");
	w.waited = true;
	assert_string_equal(visit(&w), "reassigned");
	assert_ptr_not_equal(w.choice.gateway, home);
	w.waited = false;

	/* a newcomer, and nobody has a place */
	for (unsigned i = 0; i < GATEWAYS; i++)
		if (w.pool->gateway[i] != home)
			assert_true(gateway_enter(w.pool->gateway[i], true));
	w.cookie[0] = '\0';
	visit(&w);
	assert_int_equal(w.verdict, AFFINITY_WAIT);
	assert_null(w.choice.home);
	assert_false(affinity_is_worth_a_try(w.affinity, &w.choice));
	w.waited = true;
	assert_string_equal(visit(&w), "rejected");
	assert_string_equal(w.choice.because, "full");
	for (unsigned i = 0; i < GATEWAYS; i++)
		gateway_leave(w.pool->gateway[i], true);
	assert_true(affinity_is_worth_a_try(w.affinity, &w.choice));
	world_end(&w);
}

/* ---- moving day ---- */

static void
test_legacy(void **state)
{
	struct world w;
	unsigned char md5[16];
	char hex[33];

	(void)state;
	world_init(&w);
	w.gateway[1].address = other_address;
	w.cf.cookie.legacy = legacy_name;
	world_start(&w);
	assert_true(legacy_digest(gateway_address(w.pool->gateway[1]), md5));
	for (unsigned i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", md5[i]);
	snprintf(w.cookie, sizeof w.cookie, "SERVERID=%s|%u|%u", hex, NOW - 10, NOW - 100);
	assert_string_equal(visit(&w), "cookie");
	assert_string_equal(w.choice.because, "legacy");
	assert_int_equal(place_of(w.pool, w.choice.gateway), 1);
	assert_issued(&w, true);
	assert_true(w.choice.end_legacy);
	assert_int_equal(w.choice.born_s, NOW - 100);
	assert_string_equal(visit(&w), "cookie");
	assert_string_equal(w.choice.because, "");
	world_end(&w);
}

/* ---- cookies by name ---- */

static void
test_names(void **state)
{
	static char sid[] = "SID", rewrite[] = "rewrite:SID", jsession[] = "JS", prefix[] = "prefix:JS", twin[] = "TWIN";
	static struct conf_selector list[] = { BY_COOKIE,
		{ .kind = CONF_SELECTOR_REWRITE, .text = rewrite, .name = sid },
		{ .kind = CONF_SELECTOR_PREFIX, .text = prefix, .name = jsession } };
	char value[SEAL_TEXT + 8];
	struct world w;
	size_t n;

	(void)state;
	world_init(&w);
	w.cf.selector = list;
	w.cf.selectors = COUNT(list);
	w.cf.cookie.cors_twin = twin;
	world_start(&w);
	assert_int_equal(affinity_cookie_named(w.affinity, SLICE_LIT("STICKYD")), AFFINITY_COOKIE_OURS);
	assert_int_equal(affinity_cookie_named(w.affinity, SLICE_LIT("TWIN")), AFFINITY_COOKIE_OURS);
	assert_int_equal(affinity_cookie_named(w.affinity, SLICE_LIT("SID")), AFFINITY_COOKIE_REWRITTEN);
	assert_int_equal(affinity_cookie_named(w.affinity, SLICE_LIT("JS")), AFFINITY_COOKIE_PREFIXED);
	assert_int_equal(affinity_cookie_named(w.affinity, SLICE_LIT("sid")), AFFINITY_COOKIE_FOREIGN);
	visit(&w);
	n = affinity_seal(w.affinity, w.tools.sealer, &w.choice, NOW, value);
	memcpy(value + n, "~a~b", 4);
	assert_true(slice_eq(affinity_unprefixed(slice_make(value, n + 4)), SLICE_LIT("a~b")));
	assert_true(slice_eq(affinity_unprefixed(SLICE_LIT("own~value")), SLICE_LIT("own~value")));
	assert_true(slice_eq(affinity_unprefixed(SLICE_LIT("")), SLICE_LIT("")));
	world_end(&w);
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
		cmocka_unit_test(test_gateway_drains),
		cmocka_unit_test(test_gateway_goes),
		cmocka_unit_test(test_weight_0),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_nobody_left),
		cmocka_unit_test(test_weight_zero),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_renewal_of_seconds),
		cmocka_unit_test(test_without_affinity),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_all_keys_are_bound),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_key_fails_over),
		cmocka_unit_test(test_newcomer_fails_over),
		cmocka_unit_test(test_learns),
		cmocka_unit_test(test_assign_hash),
		cmocka_unit_test(test_new_keys_are_limited),
		cmocka_unit_test(test_policies_when_down),
		cmocka_unit_test(test_policies_when_full),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
