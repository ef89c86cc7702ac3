/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upgrade.h - the old process's side of a hand-over (handover.h): a new process is started from the program's file,
 * which may be another one by now, with the same arguments, and takes over the listening sockets, the table and what
 * operators said.
 *
 * Until the new one is ready nothing is given up: if it can't be started, finds a mistake in the configuration or
 * takes too long, this process goes on as before. Main thread.
 */
#ifndef RUN_UPGRADE_H
#define RUN_UPGRADE_H

#include <sys/types.h>

#include "run/daemon.h"

struct event_base;
struct upgrade;

/* Before anything changes the directory: remembers how this process was started. argv must outlive the process. */
void upgrade_remember(char **argv);

/* What it asks of the one who runs the process. */
struct upgrade_events {
	/* The new process has made everything: no connection is to be taken now. upgrade_paused() when it is so. */
	void (*pause)(void *arg);
	/* It came to nothing, which has been logged: go on, whether paused or not. */
	void (*resume)(void *arg);
	/* The new one accepts. */
	void (*done)(void *arg, pid_t successor);
	void *arg;
};

/* NULL: no process could be started (logged). */
struct upgrade *upgrade_begin(struct daemon *d, struct event_base *base, const struct upgrade_events *events)
    MUST_CHECK;
void upgrade_paused(struct upgrade *u);
/* Ends a hand-over under way and its process. NULL is fine. */
void upgrade_free(struct upgrade *u);

#endif
