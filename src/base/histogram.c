/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounds as operators ask: "how many took more than a second?" */
#include "base/histogram.h"

#define MS 1000
#define S (UINT64_C(1000) * MS)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

histogram_bounds histogram_of_connects = { 100, 250, 500, 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
	250 * MS, 500 * MS, 1 * S, 5 * S, 30 * S, UINT64_MAX };
histogram_bounds histogram_of_requests = { 1 * MS, 2500, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
	500 * MS, 1 * S, 2500 * MS, 5 * S, 10 * S, 30 * S, MINUTE, UINT64_MAX };
histogram_bounds histogram_of_sessions = { 1 * S, 5 * S, 15 * S, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,
	2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY, UINT64_MAX };

void
histogram_note(struct histogram *h, histogram_bounds bounds, uint64_t us)
{
	unsigned i = 0;

	while (us > bounds[i])
		i++;
	counter_add(&h->bucket[i], 1);
	counter_add(&h->sum_us, us);
}
