/* SPDX-License-Identifier: BSD-2-Clause */
/* A tick, and how many sessions each of them closes. */
#include "run/ending.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/value.h"
#include "run/notify.h"

#define ENDING_TICK_MS 100
/* However long the grace is: nobody gains by waiting for a few. */
#define ENDING_LEAST_PER_S 200
#define ENDING_SPREAD_OF_GRACE 3 / 4
/* Behind the grace of a process that leaves. */
#define ENDING_LAST_OF_GRACE 1 / 4
#define ENDING_LAST_LEAST_MS 1000

struct ending {
	struct daemon *daemon;
	struct event tick;
	uint64_t close_from_ms;		/* sessions are closed from then on */
	uint64_t spread_ms;		/* for so long */
	uint64_t by_ms;			/* 0: not under way; the end */
	size_t batch;			/* sessions to close in each tick, all workers together; 0: not begun */
};

bool
ending_is_under_way(const struct ending *e)
{
	return e->by_ms != 0;
}

size_t
ending_sessions(const struct ending *e)
{
	size_t n = 0;

	for (unsigned i = 0; i < e->daemon->workers; i++)
		n += worker_sessions(e->daemon->worker[i]);
	return n;
}

static void
ending_each_worker(struct ending *e, void (*fn)(struct worker *w))
{
	for (unsigned i = 0; i < e->daemon->workers; i++)
		fn(e->daemon->worker[i]);
}

static void
ending_begin_closing(struct ending *e)
{
	uint64_t ticks = e->spread_ms / ENDING_TICK_MS;
	size_t least = ENDING_LEAST_PER_S * ENDING_TICK_MS / 1000;

	e->batch = ending_sessions(e) / (size_t)(ticks != 0 ? ticks : 1) + 1;
	if (e->batch < least)
		e->batch = least;
}

/* Each worker closes its share: what a worker has, of what all have. */
static void
ending_close_batch(struct ending *e)
{
	size_t all = ending_sessions(e);

	for (unsigned i = 0; i < e->daemon->workers && all != 0; i++) {
		size_t its = worker_sessions(e->daemon->worker[i]);

		if (its != 0)
			worker_close_sessions(e->daemon->worker[i], (its * e->batch + all - 1) / all);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct ending *e = arg;
	uint64_t now_ms = clock_coarse_ms();

	(void)fd;
	(void)what;
	if (now_ms < e->close_from_ms)
		return;
	if (now_ms >= e->by_ms) {
		log_notice("time is over: %zu sessions are ended", ending_sessions(e));
		ending_abort(e);
		return;
	}
	if (e->batch == 0)
		ending_begin_closing(e);
	ending_close_batch(e);
}

struct ending *
ending_new(struct event_base *base, struct daemon *d)
{
	struct ending *e = mem_zalloc(sizeof *e);

	e->daemon = d;
	must(event_assign(&e->tick, base, -1, EV_PERSIST, on_tick, e) == 0);
	return e;
}

void
ending_free(struct ending *e)
{
	if (e == NULL)
		return;
	event_del(&e->tick);
	free(e);
}

static void
ending_begin(struct ending *e, uint64_t wait_ms, uint64_t spread_ms, uint64_t rest_ms)
{
	struct timeval every = { .tv_usec = ENDING_TICK_MS * 1000 };
	uint64_t now_ms = clock_coarse_ms();

	e->close_from_ms = now_ms + wait_ms;
	e->spread_ms = spread_ms;
	e->by_ms = e->close_from_ms + spread_ms + rest_ms;
	e->batch = 0;
	must(event_add(&e->tick, &every) == 0);
}

void
ending_stop(struct ending *e)
{
	uint64_t grace_ms = e->daemon->edition->conf->global.shutdown_grace_ms;
	uint64_t spread_ms = grace_ms * ENDING_SPREAD_OF_GRACE;
	char within[VALUE_TIME_TEXT];

	ending_begin(e, 0, spread_ms, grace_ms - spread_ms);
	log_notice("stopping: %zu sessions, within %s", ending_sessions(e), value_time_text(grace_ms, within));
	notify_status("stopping: %zu sessions are closed within %s", ending_sessions(e), within);
	for (unsigned i = 0; i < e->daemon->workers; i++)
		worker_stop(e->daemon->worker[i], e->by_ms);
	on_tick(-1, 0, e);
}

void
ending_leave(struct ending *e)
{
	uint64_t grace_ms = e->daemon->edition->conf->global.shutdown_grace_ms;
	uint64_t last_ms = grace_ms * ENDING_LAST_OF_GRACE;
	char grace[VALUE_TIME_TEXT];

	if (last_ms < ENDING_LAST_LEAST_MS)
		last_ms = ENDING_LAST_LEAST_MS;
	ending_begin(e, grace_ms, last_ms / 2, last_ms - last_ms / 2);
	log_notice("another process has taken over: %zu sessions stay here for %s at most", ending_sessions(e),
	    value_time_text(grace_ms, grace));
	for (unsigned i = 0; i < e->daemon->workers; i++)
		worker_leave(e->daemon->worker[i], e->by_ms);
}

void
ending_abort(struct ending *e)
{
	event_del(&e->tick);
	if (e->by_ms == 0)
		e->by_ms = clock_coarse_ms();
	ending_each_worker(e, worker_abort);
}
