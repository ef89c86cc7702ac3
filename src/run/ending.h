/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ending.h - how a process that runs comes to its end: its sessions are closed properly (1001), not all in one
 * moment, since whoever is closed comes back at once.
 *
 *   stop   nobody is let in; sessions are closed from now on, spread over the first three quarters of shutdown_grace,
 *          so that the last ones have time to say goodbye.
 *   leave  another process lets clients in; ours keep their sessions until shutdown_grace has passed, then the rest
 *          is closed, spread over another quarter of it.
 *
 * What is still there then is ended at once. The workers end when their last client has gone, and say so. Main
 * thread.
 */
#ifndef RUN_ENDING_H
#define RUN_ENDING_H

#include "run/daemon.h"

struct ending;
struct event_base;

/* The daemon must outlive it. */
struct ending *ending_new(struct event_base *base, struct daemon *d) MUST_CHECK;
void ending_free(struct ending *e);		/* NULL is fine */
void ending_stop(struct ending *e);
void ending_leave(struct ending *e);
void ending_abort(struct ending *e);
bool ending_is_under_way(const struct ending *e);
/* Of all workers. */
size_t ending_sessions(const struct ending *e);

#endif
