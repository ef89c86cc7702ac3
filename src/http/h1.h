/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1.h - the strict incremental parser of HTTP/1 heads (RFC 9112), for requests and responses.
 *
 * No socket, no clock, no allocation. What is ambiguous is refused, never repaired: a message that two parties could
 * read differently must not be forwarded (RFC 9112, 11.2). The caller gathers bytes in one place and calls h1_parse
 * with all of them from the message's first byte each time more have come; the answer does not depend on how they
 * were cut. Lines already looked at are looked at once more when the head is complete, and not before: one byte a
 * call costs linear time in all. A line is refused as soon as it is complete or holds a byte that can't be, so nobody
 * waits for the end of what is no HTTP.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "http/head.h"

enum h1_kind { H1_REQUEST, H1_RESPONSE };

enum h1_result {
	H1_MORE,	/* the head is not complete yet */
	H1_HEAD,	/* head is filled, head_bytes says how long it was */
	H1_BAD,		/* malformed or ambiguous: 400 from a client, 502 from a gateway; why says what */
	H1_TOO_LARGE,	/* above max_bytes or HEAD_FIELDS: 431 */
	H1_URI_TOO_LONG,/* the request line alone is above max_bytes: 414 */
	H1_VERSION,	/* not HTTP/1.x: 505 */
};

struct h1 {
	enum h1_kind kind;
	size_t max_bytes;
	size_t line;		/* where the first line begins that was not complete yet */
	size_t seen;		/* bytes already searched for its end */
	unsigned fields;	/* complete ones */
	bool started;		/* the request or status line is complete */
	size_t head_bytes;	/* with H1_HEAD */
	bool to_head;		/* a response to HEAD, */
	bool to_connect;	/* or to CONNECT: set by the caller before parsing */
	const char *why;	/* static text, with H1_BAD and its like */
};

void h1_init(struct h1 *p, enum h1_kind kind, size_t max_bytes);
/* What *head holds means something with H1_HEAD only; it is written to before. One empty line before a request is
 * skipped (RFC 9112, 2.2) and counts in head_bytes. To be started over with h1_init() after any answer but
 * H1_MORE. */
enum h1_result h1_parse(struct h1 *p, struct slice bytes, struct head *head) MUST_CHECK;

/* The standard reason phrase, "Unknown" for others. */
const char *h1_reason(unsigned status);

#endif
