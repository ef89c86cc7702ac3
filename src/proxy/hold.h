/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hold.h - a session's hold on its client's key, in pools that allow but one session with it (duplicate = close-old).
 *
 * Across workers holders (store/holders.h) knows who holds a key; here a worker finds its session by the number
 * that is told there. The worker's own.
 */
#ifndef PROXY_HOLD_H
#define PROXY_HOLD_H

#include "proxy/proxy.h"

struct session;
struct hold;

/* The key is this session's now; whoever held it is told to close (proxy->on_duplicate). NULL: out of memory. */
struct hold *hold_new(struct proxy *p, const struct table_key *key, struct session *s) MUST_CHECK;
void hold_free(struct proxy *p, struct hold *h);	/* NULL is fine */
/* NULL: it has ended meanwhile. */
struct session *hold_find(const struct proxy *p, uint64_t number);

#endif
