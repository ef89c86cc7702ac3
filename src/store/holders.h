/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holders.h - which live session holds a key, in pools that allow but one (duplicate = close-old).
 *
 * One per process, in shards with a short lock each; any thread. A holder is a worker and a number that is the
 * session's own on that worker: nothing of the session is touched here, so it may end at any moment.
 */
#ifndef STORE_HOLDERS_H
#define STORE_HOLDERS_H

#include "store/table.h"

struct holders;

struct holder {
	unsigned worker;
	uint64_t session;
};

struct holders *holders_new(void) MUST_CHECK;
void holders_free(struct holders *h);			/* NULL is fine */
/* The key is this session's now. True: *old held it before. Aborts without memory (mem.h). */
bool holders_take(struct holders *h, const struct table_key *key, const struct holder *new, struct holder *old)
    MUST_CHECK;
/* It has ended: its key is free, unless another has taken it meanwhile. */
void holders_drop(struct holders *h, const struct table_key *key, const struct holder *which);
size_t holders_count(struct holders *h);

#endif
