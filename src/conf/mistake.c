/* SPDX-License-Identifier: BSD-2-Clause */
/* Mistakes, collected and sorted. */
#include "conf/mistake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define QUOTE_BYTES 64

struct mistake {
	struct conf_place place;
	char *text;
	size_t file;		/* its rank */
	size_t order;		/* in which they were found: qsort does not keep it */
};

void
mistakes_add(struct mistakes *m, struct conf_place place, char *text)
{
	m->item = mem_realloc(m->item, (m->n + 1) * sizeof *m->item);
	m->item[m->n] = (struct mistake){ .place = place, .text = text, .order = m->n };
	m->n++;
}

static size_t
rank_of(const struct conf_strings *files, const char *file)
{
	size_t i = 0;

	while (i < files->n && files->item[i] != file)
		i++;
	return i;
}

static int
mistake_order(const void *left, const void *right)
{
	const struct mistake *a = left, *b = right;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

size_t
mistakes_report(struct mistakes *m, const struct conf_strings *files, conf_report_fn *report, void *arg)
{
	for (size_t i = 0; i < m->n; i++)
		m->item[i].file = rank_of(files, m->item[i].place.file);
	if (m->n != 0)
		qsort(m->item, m->n, sizeof *m->item, mistake_order);
	for (size_t i = 0; i < m->n; i++) {
		const struct mistake *at = &m->item[i];
		char *line = at->place.line == 0 ? mem_printf("%s: %s", at->place.file, at->text)
		    : mem_printf("%s:%u: %s", at->place.file, at->place.line, at->text);

		report(arg, line);
		free(line);
	}
	return m->n;
}

void
mistakes_fini(struct mistakes *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->item[i].text);
	free(m->item);
}

const char *
mistake_quote(struct slice s, char text[MISTAKE_QUOTE])
{
	char *to = text;

	*to++ = '\'';
	for (size_t i = 0; i < s.n && i < QUOTE_BYTES; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 0x7f)
			to += sprintf(to, "\\x%02x", c);
		else
			*to++ = (char)c;
	}
	memcpy(to, s.n > QUOTE_BYTES ? "...'" : "'", s.n > QUOTE_BYTES ? 5 : 2);
	return text;
}
