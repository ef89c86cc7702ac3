/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grid.h - aligned columns for people's eyes.
 *
 * Cells are made safe for a terminal (utf8.h), so that nothing that a client or a gateway has named reaches its own
 * ear. Where the width is known, columns that matter less are left out, and what the last one holds goes on below
 * itself.
 */
#ifndef CTL_GRID_H
#define CTL_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/check.h"

#define GRID_COLUMNS_MAX 16

enum grid_paint { GRID_PLAIN, GRID_HEAD, GRID_GOOD, GRID_WARNING, GRID_BAD, GRID_FAINT };

struct grid_cell {
	char *text;
	enum grid_paint paint;
};

struct grid {
	unsigned columns;
	unsigned right;			/* BIT(i): column i is aligned to the right, as numbers are */
	unsigned hidden;		/* likewise: left out */
	size_t room;			/* of the last column; 0: whatever it needs */
	bool is_cut;			/* what does not fit there is cut off, in place of going on below */
	bool has_colour;
	struct grid_cell *cell;		/* row by row */
	size_t cells;
};

void grid_init(struct grid *g, unsigned columns, unsigned right);
void grid_fini(struct grid *g);
/* The next one; NULL is written as "-". */
void grid_add(struct grid *g, const char *text);
void grid_addf(struct grid *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Of the cell that was added last. */
void grid_paint(struct grid *g, enum grid_paint paint);
/* When all cells are there: makes lines of `width` columns, 0 for any, by leaving out these columns, in this order,
 * as far as must be. */
void grid_fit(struct grid *g, size_t width, const unsigned char *spare, size_t spares);
/* All rows, each behind the indent; a row that is not complete counts for what it has. */
void grid_print(const struct grid *g, const char *indent, FILE *to);
/* So many rows from this one on, aligned as all of them are. */
void grid_print_rows(const struct grid *g, const char *indent, size_t first, size_t rows, FILE *to);
/* How a paint begins, in ANSI's escapes; GRID_PLAIN ends all. */
const char *grid_colour(enum grid_paint paint);

#endif
