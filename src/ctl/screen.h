/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * screen.h - what `stickyctl top` shows: the process and its rates, workers' lag, drains under way, a row for each
 * gateway.
 *
 * Pure: two answers of the API and the time between them in, text out. Answers are borrowed.
 */
#ifndef CTL_SCREEN_H
#define CTL_SCREEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

enum screen_sort { SCREEN_NAME, SCREEN_STATE, SCREEN_SESSIONS, SCREEN_REQUESTS, SCREEN_ERRORS };
#define SCREEN_SORTS (SCREEN_ERRORS + 1)

struct screen {
	size_t lines, columns;		/* 0: as many as it takes */
	bool has_colour;
	bool has_keys;			/* the last line tells them */
	enum screen_sort sort;
	bool is_reversed;
	size_t first;			/* the row that stands at the top; what is too much becomes less */
	size_t rows;			/* for gateways, as it was shown last */
	const json_t *status, *gateways;	/* NULL: not known yet */
	const json_t *before;		/* gateways some time earlier; NULL: not known */
	double apart_s;
	const char *trouble;		/* why what is shown is old; NULL: it is not */
};

/* The caller's. Each line ends with a newline; no line is wider than the columns. */
char *screen_text(struct screen *s) MUST_CHECK;
/* Sorting and scrolling (term.h). */
void screen_key(struct screen *s, int key);

#endif
