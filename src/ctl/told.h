/* SPDX-License-Identifier: BSD-2-Clause */
/* told.h - an answer of the API's taken as JSON, good or not; and the same said to people. */
#ifndef CTL_TOLD_H
#define CTL_TOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/ask.h"

struct told {
	bool good;
	json_t *value;		/* NULL: what came is none */
	char *json;		/* the same as text, fit to be shown (utf8.h) */
	size_t json_bytes;
};

/* Takes over the answer's body. */
void told_init(struct told *r, struct ask_answer *answer);
void told_fini(struct told *r);
/* Of one that is not good, in a sentence. Lives as long as it. */
const char *told_error(const struct told *r);
/* All that was found wrong, a line each, then the error. */
void told_complain(const struct told *r, FILE *to);

#endif
