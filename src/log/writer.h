/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - the thread that writes logs, so that nobody else waits for a disk, a pipe or syslog.
 *
 * One per process, with two outputs: the daemon's log and the access log. Each producer of access lines (a worker)
 * has a ring of its own that only it fills and only the writer empties, without a lock; the daemon's log, which is
 * rare, has one ring with a lock. A full ring drops the line, counts it, and the writer says how many were lost once
 * its output goes on. A producer wakes the writer only when it sleeps; the writer gathers for some milliseconds
 * before it writes.
 *
 * Each line is in one file, whole: one that a full disk cut in two begins again in the file that is opened next. A
 * file that was removed is made anew, within a second.
 */
#ifndef RUN_WRITER_H
#define RUN_WRITER_H

#include "conf/conf.h"

struct writer;
struct writer_change;
struct writer_ring;

/* Opens files (append, 0640) and connects to syslog; NULL: reported. No thread runs yet. */
struct writer *writer_new(const struct conf_log *cf, conf_report_fn *report, void *arg) MUST_CHECK;
/* Whether that could be done, as far as can be seen without making a file. False: reported. */
bool writer_check(const struct conf_log *cf, conf_report_fn *report, void *arg) MUST_CHECK;
/* Files opened as root are handed to the user the daemon becomes. */
bool writer_chown(struct writer *w, unsigned uid, unsigned gid) MUST_CHECK;
/* Starts the thread and takes over log.h's lines. */
bool writer_start(struct writer *w) MUST_CHECK;
/* Writes what is left (for at most a second), ends the thread, gives log.h back to standard error. NULL is fine. */
void writer_free(struct writer *w);
/* Any thread, also a signal's callback on the main loop: files are opened anew before the next line. */
void writer_reopen(struct writer *w);

/* Another configuration, in two steps. Any thread, while no other change is under way: opens what the logs in force
 * do not have. NULL: reported, and nothing is left. */
struct writer_change *writer_prepare(const struct writer *w, const struct conf_log *cf, conf_report_fn *report,
    void *arg) MUST_CHECK;
/* Main thread. Lines that are there already still go to where they were to go, if that takes them, the rest to where
 * they are to go from now on: none is lost. */
void writer_commit(struct writer *w, struct writer_change *change);
void writer_discard(struct writer_change *change);	/* NULL is fine */

/* Main thread: one for each producing thread, for as long as the writer; also while the access log is off, since it
 * may be switched on. Takes no memory to speak of until it is used. */
struct writer_ring *writer_ring_new(struct writer *w) MUST_CHECK;
/* Room for one line of at most max bytes, contiguous, or NULL: the line is dropped and counted; or the access log is
 * off. */
char *writer_ring_reserve(struct writer_ring *r, size_t max) MUST_CHECK;
/* The line (with its newline) has n bytes; wakes the writer if it sleeps. */
void writer_ring_commit(struct writer_ring *r, size_t n);
/* Lines dropped so far, of all rings. */
uint64_t writer_dropped(const struct writer *w);

#endif
