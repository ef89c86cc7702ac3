/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - one upgraded WebSocket session: whose it is, where it goes, and the tunnel between.
 *
 * On its worker's list from the 101 to its end, when it hands out its record. It owns the gateway's link and the
 * reservation there, and outlives the exchange that began it; of the request it keeps only what log lines and
 * operators need, of the configuration nothing.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "proxy/exchange.h"

struct session;
struct session_row;

/* The exchange's 101 has gone to the client. Takes over its link and choice; the rest stays the exchange's, to be
 * dropped. early_*: what either side sent right behind its part of the handshake. False: out of memory, nothing was
 * taken. */
bool session_start(struct exchange *x, struct slice early_client, struct slice early_gateway) MUST_CHECK;
/* Ends it properly, with a close frame to both sides (tunnel_close). */
void session_close(struct session *s, enum end_reason why, uint64_t by_ms);
void session_abort(struct session *s, enum end_reason why);
/* The session of a link on proxy->session_list. */
struct session *session_of_list(struct list *link);
size_t session_bytes(void);		/* for the slab */
bool session_is_closing(const struct session *s);
/* Borrowed. */
struct gateway *session_gateway(const struct session *s);
/* The first key that its handshake carried. */
bool session_has_key(const struct session *s, const struct table_key *key);
/* What it is at the moment; the row's texts are the caller's. */
void session_describe(const struct session *s, struct session_row *row);
/* Its client belongs to this gateway from now on, so that it comes back there. */
void session_move(struct session *s, struct gateway *to);

#endif
