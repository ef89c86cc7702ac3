/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.h - tells the service manager that the process is alive (WatchdogSec=), as long as all of it is: each
 * worker has to answer a question of the main thread between two tellings. A worker that hangs is then said in the
 * log, and the service manager does what its unit says.
 *
 * Nothing where nobody wants to be told. Main thread.
 */
#ifndef RUN_WATCHDOG_H
#define RUN_WATCHDOG_H

#include "run/daemon.h"

struct event_base;
struct watchdog;

/* NULL: it is not wanted. The daemon must outlive it; it looks at the workers that are there. */
struct watchdog *watchdog_new(struct event_base *base, struct daemon *d);
void watchdog_free(struct watchdog *w);		/* NULL is fine */

#endif
