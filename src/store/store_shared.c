/* SPDX-License-Identifier: BSD-2-Clause */
/* What all workers share: where the server is, health as the log tells it, an ear for others' changes, and the
 * operators' questions. The last two have a loop of their own, whose descriptor libevent waits for. */
#include "store/store_shared.h"

#include <event2/event.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* What changes about a server that is unwell is told, but not more often. */
#define REASONS_EACH_MS 1000
/* Published by operators: a sender's word that no process has. */
#define OPERATOR "operator"
#define MESSAGE_MAX (LOOP_SCRATCH / 2)

/* ---- made and freed ---- */

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

static void
url_copy(struct conf_url *to, const struct conf_url *from)
{
	*to = *from;
	to->text = dup_or_null(from->text);
	to->host = dup_or_null(from->host);
	to->path = dup_or_null(from->path);
	to->user = dup_or_null(from->user);
	to->password = dup_or_null(from->password);
}

static void
url_fini(struct conf_url *url)
{
	free(url->text);
	free(url->host);
	free(url->path);
	free(url->user);
	free(url->password);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
url_eq(const struct conf_url *a, const struct conf_url *b)
{
	return same_text(a->host, b->host) && same_text(a->path, b->path) && a->port == b->port &&
	    a->database == b->database && same_text(a->user, b->user) && same_text(a->password, b->password);
}

static bool
shared_resolve(struct store_shared *sh, conf_report_fn *report, void *arg)
{
	const struct conf_url *url = &sh->conf.url;
	bool is_v6 = url->host != NULL && strchr(url->host, ':') != NULL;
	const char *why;
	char *text;
	bool good;

	if (url->path != NULL) {
		sh->name = mem_printf("Redis at %s", url->path);
		return true;
	}
	text = mem_printf(is_v6 ? "[%s]:%u" : "%s:%u", url->host, url->port);
	good = addr_resolve(slice_of(text), &sh->main_server.addr, &why);
	if (!good)
		conf_complain(report, arg, sh->conf.url_place, "[store] url: '%s': %s", text, why);
	sh->name = mem_printf("Redis at %s", text);
	free(text);
	return good;
}

static void
shared_draw_sender(struct store_shared *sh)
{
	struct buf b = buf_of(sh->sender, sizeof sh->sender);
	uint64_t random;

	must(RAND_bytes((unsigned char *)&random, sizeof random) == 1);
	buf_hex64(&b, random);
}

struct store_shared *
store_shared_new(const struct conf_store *cf, struct pool *const *pools, size_t pools_n, struct table *t,
    conf_report_fn *report, void *arg)
{
	struct store_shared *sh = mem_zalloc(sizeof *sh);

	atomic_init(&sh->refs, 1);
	sh->conf = *cf;
	url_copy(&sh->conf.url, &cf->url);
	sh->table = t;
	sh->ttl_s = (uint32_t)(cf->ttl_ms / 1000);
	sh->main_server.url = &sh->conf.url;
	store_shared_set_pools(sh, pools, pools_n);
	pthread_mutex_init(&sh->lock, NULL);
	shared_draw_sender(sh);
	script_sha(sh->sha);
	sh->loop = loop_new();
	if (!shared_resolve(sh, report, arg)) {
		store_shared_free(sh);
		return NULL;
	}
	if (sh->loop == NULL) {
		conf_complain(report, arg, cf->url_place, "[store] url: no descriptors are left");
		store_shared_free(sh);
		return NULL;
	}
	sh->worker_server = sh->main_server;
	sh->worker_server.script = script_text;
	return sh;
}

static void
shared_forget_pools(struct store_shared *sh)
{
	for (size_t i = 0; i < sh->pools; i++)
		free(sh->pool[i]);
	free(sh->pool);
}

void
store_shared_set_pools(struct store_shared *sh, struct pool *const *pools, size_t n)
{
	shared_forget_pools(sh);
	sh->pool = mem_zalloc((n + 1) * sizeof *sh->pool);
	sh->pools = n;
	for (size_t i = 0; i < n; i++)
		sh->pool[i] = mem_strdup(pools[i]->name);
}

bool
store_shared_is_same(const struct store_shared *a, const struct store_shared *b)
{
	return url_eq(&a->conf.url, &b->conf.url) && addr_eq(&a->main_server.addr, &b->main_server.addr) &&
	    a->conf.max_keys == b->conf.max_keys && a->conf.ttl_ms == b->conf.ttl_ms &&
	    a->conf.timeout_ms == b->conf.timeout_ms;
}

void
store_shared_unref(struct store_shared *sh)
{
	if (atomic_fetch_sub(&sh->refs, 1) != 1)
		return;
	must(sh->ear == NULL);
	loop_free(sh->loop);
	pthread_mutex_destroy(&sh->lock);
	shared_forget_pools(sh);
	url_fini(&sh->conf.url);
	free(sh->name);
	free(sh);
}

void
store_shared_free(struct store_shared *sh)
{
	if (sh == NULL)
		return;
	store_shared_deafen(sh);
	store_shared_unref(sh);
}

/* ---- counts and health ---- */

static uint64_t
total(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

void
store_shared_count(const struct store_shared *sh, struct store_counts *c)
{
	const struct store_totals *t = &sh->totals;

	*c = (struct store_counts){
		.asked = total(&t->asked), .found = total(&t->found), .bound = total(&t->bound),
		.silent = total(&t->silent), .errors = total(&t->errors), .told = total(&t->told),
		.dropped = total(&t->dropped), .reconnects = total(&t->reconnects),
		.answer_us = total(&t->answer_us), .waiting = total(&t->waiting),
		.well = atomic_load_explicit(&sh->behind, memory_order_relaxed) == 0,
	};
}

static void
shared_complain(struct store_shared *sh, const char *why, uint64_t now_ms)
{
	if (!sh->unwell) {
		sh->unwell_ms = now_ms;
		log_warn("%s is not well: %s; going on by the table and by hash", sh->name, why);
	} else if (now_ms - sh->said_ms >= REASONS_EACH_MS && strncmp(why, sh->why, sizeof sh->why - 1) != 0) {
		log_info("%s is still not well: %s", sh->name, why);
	} else {
		return;
	}
	sh->unwell = true;
	sh->said_ms = now_ms;
	snprintf(sh->why, sizeof sh->why, "%s", why);
}

void
store_shared_ail(struct store_shared *sh, const char *why)
{
	pthread_mutex_lock(&sh->lock);
	shared_complain(sh, why, clock_coarse_ms());
	pthread_mutex_unlock(&sh->lock);
}

void
store_shared_recover(struct store_shared *sh)
{
	pthread_mutex_lock(&sh->lock);
	if (sh->unwell && atomic_load(&sh->behind) == 0) {
		sh->unwell = false;
		log_notice("%s is well again, after %.1f s", sh->name,
		    (double)(clock_coarse_ms() - sh->unwell_ms) / 1000);
	}
	pthread_mutex_unlock(&sh->lock);
}

/* ---- the ear ---- */

static bool
shared_has_pool(const struct store_shared *sh, struct slice name)
{
	for (size_t i = 0; i < sh->pools; i++)
		if (slice_eq(slice_of(sh->pool[i]), name))
			return true;
	return false;
}

/* In this order: whoever has an answer under way puts it into the table first and looks at the stamp afterwards. */
static void
shared_forget(struct store_shared *sh, struct slice pool, struct slice key)
{
	struct table_key k = table_key(sh->table, pool, key);

	atomic_fetch_add(store_stamp(sh, &k), 1);
	(void)table_forget(sh->table, &k);
}

static void
on_heard(void *owner, const redisReply *r)
{
	struct store_shared *sh = owner;
	struct script_moved m;

	if (!script_parse_moved(r, &m))
		redis_give_up(sh->ear, "it says what makes no sense");
	else if (!slice_eq(m.sender, slice_make(sh->sender, STORE_SENDER)) && shared_has_pool(sh, m.pool))
		shared_forget(sh, m.pool, m.key);
}

static void
on_subscribed(struct redis_call *c, const redisReply *r)
{
	struct store_shared *sh = CONTAINER(c, struct store_shared, subscription);

	if (r == NULL)
		return;
	if (script_parse_subscribed(r)) {
		atomic_store(&sh->heard_since_s, store_now_s());
		return;
	}
	log_notice("%s: others' changes can't be heard: %s", sh->name,
	    r->type == REDIS_REPLY_ERROR ? r->str : "what it says makes no sense");
	redis_give_up(sh->ear, "no subscription");
}

static void
on_ear_up(void *owner)
{
	struct store_shared *sh = owner;
	const struct slice word[] = { SLICE_LIT("SUBSCRIBE"), SLICE_LIT(SCRIPT_CHANNEL) };

	if (!redis_ask(sh->ear, &sh->subscription, on_subscribed, word, COUNT(word)))
		redis_give_up(sh->ear, "out of memory");
}

static void
on_ear_down(void *owner, const char *why)
{
	struct store_shared *sh = owner;

	atomic_store(&sh->heard_since_s, 0);
	log_debug("%s: others' changes go unheard: %s", sh->name, why);
}

static void
shared_set_due(struct store_shared *sh)
{
	int ms = loop_patience_ms(sh->loop);
	struct timeval in = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (ms == -1)
		event_del(sh->due);
	else
		event_add(sh->due, &in);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct store_shared *sh = arg;

	(void)fd;
	(void)what;
	loop_turn_within(sh->loop, 0);
	shared_set_due(sh);
}

void
store_shared_listen(struct store_shared *sh, struct event_base *base)
{
	static const struct redis_hooks hooks = { .up = on_ear_up, .down = on_ear_down, .heard = on_heard };

	must(sh->ear == NULL);
	sh->loop->now_ms = 0;
	sh->ear = redis_new(sh->loop, &sh->main_server, &hooks, sh);
	sh->ready = event_new(base, sh->loop->fd, EV_READ | EV_PERSIST, on_event, sh);
	sh->due = evtimer_new(base, on_event, sh);
	must(sh->ready != NULL && sh->due != NULL && event_add(sh->ready, NULL) == 0);
	shared_set_due(sh);
}

void
store_shared_deafen(struct store_shared *sh)
{
	if (sh == NULL || sh->ear == NULL)
		return;
	event_free(sh->ready);
	event_free(sh->due);
	sh->due = NULL;
	redis_free(sh->ear);
	sh->ear = NULL;
	atomic_store(&sh->heard_since_s, 0);
	loop_reap_all(sh->loop);
}

/* ---- operators ---- */

/* A connection for one question. */
struct enquiry {
	struct store_shared *sh;
	struct redis *redis;
	struct redis_call call;
	struct timer timer;
	bool over;
	const char *why;		/* NULL: it was answered */
	char *name;			/* where the answer goes; NULL: nowhere */
};

static void
enquiry_end(struct enquiry *e, const char *why)
{
	if (!e->over)
		e->why = why;
	e->over = true;
}

static void
on_enquiry_timeout(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	enquiry_end(CONTAINER(t, struct enquiry, timer), "no answer in time");
}

static void
on_enquiry_up(void *owner)
{
	(void)owner;
}

static void
on_enquiry_down(void *owner, const char *why)
{
	(void)why;
	enquiry_end(owner, "there is no connection");
}

/* A binding, or that there is none; of what was changed, only that it was. */
static void
on_enquiry_reply(struct redis_call *c, const redisReply *r)
{
	struct enquiry *e = CONTAINER(c, struct enquiry, call);
	struct script_answer a;

	if (r == NULL)
		enquiry_end(e, "there is no connection");
	else if (r->type == REDIS_REPLY_ERROR)
		enquiry_end(e, "the server refuses it");
	else if (e->name != NULL && r->type == REDIS_REPLY_STRING)
		snprintf(e->name, 256, "%s", r->str);
	else if (script_parse_answer(r, 0, &a) && !a.written)
		enquiry_end(e, "the server can't write");
	enquiry_end(e, NULL);
}

static bool
enquiry_run(struct enquiry *e, const struct slice *word, unsigned words)
{
	static const struct redis_hooks hooks = { .up = on_enquiry_up, .down = on_enquiry_down };
	struct loop *l = e->sh->loop;

	e->over = false;
	l->now_ms = 0;			/* its last turn may be long ago */
	e->redis = redis_new(l, &e->sh->main_server, &hooks, e);
	timer_init(&e->timer, on_enquiry_timeout);
	timer_set(&l->wheel, &e->timer, clock_coarse_ms() + e->sh->conf.timeout_ms);
	if (!redis_ask(e->redis, &e->call, on_enquiry_reply, word, words))
		enquiry_end(e, "out of memory");
	while (!e->over)
		loop_turn(l);
	timer_cancel(&e->timer);
	redis_free(e->redis);
	loop_reap_all(l);
	if (e->sh->due != NULL)
		shared_set_due(e->sh);
	return e->why == NULL;
}

bool
store_shared_look(struct store_shared *sh, struct slice pool, struct slice key, char name[256], const char **why)
{
	struct enquiry e = { .sh = sh, .name = name };
	char text[SCRIPT_NAME_MAX];
	struct buf b = buf_of(text, sizeof text);
	bool good;

	name[0] = '\0';
	script_name(pool, key, &b);
	good = enquiry_run(&e, (struct slice[]){ SLICE_LIT("GET"), buf_slice(&b) }, 2);
	*why = e.why;
	return good;
}

static bool
shared_delete(struct enquiry *e, struct slice pool, struct slice key)
{
	char name[SCRIPT_NAME_MAX], text[MESSAGE_MAX];
	struct buf b = buf_of(name, sizeof name), message = buf_of(text, sizeof text);

	script_name(pool, key, &b);
	if (!script_message(&(struct script_moved){ SLICE_LIT(OPERATOR), pool, key }, &message)) {
		e->why = "the key is too long";
		return false;
	}
	return enquiry_run(e, (struct slice[]){ SLICE_LIT("DEL"), buf_slice(&b) }, 2) &&
	       enquiry_run(e,
		   (struct slice[]){ SLICE_LIT("PUBLISH"), SLICE_LIT(SCRIPT_CHANNEL), buf_slice(&message) }, 3);
}

bool
store_shared_set(struct store_shared *sh, struct slice pool, struct slice key, const char *gateway, const char **why)
{
	struct enquiry e = { .sh = sh };
	struct script_request rq = {
		.pool = pool, .key = &key, .keys = 1, .proposed = slice_of(gateway),
		.sender = SLICE_LIT(OPERATOR), .ttl_ms = sh->conf.ttl_ms,
	};
	struct script_command c;
	bool good;

	if (gateway != NULL) {
		script_write(&c, &rq, SLICE_NONE);
		good = enquiry_run(&e, c.word, c.words);
	} else {
		good = shared_delete(&e, pool, key);
	}
	if (good)
		shared_forget(sh, pool, key);
	*why = e.why;
	return good;
}
