/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history.h - the last times a key was bound anew, and why: for operators who ask.
 *
 * One per process, bounded: the oldest goes first. Any thread; a short lock, taken only when something has moved.
 */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "store/table.h"

#define HISTORY_MOVES 4096

struct history;

struct history_move {
	struct table_key key;		/* of the client's first key; zeroed: it has none, only a cookie */
	uint64_t from, to;		/* tags */
	uint64_t at_s;
	/* static: "down" "failed" "gone" "full"; "draining" "rebalanced"; "selector": an earlier selector decided;
	 * "operator" */
	const char *why;
};

struct history *history_new(void) MUST_CHECK;
void history_free(struct history *h);			/* NULL is fine */
void history_add(struct history *h, const struct history_move *m);
/* The latest first, up to `room`: of this key, or (key NULL) away from this gateway. */
unsigned history_find(struct history *h, const struct table_key *key, uint64_t from, struct history_move *to,
    unsigned room);

#endif
