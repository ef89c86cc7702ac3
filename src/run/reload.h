/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload.h - a new edition of the configuration in place of the one in force, without losing anyone.
 *
 * Two phases. A thread of its own reads the files and makes all that they name (conf_load, edition_new, the logs, the
 * admin's doors), since names are resolved and files opened there; nothing in force is touched. If anything is wrong
 * all of it is given back and every mistake is told to whoever asked. Else the main thread lets the new edition adopt
 * what both have in common (which can't fail), publishes it to the workers, and when all of them show it, it is done.
 * The old edition goes when its last exchange has ended.
 *
 * One reload at a time; who asks while one is under way gets the outcome of the next. Main thread.
 */
#ifndef RUN_RELOAD_H
#define RUN_RELOAD_H

#include "run/daemon.h"

struct event_base;
struct reload;

struct reload_outcome {
	bool good;
	const struct conf_strings *mistakes;	/* each a whole line; none where it is good */
	const struct conf_strings *notices;	/* what a restart is needed for, and the like */
};

struct reload_history {
	uint64_t total, failed;
	uint64_t last_s;			/* the calendar's; 0: there was none */
	uint64_t last_good_s;
	bool good;				/* the last one was */
	struct conf_strings mistakes;		/* of the last one */
};

/* Once, on the main loop; the outcome is borrowed for the call. */
typedef void reload_done_fn(void *arg, const struct reload_outcome *outcome);

/* options, daemon and mailbox must outlive the result. on_adopted: the new edition is in force (d->edition), workers
 * are about to show it; for those who hang on its pools. */
struct reload *reload_new(struct daemon *d, const struct conf_options *options, struct mailbox *main,
    void (*on_adopted)(void *arg), void *arg) MUST_CHECK;
/* Waits for the thread; who still waits is told that it came to nothing. NULL is fine. */
void reload_free(struct reload *r);
/* The workers run from now on: what was asked for before is begun. */
void reload_allow(struct reload *r);
/* fn may be NULL. */
void reload_request(struct reload *r, reload_done_fn *fn, void *arg);
/* Nothing is begun any more: when stopping or handing over. Who waits is told; one under way is finished. */
void reload_forbid(struct reload *r, const char *why);		/* static */
bool reload_is_under_way(const struct reload *r);
const struct reload_history *reload_history(const struct reload *r);
/* A worker shows what it was asked to. */
void reload_note_shown(struct reload *r);

#endif
