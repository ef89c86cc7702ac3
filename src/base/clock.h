/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - what time it is, in three meanings.
 *
 * Any thread. The coarse ones cost some 5 ns (no system call, and no reading of the processor's counter, which costs
 * five times as much) and advance by the kernel's tick, about 4 ms.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* For timeouts: monotonic. */
static inline uint64_t
clock_coarse_ms(void)
{
	return clock_read_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

/* For what is reported: monotonic, exact. */
static inline uint64_t
clock_exact_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

/* For cookies and logs: the calendar's, since 1970. */
static inline uint64_t
clock_wall_us(void)
{
	return clock_read_us(CLOCK_REALTIME);
}

/* The calendar's seconds alone, by the coarse clock: for what is dated. */
static inline uint64_t
clock_wall_s(void)
{
	return clock_read_us(CLOCK_REALTIME_COARSE) / 1000000;
}

#define CLOCK_TEXT 24
/* The calendar's time as RFC 3339 has it, in UTC and to the millisecond: "2026-11-22T16:37:41.123Z", always
 * CLOCK_TEXT bytes, not terminated. Each thread keeps the text of its last second, so a line a request costs no
 * calendar. */
void clock_text(uint64_t wall_us, char to[CLOCK_TEXT]);

#endif
