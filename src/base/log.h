/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the daemon's own log.
 *
 * Any thread may log; one event, one line, no newline in the text. Until somebody takes the lines over with log_to(),
 * they go to standard error. A line is cut at LOG_LINE bytes; control bytes in it are written as \xNN, since texts
 * quote what came from outside.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/check.h"
#include "base/slice.h"

#define LOG_LINE 2048

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Called with a finished text, without time and level; must not block and must not log. */
typedef void log_sink_fn(enum log_level level, struct slice text);

void log_to(log_sink_fn *sink);		/* NULL: standard error again */
/* Gets all lines, too, wherever they go; it may be called by several threads at once. NULL: nobody. */
void log_tee(log_sink_fn *tee);
void log_set_level(enum log_level most);
bool log_is_on(enum log_level level);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) (log_is_on(LOG_LEVEL_INFO) ? log_write(LOG_LEVEL_INFO, __VA_ARGS__) : (void)0)
#define log_debug(...) (log_is_on(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)

#endif
