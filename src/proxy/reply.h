/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reply.h - answers of our own: small pages for errors, and redirects.
 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "base/buf.h"

struct reply {
	unsigned status;
	struct slice request_id;
	struct slice location;		/* of a redirect; else empty */
	struct slice date;
	unsigned retry_after_s;		/* 0: not said */
	bool keep_alive;
	bool minor_0;			/* to an HTTP/1.0 client */
	bool no_body;			/* to a HEAD */
};

/* False when it does not fit. */
bool reply_write(const struct reply *r, struct buf *to) MUST_CHECK;

#endif
