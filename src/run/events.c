/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines are allocated one by one: most are short, and a thousand of the longest would be two megabytes. */
#include "run/events.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

static struct {
	pthread_mutex_t lock;
	uint64_t last;				/* number of the newest line */
	struct event_line kept[EVENTS_KEPT];	/* line n at n % EVENTS_KEPT */
} events = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
on_line(enum log_level level, struct slice text)
{
	struct event_line line = { .at_us = clock_wall_us(), .level = level };
	struct event_line *at;
	char *old;

	if (level > LOG_LEVEL_NOTICE)
		return;
	line.text = mem_slicedup(text);
	pthread_mutex_lock(&events.lock);
	line.number = ++events.last;
	at = &events.kept[line.number % EVENTS_KEPT];
	old = at->text;
	*at = line;
	pthread_mutex_unlock(&events.lock);
	free(old);
}

void
events_start(void)
{
	log_tee(on_line);
}

void
events_stop(void)
{
	log_tee(NULL);
	pthread_mutex_lock(&events.lock);
	for (size_t i = 0; i < EVENTS_KEPT; i++) {
		free(events.kept[i].text);
		events.kept[i] = (struct event_line){ .number = 0 };
	}
	events.last = 0;
	pthread_mutex_unlock(&events.lock);
}

struct event_line *
events_after(uint64_t number, size_t *n, uint64_t *last)
{
	struct event_line *line;
	uint64_t first;

	pthread_mutex_lock(&events.lock);
	*last = events.last;
	first = *last > EVENTS_KEPT ? *last - EVENTS_KEPT : 0;
	if (number > first)
		first = number < *last ? number : *last;
	*n = *last - first;
	line = mem_zalloc((*n + 1) * sizeof *line);
	for (size_t i = 0; i < *n; i++) {
		line[i] = events.kept[(first + 1 + i) % EVENTS_KEPT];
		line[i].text = mem_strdup(line[i].text);
	}
	pthread_mutex_unlock(&events.lock);
	return line;
}

void
events_free(struct event_line *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(line[i].text);
	free(line);
}
