/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - all that a configuration brings to life: pools, listeners, routes, the sealing keys, the log writer,
 * workers.
 *
 * Built on the main thread in two steps, so that a configuration can be checked without taking anything:
 * daemon_prepare finds every mistake that only the system can show (addresses, certificates, users), daemon_open
 * makes what lasts (state, logs) and drops privileges. It owns everything it points to but the configuration.
 */
#ifndef RUN_DAEMON_H
#define RUN_DAEMON_H

#include "affinity/seal.h"
#include "conf/conf.h"
#include "net/listener.h"
#include "pool/pool.h"
#include "proxy/route.h"
#include "run/privilege.h"
#include "run/worker.h"

struct admin;
struct snapshot;

struct daemon {
	const struct conf *conf;
	struct pool **pool;
	struct service *service;		/* one for each pool */
	size_t pools;
	struct listener **listener;
	struct routes **routes;			/* one for each listener */
	size_t listeners;
	struct privilege privilege;
	struct affinity_shared shared;		/* the table, its history */
	struct store_shared *store;		/* NULL: the store is the memory alone */
	struct holders *holders;
	struct snapshot *snapshot;
	struct admin *admin;			/* NULL: there is no door */
	char *state_dir;			/* as it was found or made */
	struct seal_ring *ring;
	uint64_t begun_s;			/* the calendar's */
	struct writer *writer;
	struct worker **worker;
	unsigned workers;
};

/* NULL: each mistake was reported. check_only: as for listener_new, and it is seen whether state and logs could be
 * written. */
struct daemon *daemon_prepare(const struct conf *cf, bool check_only, conf_report_fn *report, void *arg) MUST_CHECK;
/* Of a configuration with mistakes: whether what it names is there, as far as that can be told. False: reported. */
bool daemon_check_parts(const struct conf *cf, conf_report_fn *report, void *arg);
/* State directory, key, logs, user. False: reported. */
bool daemon_open(struct daemon *d, conf_report_fn *report, void *arg) MUST_CHECK;
/* Workers; reports to the main thread's mailbox as in worker.h. */
bool daemon_start(struct daemon *d, struct mailbox *main, mailbox_fn *on_failed_connects, mailbox_fn *on_gone,
    void *arg) MUST_CHECK;
/* The table is written to the state directory from now on, by a thread of its own, and once more by daemon_free. */
bool daemon_begin_snapshots(struct daemon *d) MUST_CHECK;
/* Waits for the workers' threads, which must have been told to stop, and frees them. */
void daemon_end_workers(struct daemon *d);
/* NULL is fine. */
void daemon_free(struct daemon *d);

#endif
