/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket. One that holds 1 + s and gains count - s in a span never lets more than count be taken in any
 * span, since that would be 1 + s + count - s, and less than a whole span has passed between the first and the last.
 */
#include "run/pace.h"

/* Parts of one. */
static uint64_t
pace_one(const struct pace *p)
{
	return (uint64_t)p->rate.per_ms * 1000;
}

static void
pace_add(struct pace *p, uint64_t parts)
{
	uint64_t most = pace_one(p) + (uint64_t)p->rate.count * PACE_SAVED_MS * 1000;

	p->credit = parts < most - p->credit ? p->credit + parts : most;
}

/* Without what is saved, each microsecond is worth `count` parts. */
static void
pace_reckon(struct pace *p, uint64_t now_us)
{
	uint64_t passed_us = now_us - p->at_us, span_us = pace_one(p);

	p->at_us = now_us;
	if (passed_us > span_us)
		passed_us = span_us;
	pace_add(p, passed_us * p->rate.count * (p->rate.per_ms - PACE_SAVED_MS) / p->rate.per_ms);
}

void
pace_set(struct pace *p, const struct conf_rate *rate)
{
	must(rate->count != 0 && rate->per_ms > PACE_SAVED_MS);
	if (rate->count == p->rate.count && rate->per_ms == p->rate.per_ms)
		return;
	p->rate = *rate;
	p->credit = 0;
}

void
pace_init(struct pace *p, const struct conf_rate *rate, uint64_t now_us)
{
	*p = (struct pace){ .at_us = now_us };
	pace_set(p, rate);
	p->credit = pace_one(p);
}

unsigned
pace_take(struct pace *p, uint64_t now_us, size_t wanted)
{
	uint64_t n;

	pace_reckon(p, now_us);
	n = p->credit / pace_one(p);
	if (n > wanted)
		n = wanted;
	p->credit -= n * pace_one(p);
	return (unsigned)n;
}

void
pace_give_back(struct pace *p, unsigned n)
{
	pace_add(p, n * pace_one(p));
}
