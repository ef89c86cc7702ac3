/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules, and the table that the compiler makes of them. */
#include "http/byte.h"

#define IN(c, first, last) ((c) >= (first) && (c) <= (last))
#define IS_DIGIT(c) IN(c, '0', '9')
#define IS_ALNUM(c) (IS_DIGIT(c) || IN(c, 'A', 'Z') || IN(c, 'a', 'z'))
#define IS_PRINTABLE(c) IN(c, 0x21, 0x7e)
#define IS_TOKEN(c) \
	(IS_ALNUM(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' || \
	    IN(c, '^', '`') || (c) == '|' || (c) == '~')
#define IS_TEXT(c) (IS_PRINTABLE(c) || (c) == ' ' || (c) == '\t' || (c) >= 0x80)
/* A comma would make two hosts of one where a list is expected (X-Forwarded-Host), and a percent-encoded name can be read as
 * two different ones. */
#define IS_HOST(c) \
	(IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '!' || (c) == '$' || \
	    IN(c, '&', '+') || (c) == ';' || (c) == '=')
#define IS_COOKIE(c) (IS_PRINTABLE(c) && (c) != '"' && (c) != ',' && (c) != ';' && (c) != '\\')
#define IS_BASE64(c) (IS_ALNUM(c) || (c) == '+' || (c) == '/')

#define CLASSES(c) \
	((IS_TOKEN(c) ? BYTE_TOKEN : 0) | (IS_TEXT(c) ? BYTE_TEXT : 0) | \
	    (IS_PRINTABLE(c) || (c) == ' ' ? BYTE_LINE : 0) | (IS_PRINTABLE(c) && (c) != '#' ? BYTE_TARGET : 0) | \
	    (IS_HOST(c) ? BYTE_HOST : 0) | (IS_COOKIE(c) ? BYTE_COOKIE : 0) | (IS_BASE64(c) ? BYTE_BASE64 : 0) | \
	    (IS_DIGIT(c) ? BYTE_DIGIT : 0))
#define FOUR(c) CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define QUARTER(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

const unsigned char byte_classes[256] = { QUARTER(0), QUARTER(64), QUARTER(128), QUARTER(192) };

#define EACH_BYTE(v) (0x0101010101010101U * (v))

/* Eight bytes at once: whether one of them is below a blank, or is DEL. A byte above 0x7f is neither. The subtraction may borrow
 * from the next byte, but only where it has found one already, so the answer for all eight is exact. */
static inline bool
has_control(const char *p)
{
	uint64_t w, del;

	memcpy(&w, p, sizeof w);
	del = w ^ EACH_BYTE(0x7f);
	return (((w - EACH_BYTE(0x20)) & ~w) | ((del - EACH_BYTE(1)) & ~del)) & EACH_BYTE(0x80);
}

size_t
byte_text_span(struct slice s, size_t from)
{
	for (;;) {
		while (s.n - from >= 8 && !has_control(s.p + from))
			from += 8;
		from = byte_span(slice_head(s, from + 8), from, BYTE_TEXT);
		/* a tab is no control here: on, unless it was something else or the end */
		if (from == s.n || !byte_is(s.p[from], BYTE_TEXT))
			return from;
	}
}
