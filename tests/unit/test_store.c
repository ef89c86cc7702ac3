/* SPDX-License-Identifier: BSD-2-Clause */
/* Two proxies, each with a table, a worker's store and an ear, and a real Redis that is well, frozen, killed, full,
 * read-only or holds nonsense. */
#include "store/store.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "wire.h"

#include "redis_server.h"

#define GATEWAYS 3
#define TIMEOUT_MS 1000

static struct redis_server_made made;
static struct loop *loop; /* of all workers: one is enough */
static struct event_base *base;
static struct conf_store conf;
static struct pool *pool;
static unsigned warnings, notices;
static char said[LOG_LINE];

/* One proxy. */
struct proxy {
	struct table *table;
	struct store_shared *shared;
	struct store *store;
};
static struct proxy one, two;
static struct list leaving = { &leaving, &leaving };

static void
on_log(enum log_level level, struct slice text)
{
	warnings += level == LOG_LEVEL_WARN;
	notices += level == LOG_LEVEL_NOTICE;
	if (level <= LOG_LEVEL_NOTICE)
		snprintf(said, sizeof said, "%.*s", SLICE_FMT(text));
}

static void
on_report(void *arg, const char *line)
{
	(void)arg;
	snprintf(said, sizeof said, "%s", line);
}

static struct pool *
make_pool(void)
{
	static char name[] = "game", names[GATEWAYS][8], address[GATEWAYS][24];
	static struct conf_gateway gateway[GATEWAYS];
	static struct conf_pool cf;
	struct pool *p;

	cf = (struct conf_pool){ .name = name, .gateway = gateway, .gateways = GATEWAYS };
	for (unsigned i = 0; i < GATEWAYS; i++) {
		snprintf(names[i], sizeof names[i], "gw%u", i + 1);
		snprintf(address[i], sizeof address[i], "127.0.0.1:%u", i + 1);
		gateway[i] = (struct conf_gateway){ .name = names[i], .address = address[i], .weight = 1 };
	}
	p = pool_new(&cf, on_report, NULL);
	assert_non_null(p);
	return p;
}

static void
proxy_begin(struct proxy *p)
{
	p->table = table_new(1000, (uint32_t)(conf.ttl_ms / 1000));
	p->shared = store_shared_new(&conf, &pool, 1, p->table, on_report, NULL);
	assert_non_null(p->shared);
	store_shared_listen(p->shared, base);
	p->store = store_new(loop, p->shared);
}

static void
proxy_end(struct proxy *p)
{
	store_retire(p->store, &leaving);
	store_end_leaving(&leaving);
	store_shared_free(p->shared);
	table_free(p->table);
	*p = (struct proxy){ .table = NULL };
}

static void
main_turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

#define UNTIL(cond) WIRE_UNTIL_DOING(loop, main_turn(), cond)

static struct store_counts
counts(const struct proxy *p)
{
	struct store_counts c;

	store_shared_count(p->shared, &c);
	return c;
}

/* --- asking --- */

struct asker {
	struct store_ask ask;
	unsigned answered;
	struct store_answer answer;
};

static void
on_answer(struct store_ask *ask, const struct store_answer *a)
{
	struct asker *k = CONTAINER(ask, struct asker, ask);

	k->answered++;
	k->answer = *a;
}

static bool
begin(struct asker *k, struct proxy *p, const char *key, unsigned proposed)
{
	struct store_question q = {
		.pool = pool, .key = { slice_of(key) }, .keys = 1, .asked = 1, .proposed = pool->gateway[proposed],
	};

	*k = (struct asker){ .answered = 0 };
	loop->now_ms = 0;
	return store_ask(p->store, &k->ask, &q, on_answer);
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

/* The whole of it; the gateway's number from 1, 0 for one that is not known, -1 for no answer. */
static int
asked(struct proxy *p, const char *key, unsigned proposed, enum store_outcome outcome)
{
	struct asker k;

	assert_true(begin(&k, p, key, proposed));
	UNTIL(k.answered != 0);
	assert_int_equal(k.answered, 1);
	assert_int_equal(k.answer.outcome, outcome);
	if (outcome == STORE_SILENT)
		return -1;
	return k.answer.gateway != NULL ? (int)place_of(pool, k.answer.gateway) + 1 : 0;
}

/* Is a question refused at once? One that is not is waited for. */
static bool
is_refused(struct proxy *p, const char *key)
{
	struct asker k;

	if (!begin(&k, p, key, 0))
		return true;
	UNTIL(k.answered);
	return false;
}

static void
tell(struct proxy *p, const char *key, unsigned gateway)
{
	struct slice k = slice_of(key);

	loop->now_ms = 0;
	store_tell(p->store, pool, &k, 1, pool->gateway[gateway]);
}

static uint32_t
now_s(void)
{
	return (uint32_t)(clock_wall_us() / 1000000);
}

static bool
binding(struct proxy *p, const char *key, struct table_binding *b)
{
	struct table_key k = table_key(p->table, SLICE_LIT("game"), slice_of(key));

	return table_peek(p->table, &k, now_s(), b);
}

/* What the table knows: the gateway's number from 1, 0: nothing. */
static unsigned
known(struct proxy *p, const char *key)
{
	struct table_binding b;

	return binding(p, key, &b) ? place_of(pool, pool_find_tag(pool, b.tag)) + 1 : 0;
}

static const char *
held(const char *key)
{
	char name[128];

	snprintf(name, sizeof name, "stickyd:game:%s", key);
	return server_get(&made, name);
}

#define HOLDS(key, gateway) (held(key) != NULL && strcmp(held(key), gateway) == 0)

/* --- setup --- */

static int
setup(void **state)
{
	(void)state;
	loop = loop_new();
	base = event_base_new();
	pool = make_pool();
	conf = (struct conf_store){
		.type = CONF_STORE_REDIS, .url = { .path = made.socket }, .max_keys = 1000, .ttl_ms = 3600 * 1000,
		.timeout_ms = TIMEOUT_MS,
	};
	if (made.pid == 0)
		server_start(&made);
	server_do(&made, "FLUSHALL");
	warnings = notices = 0;
	log_to(on_log);
	proxy_begin(&one);
	proxy_begin(&two);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	proxy_end(&one);
	proxy_end(&two);
	log_to(NULL);
	loop_free(loop);
	event_base_free(base);
	pool_free(pool);
	return 0;
}

/* --- while it is well --- */

static void
the_first_binds_and_the_second_finds(void **state)
{
	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1); /* before there is a connection */
	assert_int_equal(asked(&two, "a", 1, STORE_FOUND), 1);
	assert_int_equal(asked(&one, "", 2, STORE_BOUND), 3);
	assert_string_equal(held("a"), "gw1");
	assert_int_equal(known(&one, "a"), 1);
	assert_int_equal(known(&two, "a"), 1);
	assert_true(counts(&one).well);
	assert_int_equal(counts(&one).asked, 2);
	assert_int_equal(counts(&one).bound, 2);
	assert_int_equal(counts(&two).found, 1);
	assert_int_equal(warnings, 0);
}

/* Both ask before either is answered. */
static void
of_two_at_once_one_wins(void **state)
{
	struct asker k[2];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%u", i);
		assert_true(begin(&k[0], i % 2 ? &one : &two, key, 0));
		assert_true(begin(&k[1], i % 2 ? &two : &one, key, 1));
		UNTIL(k[0].answered && k[1].answered);
		assert_ptr_equal(k[0].answer.gateway, k[1].answer.gateway);
		assert_int_not_equal(k[0].answer.outcome, k[1].answer.outcome);
		assert_int_equal(known(&one, key), known(&two, key));
	}
}

static void
the_first_of_those_that_may_decides(void **state)
{
	struct asker k = { .answered = 0 };
	struct store_question q = {
		.pool = pool,
		.key = { SLICE_LIT("x"), SLICE_LIT("b"), SLICE_LIT("c") },
		.keys = 3,
		.asked = 2,
		.proposed = pool->gateway[0],
	};

	(void)state;
	tell(&one, "b", 1);
	tell(&one, "c", 2);
	UNTIL(counts(&one).waiting == 0);
	assert_true(store_ask(one.store, &k.ask, &q, on_answer));
	UNTIL(k.answered);
	assert_int_equal(k.answer.outcome, STORE_FOUND);
	assert_int_equal(k.answer.which, 1);
	assert_string_equal(gateway_name(k.answer.gateway), "gw2");
	assert_string_equal(held("x"), "gw2");
	assert_string_equal(held("c"), "gw2");
}

static void
keys_of_all_kinds(void **state)
{
	char key[9000];
	struct slice binary = slice_make(key, 256), long_key = slice_make(key, 257);
	struct store_question q = { .pool = pool, .keys = 2, .asked = 2, .proposed = pool->gateway[1] };
	struct asker k = { .answered = 0 };
	redisReply *r;

	(void)state;
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (char)i;
	q.key[0] = binary;
	q.key[1] = long_key;
	assert_true(store_ask(one.store, &k.ask, &q, on_answer));
	UNTIL(k.answered);
	assert_int_equal(k.answer.outcome, STORE_BOUND);
	r = server_ask(&made, "GET stickyd:game:%b", binary.p, binary.n);
	assert_string_equal(r->str, "gw2");
	freeReplyObject(r);
	r = server_ask(&made, "KEYS stickyd:game:sha256:????????????????????????????????????????????????????????????????");
	assert_int_equal(r->elements, 1);
	freeReplyObject(r);
	q.key[0] = slice_make(key, sizeof key);
	q.keys = q.asked = 1;
	assert_true(store_ask(one.store, &k.ask, &q, on_answer));
	UNTIL(k.answered == 2);
	assert_int_equal(k.answer.outcome, STORE_BOUND);
	/* and others hear of it in full */
	assert_true(store_ask(two.store, &k.ask, &q, on_answer));
	UNTIL(k.answered == 3);
	store_tell(one.store, pool, &q.key[0], 1, pool->gateway[0]);
	UNTIL(({
		struct table_key tk = table_key(two.table, SLICE_LIT("game"), q.key[0]);
		struct table_binding b;
		!table_peek(two.table, &tk, now_s(), &b);
	}));
}

static void
what_moves_is_forgotten_elsewhere(void **state)
{
	struct table_binding b;

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	/* a second after the ear is open, what was confirmed is trusted */
	UNTIL((asked(&two, "a", 1, STORE_FOUND), binding(&two, "a", &b) && store_trusts(two.store, &b, now_s())));
	assert_false(store_trusts(two.store, &b, now_s() + 3600));
	tell(&one, "a", 2);
	assert_int_equal(known(&one, "a"), 3);
	UNTIL(known(&two, "a") == 0);
	assert_int_equal(known(&one, "a"), 3); /* its own change is not unheard of */
	assert_int_equal(asked(&two, "a", 1, STORE_FOUND), 3);
	/* heard anew: what was confirmed before may have changed */
	assert_true(binding(&one, "a", &b));
	server_do(&made, "CLIENT KILL TYPE pubsub");
	UNTIL(!store_trusts(one.store, &b, now_s()));
	UNTIL((asked(&one, "a", 1, STORE_FOUND), binding(&one, "a", &b) && store_trusts(one.store, &b, now_s())));
	assert_true(store_trusts(NULL, &b, now_s()));
}

static void
a_life_is_prolonged(void **state)
{
	struct table_binding b;
	redisReply *r;

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	assert_true(binding(&one, "a", &b));
	server_do(&made, "PEXPIRE stickyd:game:a 1000000");
	store_renew(one.store, pool, SLICE_LIT("a"), &b, b.confirmed_s + 449);
	assert_int_equal(asked(&one, "b", 0, STORE_BOUND), 1);
	r = server_ask(&made, "PTTL stickyd:game:a");
	assert_true(r->integer <= 1000000);
	freeReplyObject(r);
	store_renew(one.store, pool, SLICE_LIT("a"), &b, b.confirmed_s + 450);
	assert_int_equal(asked(&one, "c", 0, STORE_BOUND), 1);
	r = server_ask(&made, "PTTL stickyd:game:a");
	assert_true(r->integer > 3000000);
	freeReplyObject(r);
	/* and what is another there is another here */
	server_do(&made, "SET stickyd:game:a gw3");
	store_renew(one.store, pool, SLICE_LIT("a"), &b, b.confirmed_s + 450);
	UNTIL(known(&one, "a") == 3);
}

/* What was asked is not put above what was decided meanwhile. */
static void
a_later_decision_wins(void **state)
{
	struct asker k;

	(void)state;
	assert_int_equal(asked(&one, "z", 0, STORE_BOUND), 1);
	assert_true(begin(&k, &one, "a", 0));
	tell(&one, "a", 2);
	UNTIL(k.answered && counts(&one).waiting == 0);
	assert_string_equal(gateway_name(k.answer.gateway), "gw3");
	assert_int_equal(known(&one, "a"), 3);
	assert_string_equal(held("a"), "gw3");
}

static void
who_asks_may_go(void **state)
{
	struct asker k;

	(void)state;
	assert_true(begin(&k, &one, "a", 0));
	store_cancel(&k.ask);
	store_cancel(&k.ask);
	assert_int_equal(asked(&one, "b", 0, STORE_BOUND), 1);
	assert_int_equal(k.answered, 0);
	assert_true(begin(&k, &one, "c", 0)); /* and may leave the answer to nobody */
	store_cancel(&k.ask);
}

static void
a_lost_script_is_sent_again(void **state)
{
	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	server_do(&made, "SCRIPT FLUSH");
	assert_int_equal(asked(&one, "b", 1, STORE_BOUND), 2);
	server_do(&made, "SCRIPT FLUSH");
	tell(&one, "b", 2);
	UNTIL(HOLDS("b", "gw3"));
	assert_int_equal(counts(&one).errors, 0);
	assert_int_equal(server_calls(&made, "eval"), 2);
}

static void
foreign_things_in_a_keys_place(void **state)
{
	static const char *const names[] = { "gw9", "", "GW1", "gw1 ", "0123456789012345678901234567890123456789" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		server_do(&made, "SET stickyd:game:a %s", names[i]);
		assert_int_equal(asked(&one, "a", 0, STORE_FOUND), 0);
		assert_int_equal(known(&one, "a"), 0);
	}
	server_do(&made, "LPUSH stickyd:game:l x");
	assert_int_equal(asked(&one, "l", 1, STORE_BOUND), 2);
	assert_string_equal(held("l"), "gw2");
	assert_int_equal(counts(&one).errors, 1);
	assert_true(counts(&one).well);
	assert_int_equal(warnings, 0);
}

static void
operators(void **state)
{
	struct slice game = SLICE_LIT("game"), a = SLICE_LIT("a");
	const char *why;
	char name[256];

	(void)state;
	assert_true(store_shared_look(one.shared, game, a, name, &why));
	assert_string_equal(name, "");
	assert_int_equal(asked(&two, "a", 0, STORE_BOUND), 1);
	assert_true(store_shared_look(one.shared, game, a, name, &why));
	assert_string_equal(name, "gw1");
	assert_true(store_shared_set(one.shared, game, a, "gw2", &why));
	assert_string_equal(held("a"), "gw2");
	UNTIL(known(&two, "a") == 0);
	assert_int_equal(asked(&two, "a", 0, STORE_FOUND), 2);
	assert_true(store_shared_set(one.shared, game, a, NULL, &why));
	assert_null(held("a"));
	UNTIL(known(&two, "a") == 0);
	server_freeze(&made);
	assert_false(store_shared_look(one.shared, game, a, name, &why));
	assert_string_equal(why, "no answer in time");
	server_thaw(&made);
}

/* --- when it is not --- */

static void
frozen(void **state)
{
	struct asker k;
	struct table_binding b = { .confirmed_s = 1 };

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	UNTIL(!store_trusts(one.store, &b, now_s()));
	server_freeze(&made);
	assert_int_equal(asked(&one, "b", 0, STORE_SILENT), -1);
	assert_false(begin(&k, &one, "c", 0)); /* nobody waits any more */
	assert_true(store_trusts(one.store, &b, now_s()));
	tell(&one, "b", 2); /* what the first decided without an answer */
	tell(&one, "c", 1);
	tell(&one, "c", 2);
	assert_int_equal(counts(&one).waiting, 2);
	assert_false(counts(&one).well);
	assert_int_equal(warnings, 1);
	server_thaw(&made);
	UNTIL(counts(&one).well);
	assert_string_equal(held("b"), "gw3"); /* not what the late question would have bound */
	assert_string_equal(held("c"), "gw3");
	assert_int_equal(known(&one, "b"), 3);
	assert_int_equal(counts(&one).told, 2);
	assert_int_equal(counts(&one).silent, 1);
	assert_int_equal(counts(&one).waiting, 0);
	assert_int_equal(asked(&one, "a", 1, STORE_FOUND), 1);
	assert_int_equal(warnings, 1);
	assert_int_equal(notices, 1);
}

static void
killed_and_restarted(void **state)
{
	struct asker k;
	char key[16];

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	server_freeze(&made);
	assert_true(begin(&k, &one, "lost", 0));
	wire_turns(loop, 3);
	server_kill(&made);
	UNTIL(k.answered);
	assert_int_equal(k.answer.outcome, STORE_SILENT);
	UNTIL(is_refused(&one, "c"));
	for (unsigned i = 0; i < 600; i++) {
		snprintf(key, sizeof key, "k%u", i);
		tell(&one, key, i % GATEWAYS);
	}
	assert_int_equal(counts(&one).waiting, 600);
	server_start(&made);
	UNTIL(counts(&one).well && counts(&one).waiting == 0);
	assert_int_equal(counts(&one).told, 600);
	assert_int_equal(counts(&one).dropped, 0);
	assert_int_equal(counts(&one).reconnects, 1);
	assert_string_equal(held("k0"), "gw1");
	assert_string_equal(held("k599"), "gw3");
	assert_int_equal(asked(&one, "a", 1, STORE_FOUND), 1);
}

/* Whichever of the workers comes back first. */
static void
of_two_workers_the_later_decision_wins(void **state)
{
	struct store *other = store_new(loop, one.shared);
	struct proxy again = { one.table, one.shared, other };

	(void)state;
	server_kill(&made);
	UNTIL(is_refused(&one, "c"));
	UNTIL(is_refused(&again, "c"));
	tell(&one, "a", 0);
	tell(&again, "a", 1);
	tell(&again, "b", 0);
	tell(&one, "b", 1);
	assert_int_equal(counts(&one).waiting, 4);
	server_start(&made);
	UNTIL(counts(&one).well && counts(&one).waiting == 0);
	assert_string_equal(held("a"), "gw2");
	assert_string_equal(held("b"), "gw2");
	assert_int_equal(known(&one, "a"), 2);
	store_retire(other, &leaving);
}

static void
what_waits_is_bounded(void **state)
{
	char key[16];

	(void)state;
	server_kill(&made);
	UNTIL(is_refused(&one, "c"));
	for (unsigned i = 0; i < 1100; i++) {
		snprintf(key, sizeof key, "k%u", i);
		tell(&one, key, 0);
	}
	assert_int_equal(counts(&one).waiting, 1000);
	assert_int_equal(counts(&one).dropped, 100);
	server_start(&made);
	UNTIL(counts(&one).waiting == 0 && counts(&one).well);
	assert_null(held("k99")); /* the oldest went */
	assert_non_null(held("k100"));
	assert_non_null(held("k1099"));
}

/* However long the outage was, and whenever the next try would be. */
static void
who_asks_finds_it_back(void **state)
{
	uint64_t end_ms;

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	assert_int_equal(asked(&two, "b", 0, STORE_BOUND), 1);
	server_kill(&made);
	UNTIL(is_refused(&one, "c") && is_refused(&two, "c"));
	for (end_ms = clock_coarse_ms() + 300; clock_coarse_ms() < end_ms; wire_turn(loop))
		main_turn();
	server_start(&made);
	UNTIL(!is_refused(&two, "a") && !is_refused(&one, "b"));
	assert_int_equal(asked(&two, "a", 1, STORE_FOUND), 1);
	assert_int_equal(asked(&one, "b", 1, STORE_FOUND), 1);
}

/* What it knows it tells; what it can't be told waits. */
static void
it_can_not_write(const char *begins, const char *ends, unsigned notice_it)
{
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	server_do(&made, begins);
	assert_int_equal(asked(&two, "a", 1, STORE_FOUND), 1);
	assert_int_equal(asked(&one, "b", 0, STORE_SILENT), -1);
	tell(&one, "b", 1);
	assert_int_equal(asked(&two, "a", 1, STORE_FOUND), 1);
	assert_int_equal(counts(&one).waiting, 1);
	assert_false(counts(&one).well);
	assert_int_equal(warnings, notice_it); /* once each */
	server_do(&made, ends);
	UNTIL(HOLDS("b", "gw2") && counts(&one).well && counts(&two).well);
	assert_int_equal(warnings, notice_it);
	assert_int_equal(notices, notice_it);
	assert_int_equal(asked(&two, "b", 0, STORE_FOUND), 2);
}

static void
full(void **state)
{
	(void)state;
	it_can_not_write("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", 1); /* a life can still be prolonged */
}

static void
read_only(void **state)
{
	(void)state;
	it_can_not_write("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", 2);
}

static void
forbidden(void **state)
{
	struct asker k;

	(void)state;
	assert_int_equal(asked(&one, "a", 0, STORE_BOUND), 1);
	server_do(&made, "ACL SETUSER default -@scripting");
	assert_int_equal(asked(&one, "b", 0, STORE_SILENT), -1);
	assert_false(begin(&k, &one, "c", 0));
	tell(&one, "b", 1);
	assert_non_null(strstr(said, "NOPERM"));
	assert_null(held("b"));
	server_do(&made, "ACL SETUSER default +@all");
	UNTIL(HOLDS("b", "gw2") && counts(&one).well);
	assert_int_equal(warnings, 1);
	assert_int_equal(notices, 1);
	server_do(&made, "FLUSHALL");
}

/* The rest is told when the worker ends. */
static void
the_last_words(void **state)
{
	(void)state;
	UNTIL(counts(&one).well && asked(&one, "a", 0, STORE_BOUND) == 1);
	tell(&one, "a", 1);
	tell(&one, "b", 2);
	store_end(one.store);
	store_retire(one.store, &leaving);
	assert_true(list_is_empty(&leaving));
	one.store = NULL;
	assert_string_equal(held("a"), "gw2");
	assert_string_equal(held("b"), "gw3");
	assert_int_equal(counts(&one).waiting, 0);
	store_tell(NULL, pool, NULL, 0, NULL);
}

/* --- reloads --- */

/* What is a worker's of the edition before stays until it has told all, by the loop; nobody waits for it. */
static void
the_edition_before(void **state)
{
	struct store_shared *shared;

	(void)state;
	UNTIL(counts(&one).well && asked(&one, "a", 0, STORE_BOUND) == 1);
	tell(&one, "a", 1);
	tell(&one, "b", 2);
	assert_ptr_equal(store_share(one.store), one.store);
	store_retire(one.store, &leaving);
	assert_true(list_is_empty(&leaving));		/* it has another user */
	assert_true(counts(&one).waiting != 0);
	store_retire(one.store, &leaving);
	assert_false(list_is_empty(&leaving));
	shared = one.shared;
	store_shared_free(shared);			/* which it outlives */
	one.shared = store_shared_new(&conf, &pool, 1, one.table, on_report, NULL);
	assert_true(store_shared_is_same(one.shared, two.shared));
	store_shared_listen(one.shared, base);
	one.store = store_new(loop, one.shared);
	UNTIL(list_is_empty(&leaving));
	assert_string_equal(held("a"), "gw2");
	assert_string_equal(held("b"), "gw3");
	store_retire(NULL, &leaving);
	assert_null(store_share(NULL));
}

/* Answers that nobody waits for any more do not look at the pool they were asked for, which may be gone. */
static void
the_pool_before(void **state)
{
	struct pool *now = pool;
	struct asker k, l;

	(void)state;
	UNTIL(counts(&one).well && asked(&one, "z", 0, STORE_BOUND) == 1);
	assert_int_equal(asked(&two, "a", 1, STORE_BOUND), 2);
	pool = make_pool();
	assert_true(begin(&k, &one, "a", 0));
	assert_true(begin(&l, &one, "b", 0));
	store_cancel(&k.ask);
	store_cancel(&l.ask);
	pool_free(pool);
	pool = now;
	UNTIL(HOLDS("b", "gw1"));
}

static void
what_makes_another(void **state)
{
	struct conf_store other = conf;
	static char user[] = "somebody";
	struct store_shared *b;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		other = conf;
		if (i == 0)
			other.url.database++;
		else if (i == 1)
			other.url.user = user;
		else if (i == 2)
			other.ttl_ms += 1000;
		else if (i == 3)
			other.timeout_ms++;
		else
			other.max_keys++;
		b = store_shared_new(&other, &pool, 1, one.table, on_report, NULL);
		assert_non_null(b);
		assert_false(store_shared_is_same(one.shared, b));
		store_shared_free(b);
	}
}

/* --- a server that is none --- */

static void
answers_that_make_no_sense(void **state)
{
	static const char *const answers[] = {
		"$3\r\ngw1\r\n", "*0\r\n", "*4\r\n:2\r\n$3\r\ngw1\r\n:1\r\n$0\r\n\r\n",
		"*4\r\n:-1\r\n$3\r\ngw1\r\n:1\r\n$0\r\n\r\n", "*3\r\n:1\r\n$3\r\ngw1\r\n:1\r\n", "-ERR what?\r\n", "-\r\n",
		"*4\r\n:1\r\n$-1\r\n:1\r\n$0\r\n\r\n", "?\r\n",
	};
	struct sockaddr_in at;
	int server = wire_listen(&at), fd;
	static char host[] = "127.0.0.1";
	struct conf_store other = conf;
	struct proxy p;
	struct asker k;

	(void)state;
	other.url = (struct conf_url){ .host = host, .port = ntohs(at.sin_port) };
	for (size_t i = 0; i < COUNT(answers); i++) {
		char sha[] = "+da39a3ee5e6b4b0d3255bfef95601890afd80709\r\n";

		p.table = table_new(100, 60);
		p.shared = store_shared_new(&other, &pool, 1, p.table, on_report, NULL);
		p.store = store_new(loop, p.shared);
		warnings = 0;
		WIRE_UNTIL(loop, (fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
		wire_say(fd, sha);
		wire_turns(loop, 3);
		assert_true(begin(&k, &p, "a", 0));
		wire_turns(loop, 3);
		wire_say(fd, answers[i]);
		UNTIL(k.answered);
		assert_int_equal(k.answer.outcome, STORE_SILENT);
		assert_int_equal(known(&p, "a"), 0);
		UNTIL(is_refused(&p, "b"));
		assert_int_equal(warnings, 1);
		proxy_end(&p);
		close(fd);
	}
	close(server);
}

static void
a_server_that_is_not_found(void **state)
{
	static char host[] = "no.such.host.invalid";

	struct conf_store other = conf;

	(void)state;
	other.url = (struct conf_url){ .host = host, .port = 6379 };
	other.url_place = (struct conf_place){ .file = "x.ini", .line = 7 };
	assert_null(store_shared_new(&other, &pool, 1, one.table, on_report, NULL));
	assert_non_null(strstr(said, "x.ini:7: [store] url: 'no.such.host.invalid:6379'"));
}

static int
make_server(void **state)
{
	(void)state;
	server_make(&made);
	return 0;
}

static int
end_server(void **state)
{
	(void)state;
	server_unmake(&made);
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_first_binds_and_the_second_finds),
		CASE(of_two_at_once_one_wins),
		CASE(the_first_of_those_that_may_decides),
		CASE(keys_of_all_kinds),
		CASE(what_moves_is_forgotten_elsewhere),
		CASE(a_life_is_prolonged),
		CASE(a_later_decision_wins),
		CASE(who_asks_may_go),
		CASE(a_lost_script_is_sent_again),
		CASE(foreign_things_in_a_keys_place),
		CASE(operators),
		CASE(frozen),
		CASE(killed_and_restarted),
		CASE(of_two_workers_the_later_decision_wins),
		CASE(what_waits_is_bounded),
		CASE(who_asks_finds_it_back),
		CASE(full),
		CASE(read_only),
		CASE(forbidden),
		CASE(the_last_words),
		CASE(the_edition_before),
		CASE(the_pool_before),
		CASE(what_makes_another),
		CASE(answers_that_make_no_sense),
		CASE(a_server_that_is_not_found),
	};

	if (!server_is_installed())
		return 77;
	return cmocka_run_group_tests(tests, make_server, end_server);
}
