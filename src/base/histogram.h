/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - how often something took how long: buckets that one thread counts in and any thread may read.
 *
 * Bounds are fixed, by what is measured, so that histograms of several threads can be added up.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/counter.h"

#define HISTOGRAM_BUCKETS 16

struct histogram {
	struct counter bucket[HISTOGRAM_BUCKETS];	/* each time in one */
	struct counter sum_us;
};

/* The longest time that is within each bucket; the last takes any. */
typedef const uint64_t histogram_bounds[HISTOGRAM_BUCKETS];
extern histogram_bounds histogram_of_connects;		/* 100 us to 30 s */
extern histogram_bounds histogram_of_requests;		/* 1 ms to a minute */
extern histogram_bounds histogram_of_sessions;		/* a second to a week */

/* The owner's thread. */
void histogram_note(struct histogram *h, histogram_bounds bounds, uint64_t us);

#endif
