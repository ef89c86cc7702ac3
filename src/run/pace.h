/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pace.h - how many may be done now, so that a rate is kept.
 *
 * In no span of the rate's own length (200/s: of a second) are more taken than it says, wherever the span begins.
 * What is not taken is not saved up, but for one and what PACE_SAVED_MS bring: a pause is followed by no burst. A
 * value; the time is the caller's and goes forwards.
 */
#ifndef RUN_PACE_H
#define RUN_PACE_H

#include "conf/conf.h"

#define PACE_SAVED_MS 50

struct pace {
	struct conf_rate rate;
	uint64_t credit;		/* in parts of one, of which there are as many as the span has microseconds */
	uint64_t at_us;			/* when it was last reckoned */
};

/* The first can be taken at once. */
void pace_init(struct pace *p, const struct conf_rate *rate, uint64_t now_us);
/* Another rate, from now on. */
void pace_set(struct pace *p, const struct conf_rate *rate);
/* As many of these as may be done now. */
unsigned pace_take(struct pace *p, uint64_t now_us, size_t wanted) MUST_CHECK;
/* They were taken for nothing. */
void pace_give_back(struct pace *p, unsigned n);

#endif
