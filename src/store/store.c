/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's store: questions under way, what is to be told, and how well the server is.
 *
 * Trouble closes the gate: nothing more is asked or told. It is opened again by a probe, which does all that a
 * question does to a key that is nobody's, and is answered in time: a server that is merely slow stays behind it. One
 * that was silent is probed with its first word, one that is away is tried again when somebody asks; questions wait
 * for both: to be refused takes no time, and to go elsewhere because nobody had tried yet would cost a client its
 * place.
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/backlog.h"
#include "store/store_shared.h"
#include "store/vigil.h"

#define STORE_MAGIC 0x570e0001

/* So many bindings are told without waiting for answers: all there are leave soon, and a question behind them does
 * not wait long. */
#define TELL_WINDOW 256
/* Renewals under way; beyond them a later use of the key will do. */
#define RENEWALS_MOST 256
#define RENEWALS_PER_LIFE 8
#define PROBE_LIFE_MS 10000
/* A server that says something all the time is given so many time-outs for an answer. */
#define SLOW_TIMES 4

enum store_state {
	STORE_BEGINS,		/* not connected yet, not in vain either: questions wait for it */
	STORE_WELL,
	STORE_READS,		/* it can't write: what it knows it tells */
	STORE_SUSPECT,		/* it has said nothing for the time-out, although it was asked */
	STORE_SLOW,		/* it says something, but too late */
	STORE_REFUSES,		/* it answers with errors, or nonsense */
	STORE_AWAY,		/* no connection */
	STORE_RETURNS,		/* tried again, or with a first word: questions wait for what comes of it */
};

static const struct { bool may_ask, may_tell; } store_states[] = {
	[STORE_BEGINS] = { .may_ask = true },
	[STORE_WELL] = { .may_ask = true, .may_tell = true },
	[STORE_READS] = { .may_ask = true },
	[STORE_SUSPECT] = { .may_ask = false },
	[STORE_SLOW] = { .may_ask = false },
	[STORE_REFUSES] = { .may_ask = false },
	[STORE_AWAY] = { .may_ask = false },
	[STORE_RETURNS] = { .may_ask = true },
};

struct store {
	uint32_t magic;
	enum store_state state;
	struct store_shared *shared;	/* referenced */
	struct loop *loop;
	struct redis *redis;		/* NULL: it has ended */
	unsigned users;
	struct list leaving;		/* of a list of that name */
	struct timer farewell;		/* when the last user has gone */
	struct backlog backlog;
	struct list questions;
	struct list waiting;		/* asks, the oldest first */
	struct vigil vigil;
	struct timer watch;		/* while somebody waits */
	unsigned renewals;
	bool catches_up;		/* it tells what had to wait */
	bool behind;			/* counted among those */
	bool ends;			/* its health is nobody's concern any more */
	bool was_up;
	bool probing;
	uint64_t probed_ms;		/* by the vigil's time */
	struct redis_call probe;
	struct timer timer;		/* of the next probe */
	struct redis_patience patience;
	struct script_command command;	/* scratch */
};

struct question_key {
	struct table_key key;
	uint32_t stamp;
	struct slice text;
};

/* A question or a renewal under way; it outlives its asker's interest. */
struct question {
	struct redis_call call;
	struct list link;
	struct store *store;
	struct store_ask *ask;		/* NULL: nobody waits for it */
	const struct pool *pool;	/* the asker's: NULL when there is none, since a reload may end it */
	const char *pool_name;		/* behind the keys' texts */
	struct gateway *proposed;	/* referenced */
	uint64_t asked_us;
	uint64_t since_ms;		/* by the vigil's time */
	bool is_renewal, in_full;
	unsigned asked, keys;
	struct question_key key[];	/* and their texts behind them */
};

/* ---- health ---- */

static void
store_review(struct store *s)
{
	bool behind;

	if (s->state == STORE_WELL && s->backlog.n == 0)
		s->catches_up = false;
	behind = s->catches_up || (s->state != STORE_WELL && s->state != STORE_BEGINS);
	if (behind == s->behind || s->ends)
		return;
	s->behind = behind;
	if (behind) {
		atomic_fetch_add(&s->shared->behind, 1);
	} else {
		atomic_fetch_sub(&s->shared->behind, 1);
		store_shared_recover(s->shared);
	}
}

static void
store_set_state(struct store *s, enum store_state state)
{
	if (!store_states[state].may_tell)
		s->catches_up = true;
	if (state == STORE_BEGINS)
		s->catches_up = false;
	s->state = state;
	store_review(s);
}

static void
store_probe_later(struct store *s)
{
	uint64_t now_ms = loop_now_ms(s->loop);

	if (s->timer.due_ms == 0)
		timer_set(&s->loop->wheel, &s->timer, now_ms + redis_patience_next(&s->patience, now_ms));
}

static void
store_ail(struct store *s, enum store_state state, const char *why)
{
	store_set_state(s, state);
	if (!s->ends)
		store_shared_ail(s->shared, why);
	if (state == STORE_READS || state == STORE_REFUSES || state == STORE_SLOW)
		store_probe_later(s);
}

/* An error reply, or one that makes no sense. */
static void
store_ail_by_reply(struct store *s, const redisReply *r)
{
	char why[160];

	store_total_add(&s->shared->totals.errors, 1);
	if (r->type == REDIS_REPLY_ERROR)
		snprintf(why, sizeof why, "it says %s", r->str);
	else
		snprintf(why, sizeof why, "what it says makes no sense");
	store_ail(s, STORE_REFUSES, why);
}

static void store_probe(struct store *s);

/* Whatever it was, it lives. */
static void
store_note_reply(struct store *s)
{
	vigil_hear(&s->vigil, loop_now_ms(s->loop));
	if (s->state != STORE_SUSPECT)
		return;
	store_set_state(s, STORE_RETURNS);
	store_probe(s);
}

static void
store_note_error(struct store *s, const struct script_answer *a)
{
	if (a->error.n != 0)
		store_total_add(&s->shared->totals.errors, 1);
}

static void
store_reads_only(struct store *s, const struct script_answer *a)
{
	char why[160];

	snprintf(why, sizeof why, "it can't write: %.*s", SLICE_FMT(slice_head(a->error, 100)));
	store_ail(s, STORE_READS, why);
}

/* The rest of an answer: errors behind which it is good all the same. */
static void
store_note_answer(struct store *s, const struct script_answer *a)
{
	store_note_error(s, a);
	if (!a->written && store_states[s->state].may_tell)
		store_reads_only(s, a);
}

/* ---- the table ---- */

/* The server's word counts if nobody has decided otherwise since it was asked; who decides in this very moment moves
 * the stamp and then binds again. False: somebody has. */
static bool
store_confirm(struct store *s, const struct table_key *k, uint32_t stamp, uint64_t tag)
{
	struct store_shared *sh = s->shared;

	if (atomic_load(store_stamp(sh, k)) != stamp)
		return false;
	table_bind(sh->table, k, tag, store_now_s(), true, NULL);
	if (atomic_load(store_stamp(sh, k)) == stamp)
		return true;
	(void)table_forget(sh->table, k);
	return false;
}

/* ---- saying ---- */

static void
store_request(const struct store *s, struct script_request *rq)
{
	rq->sender = slice_make(s->shared->sender, STORE_SENDER);
	rq->ttl_ms = s->shared->conf.ttl_ms;
}

static bool
store_say(struct store *s, struct redis_call *c, redis_reply_fn *fn, const struct script_request *rq, bool in_full)
{
	script_write(&s->command, rq, in_full ? SLICE_NONE : slice_make(s->shared->sha, SCRIPT_SHA));
	return redis_ask(s->redis, c, fn, s->command.word, s->command.words);
}

/* The server was restarted, or told to forget scripts. */
static bool
wants_script(const redisReply *r)
{
	return r->type == REDIS_REPLY_ERROR && script_parse_error(slice_make(r->str, r->len)) == SCRIPT_UNKNOWN;
}

/* ---- telling ---- */

static void store_pump(struct store *s);
static void store_set_farewell(struct store *s);

static void
told_is_known(struct store *s, struct told *t, const struct script_answer *a)
{
	store_note_answer(s, a);
	if (!a->written) {
		backlog_failed(&s->backlog, t);
		return;
	}
	store_total_add(&s->shared->totals.told, 1);
	if (!t->again) {
		store_total_add(&s->shared->totals.waiting, (uint64_t)-1);
		(void)store_confirm(s, &t->key, t->stamp, gateway_tag(t->gateway));
	}
	backlog_done(&s->backlog, t);
}

static void
on_told(struct redis_call *c, const redisReply *r)
{
	struct told *t = CONTAINER(c, struct told, call);
	struct store *s = t->teller;
	struct script_answer a;

	ALIVE(s, STORE_MAGIC);
	t->in_full = r != NULL && !t->in_full && wants_script(r);
	if (r != NULL)
		store_note_reply(s);
	if (r != NULL && script_parse_answer(r, 0, &a)) {
		told_is_known(s, t, &a);
	} else {
		if (r != NULL && !t->in_full)
			store_ail_by_reply(s, r);
		backlog_failed(&s->backlog, t);
	}
	store_pump(s);
	store_review(s);
	if (s->users == 0 && s->backlog.n == 0)
		store_set_farewell(s);
}

static bool
told_say(struct store *s, struct told *t)
{
	struct slice key = slice_make(t->text, t->n);
	struct script_request rq = {
		.pool = t->pool, .key = &key, .keys = 1,
		.proposed = slice_of(gateway_name(t->gateway)),
	};

	t->teller = s;
	t->stamp = atomic_load(store_stamp(s->shared, &t->key));
	store_request(s, &rq);
	return store_say(s, &t->call, on_told, &rq, t->in_full);
}

/* Each worker has a backlog of its own: the key was bound anew by another one while this waited, which is told by
 * that one, or was already. */
static bool
told_is_overtaken(const struct store *s, const struct told *t)
{
	struct table_binding b;

	return table_peek(s->shared->table, &t->key, store_now_s(), &b) && !gateway_is_tagged(t->gateway, b.tag);
}

/* As many as may be on their way. */
static void
store_pump(struct store *s)
{
	struct told *t;

	while (store_states[s->state].may_tell && s->backlog.out < TELL_WINDOW) {
		t = backlog_next(&s->backlog);
		if (t == NULL)
			return;
		if (told_is_overtaken(s, t)) {
			store_total_add(&s->shared->totals.waiting, (uint64_t)-1);
			backlog_done(&s->backlog, t);
		} else if (!told_say(s, t)) {
			backlog_failed(&s->backlog, t);
			return;
		}
	}
}

/* Over the bound of all stores together the oldest goes. */
static void
store_keep(struct store *s, const struct table_key *k, struct slice pool, struct slice key, struct gateway *g)
{
	struct store_totals *totals = &s->shared->totals;
	size_t before = s->backlog.n;

	if (!backlog_add(&s->backlog, k, pool, key, g)) {
		store_total_add(&totals->dropped, 1);
		return;
	}
	store_total_add(&totals->waiting, s->backlog.n - before);
	if (atomic_load_explicit(&totals->waiting, memory_order_relaxed) > s->shared->conf.max_keys &&
	    backlog_drop(&s->backlog)) {
		store_total_add(&totals->dropped, 1);
		store_total_add(&totals->waiting, (uint64_t)-1);
	}
}

void
store_tell(struct store *s, const struct pool *p, const struct slice *key, unsigned keys, struct gateway *g)
{
	if (s == NULL)
		return;
	ALIVE(s, STORE_MAGIC);
	for (unsigned i = 0; i < keys; i++) {
		struct table_key k = table_key(s->shared->table, slice_of(p->name), key[i]);

		atomic_fetch_add(store_stamp(s->shared, &k), 1);
		table_bind(s->shared->table, &k, gateway_tag(g), store_now_s(), true, NULL);
		store_keep(s, &k, slice_of(p->name), key[i], g);
	}
	store_pump(s);
}

/* ---- asking ---- */

static void
question_free(struct question *q)
{
	list_remove(&q->link);
	if (q->is_renewal)
		q->store->renewals--;
	gateway_unref(q->proposed);
	free(q);
}

/* Its asker wants no more of it. */
static void
question_disown(struct question *q)
{
	struct store_ask *ask = q->ask;

	q->ask = NULL;
	q->pool = NULL;
	ask->internal = NULL;
	list_remove(&ask->link);
}

/* He hears it. */
static void
question_tell(struct question *q, const struct store_answer *a)
{
	struct store_ask *ask = q->ask;

	if (ask == NULL)
		return;
	question_disown(q);
	if (a->outcome == STORE_SILENT)
		store_total_add(&q->store->shared->totals.silent, 1);
	ask->fn(ask, a);
}

static void
question_fail(struct question *q)
{
	struct store_answer silent = { .outcome = STORE_SILENT };

	question_tell(q, &silent);
	question_free(q);
}

/* The binding of the key that decides, when this process has decided otherwise while the question was under way. */
static struct gateway *
question_overtaken(const struct question *q, unsigned which, struct gateway *said)
{
	struct table_binding b;
	struct gateway *g;

	if (q->pool == NULL || !table_peek(q->store->shared->table, &q->key[which].key, store_now_s(), &b))
		return said;
	g = pool_find_tag(q->pool, b.tag);
	return g != NULL ? g : said;
}

/* Puts into the table what is certain now: all keys, or what a server that can't write knew. Returns where the key
 * that decided belongs. */
static struct gateway *
question_confirm(struct question *q, const struct script_answer *a, struct gateway *said, uint64_t tag)
{
	unsigned which = a->which != 0 ? a->which - 1 : 0;
	struct gateway *g = said;

	for (unsigned i = 0; i < q->keys; i++) {
		struct question_key *k = &q->key[i];

		if (!a->written && i != which)
			continue;
		if (!store_confirm(q->store, &k->key, k->stamp, tag) && i == which)
			g = question_overtaken(q, which, said);
	}
	return g;
}

/* The gateway that the keys are bound to, NULL where the asker's pool has none of that name, and its tag. Where
 * nobody waits for the answer, the tag alone counts. */
static struct gateway *
question_gateway(const struct question *q, const struct script_answer *a, uint64_t *tag)
{
	struct gateway *g = q->proposed;

	if (a->which != 0 && q->pool != NULL) {
		g = pool_find_name(q->pool, a->gateway);
	} else if (a->which != 0) {
		*tag = gateway_tag_of(q->pool_name, a->gateway);
		return g;
	}
	*tag = g != NULL ? gateway_tag(g) : 0;
	return g;
}

static void
question_count(const struct question *q, const struct script_answer *a)
{
	struct store_totals *t = &q->store->shared->totals;

	if (q->is_renewal)
		return;
	store_total_add(&t->answer_us, clock_exact_us() - q->asked_us);
	store_total_add(a->which != 0 ? &t->found : &t->bound, 1);
}

static void
question_answer(struct question *q, const struct script_answer *a)
{
	struct store_answer answer = { .outcome = a->which != 0 ? STORE_FOUND : STORE_BOUND };
	uint64_t tag;

	store_note_answer(q->store, a);
	if (a->which == 0 && !a->written) {
		question_fail(q);
		return;
	}
	question_count(q, a);
	answer.gateway = question_gateway(q, a, &tag);
	answer.which = a->which != 0 ? a->which - 1 : 0;
	if (answer.gateway != NULL)
		answer.gateway = question_confirm(q, a, answer.gateway, tag);
	if (answer.gateway != q->proposed)
		answer.outcome = STORE_FOUND;
	question_tell(q, &answer);
	question_free(q);
}

static bool question_say(struct question *q);

static void
on_answered(struct redis_call *c, const redisReply *r)
{
	struct question *q = CONTAINER(c, struct question, call);
	struct script_answer a;

	ALIVE(q->store, STORE_MAGIC);
	if (r == NULL) {
		question_fail(q);
		return;
	}
	store_note_reply(q->store);
	if (!q->in_full && wants_script(r)) {
		q->in_full = true;
		if (!question_say(q))
			question_fail(q);
	} else if (script_parse_answer(r, q->asked, &a)) {
		question_answer(q, &a);
	} else {
		store_ail_by_reply(q->store, r);
		question_fail(q);
	}
}

static bool
question_say(struct question *q)
{
	struct slice key[STORE_KEYS_MAX];
	struct script_request rq = {
		.pool = slice_of(q->pool_name), .key = key, .keys = q->keys, .asked = q->asked,
		.proposed = slice_of(gateway_name(q->proposed)),
	};

	for (unsigned i = 0; i < q->keys; i++) {
		q->key[i].stamp = atomic_load(store_stamp(q->store->shared, &q->key[i].key));
		key[i] = q->key[i].text;
	}
	store_request(q->store, &rq);
	return store_say(q->store, &q->call, on_answered, &rq, q->in_full);
}

/* Keeps copies of the keys and of the pool's name, since the request may end first. NULL: there is no memory. */
static struct question *
question_new(struct store *s, const struct pool *p, const struct slice *key, unsigned keys)
{
	struct slice name = slice_of(p->name);
	size_t texts = name.n + 1;
	struct question *q;
	char *text;

	must(keys != 0 && keys <= STORE_KEYS_MAX);
	for (unsigned i = 0; i < keys; i++)
		texts += key[i].n;
	q = calloc(1, sizeof *q + keys * sizeof q->key[0] + texts);
	if (q == NULL)
		return NULL;
	q->store = s;
	q->pool = p;
	q->keys = keys;
	text = (char *)&q->key[keys];
	for (unsigned i = 0; i < keys; i++) {
		if (key[i].n != 0)
			memcpy(text, key[i].p, key[i].n);
		q->key[i].text = slice_make(text, key[i].n);
		q->key[i].key = table_key(s->shared->table, name, key[i]);
		text += key[i].n;
	}
	memcpy(text, name.p, name.n);
	q->pool_name = text;
	return q;
}

/* False: it is gone. */
static bool
question_begin(struct question *q, struct gateway *proposed, unsigned asked)
{
	q->proposed = gateway_ref(proposed);
	q->asked = asked;
	q->asked_us = clock_exact_us();
	vigil_look(&q->store->vigil, loop_now_ms(q->store->loop));
	q->since_ms = q->store->vigil.now_ms;
	list_add_tail(&q->store->questions, &q->link);
	if (question_say(q))
		return true;
	question_free(q);
	return false;
}

/* ---- waiting ---- */

static void
store_watch(struct store *s)
{
	if (s->watch.due_ms == 0)
		timer_set(&s->loop->wheel, &s->watch, loop_now_ms(s->loop) + 1);
}

/* Neither has waited for too long: all behind them have waited less. */
static bool
question_may_wait(const struct question *q)
{
	const struct vigil *v = &q->store->vigil;
	uint64_t timeout_ms = q->store->shared->conf.timeout_ms;

	return vigil_silence_ms(v, q->since_ms) < timeout_ms && v->now_ms - q->since_ms < SLOW_TIMES * timeout_ms;
}

static void
question_time_out(struct question *q)
{
	struct store_answer silent = { .outcome = STORE_SILENT };
	struct store *s = q->store;
	uint64_t timeout_ms = s->shared->conf.timeout_ms;
	bool is_silent = vigil_silence_ms(&s->vigil, q->since_ms) >= timeout_ms;
	char why[64];

	if (store_states[s->state].may_ask) {
		snprintf(why, sizeof why, "no answer within %" PRIu64 " ms",
		    is_silent ? timeout_ms : SLOW_TIMES * timeout_ms);
		store_ail(s, is_silent ? STORE_SUSPECT : STORE_SLOW, why);
	}
	question_tell(q, &silent);
}

/* What has come already counts, even if the loop has not got round to it. */
static void
on_watch(struct timer *t, uint64_t now_ms)
{
	struct store *s = CONTAINER(t, struct store, watch);

	ALIVE(s, STORE_MAGIC);
	vigil_look(&s->vigil, now_ms);
	redis_look(s->redis);
	while (!list_is_empty(&s->waiting)) {
		struct store_ask *first = LIST_ENTRY_OF(s->waiting.next, struct store_ask, link);

		if (question_may_wait(first->internal)) {
			store_watch(s);
			return;
		}
		question_time_out(first->internal);
	}
}

bool
store_ask(struct store *s, struct store_ask *ask, const struct store_question *q, store_answer_fn *fn)
{
	struct question *made;

	ALIVE(s, STORE_MAGIC);
	if (s->state == STORE_AWAY && redis_hurry(s->redis))
		store_set_state(s, STORE_RETURNS);
	if (!store_states[s->state].may_ask)
		return false;
	made = question_new(s, q->pool, q->key, q->keys);
	if (made == NULL || !question_begin(made, q->proposed, q->asked))
		return false;
	store_total_add(&s->shared->totals.asked, 1);
	made->ask = ask;
	*ask = (struct store_ask){ .store = s, .fn = fn, .internal = made };
	list_add_tail(&s->waiting, &ask->link);
	store_watch(s);
	return true;
}

void
store_cancel(struct store_ask *ask)
{
	struct question *q = ask->internal;

	if (q != NULL)
		question_disown(q);
}

void
store_renew(struct store *s, const struct pool *p, struct slice key, const struct table_binding *b, uint32_t now_s)
{
	uint32_t age_s = now_s - b->confirmed_s;
	struct gateway *g;
	struct question *q;

	if (s == NULL || s->state != STORE_WELL || s->renewals >= RENEWALS_MOST ||
	    age_s == 0 || age_s < s->shared->ttl_s / RENEWALS_PER_LIFE)
		return;
	g = pool_find_tag(p, b->tag);
	q = g != NULL ? question_new(s, p, &key, 1) : NULL;
	if (q == NULL)
		return;
	q->is_renewal = true;
	q->pool = NULL;
	s->renewals++;
	(void)question_begin(q, g, 1);
}

/* What is older than this connection to the others' changes may have been changed unheard; what was not confirmed for
 * a whole life may have ended there, and begun anew. */
bool
store_trusts(const struct store *s, const struct table_binding *b, uint32_t now_s)
{
	uint32_t since_s;

	if (s == NULL || atomic_load_explicit(&s->shared->behind, memory_order_relaxed) != 0)
		return true;
	since_s = atomic_load_explicit(&s->shared->heard_since_s, memory_order_relaxed);
	return since_s != 0 && b->confirmed_s > since_s && now_s - b->confirmed_s < s->shared->ttl_s;
}

/* ---- trying again ---- */

static void
store_judge(struct store *s, const redisReply *r)
{
	uint64_t took_ms = s->vigil.now_ms - s->probed_ms;
	struct script_answer a;

	if (!script_parse_answer(r, 0, &a)) {
		store_ail_by_reply(s, r);
	} else if (took_ms > s->shared->conf.timeout_ms) {
		store_set_state(s, STORE_SLOW);
		store_probe_later(s);
	} else {
		store_note_error(s, &a);
		if (a.written)
			store_set_state(s, STORE_WELL);
		else
			store_reads_only(s, &a);
	}
}

static void
on_probed(struct redis_call *c, const redisReply *r)
{
	struct store *s = CONTAINER(c, struct store, probe);

	ALIVE(s, STORE_MAGIC);
	s->probing = false;
	if (r == NULL)
		return;
	vigil_hear(&s->vigil, loop_now_ms(s->loop));
	store_judge(s, r);
	store_pump(s);
	store_review(s);
}

/* As if a binding was told, of a pool that can't be, and for a short life. In full, so that the script is there again
 * if it was lost. */
static void
store_probe(struct store *s)
{
	struct slice key = SLICE_LIT("probe");
	struct script_request rq = { .key = &key, .keys = 1, .proposed = SLICE_LIT("stickyd") };

	if (s->probing)
		return;
	store_request(s, &rq);
	rq.ttl_ms = PROBE_LIFE_MS;
	vigil_look(&s->vigil, loop_now_ms(s->loop));
	s->probed_ms = s->vigil.now_ms;
	s->probing = store_say(s, &s->probe, on_probed, &rq, true);
}

static void
on_timer(struct timer *t, uint64_t now_ms)
{
	struct store *s = CONTAINER(t, struct store, timer);

	(void)now_ms;
	ALIVE(s, STORE_MAGIC);
	if (s->state != STORE_AWAY && s->state != STORE_RETURNS)
		store_probe(s);
}

static void
on_up(void *owner)
{
	struct store *s = owner;

	ALIVE(s, STORE_MAGIC);
	if (s->was_up)
		store_total_add(&s->shared->totals.reconnects, 1);
	s->was_up = true;
	if (s->state == STORE_BEGINS) {
		store_set_state(s, STORE_WELL);
		store_pump(s);
	} else {
		store_probe(s);
	}
}

static void
on_down(void *owner, const char *why)
{
	struct store *s = owner;

	ALIVE(s, STORE_MAGIC);
	timer_cancel(&s->timer);
	store_ail(s, STORE_AWAY, why);
}

/* ---- made and freed ---- */

static void on_farewell(struct timer *t, uint64_t now_ms);

static void
on_over(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
}

static void
store_connect(struct store *s, struct loop *l)
{
	static const struct redis_hooks hooks = { .up = on_up, .down = on_down };

	s->loop = l;
	s->redis = redis_new(l, &s->shared->worker_server, &hooks, s);
}

struct store *
store_new(struct loop *l, struct store_shared *sh)
{
	struct store *s = mem_zalloc(sizeof *s);

	s->magic = STORE_MAGIC;
	s->users = 1;
	s->shared = sh;
	atomic_fetch_add(&sh->refs, 1);
	list_init(&s->leaving);
	timer_init(&s->farewell, on_farewell);
	s->state = STORE_BEGINS;
	list_init(&s->questions);
	list_init(&s->waiting);
	backlog_init(&s->backlog);
	timer_init(&s->timer, on_timer);
	timer_init(&s->watch, on_watch);
	store_connect(s, l);
	return s;
}

struct store *
store_share(struct store *s)
{
	if (s != NULL)
		s->users++;
	return s;
}

static void
store_disconnect(struct store *s)
{
	redis_free(s->redis);
	s->redis = NULL;
	LIST_EACH (at, after, &s->questions) {
		struct question *q = LIST_ENTRY_OF(at, struct question, link);

		must(q->ask == NULL);
		question_free(q);
	}
	timer_cancel(&s->timer);
	timer_cancel(&s->watch);
	timer_cancel(&s->farewell);
	s->probing = false;
	backlog_ground(&s->backlog);
}

/* On a loop of its own, since the worker's has served; until all is told, or time or the server fails. One that is
 * known to be away is given the same chance: it may have come back unseen. */
static void
store_tell_rest(struct store *s)
{
	uint64_t end_ms = clock_coarse_ms() + s->shared->conf.timeout_ms;
	struct loop *l = loop_new();
	struct timer over;

	if (l == NULL)
		return;
	store_set_state(s, STORE_BEGINS);
	store_connect(s, l);
	timer_init(&over, on_over);
	timer_set(&l->wheel, &over, end_ms);
	while (s->backlog.n != 0 && (s->state == STORE_BEGINS || s->state == STORE_WELL) && over.due_ms != 0)
		loop_turn(l);
	timer_cancel(&over);
	store_disconnect(s);
	loop_free(l);
}

static void
store_forget_rest(struct store *s)
{
	size_t n = s->backlog.n;

	if (n != 0)
		log_notice("%s was not told of %zu bindings", s->shared->name, n);
	store_total_add(&s->shared->totals.waiting, (uint64_t)0 - n);
	store_total_add(&s->shared->totals.dropped, n);
	backlog_fini(&s->backlog);
}

/* What others are told of the server's health is without this one from now on: the end is no recovery. */
static void
store_leave(struct store *s)
{
	s->ends = true;
	if (s->behind)
		atomic_fetch_sub(&s->shared->behind, 1);
	s->behind = false;
}

static void
store_free(struct store *s)
{
	list_remove(&s->leaving);
	store_leave(s);
	store_disconnect(s);
	store_forget_rest(s);
	store_shared_unref(s->shared);
	s->magic = 0;
	free(s);
}

void
store_end(struct store *s)
{
	if (s == NULL)
		return;
	ALIVE(s, STORE_MAGIC);
	store_leave(s);
	store_disconnect(s);
	if (s->backlog.n != 0)
		store_tell_rest(s);
}

/* All is told, or it has had its time. */
static void
on_farewell(struct timer *t, uint64_t now_ms)
{
	struct store *s = CONTAINER(t, struct store, farewell);

	(void)now_ms;
	ALIVE(s, STORE_MAGIC);
	store_free(s);
}

/* With the loop's next timers, when none of its callbacks is up the stack; later if it has something to tell. */
static void
store_set_farewell(struct store *s)
{
	uint64_t in_ms = s->backlog.n != 0 ? s->shared->conf.timeout_ms : 1;

	timer_set(&s->loop->wheel, &s->farewell, loop_now_ms(s->loop) + in_ms);
}

void
store_retire(struct store *s, struct list *leaving)
{
	if (s == NULL)
		return;
	ALIVE(s, STORE_MAGIC);
	must(s->users != 0);
	if (--s->users != 0)
		return;
	if (s->redis == NULL) {
		store_free(s);
		return;
	}
	store_leave(s);
	list_add_tail(leaving, &s->leaving);
	store_set_farewell(s);
}

void
store_end_leaving(struct list *leaving)
{
	LIST_EACH (at, after, leaving) {
		struct store *s = LIST_ENTRY_OF(at, struct store, leaving);

		store_end(s);
		store_free(s);
	}
}
