/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds inih, which keeps only the first INI_MAX_LINE (200, as distributions build it) bytes of a line, cuts section
 * names at 50, tells its handler no line number, and of a section only when a key follows. Debian's can be told to
 * take more, by variables that no other has, for the whole process. We depend on none of that: inih gets the
 * beginning of each line, which is enough to tell a comment, a heading and a key; it calls us back before it asks for
 * the next line, so the line being read is known, and the value is taken from it whole. Behind each heading it gets a
 * line of ours, whose key no file can contain, so that sections without keys are seen too.
 */
#include "conf/reader.h"

#include <ini.h>
#include <stdio.h>

#include "base/check.h"

#define MARK "\x01"		/* control bytes are refused, so this is no file's */
#define CONTROL_WHAT 48

struct reader {
	const struct reader_ops *ops;
	void *arg;
	struct slice left;		/* of the text */
	struct slice line;		/* being read, without blanks around it */
	unsigned number;		/* its number, from 1 */
	bool mark_is_next;
	bool expects_pair;		/* inih has been given a line that must come back as a pair */
};

static void
reader_broken(struct reader *r, const char *what, struct slice quoted)
{
	r->ops->broken(r->arg, r->number, what, quoted);
}

/* The next line into r->line; false at the end of the text. */
static bool
reader_cut(struct reader *r)
{
	if (r->left.n == 0)
		return false;
	r->line = slice_cut(&r->left, '\n');
	r->number++;
	if (r->number == 1 && slice_has_prefix(r->line, SLICE_LIT("\xef\xbb\xbf")))
		r->line = slice_skip(r->line, 3);
	return true;
}

static bool
reader_has_control(struct reader *r)
{
	for (size_t i = 0; i < r->line.n; i++) {
		unsigned char c = (unsigned char)r->line.p[i];
		char what[CONTROL_WHAT];

		if ((c >= ' ' && c != 0x7f) || c == '\t')
			continue;
		snprintf(what, sizeof what, "has the control byte \\x%02x", c);
		reader_broken(r, what, SLICE_NONE);
		return true;
	}
	return false;
}

/* Trims r->line; false where it can't be read. */
static bool
reader_accepts(struct reader *r)
{
	if (r->line.n >= READER_LINE) {
		char what[CONTROL_WHAT];

		snprintf(what, sizeof what, "is longer than %d bytes", READER_LINE - 1);
		reader_broken(r, what, SLICE_NONE);
		return false;
	}
	if (r->line.n != 0 && r->line.p[r->line.n - 1] == '\r')
		r->line.n--;
	if (reader_has_control(r))
		return false;
	r->line = slice_trim(r->line);
	return true;
}

/* Up to a comment, which begins with a blank and a semicolon. */
static struct slice
without_comment(struct slice s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == ';' && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
			return slice_head(s, i);
	return s;
}

static void
reader_heading(struct reader *r)
{
	struct slice behind = slice_skip(r->line, 1), heading = slice_cut(&behind, ']');
	bool is_closed = behind.p != NULL;

	behind = slice_trim(behind);
	if (!is_closed)
		reader_broken(r, "has no ']'; allowed: [kind] or [kind name]", r->line);
	else if (behind.n != 0 && behind.p[0] != ';')
		reader_broken(r, "goes on behind the ']'; allowed: a comment, or a line of its own", r->line);
	else {
		r->ops->heading(r->arg, r->number, slice_trim(heading));
		return;
	}
	r->ops->heading(r->arg, r->number, SLICE_NONE);
}

/* As fgets: the beginning of the next line, always with a newline, so that inih takes each for whole. */
static char *
on_line_wanted(char *to, int size, void *arg)
{
	struct reader *r = arg;
	struct slice line;

	if (r->expects_pair)
		reader_broken(r, "has no '=' behind a key; allowed: key = value", r->line);
	r->expects_pair = false;
	if (r->mark_is_next) {
		r->mark_is_next = false;
		snprintf(to, (size_t)size, "%s=\n", MARK);
		return to;
	}
	do {
		if (!reader_cut(r))
			return NULL;
	} while (!reader_accepts(r) || r->line.n == 0);
	r->mark_is_next = r->line.p[0] == '[';
	r->expects_pair = !r->mark_is_next && r->line.p[0] != ';' && r->line.p[0] != '#';
	line = slice_head(r->line, (size_t)size - 2);
	snprintf(to, (size_t)size, "%.*s\n", SLICE_FMT(line));
	return to;
}

/* inih also takes "key: value"; an address without its key would read as that, so it must be "=". */
static int
on_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	struct slice key = slice_of(name), behind = slice_trim(slice_skip(r->line, key.n));

	(void)section;
	(void)value;
	if (slice_eq(key, SLICE_LIT(MARK))) {
		reader_heading(r);
		return 1;
	}
	if (key.n == 0 || behind.n == 0 || behind.p[0] != '=')
		return 1;			/* on_line_wanted tells */
	r->expects_pair = false;
	r->ops->pair(r->arg, r->number, key, slice_trim(without_comment(slice_skip(behind, 1))));
	return 1;
}

void
reader_run(struct slice text, const struct reader_ops *ops, void *arg)
{
	struct reader r = { .ops = ops, .arg = arg, .left = text };

	/* Its answer is the number of the first line without "=", which has been told. */
	(void)ini_parse_stream(on_line_wanted, &r, on_pair, &r);
}
