/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * output.h - one place where finished log lines go: a file, a standard stream, syslog or the journal.
 *
 * For one thread. A reader that stopped reading holds nobody up: what it does not take stays with the caller. Syslog
 * and the journal are local sockets that their daemons empty; these do wait.
 *
 * Lines of the daemon's log come with a mark, which says their level, and a time; syslog and the journal, which have
 * both of their own, take them off again. To the journal the facts of an access line go as fields, STICKYD_CLIENT and
 * so on (access.h).
 */
#ifndef RUN_OUTPUT_H
#define RUN_OUTPUT_H

#include "base/log.h"
#include "base/slice.h"
#include "conf/conf.h"

struct output;

enum output_result {
	OUTPUT_DONE,
	OUTPUT_BLOCKED,		/* its reader is slow: wait for POLLOUT of output_fd() */
	OUTPUT_FAILED,		/* errno says why; it may be well again later (a full disk) */
};

/* What stands before a line with a level; behind it come the time and the level's name, a blank after each, and the
 * text. */
#define OUTPUT_MARK(level) ((char)((level) + 1))
/* The longest line. */
#define OUTPUT_LINE 16384

/* Opens a file (to append, 0640) or connects to syslog. *why (to be freed) on failure. */
struct output *output_open(enum conf_log_target target, const char *file, char **why) MUST_CHECK;
/* Whether that could be done, as far as can be seen without making a file. False with *why. */
bool output_check(enum conf_log_target target, const char *file, char **why) MUST_CHECK;
void output_close(struct output *o);	/* NULL is fine */

/* Takes lines from the front of the pieces, each piece being whole lines, all marked or none; *taken bytes of them
 * are dealt with, which with DONE is all. If that ends within a line (output_is_torn), its rest comes first next
 * time. */
enum output_result output_write(struct output *o, const struct slice *piece, size_t pieces, bool marked,
    size_t *taken) MUST_CHECK;
bool output_is_torn(const struct output *o);
/* The line that the other one was not done with begins again in this one. */
void output_inherit(struct output *o, const struct output *before);
int output_fd(const struct output *o);
const char *output_name(const struct output *o);

/* A file without a name: who writes to it writes for nobody. */
bool output_is_lost(const struct output *o);
/* Opens a file anew, as after it was renamed; a line that is torn begins again there. The old one stays on failure
 * (errno). The rest: true. */
bool output_reopen(struct output *o) MUST_CHECK;
/* A file's owner; false with errno. The rest: true. */
bool output_chown(struct output *o, unsigned uid, unsigned gid) MUST_CHECK;

#endif
