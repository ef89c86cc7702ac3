/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - what a worker's thread lends to its connections: events, the time, timers, scratch memory, and the moment
 * after a turn when things may be freed.
 *
 * One per worker; only its thread may call. It is epoll(7) itself, not libevent, which serves the main thread: an
 * embedded struct event and its map entry take some 190 bytes for each socket, more than all else that an idle stream
 * needs; its dispatch takes as many instructions as a frame's relaying; and it hides EPOLLERR behind "readable and
 * writable", so that an edge-triggered reader who has emptied the socket can't tell a reset from ordinary readiness.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <sys/epoll.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "net/pipe.h"

/* A read takes up to this much at once; more makes few calls fewer and falls out of the processor's cache. The little
 * above 64 KiB is for the head of a message of just that much. */
#define LOOP_SCRATCH (64 * 1024 + 256)
/* Room for a whole read in chunked coding, with a head before it. */
#define LOOP_SCRATCH_OUT (LOOP_SCRATCH + 64 * 1024)
/* A TLS record's payload and the little that stands before it. */
#define LOOP_CHUNK (16 * 1024 + 64)
#define LOOP_CHUNKS_SPARE 64
/* Events taken by one epoll_wait. */
#define LOOP_EVENTS 256

struct watch;
/* events: EPOLLIN and its like, as the kernel gave them, or 0 after loop_again(). May come once more in the turn in
 * which the watch was removed. */
typedef void watch_fn(struct watch *w, uint32_t events);

/* A descriptor that is waited for; embedded in its owner. */
struct watch {
	watch_fn *fn;
	struct list again;
};

/* Something to be freed when nobody up the stack, and no event of this turn, can still mean it. */
struct reap {
	struct list link;
	void (*free)(struct reap *r);
};

/* How long turns took: from the moment when epoll_wait came back until all of it had been handled, for so long
 * somebody else may have waited. Any thread may read. */
#define LOOP_LAG_BUCKETS 13
/* A turn of just that long is within; the last: any. */
extern const uint64_t loop_lag_bound_us[LOOP_LAG_BUCKETS];

struct loop_lag {
	struct counter bucket[LOOP_LAG_BUCKETS];	/* turns, each in one */
	struct counter sum_us;
	_Atomic uint64_t max_us;
	_Atomic uint64_t peak_us;			/* since it was last taken (loop_lag_take_peak) */
};

struct loop {
	int fd;
	uint64_t now_ms;		/* when this turn began; 0: there was none yet */
	uint64_t turn;			/* its number */
	struct wheel wheel;
	struct list again;		/* watches that asked for another turn */
	struct list reap;
	struct slab chunks;		/* LOOP_CHUNK each: what sockets refused for now (stream.h) */
	struct pipes pipes;		/* for streams whose bytes nobody has to see (stream.h) */
	char *in;			/* LOOP_SCRATCH: what was read last; valid until the next read */
	char *out;			/* LOOP_SCRATCH_OUT: for putting a message together */
	struct epoll_event event[LOOP_EVENTS];
	struct loop_lag lag;
};

struct loop *loop_new(void) MUST_CHECK;
void loop_free(struct loop *l);		/* NULL is fine; all connections must be gone */
/* Waits for events, handles them, then does what was left for the end of the turn. */
void loop_turn(struct loop *l);
/* The same, but waits that long at most, -1: for ever. With 0 for whoever waits for l->fd by other means, and for as
 * long as loop_patience_ms() says. */
void loop_turn_within(struct loop *l, int patience_ms);
/* How long to wait, as epoll_wait has it: until the next timer, not at all where somebody wants to go on. */
int loop_patience_ms(struct loop *l);
void watch_init(struct watch *w, watch_fn *fn);
/* False with errno: the descriptor is not watched. */
bool loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events) MUST_CHECK;
/* The descriptor is still open; the watch's memory must outlive the turn. */
void loop_unwatch(struct loop *l, struct watch *w, int fd);
/* w->fn is called once more, when all others have had their turn; without a system call's delay. */
void loop_again(struct loop *l, struct watch *w);
/* r->free is called when the turn is over. */
void loop_reap(struct loop *l, struct reap *r, void (*free)(struct reap *r));
/* Frees now what waits for the turn's end: when the last turn is over. */
void loop_reap_all(struct loop *l);
struct loop_lag *loop_lag(struct loop *l);
/* The longest turn since the last call, for one who looks again and again. Any thread. */
uint64_t loop_lag_take_peak(struct loop_lag *lag);

/* When this turn began, of the same clock as clock_coarse_ms(), but exact: so it may be a little ahead of that. */
static inline uint64_t
loop_now_ms(struct loop *l)
{
	if (l->now_ms == 0)
		l->now_ms = clock_exact_us() / 1000;
	return l->now_ms;
}

static inline void
loop_timer_by(struct loop *l, struct timer *t, uint64_t due_ms)
{
	timer_set_by(&l->wheel, t, due_ms);
}

#endif
