/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vigil.h - for how long has a server said nothing, while we were there to hear it?
 *
 * Its time passes only while its owner looks at the clock: of a pause longer than a step, in which our thread was
 * kept waiting by others, little counts. A server on the same busy machine was kept waiting likewise, and what it
 * said meanwhile may lie in the socket unread. Time is given, never read.
 */
#ifndef STORE_VIGIL_H
#define STORE_VIGIL_H

#include <stdint.h>

#include "base/wheel.h"

/* Who keeps a vigil looks with every slot of the wheel; the coarse clock's tick comes on top. */
#define VIGIL_STEP_MS (WHEEL_SLOT_MS + 4)
/* What counts of a pause, however long: more than nothing, so that every vigil ends. */
#define VIGIL_PAUSE_MS (WHEEL_SLOT_MS / 4)

struct vigil {
	uint64_t looked_ms;		/* by the clock; */
	uint64_t now_ms, heard_ms;	/* by the vigil's own time */
};

static inline void
vigil_look(struct vigil *v, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > v->looked_ms ? now_ms - v->looked_ms : 0;

	v->now_ms += passed_ms <= VIGIL_STEP_MS ? passed_ms : VIGIL_PAUSE_MS;
	v->looked_ms = now_ms;
}

/* The server has said something, whatever it was. */
static inline void
vigil_hear(struct vigil *v, uint64_t now_ms)
{
	vigil_look(v, now_ms);
	v->heard_ms = v->now_ms;
}

/* since_ms, by the vigil's time: when there was something to be said. */
static inline uint64_t
vigil_silence_ms(const struct vigil *v, uint64_t since_ms)
{
	return v->now_ms - (since_ms > v->heard_ms ? since_ms : v->heard_ms);
}

#endif
