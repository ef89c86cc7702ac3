/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's part of orders and queries: a walk over its sessions. */
#include "proxy/closing.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proxy/session.h"

/* ---- orders ---- */

struct closing_order *
closing_new(struct gateway *from, struct gateway *to, enum end_reason why, unsigned budget, uint64_t until_ms)
{
	struct closing_order *o = mem_zalloc(sizeof *o);

	atomic_init(&o->refs, 1);
	atomic_init(&o->budget, budget);
	o->from = gateway_ref(from);
	o->to = to != NULL ? gateway_ref(to) : NULL;
	o->why = why;
	o->until_ms = until_ms;
	return o;
}

struct closing_order *
closing_ref(struct closing_order *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void
closing_unref(struct closing_order *o)
{
	if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	gateway_unref(o->from);
	gateway_unref(o->to);
	free(o);
}

bool
closing_is_done(const struct closing_order *o)
{
	return atomic_load_explicit(&o->refs, memory_order_acquire) == 1;
}

unsigned
closing_left(const struct closing_order *o)
{
	return atomic_load_explicit(&o->budget, memory_order_relaxed);
}

/* One of what all may close together. */
static bool
closing_take(struct closing_order *o)
{
	unsigned left = closing_left(o);

	while (left != 0)
		if (atomic_compare_exchange_weak_explicit(&o->budget, &left, left - 1, memory_order_relaxed,
			memory_order_relaxed))
			return true;
	return false;
}

void
proxy_close_at(struct proxy *p, struct closing_order *o)
{
	uint64_t now_ms = loop_now_ms(p->loop);

	LIST_EACH (at, after, &p->session_list) {
		struct session *s = session_of_list(at);

		if (session_gateway(s) != o->from || session_is_closing(s))
			continue;
		if (now_ms > o->until_ms || !closing_take(o))
			break;
		if (o->to != NULL)
			session_move(s, o->to);
		session_close(s, o->why, now_ms + CLOSING_GRACE_MS);
	}
	closing_unref(o);
}

/* ---- queries ---- */

struct session_query *
session_query_new(unsigned workers)
{
	struct session_query *q = mem_zalloc(sizeof *q + workers * sizeof q->share[0]);

	q->shares = workers;
	atomic_init(&q->waiting, workers);
	return q;
}

void
session_query_free(struct session_query *q)
{
	if (q == NULL)
		return;
	for (unsigned w = 0; w < q->shares; w++) {
		for (size_t i = 0; i < q->share[w].rows; i++)
			free(q->share[w].row[i].text);
		free(q->share[w].row);
	}
	free(q);
}

static bool
query_wants_key(const struct session_query *q, const struct session *s)
{
	for (size_t i = 0; i < q->keys; i++)
		if (session_has_key(s, &q->key[i]))
			return true;
	return q->keys == 0;
}

static bool
query_wants(const struct session_query *q, const struct session *s)
{
	const struct gateway *g = session_gateway(s);

	return (q->gateway == NULL || g == q->gateway) &&
	    (q->pool == NULL || strcmp(gateway_pool_name(g), q->pool) == 0) && query_wants_key(q, s);
}

static void
share_add(struct session_share *share, const struct session *s, unsigned worker)
{
	if (share->rows % 64 == 0)
		share->row = mem_realloc(share->row, (share->rows + 64) * sizeof *share->row);
	session_describe(s, &share->row[share->rows]);
	share->row[share->rows++].worker = worker;
}

void
proxy_list_sessions(struct proxy *p, struct session_query *q)
{
	struct session_share *share = &q->share[p->number];

	LIST_EACH (at, after, &p->session_list) {
		const struct session *s = session_of_list(at);

		if (!query_wants(q, s))
			continue;
		share->matching++;
		if (atomic_fetch_add_explicit(&q->taken, 1, memory_order_relaxed) < q->limit)
			share_add(share, s, p->number);
	}
	if (atomic_fetch_sub_explicit(&q->waiting, 1, memory_order_acq_rel) == 1)
		q->done(q);
}
