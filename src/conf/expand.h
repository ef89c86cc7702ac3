/* SPDX-License-Identifier: BSD-2-Clause */
/* expand.h - ${NAME} and ${NAME:-default} in values. Reads the environment: main thread. */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

#include <stdbool.h>

#include "base/check.h"
#include "base/slice.h"

#define EXPAND_VALUE 8192	/* the longest value, in bytes */
#define EXPAND_WHY 256

struct expand {
	char text[EXPAND_VALUE];
	size_t n;
	char why[EXPAND_WHY];
};

/* text from the environment; "$${" stands for "${". False with e->why where it can't be done. */
bool expand_value(struct expand *e, struct slice text) MUST_CHECK;
/* The other way: a copy with "${" written so that it reads back as it is. To be freed. */
char *expand_escape(const char *text) MUST_CHECK;

#endif
