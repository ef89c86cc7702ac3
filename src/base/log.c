/* SPDX-License-Identifier: BSD-2-Clause */
/* Formats a line and hands it to whoever writes. Knows nothing of files, syslog or threads: log/writer does. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic(log_sink_fn *) log_sink;
static _Atomic(log_sink_fn *) log_other;
static atomic_int log_most = LOG_LEVEL_INFO;

static const char *const log_names[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

const char *
log_level_name(enum log_level level)
{
	return log_names[level];
}

void
log_to(log_sink_fn *sink)
{
	atomic_store(&log_sink, sink);
}

void
log_tee(log_sink_fn *tee)
{
	atomic_store(&log_other, tee);
}

void
log_set_level(enum log_level most)
{
	atomic_store_explicit(&log_most, (int)most, memory_order_relaxed);
}

bool
log_is_on(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_most, memory_order_relaxed);
}

/* A line stays a line, whatever a peer sent. */
static size_t
log_escape(char *to, size_t room, const char *from, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used + 4 < room; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c >= 0x20 && c != 0x7f)
			to[used++] = (char)c;
		else
			used += (size_t)snprintf(to + used, room - used, "\\x%02x", c);
	}
	return used;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	char raw[LOG_LINE], text[LOG_LINE];
	log_sink_fn *sink = atomic_load(&log_sink), *tee = atomic_load(&log_other);
	va_list args;
	int n;

	if (!log_is_on(level))
		return;
	va_start(args, fmt);
	n = vsnprintf(raw, sizeof raw, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	n = (int)log_escape(text, sizeof text, raw, (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
	if (tee != NULL)
		tee(level, slice_make(text, (size_t)n));
	if (sink != NULL)
		sink(level, slice_make(text, (size_t)n));
	else
		fprintf(stderr, "stickyd: %s: %.*s\n", log_names[level], n, text);
}
