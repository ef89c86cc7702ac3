/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forward.h - heads as they go on: what is kept, what is taken out, what is added (RFC 9110, 7.6).
 *
 * Each writes a whole HTTP/1.1 head into a buffer; false when it does not fit.
 */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/exchange.h"

/* To the gateway: without hop-by-hop fields and our cookie, with X-Forwarded-* and X-Request-Id. */
bool forward_request(const struct exchange *x, struct buf *to) MUST_CHECK;
/* To the client, framed as `out` says; with our cookie where the choice says so (placement_know_client). */
bool forward_response(struct exchange *x, const struct head *h, enum head_framing out, struct buf *to)
    MUST_CHECK;
/* 100, 102, 103: as it is, but for a cookie by our name. */
bool forward_interim(const struct exchange *x, const struct head *h, struct buf *to) MUST_CHECK;

#endif
