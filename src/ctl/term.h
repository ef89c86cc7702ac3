/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * term.h - the terminal: how wide it is, whether it has colours, and as a screen of which all is ours.
 *
 * A screen is the terminal's second one, so that what stood there before stands there afterwards; keys come as they
 * are pressed. ECMA-48 and what xterm and the Linux console have in common; nothing of terminfo.
 */
#ifndef CTL_TERM_H
#define CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

/* In columns; 0: it is no terminal. */
size_t term_width(int fd);
/* It is a terminal that has any, and the user's NO_COLOR does not stand against it. */
bool term_has_colour(int fd);

struct term;

enum term_key {
	TERM_NONE = -1,		/* others are the byte that was typed */
	TERM_UP = 256,
	TERM_DOWN,
	TERM_PAGE_UP,
	TERM_PAGE_DOWN,
	TERM_HOME,
	TERM_END,
	TERM_UNKNOWN,
};

/* Takes the terminal of standard input and output. NULL: *why (static). */
struct term *term_new(const char **why) MUST_CHECK;
/* All as it was. NULL is fine. */
void term_free(struct term *t);
/* Away while the process is stopped, and back. */
void term_leave(struct term *t);
void term_enter(struct term *t);
/* It may have another size: asks, and forgets what it shows. */
void term_resize(struct term *t);
size_t term_lines(const struct term *t);
size_t term_columns(const struct term *t);
/* Shows these lines, each ended by a newline and narrower than the screen; only what has changed is written, so
 * nothing flickers. False: nobody is there any more. */
bool term_draw(struct term *t, const char *text) MUST_CHECK;
/* Takes what was typed, without blocking. False: nobody is there any more. */
bool term_read(struct term *t) MUST_CHECK;
/* The next key; TERM_NONE: no more. */
int term_key(struct term *t);

#endif
