/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway's counts are relaxed atomics: each is right by itself, and none says anything about another. Its state is
 * derived anew from all causes whenever one has changed, in gateway_settle(). */
#include "pool/gateway.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define GATEWAY_MAGIC 0x6a7e3a11

/* A slow start's first step: not nothing, so that a pool of such gateways alone has one to choose. */
#define GATEWAY_LEAST 1

/* ---- names ---- */

/* The first bytes of SHA-256 over what this is, the pool and the name, each closed by NUL, which no name holds: so
 * that a tag tells nothing to who does not know the names, and no two lists of names read alike. */
uint64_t
gateway_tag_of(const char *pool_name, struct slice name)
{
	static const char what[] = "stickyd gateway";
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t tag = 0;

	must(md != NULL);
	must(EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	must(EVP_DigestUpdate(md, what, sizeof what) == 1);
	must(EVP_DigestUpdate(md, pool_name, strlen(pool_name) + 1) == 1);
	must(EVP_DigestUpdate(md, name.p, name.n) == 1);
	must(EVP_DigestFinal_ex(md, digest, NULL) == 1);
	EVP_MD_CTX_free(md);
	for (unsigned i = 0; i < sizeof tag; i++)
		tag = tag << 8 | digest[i];
	return tag;
}

static struct gateway_identity *
identity_new(const char *pool_name, const char *name, uint64_t tag, const struct gateway_identity *before)
{
	struct gateway_identity *id = mem_zalloc(sizeof *id);

	*id = (struct gateway_identity){
		.before = before, .tag = tag, .name = mem_strdup(name), .pool_name = mem_strdup(pool_name),
	};
	return id;
}

static void
identity_free(const struct gateway_identity *id)
{
	while (id != NULL) {
		const struct gateway_identity *before = id->before;

		free(id->name);
		free(id->pool_name);
		free((void *)(uintptr_t)id);
		id = before;
	}
}

bool
gateway_is_tagged(const struct gateway *g, uint64_t tag)
{
	const struct gateway_identity *now = gateway_identity(g);

	for (const struct gateway_identity *id = now; id != NULL; id = id->before)
		if (id->tag == tag)
			return strcmp(id->pool_name, now->pool_name) == 0;
	return false;
}

/* ---- made and freed ---- */

static void
gateway_set_why(char to[GATEWAY_WHY_TEXT], const char *why)
{
	snprintf(to, GATEWAY_WHY_TEXT, "%s", why);
}

static void
gateway_init(struct gateway *g, const struct conf_gateway *cf, const struct conf_pool *pool)
{
	const char *why = pool->check == CONF_CHECK_NONE ? "not checked" : "not checked yet";

	g->magic = GATEWAY_MAGIC;
	atomic_init(&g->refs, 1);
	atomic_init(&g->state, GATEWAY_UP);
	atomic_init(&g->weight, cf->weight);
	atomic_init(&g->progress, GATEWAY_WHOLE);
	atomic_init(&g->max_sessions, cf->max_sessions);
	atomic_init(&g->backup, cf->backup);
	atomic_init(&g->eject_after, pool->eject_after);
	atomic_init(&g->identity,
	    identity_new(pool->name, cf->name, gateway_tag_of(pool->name, slice_of(cf->name)), NULL));
	g->conf_weight = cf->weight;
	g->slow_start_ms = pool->slow_start_ms;
	g->since_s = clock_wall_us() / 1000000;
	gateway_set_why(g->causes.verdict_why, why);
	gateway_set_why(g->why, why);
}

struct gateway *
gateway_new(const struct conf_gateway *cf, const struct conf_pool *pool, const char **why)
{
	struct addr addr;
	struct gateway *g;

	if (!addr_resolve(slice_of(cf->address), &addr, why))
		return NULL;
	g = mem_zalloc(sizeof *g);
	g->addr = addr;
	g->authority = mem_strdup(cf->address);
	gateway_init(g, cf, pool);
	return g;
}

struct gateway *
gateway_ref(struct gateway *g)
{
	ALIVE(g, GATEWAY_MAGIC);
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void
gateway_unref(struct gateway *g)
{
	if (g == NULL)
		return;
	ALIVE(g, GATEWAY_MAGIC);
	/* what other threads did with it comes before its end */
	if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	g->magic = 0;
	identity_free(gateway_identity(g));
	free(g->authority);
	free(g);
}

/* ---- counts ---- */

static void
count_up(atomic_uint *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static void
count_down(atomic_uint *count)
{
	must(atomic_fetch_sub_explicit(count, 1, memory_order_relaxed) != 0);
}

/* Read first: nearly always it is zero, and a line that nobody writes stays in every processor's cache. */
static void
count_clear(atomic_uint *count)
{
	if (atomic_load_explicit(count, memory_order_relaxed) != 0)
		atomic_store_explicit(count, 0, memory_order_relaxed);
}

static void
total_up(_Atomic uint64_t *total)
{
	atomic_fetch_add_explicit(total, 1, memory_order_relaxed);
}

/* Counting up first and looking afterwards would have two who meet at the last place both turn away. */
static bool
gateway_take_place(struct gateway *g)
{
	unsigned n = gateway_sessions(g), most = gateway_max_sessions(g);

	do
		if (most != 0 && n >= most)
			return false;
	while (!atomic_compare_exchange_weak_explicit(&g->sessions, &n, n + 1, memory_order_relaxed,
	    memory_order_relaxed));
	return true;
}

bool
gateway_enter(struct gateway *g, bool session)
{
	if (session && !gateway_take_place(g))
		return false;
	count_up(&g->load);
	return true;
}

void
gateway_leave(struct gateway *g, bool session)
{
	if (session)
		count_down(&g->sessions);
	count_down(&g->load);
}

void
gateway_note_request(struct gateway *g)
{
	total_up(&g->requests);
}

void
gateway_note_session(struct gateway *g)
{
	total_up(&g->sessions_total);
}

void
gateway_note_connected(struct gateway *g)
{
	count_clear(&g->failed_connects);
}

void
gateway_note_ok(struct gateway *g)
{
	count_clear(&g->failures);
}

static bool
gateway_note_failed_connect(struct gateway *g)
{
	unsigned before = atomic_fetch_add_explicit(&g->failed_connects, 1, memory_order_relaxed);

	if ((before + 1) % GATEWAY_CONNECTS_ARE_A_CHECK != 0)
		return false;
	count_up(&g->failed_connects_reported);
	return true;
}

/* Each further row as long is told again: the first may have come while it was the last one of its pool. */
static bool
gateway_note_row(struct gateway *g)
{
	unsigned most = atomic_load_explicit(&g->eject_after, memory_order_relaxed);
	unsigned before = atomic_fetch_add_explicit(&g->failures, 1, memory_order_relaxed);

	if (most == 0 || (before + 1) % most != 0)
		return false;
	atomic_store_explicit(&g->eject_reported, true, memory_order_relaxed);
	return true;
}

bool
gateway_note_failure(struct gateway *g, enum gateway_failure what)
{
	bool look = gateway_note_row(g);

	total_up(&g->errors);
	return (what == GATEWAY_CONNECT_FAILED && gateway_note_failed_connect(g)) || look;
}

struct gateway_trouble
gateway_take_trouble(struct gateway *g)
{
	return (struct gateway_trouble){
		.failed_checks = atomic_exchange_explicit(&g->failed_connects_reported, 0, memory_order_relaxed),
		.eject = atomic_exchange_explicit(&g->eject_reported, false, memory_order_relaxed),
	};
}

uint64_t
gateway_requests(const struct gateway *g)
{
	return atomic_load_explicit(&g->requests, memory_order_relaxed);
}

uint64_t
gateway_errors(const struct gateway *g)
{
	return atomic_load_explicit(&g->errors, memory_order_relaxed);
}

uint64_t
gateway_sessions_total(const struct gateway *g)
{
	return atomic_load_explicit(&g->sessions_total, memory_order_relaxed);
}

/* ---- from causes to the state ---- */

const char *
gateway_state_name(enum gateway_state state)
{
	static const char *const names[GATEWAY_STATES] = {
		[GATEWAY_UP] = "up",
		[GATEWAY_DOWN] = "down",
		[GATEWAY_DRAINING] = "draining",
		[GATEWAY_LEAVING] = "leaving",
		[GATEWAY_GONE] = "gone",
	};

	must((unsigned)state < COUNT(names));
	return names[state];
}

static bool
has_passed(uint64_t deadline_ms, uint64_t now_ms)
{
	return deadline_ms != 0 && now_ms >= deadline_ms;
}

/* The first that holds decides. why: stays as it is where none does. */
static enum gateway_state
gateway_derive(const struct gateway_causes *c, uint64_t now_ms, const char **why)
{
	const struct {
		bool holds;
		enum gateway_state state;
		const char *why;
	} causes[] = {
		{ c->gone, GATEWAY_GONE, "the configuration names it no more" },
		{ c->wish == GATEWAY_WISH_DOWN, GATEWAY_DOWN, "an operator took it down" },
		{ c->wish == GATEWAY_WISH_DRAIN && has_passed(c->wish_deadline_ms, now_ms), GATEWAY_LEAVING,
		    "the deadline of the operator's drain has passed" },
		{ c->asks && has_passed(c->asks_deadline_ms, now_ms), GATEWAY_LEAVING,
		    "the deadline of the drain that it asks for has passed" },
		{ c->ill, GATEWAY_DOWN, c->verdict_why },
		{ c->ejected_until_ms != 0, GATEWAY_DOWN, c->eject_why },
		{ c->wish == GATEWAY_WISH_DRAIN, GATEWAY_DRAINING, "an operator drains it" },
		{ c->asks, GATEWAY_DRAINING, "it asks for a drain" },
	};

	for (size_t i = 0; i < COUNT(causes); i++)
		if (causes[i].holds) {
			*why = causes[i].why;
			return causes[i].state;
		}
	return GATEWAY_UP;
}

static void
gateway_begin_slowly(struct gateway *g, uint64_t now_ms)
{
	g->rises_since_ms = g->slow_start_ms != 0 ? now_ms : 0;
	atomic_store_explicit(&g->progress, g->slow_start_ms != 0 ? GATEWAY_LEAST : GATEWAY_WHOLE,
	    memory_order_relaxed);
}

static void
gateway_change_state(struct gateway *g, enum gateway_state state, uint64_t now_ms)
{
	char text[ADDR_TEXT];

	if (state == GATEWAY_UP) {
		g->went_up++;
		gateway_begin_slowly(g, now_ms);
	} else if (state == GATEWAY_DOWN)
		g->went_down++;
	g->since_s = clock_wall_us() / 1000000;
	atomic_store_explicit(&g->state, state, memory_order_relaxed);
	log_write(state == GATEWAY_DOWN ? LOG_LEVEL_WARN : LOG_LEVEL_NOTICE, "pool %s: gateway %s (%s) is %s: %s",
	    gateway_pool_name(g), gateway_name(g), addr_text(&g->addr, text), gateway_state_name(state), g->why);
}

/* A cause has changed; event: what did, in a few words, which is the reason for being up again. */
static bool
gateway_settle(struct gateway *g, uint64_t now_ms, const char *event)
{
	const char *why = event;
	enum gateway_state state;
	bool changed;

	ALIVE(g, GATEWAY_MAGIC);
	state = gateway_derive(&g->causes, now_ms, &why);
	changed = gateway_state(g) != state;
	gateway_set_why(g->why, why);
	if (changed)
		gateway_change_state(g, state, now_ms);
	if (g->changed != NULL)
		g->changed(g, changed, g->changed_arg);
	return changed;
}

/* ---- causes ---- */

/* Whoever has been down by the checks and comes back is not what failed in traffic before. */
bool
gateway_judge(struct gateway *g, bool well, const char *why)
{
	if (well && g->causes.ill)
		g->causes.ejected_until_ms = 0;
	g->causes.ill = !well;
	gateway_set_why(g->causes.verdict_why, why);
	return gateway_settle(g, clock_coarse_ms(), why);
}

bool
gateway_eject(struct gateway *g, uint64_t until_ms, const char *why)
{
	g->causes.ejected_until_ms = until_ms;
	g->ejections++;
	gateway_set_why(g->causes.eject_why, why);
	count_clear(&g->failures);
	return gateway_settle(g, clock_coarse_ms(), why);
}

bool
gateway_pardon(struct gateway *g, const char *why)
{
	g->causes.ejected_until_ms = 0;
	return gateway_settle(g, clock_coarse_ms(), why);
}

/* Its own drain began when it first asked. */
static void
gateway_ask(struct gateway *g, uint64_t deadline_ms)
{
	if (g->causes.asks)
		return;
	g->causes.asks = true;
	g->causes.asks_deadline_ms = deadline_ms;
}

bool
gateway_drain(struct gateway *g, uint64_t deadline_ms, bool by_itself)
{
	if (by_itself)
		gateway_ask(g, deadline_ms);
	else {
		g->causes.wish = GATEWAY_WISH_DRAIN;
		g->causes.wish_deadline_ms = deadline_ms;
	}
	return gateway_settle(g, clock_coarse_ms(), by_itself ? "it asks for a drain" : "an operator drains it");
}

bool
gateway_ask_no_more(struct gateway *g)
{
	g->causes.asks = false;
	g->causes.asks_deadline_ms = 0;
	return gateway_settle(g, clock_coarse_ms(), "it asks for no drain any more");
}

bool
gateway_ready(struct gateway *g)
{
	g->causes.wish = GATEWAY_WISH_NONE;
	g->causes.wish_deadline_ms = 0;
	g->causes.ejected_until_ms = 0;
	return gateway_settle(g, clock_coarse_ms(), "an operator says that it is ready");
}

bool
gateway_take_down(struct gateway *g)
{
	g->causes.wish = GATEWAY_WISH_DOWN;
	g->causes.wish_deadline_ms = 0;
	return gateway_settle(g, clock_coarse_ms(), "an operator took it down");
}

bool
gateway_remove(struct gateway *g, uint64_t deadline_ms)
{
	g->causes.gone = true;
	g->causes.gone_deadline_ms = deadline_ms;
	return gateway_settle(g, clock_coarse_ms(), "the configuration names it no more");
}

void
gateway_set_weight(struct gateway *g, unsigned weight)
{
	atomic_store_explicit(&g->weight, weight, memory_order_relaxed);
}

static void
gateway_rename(struct gateway *g, const struct gateway_identity *to)
{
	const struct gateway_identity *now = gateway_identity(g);

	if (strcmp(now->name, to->name) == 0 && strcmp(now->pool_name, to->pool_name) == 0)
		return;
	log_notice("pool %s: gateway %s is now gateway %s of pool %s", now->pool_name, now->name, to->name,
	    to->pool_name);
	atomic_store_explicit(&g->identity, identity_new(to->pool_name, to->name, to->tag, now),
	    memory_order_release);
}

void
gateway_adopt(struct gateway *g, const struct gateway *fresh)
{
	gateway_rename(g, gateway_identity(fresh));
	if (g->conf_weight != fresh->conf_weight)
		gateway_set_weight(g, fresh->conf_weight);
	g->conf_weight = fresh->conf_weight;
	g->slow_start_ms = fresh->slow_start_ms;
	atomic_store_explicit(&g->max_sessions, gateway_max_sessions(fresh), memory_order_relaxed);
	atomic_store_explicit(&g->backup, gateway_is_backup(fresh), memory_order_relaxed);
	atomic_store_explicit(&g->eject_after, atomic_load(&fresh->eject_after), memory_order_relaxed);
}

/* ---- time ---- */

/* True: not all of it yet. */
static bool
gateway_rise(struct gateway *g, uint64_t now_ms)
{
	uint64_t risen_ms = now_ms > g->rises_since_ms ? now_ms - g->rises_since_ms : 0;
	unsigned progress = GATEWAY_WHOLE;

	if (g->rises_since_ms == 0)
		return false;
	if (risen_ms < g->slow_start_ms)
		progress = (unsigned)(risen_ms * GATEWAY_WHOLE / g->slow_start_ms);
	else
		g->rises_since_ms = 0;
	atomic_store_explicit(&g->progress, progress != 0 ? progress : GATEWAY_LEAST, memory_order_relaxed);
	return g->rises_since_ms != 0;
}

static bool
is_to_come(uint64_t deadline_ms, uint64_t now_ms)
{
	return deadline_ms > now_ms;
}

bool
gateway_tick(struct gateway *g, uint64_t now_ms)
{
	struct gateway_causes *c = &g->causes;
	bool ended = has_passed(c->ejected_until_ms, now_ms);
	const char *why = NULL;

	if (ended)
		c->ejected_until_ms = 0;
	if (ended || gateway_derive(c, now_ms, &why) != gateway_state(g))
		gateway_settle(g, now_ms, "its time aside is over");
	return gateway_rise(g, now_ms) || c->ejected_until_ms != 0 || is_to_come(c->wish_deadline_ms, now_ms) ||
	    is_to_come(c->asks_deadline_ms, now_ms);
}

/* ---- what is known ---- */

void
gateway_on_change(struct gateway *g, gateway_changed_fn *fn, void *arg)
{
	g->changed = fn;
	g->changed_arg = arg;
}

void
gateway_note_check(struct gateway *g, bool good, unsigned took_us, const char *what)
{
	gateway_set_why(g->check_what, what);
	g->check = (struct gateway_check){
		.known = true, .good = good, .at_s = clock_wall_us() / 1000000, .took_us = took_us,
		.what = g->check_what,
	};
}

struct gateway_check
gateway_check(const struct gateway *g)
{
	return g->check;
}

bool
gateway_is_well(const struct gateway *g)
{
	return !g->causes.ill;
}

bool
gateway_is_ejected(const struct gateway *g)
{
	return g->causes.ejected_until_ms != 0;
}

bool
gateway_asks_for_drain(const struct gateway *g)
{
	return g->causes.asks;
}

enum gateway_wish
gateway_wish(const struct gateway *g)
{
	return g->causes.wish;
}

const char *
gateway_why(const struct gateway *g)
{
	return g->why;
}

uint64_t
gateway_since_s(const struct gateway *g)
{
	return g->since_s;
}

static uint64_t
sooner(uint64_t one_ms, uint64_t other_ms)
{
	return one_ms == 0 || (other_ms != 0 && other_ms < one_ms) ? other_ms : one_ms;
}

uint64_t
gateway_deadline_ms(const struct gateway *g)
{
	const struct gateway_causes *c = &g->causes;

	return sooner(sooner(c->wish_deadline_ms, c->asks_deadline_ms), c->gone_deadline_ms);
}

uint64_t
gateway_went_up(const struct gateway *g)
{
	return g->went_up;
}

uint64_t
gateway_ejections(const struct gateway *g)
{
	return g->ejections;
}

uint64_t
gateway_went_down(const struct gateway *g)
{
	return g->went_down;
}
