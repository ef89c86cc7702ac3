/* SPDX-License-Identifier: BSD-2-Clause */
/* One walk over the characters, and two ways to write down those that are not shown as they are. */
#include "ctl/utf8.h"

#include <stdio.h>

#include "base/mem.h"

#define ESCAPE_MAX 6	/* "\u202e"; of a byte at least */

static bool
is_continued(struct slice s, size_t from, size_t to)
{
	for (; from < to; from++)
		if (from >= s.n || ((unsigned char)s.p[from] & 0xc0) != 0x80)
			return false;
	return true;
}

size_t
utf8_take(struct slice s, uint32_t *code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;		/* what is written with more bytes than it needs is none (RFC 3629, 3) */
	} forms[] = { { 0x80, 0, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 1; s.n != 0 && n <= COUNT(forms); n++) {
		unsigned char first = (unsigned char)s.p[0];

		if ((first & forms[n - 1].mask) != forms[n - 1].lead || !is_continued(s, 1, n))
			continue;
		*code = first & (unsigned char)~forms[n - 1].mask;
		for (size_t i = 1; i < n; i++)
			*code = *code << 6 | ((unsigned char)s.p[i] & 0x3f);
		return *code < forms[n - 1].least || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff) ? 0 : n;
	}
	return 0;
}

size_t
utf8_width(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;	/* all but continuation bytes */
	return n;
}

/* C0, DEL and C1, to which a terminal listens. */
static bool
is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

/* Marks, embeddings, overrides and isolates of direction, and the separators of lines and paragraphs. */
static bool
is_direction(uint32_t code)
{
	return code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2066 && code <= 0x2069);
}

char *
utf8_safe(const char *text)
{
	struct slice rest = slice_of(text);
	char *safe = mem_zalloc(rest.n * ESCAPE_MAX + 1), *to = safe;

	while (rest.n != 0) {
		uint32_t code = (unsigned char)rest.p[0];
		size_t n = utf8_take(rest, &code);

		if (n == 0 || is_control(code))
			to += sprintf(to, "\\x%02x", code);
		else if (is_direction(code))
			to += sprintf(to, "\\u%04x", code);
		else
			to = (char *)memcpy(to, rest.p, n) + n;
		rest = slice_skip(rest, n != 0 ? n : 1);
	}
	return safe;
}

char *
utf8_safe_json(struct slice json, size_t *n)
{
	char *safe = mem_zalloc(json.n * ESCAPE_MAX + 1), *to = safe;

	while (json.n != 0) {
		uint32_t code = (unsigned char)json.p[0];
		size_t bytes = utf8_take(json, &code);

		if (bytes == 0)
			to += sprintf(to, "\\\\x%02x", code);
		else if ((is_control(code) && code >= 0x7f) || is_direction(code))
			to += sprintf(to, "\\u%04x", code);
		else
			to = (char *)memcpy(to, json.p, bytes) + bytes;
		json = slice_skip(json, bytes != 0 ? bytes : 1);
	}
	*n = (size_t)(to - safe);
	return safe;
}
