/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * byte.h - which of the grammars of HTTP and its neighbours a byte may stand in.
 *
 * One table of 256 entries, a bit for each class, which the compiler makes of the rules in byte.c.
 */
#ifndef HTTP_BYTE_H
#define HTTP_BYTE_H

#include "base/check.h"
#include "base/slice.h"

enum byte_class {
	BYTE_TOKEN = BIT(0),	/* tchar (RFC 9110, 5.6.2) */
	BYTE_TEXT = BIT(1),	/* in a field's value: printable, blank, tab, obs-text (RFC 9110, 5.5) */
	BYTE_TARGET = BIT(2),	/* in a request's target: printable ASCII but "#" (RFC 9112, 3.2) */
	BYTE_HOST = BIT(3),	/* in a registered name (RFC 3986, 3.2.2), but for "," and "%" */
	BYTE_BASE64 = BIT(4),	/* RFC 4648, 4, without the padding */
	BYTE_DIGIT = BIT(5),
};

extern const unsigned char byte_classes[256];

static inline bool
byte_is(char c, enum byte_class class)
{
	return byte_classes[(unsigned char)c] & class;
}

/* Where a byte that is not of this class first stands, at or behind `from`; s.n when there is none. */
static inline size_t
byte_span(struct slice s, size_t from, enum byte_class class)
{
	while (from < s.n && byte_is(s.p[from], class))
		from++;
	return from;
}

/* The same with sixteen bytes at once where the processor has that: for what every request has much of. */
size_t byte_span_text(struct slice s, size_t from);
size_t byte_span_target(struct slice s, size_t from);
size_t byte_span_token(struct slice s, size_t from);

static inline bool
byte_all(struct slice s, enum byte_class class)
{
	return byte_span(s, 0, class) == s.n;
}

/* A hexadecimal digit's value, or -1. */
static inline int
byte_hex(char c)
{
	if (byte_is(c, BYTE_DIGIT))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
