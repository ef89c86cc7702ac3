/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backlog.h - bindings that a shared store has still to be told, in their order.
 *
 * One for each worker's store; its thread alone. A binding waits, then it is flying (said, not answered), then it is
 * done; what failed goes back to the front. A key is there once: what is told of it later replaces what was told
 * before, and if that is flying, the key waits for its turn again: a server never hears the two in the wrong order.
 */
#ifndef STORE_BACKLOG_H
#define STORE_BACKLOG_H

#include <uthash.h>

#include "pool/gateway.h"
#include "store/redis.h"
#include "store/table.h"

struct backlog {
	struct list waiting, flying;
	struct told *by_key;
	unsigned out;			/* flying and not answered */
	size_t n;			/* all */
};

struct told {
	struct redis_call call;		/* for who says it */
	void *teller;			/* likewise */
	uint32_t stamp;			/* likewise */
	struct list link;
	UT_hash_handle hh;
	struct table_key key;
	struct gateway *gateway;	/* referenced */
	struct slice pool;		/* its name, when this was decided: behind the text */
	bool flies;
	bool again;			/* while it flew, something else was told */
	bool in_full;			/* the script is to be sent with it */
	size_t n;
	char text[];			/* the key, n bytes, and more */
};

void backlog_init(struct backlog *b);
void backlog_fini(struct backlog *b);		/* forgets all; none may be answered afterwards */
/* False: there is no memory. */
bool backlog_add(struct backlog *b, const struct table_key *key, struct slice pool, struct slice text,
    struct gateway *g) MUST_CHECK;
/* The first that waits, which flies from now on; NULL: none waits. */
struct told *backlog_next(struct backlog *b) MUST_CHECK;
/* The server knows it. */
void backlog_done(struct backlog *b, struct told *t);
/* It does not, or nobody knows whether it does. */
void backlog_failed(struct backlog *b, struct told *t);
/* None of the flying will be answered. */
void backlog_ground(struct backlog *b);
/* The first that waits is forgotten. False: none waits. */
bool backlog_drop(struct backlog *b) MUST_CHECK;

#endif
