/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways to look at, what each pool may close, and a tick while there is something to close. */
#include "run/drainer.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/pace.h"
#include "run/rebalance.h"

/* The time from tick to tick is drawn between these. */
#define TICK_LEAST_MS 20
#define TICK_MOST_MS 40
/* An order that a worker has not come to by then is void: what it was to close is the next order's. */
#define ORDER_MS 200
/* After a round of a rebalance, for those who were closed to come back. */
#define SETTLE_US 2000000

/* A gateway that has, or may have some day, sessions to close: of an edition in force, or gone. */
struct drained {
	struct gateway *gateway;	/* the key, referenced */
	UT_hash_handle hh;
};

/* What may be closed in a pool: all its gateways share it. It stays when the pool has gone. */
struct allowance {
	char *pool;			/* the key */
	struct pace closes, moves;
	struct rebalance *rebalance;	/* NULL: none is under way */
	uint64_t next_round_us;		/* 0: a round is under way */
	UT_hash_handle hh;
};

/* An order that workers may still be at. */
struct issued {
	struct list list;
	struct closing_order *order;
	struct pace *pace;		/* gets back what of it nobody used */
};

struct drainer {
	struct daemon *daemon;
	struct event tick;
	bool ticking;
	struct drained *drained;
	struct allowance *allowance;
	struct list issued;
};

/* ---- who is there ---- */

static const struct pool *
drainer_pool(const struct drainer *dr, const char *name)
{
	const struct edition *e = dr->daemon->edition;

	for (size_t i = 0; i < e->pools; i++)
		if (strcmp(e->pool[i]->name, name) == 0)
			return e->pool[i];
	return NULL;
}

static struct allowance *
drainer_allowance(const struct drainer *dr, const char *pool)
{
	struct allowance *a;

	HASH_FIND_STR(dr->allowance, pool, a);
	return a;
}

static void
drainer_allow(struct drainer *dr, const struct pool *p)
{
	struct allowance *a = drainer_allowance(dr, p->name);

	if (a != NULL) {
		pace_set(&a->closes, &p->conf->drain_rate);
		return;
	}
	a = mem_zalloc(sizeof *a);
	a->pool = mem_strdup(p->name);
	pace_init(&a->closes, &p->conf->drain_rate, clock_exact_us());
	HASH_ADD_KEYPTR(hh, dr->allowance, a->pool, strlen(a->pool), a);
}

static void
drainer_know(struct drainer *dr, struct gateway *g)
{
	struct drained *e;

	HASH_FIND_PTR(dr->drained, &g, e);
	if (e != NULL)
		return;
	e = mem_zalloc(sizeof *e);
	e->gateway = gateway_ref(g);
	HASH_ADD_PTR(dr->drained, gateway, e);
}

static void
drainer_take_stock(struct drainer *dr)
{
	const struct edition *e = dr->daemon->edition;

	for (size_t p = 0; p < e->pools; p++) {
		drainer_allow(dr, e->pool[p]);
		for (unsigned i = 0; i < e->pool[p]->gateways; i++)
			drainer_know(dr, e->pool[p]->gateway[i]);
	}
}

static void
drainer_forget(struct drainer *dr, struct drained *e)
{
	HASH_DEL(dr->drained, e);
	gateway_unref(e->gateway);
	free(e);
}

/* Gone, with nobody left at it. */
static void
drainer_forget_gone(struct drainer *dr)
{
	struct drained *e, *after;

	HASH_ITER(hh, dr->drained, e, after)
		if (gateway_state(e->gateway) == GATEWAY_GONE && gateway_sessions(e->gateway) == 0)
			drainer_forget(dr, e);
}

/* ---- orders ---- */

static void
drainer_order(struct drainer *dr, struct closing_order *o, struct pace *pace)
{
	struct issued *is = mem_zalloc(sizeof *is);

	is->order = o;
	is->pace = pace;
	list_add_tail(&dr->issued, &is->list);
	for (unsigned i = 0; i < dr->daemon->workers; i++)
		worker_close_at(dr->daemon->worker[i], closing_ref(o));
}

static void
issued_free(struct issued *is)
{
	list_remove(&is->list);
	closing_unref(is->order);
	free(is);
}

/* Sessions that were on their way out already, or ended by themselves, cost their pool nothing. */
static void
drainer_collect(struct drainer *dr)
{
	LIST_EACH (at, after, &dr->issued) {
		struct issued *is = LIST_ENTRY_OF(at, struct issued, list);

		if (!closing_is_done(is->order))
			continue;
		pace_give_back(is->pace, closing_left(is->order));
		issued_free(is);
	}
}

/* ---- drains ---- */

/* Its time is over. */
static bool
is_due(const struct gateway *g)
{
	uint64_t deadline_ms = gateway_deadline_ms(g);

	return gateway_state(g) == GATEWAY_LEAVING ||
	    (gateway_state(g) == GATEWAY_GONE && deadline_ms != 0 && clock_coarse_ms() >= deadline_ms);
}

static void
drainer_close_due(struct drainer *dr, struct gateway *g)
{
	struct allowance *a = drainer_allowance(dr, gateway_pool_name(g));
	enum end_reason why = gateway_state(g) == GATEWAY_GONE ? END_GATEWAY_GONE : END_DRAINED;
	unsigned n;

	if (a == NULL || gateway_sessions(g) == 0 || !is_due(g))
		return;
	n = pace_take(&a->closes, clock_exact_us(), gateway_sessions(g));
	if (n != 0)
		drainer_order(dr, closing_new(g, NULL, why, n, clock_coarse_ms() + ORDER_MS), &a->closes);
}

/* ---- rebalances ---- */

static void
allowance_end_rebalance(struct allowance *a)
{
	rebalance_free(a->rebalance);
	a->rebalance = NULL;
	log_notice("pool %s: the rebalance is over", a->pool);
}

/* A tick's worth goes one way: another one's turn is some milliseconds later. False: the round is over. */
static bool
drainer_move(struct drainer *dr, struct allowance *a)
{
	struct rebalance_step step;
	enum end_reason why;
	unsigned n;

	if (!rebalance_next(a->rebalance, &step))
		return false;
	n = pace_take(&a->moves, clock_exact_us(), step.most);
	if (n == 0)
		return true;
	rebalance_note(a->rebalance, &step, n);
	why = step.overfull ? END_OVERFULL : END_REBALANCED;
	drainer_order(dr, closing_new(step.from, step.to, why, n, clock_coarse_ms() + ORDER_MS), &a->moves);
	return true;
}

static void
drainer_step_rebalance(struct drainer *dr, struct allowance *a)
{
	const struct pool *p = drainer_pool(dr, a->pool);
	uint64_t now_us = clock_exact_us();

	if (p == NULL) {
		allowance_end_rebalance(a);
	} else if (a->next_round_us == 0) {
		if (!drainer_move(dr, a))
			a->next_round_us = now_us + SETTLE_US;
	} else if (now_us >= a->next_round_us) {
		a->next_round_us = 0;
		if (!rebalance_again(a->rebalance, p))
			allowance_end_rebalance(a);
	}
}

/* ---- the tick ---- */

/* There is something to do, or will be without anybody telling. */
static bool
is_awaited(const struct gateway *g)
{
	return gateway_sessions(g) != 0 && (gateway_state(g) == GATEWAY_LEAVING ||
	    (gateway_state(g) == GATEWAY_GONE && gateway_deadline_ms(g) != 0));
}

static bool
drainer_is_awaited(const struct drainer *dr)
{
	const struct drained *e, *after;
	const struct allowance *a, *next;

	HASH_ITER(hh, dr->allowance, a, next)
		if (a->rebalance != NULL)
			return true;
	HASH_ITER(hh, dr->drained, e, after)
		if (is_awaited(e->gateway))
			return true;
	return !list_is_empty(&dr->issued);
}

static void
drainer_wait(struct drainer *dr)
{
	struct timeval after = { .tv_sec = 0 };
	uint16_t random;

	evutil_secure_rng_get_bytes(&random, sizeof random);
	after.tv_usec = TICK_LEAST_MS * 1000 + random % ((TICK_MOST_MS - TICK_LEAST_MS) * 1000);
	must(event_add(&dr->tick, &after) == 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct drainer *dr = arg;
	struct drained *e, *after;
	struct allowance *a, *next;

	(void)fd;
	(void)what;
	drainer_collect(dr);
	HASH_ITER(hh, dr->drained, e, after)
		drainer_close_due(dr, e->gateway);
	HASH_ITER(hh, dr->allowance, a, next)
		if (a->rebalance != NULL)
			drainer_step_rebalance(dr, a);
	drainer_forget_gone(dr);
	dr->ticking = drainer_is_awaited(dr);
	if (dr->ticking)
		drainer_wait(dr);
}

void
drainer_look(struct drainer *dr)
{
	drainer_take_stock(dr);
	drainer_forget_gone(dr);
	if (dr->ticking || !drainer_is_awaited(dr))
		return;
	dr->ticking = true;
	drainer_wait(dr);
}

/* ---- its life ---- */

struct drainer *
drainer_new(struct event_base *base, struct daemon *d)
{
	struct drainer *dr = mem_zalloc(sizeof *dr);

	dr->daemon = d;
	list_init(&dr->issued);
	must(event_assign(&dr->tick, base, -1, 0, on_tick, dr) == 0);
	drainer_take_stock(dr);
	return dr;
}

void
drainer_free(struct drainer *dr)
{
	struct drained *e, *after;
	struct allowance *a, *next;

	if (dr == NULL)
		return;
	event_del(&dr->tick);
	LIST_EACH (at, behind, &dr->issued)
		issued_free(LIST_ENTRY_OF(at, struct issued, list));
	HASH_ITER(hh, dr->drained, e, after)
		drainer_forget(dr, e);
	HASH_ITER(hh, dr->allowance, a, next) {
		HASH_DEL(dr->allowance, a);
		rebalance_free(a->rebalance);
		free(a->pool);
		free(a);
	}
	free(dr);
}

/* ---- for operators ---- */

bool
drainer_rebalance(struct drainer *dr, const struct pool *p, const struct conf_rate *rate, size_t *moving,
    const char **why)
{
	struct rebalance *r = rebalance_new(p);
	struct allowance *a;

	if (!pool_has_room(p)) {
		*why = "no gateway of the pool takes newcomers";
		rebalance_free(r);
		return false;
	}
	drainer_take_stock(dr);
	a = drainer_allowance(dr, p->name);
	rebalance_free(a->rebalance);
	a->rebalance = r;
	a->next_round_us = 0;
	pace_init(&a->moves, rate, clock_exact_us());
	*moving = rebalance_left(r);
	log_notice("pool %s: an operator has asked for a rebalance: %zu sessions are to move", p->name, *moving);
	drainer_look(dr);
	return true;
}

bool
drainer_progress(const struct drainer *dr, const struct pool *p, struct drainer_progress *progress)
{
	const struct allowance *a = drainer_allowance(dr, p->name);

	if (a == NULL || a->rebalance == NULL)
		return false;
	*progress = (struct drainer_progress){ a->moves.rate, rebalance_left(a->rebalance) };
	return true;
}

void
drainer_each_gone(const struct drainer *dr, void (*fn)(const struct gateway *g, void *arg), void *arg)
{
	struct drained *e, *after;

	HASH_ITER(hh, dr->drained, e, after)
		if (gateway_state(e->gateway) == GATEWAY_GONE && gateway_sessions(e->gateway) != 0)
			fn(e->gateway, arg);
}

size_t
drainer_closing(const struct drainer *dr, const struct gateway *g)
{
	(void)dr;
	return is_due(g) ? gateway_sessions(g) : 0;
}
