/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h - exchanges that wait for a gateway that is down or full (on_down, on_full = wait:TIME).
 *
 * One for each worker, first come first served. What they wait for may be given back on any worker, so it is looked
 * for every QUEUE_LOOK_MS, at a cost of some ten instructions for each that waits; with nobody waiting at none.
 */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include "base/list.h"
#include "net/loop.h"

#define QUEUE_LOOK_MS 20
/* A gateway that has just refused its client is not tried again sooner. */
#define QUEUE_RETRY_MS 200

struct queue {
	struct loop *loop;
	struct list waiting;		/* of struct exchange */
	struct timer timer;
};

struct exchange;

void queue_init(struct queue *q, struct loop *l);
void queue_fini(struct queue *q);		/* nobody may wait */
/* Behind all others; who waits already keeps his place. For wait_ms in all. */
void queue_add(struct queue *q, struct exchange *x, uint64_t wait_ms);
void queue_leave(struct exchange *x);		/* not waiting is fine */

#endif
