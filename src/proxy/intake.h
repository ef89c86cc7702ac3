/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * intake.h - where a request's bytes are gathered until its head is complete.
 *
 * An ordinary head fits into the intake itself; a larger one gets memory that grows up to max_header_bytes, as does
 * what the request before has left. The head's slices point in here, so it lives as long as they do. Embedded in its
 * exchange.
 */
#ifndef PROXY_INTAKE_H
#define PROXY_INTAKE_H

#include "http/h1.h"
#include "net/stream.h"
#include "proxy/end.h"

#define INTAKE_FIRST 4096

enum intake_result {
	INTAKE_WAIT,		/* more has to come */
	INTAKE_DONE,		/* the head is complete */
	INTAKE_END,		/* the stream ended before it was, */
	INTAKE_FAILED,		/* or broke off */
	INTAKE_REFUSED,		/* malformed, too large, or no memory for it */
};

struct intake {
	struct h1 h1;
	char *bytes;		/* first[], or big */
	char *big;		/* malloc'd; NULL: first[] is enough */
	size_t room, n;		/* of bytes; in it */
	char first[INTAKE_FIRST];
};

/* rest: what was read already. False: out of memory. */
bool intake_init(struct intake *in, size_t max_header_bytes, struct slice rest) MUST_CHECK;
void intake_fini(struct intake *in);
/* Reads until the head is complete or nothing more is there. With INTAKE_REFUSED *why is the reason, and h1.why may
 * say more. */
enum intake_result intake_read(struct intake *in, struct stream *s, struct head *head, enum end_reason *why)
    MUST_CHECK;
/* With INTAKE_DONE: what came behind the head. */
struct slice intake_rest(const struct intake *in);

#endif
