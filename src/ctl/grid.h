/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grid.h - aligned columns for people's eyes.
 *
 * Cells are UTF-8; control characters in them are written as \xNN, so that nothing that a client or a gateway has
 * named reaches the terminal's own ear.
 */
#ifndef CTL_GRID_H
#define CTL_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/check.h"

#define GRID_COLUMNS_MAX 16

struct grid {
	unsigned columns;
	unsigned right;			/* BIT(i): column i is aligned to the right, as numbers are */
	char **cell;			/* row by row */
	size_t cells;
};

void grid_init(struct grid *g, unsigned columns, unsigned right);
void grid_fini(struct grid *g);
/* The next one; NULL is written as "-". */
void grid_add(struct grid *g, const char *text);
void grid_addf(struct grid *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* All rows, each behind the indent; a row that is not complete counts for what it has. */
void grid_print(const struct grid *g, const char *indent, FILE *to);
/* Text as it may be shown; the caller's. */
char *grid_safe(const char *text) MUST_CHECK;

#endif
