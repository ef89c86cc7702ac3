/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - a thread with its loop, its listening sockets, its share of the proxy.
 *
 * Made on the main thread, runs on its own until it is told to stop and its last client has gone; then it says so
 * once, and is joined. All functions here are the main thread's; what they ask is done by the worker between two
 * events (mailbox.h), or at once where it does not run: whatever is asked of all is done by all.
 *
 * What it shows of the configuration is a scene (scene.h). A reload makes one for each worker (worker_prepare), all
 * of them before the first is shown (worker_show); each worker says when it shows its own, and later, for each that
 * was shown before, that nobody is left in it.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "net/loop.h"
#include "proxy/closing.h"
#include "proxy/proxy.h"
#include "run/edition.h"
#include "run/mailbox.h"
#include "log/writer.h"

struct worker;

/* Called on the main loop; number is the worker's. */
struct worker_events {
	mailbox_fn *on_failed_connects;
	mailbox_fn *on_shown;			/* what worker_show asked is done */
	mailbox_fn *on_gone;			/* it has ended, and was joined */
	void *arg;
	void (*on_left)(void *left_arg, struct edition *e);	/* nobody is left in its scene of this edition */
	void *left_arg;
};

struct worker_setup {
	struct proxy_setup proxy;
	struct worker *const *worker;		/* all of them, by number, before the first is started */
	struct writer *writer;
	struct mailbox *main;			/* where the worker reports */
	struct worker_events events;
};

/* NULL with errno. */
struct worker *worker_new(const struct worker_setup *setup) MUST_CHECK;
/* Makes its scene of this edition; e must outlive it (on_left). False: out of memory. */
bool worker_prepare(struct worker *w, struct edition *e) MUST_CHECK;
/* What was prepared will not be shown. Nothing prepared is fine. */
void worker_discard(struct worker *w);
/* Shows what was prepared; at once when it has not been started. */
void worker_show(struct worker *w);
bool worker_start(struct worker *w) MUST_CHECK;
/* Takes no connection for the time being; they queue. on_shown says when it is so. */
void worker_pause(struct worker *w);
void worker_resume(struct worker *w);
/* No more connections: another process takes them. Ends when the last client has gone, which is to be by then. */
void worker_leave(struct worker *w, uint64_t by_ms);
/* No more clients, no more handshakes; ends when the last has gone, which is to be by then (clock_coarse_ms). */
void worker_stop(struct worker *w, uint64_t by_ms);
/* Closes up to n sessions properly. */
void worker_close_sessions(struct worker *w, size_t n);
/* Does its part of the order, which is referenced for it (closing.h). */
void worker_close_at(struct worker *w, struct closing_order *order);
/* Does its part of the query, and says so by it (closing.h). */
void worker_list_sessions(struct worker *w, struct session_query *query);
/* Ends everything at once. */
void worker_abort(struct worker *w);
/* Asks it for a sign of life; whether it has given it since (one that was never asked has). */
void worker_ask(struct worker *w);
bool worker_answers(const struct worker *w);
/* Upgraded sessions at the moment, as far as other threads can know. */
size_t worker_sessions(const struct worker *w);
/* All clients, those in sessions too; likewise. */
size_t worker_connections(const struct worker *w);
/* Waits for the thread, when it was told to end or was never started. */
void worker_join(struct worker *w);
/* When all have been joined, since they leave messages for one another. NULL is fine. */
void worker_free(struct worker *w);
/* At any time. */
const struct proxy_counts *worker_counts(const struct worker *w);
const struct meters *worker_meters(const struct worker *w);
/* Of the edition in force. */
const struct tally_view *worker_tally(const struct worker *w, size_t pool);
const struct loop_lag *worker_lag(const struct worker *w);
/* Its longest turn since the last call; for one who looks again and again. */
uint64_t worker_take_lag_peak(struct worker *w);

#endif
