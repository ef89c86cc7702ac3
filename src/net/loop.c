/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn: wait and handle events, then the streams that asked to go on, the timers, and at last what is to be freed. */
#include "net/loop.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/stream.h"

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->tick_ms = UINT64_MAX;	/* the wheel itself is advanced at the end of the turn */
}

struct loop *
loop_new(void)
{
	struct event_config *cfg = event_config_new();
	struct loop *l = mem_zalloc(sizeof *l);

	must(cfg != NULL);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	must(l->base != NULL);
	must(event_assign(&l->tick, l->base, -1, 0, on_tick, l) == 0);
	l->tick_ms = UINT64_MAX;
	wheel_init(&l->wheel, clock_coarse_ms());
	list_init(&l->again);
	list_init(&l->reap);
	stream_loop_init(l);
	l->in = mem_zalloc(LOOP_SCRATCH);
	l->out = mem_zalloc(LOOP_SCRATCH_OUT);
	return l;
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
	list_add_tail(&l->again, &now);
	list_remove(&l->again);
	while (!list_is_empty(&now)) {
		struct stream *s = LIST_ENTRY_OF(now.next, struct stream, again);

		list_remove(&s->again);
		s->ready(s, STREAM_CAN_READ);
	}
}

static void
loop_arm_tick(struct loop *l)
{
	uint64_t next = wheel_next_ms(&l->wheel), now;
	struct timeval in;

	if (next >= l->tick_ms)
		return;
	now = loop_now_ms(l);
	next = next > now ? next - now : 0;
	in = (struct timeval){ .tv_sec = (time_t)(next / 1000), .tv_usec = (suseconds_t)(next % 1000 * 1000) };
	l->tick_ms = now + next;
	must(event_add(&l->tick, &in) == 0);
}

void
loop_turn(struct loop *l)
{
	int flags = EVLOOP_ONCE | (list_is_empty(&l->again) ? 0 : EVLOOP_NONBLOCK);

	loop_arm_tick(l);
	l->now_ms = 0;
	must(event_base_loop(l->base, flags) != -1);
	loop_run_again(l);
	wheel_advance(&l->wheel, loop_now_ms(l));
	loop_reap_all(l);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_reap_all(l);
	stream_loop_fini(l);
	event_del(&l->tick);
	event_base_free(l->base);
	free(l->in);
	free(l->out);
	free(l);
}
