/* SPDX-License-Identifier: BSD-2-Clause */
/* The calendar's time as text. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define CLOCK_TEXT_SECOND 19		/* up to the second */
#define CLOCK_LAST_SECOND 253402300799	/* of the year 9999: beyond, the text would grow */

static void
clock_text_second(time_t second, char to[CLOCK_TEXT_SECOND])
{
	char text[80];
	struct tm tm;

	gmtime_r(&second, &tm);
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(to, text, CLOCK_TEXT_SECOND);
}

void
clock_text(uint64_t wall_us, char to[CLOCK_TEXT])
{
	static _Thread_local struct {
		uint64_t second;
		char text[CLOCK_TEXT_SECOND];
	} last = { 0, "1970-01-01T00:00:00" };
	uint64_t second = wall_us / 1000000;
	unsigned ms = (unsigned)(wall_us / 1000 % 1000);

	if (second > CLOCK_LAST_SECOND)
		second = CLOCK_LAST_SECOND;
	if (second != last.second) {
		clock_text_second((time_t)second, last.text);
		last.second = second;
	}
	memcpy(to, last.text, CLOCK_TEXT_SECOND);
	to[19] = '.';
	to[20] = (char)('0' + ms / 100);
	to[21] = (char)('0' + ms / 10 % 10);
	to[22] = (char)('0' + ms % 10);
	to[23] = 'Z';
}
