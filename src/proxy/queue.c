/* SPDX-License-Identifier: BSD-2-Clause */
/* Whoever's gateway has a place again tries it, in the order in which they came; the others are only looked at. */
#include "proxy/queue.h"

#include "proxy/exchange.h"
#include "proxy/placement.h"

static void
queue_look_at(struct exchange *x, uint64_t now_ms)
{
	if (x->proxy->stopping) {
		exchange_fail(x, END_STOPPING);
	} else if (x->state == EXCHANGE_ASKING) {
		return;		/* a place was found and the store is asked: it keeps its turn until that answers */
	} else if (now_ms >= x->wait.by_ms) {
		x->wait.over = true;
		placement_find(x);
	} else if (now_ms >= x->wait.retry_ms && affinity_is_worth_a_try(x->service->affinity, &x->choice)) {
		x->wait.retry_ms = now_ms + QUEUE_RETRY_MS;
		x->tried.n = 0;
		placement_find(x);
	}
}

static void
on_look(struct timer *t, uint64_t now_ms)
{
	struct queue *q = CONTAINER(t, struct queue, timer);

	LIST_EACH(at, after, &q->waiting)
		queue_look_at(LIST_ENTRY_OF(at, struct exchange, wait.link), now_ms);
	if (!list_is_empty(&q->waiting))
		loop_timer_by(q->loop, &q->timer, now_ms + QUEUE_LOOK_MS);
}

void
queue_init(struct queue *q, struct loop *l)
{
	q->loop = l;
	list_init(&q->waiting);
	timer_init(&q->timer, on_look);
}

void
queue_fini(struct queue *q)
{
	must(list_is_empty(&q->waiting));
	timer_cancel(&q->timer);
}

void
queue_add(struct queue *q, struct exchange *x, uint64_t wait_ms)
{
	uint64_t now_ms = loop_now_ms(q->loop);

	if (!list_is_empty(&x->wait.link))
		return;
	if (x->wait.by_ms == 0) {
		x->wait.by_ms = now_ms + wait_ms;
		x->wait.retry_ms = now_ms + (x->tried.n != 0 ? QUEUE_RETRY_MS : 0);
	}
	list_add_tail(&q->waiting, &x->wait.link);
	loop_timer_by(q->loop, &q->timer, now_ms + QUEUE_LOOK_MS);
}

void
queue_leave(struct exchange *x)
{
	list_remove(&x->wait.link);
}
