/* SPDX-License-Identifier: BSD-2-Clause */
/* Edit distance with neighbours swapped counting as one edit (optimal string alignment): the slips that fingers
 * make. */
#include "conf/nearest.h"

#include <stdio.h>

#define LONGEST 64		/* no key is longer, and no name may be */
#define MOST_EDITS 3

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned
edit_distance(struct slice a, struct slice b)
{
	unsigned rows[3][LONGEST + 1];		/* of a's bytes: the one before the last, the last, this one */
	unsigned *older = rows[0], *old = rows[1], *now = rows[2];

	for (unsigned j = 0; j <= b.n; j++)
		old[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *spare = older;

		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			now[j] = least(least(old[j], now[j - 1]) + 1, old[j - 1] + (a.p[i - 1] != b.p[j - 1]));
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				now[j] = least(now[j], older[j - 2] + 1);
		}
		older = old;
		old = now;
		now = spare;
	}
	return old[b.n];
}

/* One edit for each three bytes: with more, everything short resembles everything. */
void
nearest_init(struct nearest *n, struct slice given)
{
	unsigned edits = given.n > LONGEST ? 0 : least((unsigned)given.n / 3, MOST_EDITS);

	*n = (struct nearest){ .given = given, .distance = edits + 1 };
}

void
nearest_try(struct nearest *n, const char *candidate)
{
	struct slice c = slice_of(candidate);
	unsigned distance;

	if (c.n > LONGEST || n->given.n > LONGEST)
		return;
	distance = edit_distance(n->given, c);
	if (distance < n->distance) {
		n->distance = distance;
		n->name = candidate;
	}
}

const char *
nearest_hint(const struct nearest *n, char text[NEAREST_HINT])
{
	text[0] = '\0';
	if (n->name != NULL)
		snprintf(text, NEAREST_HINT, "; did you mean '%s'?", n->name);
	return text;
}
