/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn: wait and handle events, then the streams that asked to go on, the timers, and at last what is to be
 * freed. */
#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/sys.h"

const uint64_t loop_lag_bound_us[LOOP_LAG_BUCKETS] = { 100, 250, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000,
	250000, 1000000, UINT64_MAX };

/* What nearly every turn comes to is two comparisons. No reader's taking of the peak is waited for: should it fall
 * between the two, a peak is told twice, none is lost. */
static void
lag_note(struct loop_lag *lag, uint64_t us)
{
	unsigned i = 0;

	while (us > loop_lag_bound_us[i])
		i++;
	counter_add(&lag->bucket[i], 1);
	counter_add(&lag->sum_us, us);
	if (us <= atomic_load_explicit(&lag->peak_us, memory_order_relaxed))
		return;
	atomic_store_explicit(&lag->peak_us, us, memory_order_relaxed);
	if (us > atomic_load_explicit(&lag->max_us, memory_order_relaxed))
		atomic_store_explicit(&lag->max_us, us, memory_order_relaxed);
}

struct loop_lag *
loop_lag(struct loop *l)
{
	return &l->lag;
}

uint64_t
loop_lag_take_peak(struct loop_lag *lag)
{
	return atomic_exchange_explicit(&lag->peak_us, 0, memory_order_relaxed);
}

struct loop *
loop_new(void)
{
	struct loop *l = mem_zalloc(sizeof *l);

	l->fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->fd == -1) {
		free(l);
		return NULL;
	}
	wheel_init(&l->wheel, clock_coarse_ms());
	list_init(&l->again);
	list_init(&l->reap);
	slab_init_loose(&l->chunks, LOOP_CHUNK, LOOP_CHUNKS_SPARE);
	l->in = mem_zalloc(LOOP_SCRATCH);
	l->out = mem_zalloc(LOOP_SCRATCH_OUT);
	return l;
}

void
watch_init(struct watch *w, watch_fn *fn)
{
	w->fn = fn;
	list_init(&w->again);
}

void
loop_again(struct loop *l, struct watch *w)
{
	if (list_is_empty(&w->again))
		list_add_tail(&l->again, &w->again);
}

bool
loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(l->fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

void
loop_unwatch(struct loop *l, struct watch *w, int fd)
{
	list_remove(&w->again);
	must(epoll_ctl(l->fd, EPOLL_CTL_DEL, fd, NULL) == 0);
}

void
loop_reap(struct loop *l, struct reap *r, void (*free)(struct reap *r))
{
	r->free = free;
	list_add_tail(&l->reap, &r->link);
}

void
loop_reap_all(struct loop *l)
{
	while (!list_is_empty(&l->reap)) {
		struct reap *r = LIST_ENTRY_OF(l->reap.next, struct reap, link);

		list_remove(&r->link);
		r->free(r);
	}
}

/* Only those who asked before this turn's end: who asks again waits for the next. */
static void
loop_run_again(struct loop *l)
{
	struct list now;

	if (list_is_empty(&l->again))
		return;
	list_add_tail(&l->again, &now);		/* takes the head's place in the ring */
	list_remove(&l->again);
	while (!list_is_empty(&now)) {
		struct watch *w = LIST_ENTRY_OF(now.next, struct watch, again);

		list_remove(&w->again);
		w->fn(w, 0);
	}
}

int
loop_patience_ms(struct loop *l)
{
	uint64_t next, now;

	if (!list_is_empty(&l->again))
		return 0;
	next = wheel_next_ms(&l->wheel);
	if (next == UINT64_MAX)
		return -1;
	now = loop_now_ms(l);
	if (next <= now)
		return 0;
	return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

void
loop_turn(struct loop *l)
{
	loop_turn_within(l, loop_patience_ms(l));
}

void
loop_turn_within(struct loop *l, int patience_ms)
{
	int n = sys_epoll_wait(l->fd, l->event, LOOP_EVENTS, patience_ms);
	uint64_t begun_us = clock_exact_us();

	must(n != -1 || errno == EINTR);
	l->now_ms = begun_us / 1000;
	l->turn++;
	for (int i = 0; i < n; i++) {
		struct watch *w = l->event[i].data.ptr;

		w->fn(w, l->event[i].events);
	}
	loop_run_again(l);
	wheel_advance(&l->wheel, l->now_ms);
	loop_reap_all(l);
	lag_note(&l->lag, clock_exact_us() - begun_us);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_reap_all(l);
	slab_fini(&l->chunks);
	pipes_fini(&l->pipes);
	close(l->fd);
	free(l->in);
	free(l->out);
	free(l);
}
