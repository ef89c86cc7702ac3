/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sheet.h - a grid on standard output, and the rows "name  value" of which most answers are made.
 *
 * A terminal's width is kept to, and its colours are used unless the user doesn't want any; a file or a pipe gets
 * lines as long as they are.
 */
#ifndef CTL_SHEET_H
#define CTL_SHEET_H

#include "ctl/field.h"
#include "ctl/grid.h"

/* Two columns. */
void sheet_init(struct grid *g);
/* Nothing where there is no value. */
void sheet_line(struct grid *g, const char *name, const char *value);
void sheet_number(struct grid *g, const char *name, const json_t *o, const char *field);
/* A time and how long ago that was. */
void sheet_time(struct grid *g, const char *name, const json_t *o, const char *field);
/* The first row of a table. */
void sheet_heads(struct grid *g, const char *const *heads, size_t n);
/* A gateway's state, in its colour. */
void sheet_state(struct grid *g, const char *state);
/* Takes over the text; NULL and "" are written as "-". */
void sheet_own(struct grid *g, char *text);
/* A gateway's last check in a few words, why it is in its state and what is to come; the caller's. NULL: none. */
char *sheet_check(const json_t *check) MUST_CHECK;
char *sheet_why(const json_t *gateway) MUST_CHECK;
/* And ends the grid. */
void sheet_print(struct grid *g, const char *indent);
/* Where the terminal is narrow, without these columns, in this order. */
void sheet_print_table(struct grid *g, const unsigned char *spare, size_t spares);
/* A line, safe for a terminal; text NULL: nothing. */
void sheet_say(FILE *to, const char *before, const char *text);

#endif
