/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mistake.h - what is wrong with the files, all of it, in the order of the files' lines.
 *
 * Files are read line by line, but much is seen only when all is there (a pool that nobody defined): so mistakes are
 * kept, and reported sorted at the end.
 */
#ifndef CONF_MISTAKE_H
#define CONF_MISTAKE_H

#include "base/slice.h"
#include "conf/conf.h"

#define MISTAKE_QUOTE 272	/* 64 bytes, each as \xNN, quotes, dots, NUL */

struct mistake;
struct mistakes {
	struct mistake *item;
	size_t n;
};

/* place's file is borrowed until the end; line 0: of the whole file. text goes behind "FILE:LINE: "; it is taken
 * over. */
void mistakes_add(struct mistakes *m, struct conf_place place, char *text);
/* Each once; those of files in the order of files, of others behind them. Returns how many there were. */
size_t mistakes_report(struct mistakes *m, const struct conf_strings *files, conf_report_fn *report, void *arg);
void mistakes_fini(struct mistakes *m);

/* In quotes, with control bytes as \xNN, and cut when it is long. Returns text. */
const char *mistake_quote(struct slice s, char text[MISTAKE_QUOTE]);

#endif
