/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line.h - stickyctl's command line: options, which may stand anywhere, and words.
 *
 * Pure. Words that are clients' (keys, cookies) may begin with "-": where a command takes such, an argument is an
 * option only if it is one that the command has; behind "--" nothing is. Arguments are borrowed.
 */
#ifndef CTL_LINE_H
#define CTL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

enum line_option {
	LINE_SOCKET,
	LINE_JSON,
	LINE_VERSION,
	LINE_HELP,
	LINE_DEADLINE,
	LINE_RATE,
	LINE_GATEWAY,
	LINE_POOL,
	LINE_KEY,
	LINE_LIMIT,
	LINE_FOLLOW,
	LINE_ONCE,
};
#define LINE_OPTIONS (LINE_ONCE + 1)
/* Those that are no command's own. */
#define LINE_EVERYWHERE (BIT(LINE_SOCKET) | BIT(LINE_JSON) | BIT(LINE_HELP))
#define LINE_FRONT (LINE_EVERYWHERE | BIT(LINE_VERSION))

struct line {
	const char *option[LINE_OPTIONS];	/* its value, "" for one that has none; NULL: not given */
	const char **word;
	size_t words;
	char *why;				/* what is wrong with it */
};

void line_init(struct line *l);
void line_fini(struct line *l);
/* The options in front of the command. Returns where that stands, or the NULL at the end; NULL: see why. */
char **line_front(struct line *l, char **argument) MUST_CHECK;
/* What stands behind it; takes: BIT() of its options. False: see why. */
bool line_rest(struct line *l, char **argument, unsigned takes, bool has_clients_words) MUST_CHECK;
/* Without dashes; as a parameter of the API's. */
const char *line_option_name(enum line_option option);

#endif
