/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - the last lines of the log that operators should know of, of notice and above, for who looks at the
 * daemon by the API and not at its log.
 *
 * One ring for the process: it hears what any thread logs (log_tee), under a lock that is held for the copy of a
 * line. Lines are numbered from 1, so that who looks again and again gets each once.
 */
#ifndef RUN_EVENTS_H
#define RUN_EVENTS_H

#include <stddef.h>

#include "base/log.h"

#define EVENTS_KEPT 1000

struct event_line {
	uint64_t number, at_us;		/* the calendar's */
	enum log_level level;
	char *text;
};

/* Of all lines that are logged from now on; a second call does nothing. */
void events_start(void);
void events_stop(void);			/* forgets them all */
/* Those with a higher number, in order: the caller's, by events_free(). *last: the highest there is, 0 where there is
 * none. */
struct event_line *events_after(uint64_t number, size_t *n, uint64_t *last) MUST_CHECK;
void events_free(struct event_line *line, size_t n);

#endif
