/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moved.h - clients whose cookie names a gateway that they were moved away from.
 *
 * A rebalance binds a client elsewhere before it closes its session. Keys are in the table; a cookie is in the
 * client's hands, and names the old gateway until the next answer. So the table gets an entry under the cookie's
 * text, too. It is looked for only for a while after a move: whoever comes back later than that is where he was
 * before, which costs nobody anything.
 *
 * One per process; any thread.
 */
#ifndef AFFINITY_MOVED_H
#define AFFINITY_MOVED_H

#include "store/table.h"

#define MOVED_LOOKED_FOR_S 3600

struct moved;

struct moved *moved_new(void) MUST_CHECK;
void moved_free(struct moved *m);		/* NULL is fine */
/* The entry's key. Pure. */
struct table_key moved_key(const struct table *t, struct slice pool, struct slice seal);
void moved_note(struct moved *m, struct table *t, const struct table_key *k, uint64_t tag, uint64_t now_s);
/* Where the client with this cookie was moved to; 0: it was not. */
uint64_t moved_to(const struct moved *m, struct table *t, struct slice pool, struct slice seal, uint64_t now_s);

#endif
