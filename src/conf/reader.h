/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.h - a text in INI form as headings and pairs, each with the number of its line.
 *
 * inih says what a line is; the words are taken from our own copy of the line, since those that inih hands over end
 * at 200 bytes (50 for a section) without a word. See reader.c.
 */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "base/slice.h"

/* With its newline. A value has at most half of it (EXPAND_VALUE), so that each can be printed with all that must
 * be escaped. */
#define READER_LINE 16384

/* Called in the order of lines. Slices are borrowed for the call. */
struct reader_ops {
	/* What stands between "[" and "]"; p is NULL where the heading is broken, which `broken` has told already. */
	void (*heading)(void *arg, unsigned line, struct slice heading);
	void (*pair)(void *arg, unsigned line, struct slice key, struct slice value);
	/* A line that is neither. line_text is empty where it is not fit to be quoted. */
	void (*broken)(void *arg, unsigned line, const char *what, struct slice line_text);
};

void reader_run(struct slice text, const struct reader_ops *ops, void *arg);

#endif
