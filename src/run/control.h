/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the main thread's life: health checks, signals, the start and the stop.
 *
 *   TERM  stop gracefully: no new clients, requests finish, sessions get a 1001, spread over shutdown_grace;
 *         a second one ends at once, as does
 *   INT.
 *   USR1  reopen the log files.
 *   HUP, USR2  are answered with a log line: reload and upgrade are of a later version.
 */
#ifndef RUN_CONTROL_H
#define RUN_CONTROL_H

#include "run/daemon.h"

/* Runs until the daemon has stopped; returns the process's exit status. */
int control_run(struct daemon *d);

#endif
