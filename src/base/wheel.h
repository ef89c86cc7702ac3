/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h - many timers that are set and hardly ever fire.
 *
 * A hashed wheel: setting and cancelling cost a few pointers, however many there are. Time is given, never read. A
 * timer fires up to WHEEL_SLOT_MS late, never early. Those who are active much keep a time stamp and let the timer
 * find out when it fires (lazily), instead of moving it with every byte.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define WHEEL_SLOT_MS 16
#define WHEEL_SLOTS 1024	/* 16 s a turn; a timer of an hour is looked at 220 times on its way */

struct timer;
/* Called once for each timer that is due, which is off the wheel by then and may be set again. */
typedef void timer_fn(struct timer *t, uint64_t now_ms);

struct timer {
	struct list link;
	uint64_t due_ms;	/* 0: not set */
	timer_fn *fn;
};

struct wheel {
	struct list slot[WHEEL_SLOTS];
	uint64_t busy[WHEEL_SLOTS / 64];	/* slots that may hold something */
	uint64_t tick;				/* the next slot to look at, counted since the clock's zero */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void timer_init(struct timer *t, timer_fn *fn);
/* Also when it is set already: it is moved. */
void timer_set(struct wheel *w, struct timer *t, uint64_t due_ms);
/* Set to fire at due_ms or earlier: does nothing where it will fire before. */
void timer_set_by(struct wheel *w, struct timer *t, uint64_t due_ms);
void timer_cancel(struct timer *t);		/* not set is fine */
/* Fires all that are due. */
void wheel_advance(struct wheel *w, uint64_t now_ms);
/* When wheel_advance has to be called next at the latest; UINT64_MAX: nothing is set. */
uint64_t wheel_next_ms(const struct wheel *w);

#endif
