/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - the table on disk, so that a restart or a crash forgets nobody.
 *
 * DIRECTORY/table.snapshot: a head (what it is, version, when, the table's hash key), the entries, and SHA-256 over
 * all of it. It is written aside (mode 0600), synced, and renamed, so there is always a whole one. What
 * can't be believed (cut, damaged, of another version) is set aside as table.snapshot.damaged and costs nothing else.
 *
 * Writing a million keys takes a second: it is for a thread of its own (snapshot_begin), which holds no lock for
 * longer than it takes to copy some hundred entries.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/table.h"

#define SNAPSHOT_FILE "table.snapshot"

struct snapshot;

/* Reads what is there into an empty table; logs what it found (how many keys, how old), or that it was set aside. No
 * file is fine. False: there is one that can't be used, nor be set aside (logged). At boot. */
bool snapshot_load(const char *directory, struct table *t, uint32_t now_s);
/* From bytes, for tests and fuzzing. False: *why (static) says what is wrong, and the table holds nothing of it. */
bool snapshot_read(struct slice bytes, struct table *t, uint32_t now_s, const char **why) MUST_CHECK;
/* At once, on this thread; false: logged. */
bool snapshot_write(const char *directory, struct table *t, uint32_t now_s);

/* The same bytes to and from an open file, as for another process: written where it stands, read from its beginning
 * into an empty table. False with errno; false with *why (static, or strerror's). */
bool snapshot_write_fd(int fd, struct table *t, uint32_t now_s) MUST_CHECK;
bool snapshot_read_fd(int fd, struct table *t, uint32_t now_s, const char **why) MUST_CHECK;

/* A thread that writes every interval_ms (0: never) until it is ended, which waits for one that is under way, and
 * then writes once more. t must outlive it. NULL with errno. */
struct snapshot *snapshot_begin(const char *directory, struct table *t, uint64_t interval_ms) MUST_CHECK;
/* From now on there and so often; what was dropped begins anew. Waits for nothing; what is under way may still go
 * to the old directory. */
void snapshot_change(struct snapshot *s, const char *directory, uint64_t interval_ms);
/* From now on nothing is written any more, at its end neither: what is there is another's, or stays as it is. Waits
 * for nothing but a rename. NULL is fine. */
void snapshot_drop(struct snapshot *s);
void snapshot_end(struct snapshot *s);		/* NULL is fine */

#endif
