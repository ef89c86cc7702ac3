/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * output.h - one place where finished log lines go: a file, a standard stream, syslog or the journal.
 *
 * For one thread. A reader that stopped reading holds nobody up: what it does not take stays with the caller. Syslog
 * and the journal are local sockets that their daemons empty; these do wait.
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

/* What may stand before a line, for those outputs that want to know its level. Without it a line is informational. */
#define OUTPUT_MARK(level) ((char)((level) + 1))

/* Opens a file (to append, 0640) or connects to syslog. *why (to be freed) on failure. */
struct output *output_open(enum conf_log_target target, const char *file, char **why) MUST_CHECK;
/* Whether that could be done, as far as can be seen without making a file. False with *why. */
bool output_check(enum conf_log_target target, const char *file, char **why) MUST_CHECK;
void output_close(struct output *o);	/* NULL is fine */

/* Syslog and the journal have a time and a level of their own: they want a text with its mark, the rest a whole
 * line. */
bool output_wants_mark(const struct output *o);
/* Takes lines from the front of the pieces, each piece being whole lines; *taken bytes of them are dealt with,
 * which with DONE is all. */
enum output_result output_write(struct output *o, const struct slice *piece, size_t pieces, size_t *taken) MUST_CHECK;
int output_fd(const struct output *o);
const char *output_name(const struct output *o);

/* Opens a file anew, as after it was renamed; the old one stays on failure (errno). The rest: true. */
bool output_reopen(struct output *o) MUST_CHECK;
/* A file's owner; false with errno. The rest: true. */
bool output_chown(struct output *o, unsigned uid, unsigned gid) MUST_CHECK;

#endif
