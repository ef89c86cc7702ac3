/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - a thread with its loop, its listening sockets, its share of the proxy.
 *
 * Made on the main thread, runs on its own until it is told to stop and its last client has gone; then it says so
 * once, and the main thread joins it. All functions here are the main thread's; what they ask is done by the worker
 * (mailbox.h).
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "proxy/proxy.h"
#include "run/mailbox.h"
#include "run/writer.h"

struct worker;

struct worker_setup {
	struct listener *const *listener;
	struct routes *const *routes;		/* one for each listener */
	size_t listeners;
	struct proxy_setup proxy;
	struct worker *const *worker;		/* all of them, by number, before the first is started */
	struct writer *writer;
	enum conf_log_format format;
	struct mailbox *main;			/* where the worker reports */
	mailbox_fn *on_failed_connects, *on_gone;	/* called on the main loop with arg */
	void *arg;
};

/* Takes its sockets of the listeners. NULL with errno. */
struct worker *worker_new(const struct worker_setup *setup) MUST_CHECK;
bool worker_start(struct worker *w) MUST_CHECK;
/* No more clients, no more requests; ends when the last has gone, which is to be by then (clock_coarse_ms). */
void worker_stop(struct worker *w, uint64_t by_ms);
/* Closes up to n sessions properly. */
void worker_close_sessions(struct worker *w, size_t n);
/* Ends everything at once. */
void worker_abort(struct worker *w);
/* Upgraded sessions at the moment, as far as other threads can know. */
size_t worker_sessions(const struct worker *w);
/* Waits for the thread, when it has said that it is gone or was never started. */
void worker_join(struct worker *w);
/* When all have been joined, since they leave messages for one another. NULL is fine. */
void worker_free(struct worker *w);
/* At any time. */
const struct proxy_counts *worker_counts(const struct worker *w);
const struct proxy_tally *worker_tally(const struct worker *w, size_t pool);

#endif
