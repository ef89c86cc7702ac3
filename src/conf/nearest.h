/* SPDX-License-Identifier: BSD-2-Clause */
/* nearest.h - which known name was probably meant by one that is not known. Pure; names are borrowed. */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include "base/slice.h"

#define NEAREST_HINT 96

struct nearest {
	struct slice given;
	const char *name;		/* of those tried so far; NULL: none is near */
	unsigned distance;		/* a name must be nearer than this */
};

void nearest_init(struct nearest *n, struct slice given);
void nearest_try(struct nearest *n, const char *candidate);
/* "; did you mean 'x'?", or "" where none is near. Returns text. */
const char *nearest_hint(const struct nearest *n, char text[NEAREST_HINT]);

#endif
