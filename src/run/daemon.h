/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - all that lives in the process: the edition of the configuration that is in force, and what outlives
 * editions: the table, the log writer, the operator's door, workers.
 *
 * Built on the main thread in two steps, so that a configuration can be checked without taking anything:
 * daemon_prepare finds every mistake that only the system can show (addresses, certificates, users), daemon_open
 * makes what lasts (state, logs) and drops privileges. It owns everything it points to.
 */
#ifndef RUN_DAEMON_H
#define RUN_DAEMON_H

#include "run/edition.h"
#include "run/privilege.h"
#include "run/worker.h"

struct admin;
struct admin_change;
struct drainer;
struct health;
struct reload;
struct snapshot;
struct writer_change;

enum daemon_phase {
	DAEMON_STARTING,
	DAEMON_RUNNING,
	DAEMON_UPGRADING,		/* another process is about to take over */
	DAEMON_STOPPING,		/* or it has taken over, and this one finishes what it has */
};

struct daemon {
	enum daemon_phase phase;
	struct edition *edition;		/* in force */
	struct list editions;			/* all that are not over */
	struct privilege privilege;
	struct affinity_shared shared;		/* the table, its history */
	struct holders *holders;
	struct snapshot *snapshot;
	struct admin *admin;			/* NULL: there is no door */
	char *state_dir;			/* as it was found or made */
	uint64_t begun_s;			/* the calendar's */
	struct writer *writer;
	struct worker **worker;
	unsigned workers;
	struct heirlooms *inherited;		/* sockets, until they are claimed */
	struct port_source ports;		/* where listeners look first */
	bool verbose;				/* whatever [log] level says */

	/* Of the main thread's life (control.c), for the operator's door; NULL before it begins. */
	struct mailbox *main;
	struct health *health;
	struct drainer *drainer;
	struct reload *reload;
};

/* Takes over cf. NULL: each mistake was reported. check_only: as for listener_new, and it is seen whether state and
 * logs could be written. */
struct daemon *daemon_prepare(struct conf *cf, bool check_only, conf_report_fn *report, void *arg) MUST_CHECK;
/* Of a configuration with mistakes: whether what it names is there, as far as that can be told. False: reported. */
bool daemon_check_parts(const struct conf *cf, conf_report_fn *report, void *arg);
/* State directory, key, logs, user. inherits: the table will be handed over. False: reported. */
bool daemon_open(struct daemon *d, bool inherits, conf_report_fn *report, void *arg) MUST_CHECK;
/* Workers; they report to the main thread's mailbox. events->on_left is the daemon's own. */
bool daemon_start(struct daemon *d, struct mailbox *main, const struct worker_events *events, conf_report_fn *report,
    void *arg) MUST_CHECK;
/* The table is written to the state directory from now on, by a thread of its own, and once more by daemon_free. */
bool daemon_begin_snapshots(struct daemon *d) MUST_CHECK;
/* Waits for the workers' threads, which must have been told to stop, and frees them. */
void daemon_end_workers(struct daemon *d);

/* Ports in force are what listeners that are prepared from now on find. Before a reload, on the main thread. */
void daemon_offer_ports(struct daemon *d);
/* All sockets that it listens at, clients' and operators'. */
void daemon_bequeath(const struct daemon *d, struct bequest *to);

/* Another process has taken over what is found by a path: the admin socket, the table's snapshot. */
void daemon_hand_over(struct daemon *d);

/* What a reload has prepared. */
struct daemon_change {
	struct edition *edition;
	struct writer_change *writer;
	struct admin_change *admin;
	char *state_dir;
};

/* Any thread, while no other reload is under way: makes what this configuration says, and takes it over. Nothing in
 * force is touched. False: all mistakes were reported, nothing is left. */
bool daemon_prepare_change(struct daemon *d, struct conf *cf, struct daemon_change *change, conf_report_fn *report,
    void *arg) MUST_CHECK;
void daemon_drop_change(struct daemon_change *change);
/* Main thread: it is in force, d->edition is the new one. Can't fail. */
void daemon_adopt(struct daemon *d, struct daemon_change *change);
/* What takes its time and hurries nobody: the table gets its new size. Any thread, when the workers have gone over.
 * False: there is no memory, it stays as it was. */
bool daemon_settle(struct daemon *d) MUST_CHECK;
/* All workers go over to it, and say so one by one (worker_events.on_shown). */
void daemon_show(struct daemon *d);

/* NULL is fine. */
void daemon_free(struct daemon *d);

#endif
