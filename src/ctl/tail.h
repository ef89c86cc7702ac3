/* SPDX-License-Identifier: BSD-2-Clause */
/* tail.h - `stickyctl events --follow`: what the log says, line by line, as it comes; a restart is no end of it. */
#ifndef CTL_TAIL_H
#define CTL_TAIL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/check.h"

/* The last event that was told. */
struct tail {
	long long number;	/* 0: none */
	char *at;
};

void tail_init(struct tail *t);
void tail_fini(struct tail *t);
/* Behind which number to ask: one before the last, for an event of that number that came at another time shows that
 * the daemon has begun anew. */
long long tail_after(const struct tail *t);
/* Tells what is new; as_json: an object a line. False: it has begun anew, ask again. */
bool tail_take(struct tail *t, const json_t *answer, bool as_json, FILE *to) MUST_CHECK;
/* Asks and tells until it is interrupted, or nobody reads. Returns the exit status, at once if the first question was
 * not answered; says why. */
int tail_follow(const char *path, bool as_json);

#endif
