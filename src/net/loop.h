/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - what a thread lends to its connections: the event base, the time, timers, scratch memory, and the moment after
 * a turn when things may be freed.
 *
 * One per worker; only its thread may call, but for loop_stop.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/slab.h"
#include "base/wheel.h"

/* A read takes up to this much at once; more makes few calls fewer and falls out of the processor's cache. */
#define LOOP_SCRATCH (64 * 1024)
/* Room for a whole read in chunked coding, with a head before it. */
#define LOOP_SCRATCH_OUT (LOOP_SCRATCH + 64 * 1024)

struct loop;
struct chunk;

/* Something to be freed when nobody up the stack can still be holding it. */
struct reap {
	struct list link;
	void (*free)(struct reap *r);
};

struct loop {
	struct event_base *base;
	uint64_t now_ms;		/* of this turn; 0: not read yet */
	struct wheel wheel;
	struct event tick;
	uint64_t tick_ms;		/* what it is set to */
	struct list again;		/* streams that used up their turn (stream.h) */
	struct list reap;
	struct list recent;		/* streams to be looked at once they are quiet (stream.h) */
	struct timer recent_timer;
	struct chunk *chunks;		/* given back, to be taken again (stream.h) */
	unsigned spare_chunks;
	char *in;			/* LOOP_SCRATCH: what was read last; valid until the next read */
	char *out;			/* LOOP_SCRATCH_OUT: for putting a message together */
};

struct loop *loop_new(void) MUST_CHECK;
void loop_free(struct loop *l);		/* NULL is fine; all connections must be gone */
/* Waits for events, handles them, then does what was left for the end of the turn. */
void loop_turn(struct loop *l);
/* r->free is called when the turn is over. */
void loop_reap(struct loop *l, struct reap *r, void (*free)(struct reap *r));

/* Frees now what waits for the turn's end: when the last turn is over. */
void loop_reap_all(struct loop *l);

static inline uint64_t
loop_now_ms(struct loop *l)
{
	if (l->now_ms == 0)
		l->now_ms = clock_coarse_ms();
	return l->now_ms;
}

static inline void
loop_timer_by(struct loop *l, struct timer *t, uint64_t due_ms)
{
	timer_set_by(&l->wheel, t, due_ms);
}

#endif
