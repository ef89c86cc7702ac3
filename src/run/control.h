/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the main thread's life: health checks, signals, the start and the stop.
 *
 *   TERM  stop gracefully: no new clients, requests finish, sessions get a 1001, spread over shutdown_grace;
 *         a second one ends at once, as does
 *   INT.
 *   USR1  reopen the log files.
 *   HUP   reload the configuration (reload.h).
 *   USR2  upgrade: a new process takes over (upgrade.h), this one finishes what it has.
 */
#ifndef RUN_CONTROL_H
#define RUN_CONTROL_H

#include "run/daemon.h"
#include "run/heritage.h"

/* Runs until the daemon has stopped; returns the process's exit status. options: where a reload reads
 * from. h: whom we follow, NULL: nobody. */
int control_run(struct daemon *d, const struct conf_options *options, struct heritage *h);

#endif
