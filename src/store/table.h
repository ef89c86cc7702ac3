/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - which gateway each key belongs to.
 *
 * One per process, for all pools, in shards by the key's hash, each with its own lock and LRU list. Exactly max_keys
 * keys fit; then each that comes makes the least recently used one of its shard go (a small table is one shard, so
 * that it is the least recently used of all). A lock is held only inside these functions and never across I/O. Any
 * thread may call.
 *
 * Keys are kept as 128 bits of a keyed hash of the pool's name and the key: clients choose keys, so who does not know
 * the hash's key can neither make chains long nor find two keys that are one; and neither the memory nor the snapshot
 * shows a client's key, which may be a token. Gateways are kept by their tag (gateway.h), so by name: a configuration
 * that is changed or put in another order keeps all bindings that still make sense.
 *
 * Memory: all of it is reserved at the beginning (with a quarter more slots than keys, since shards do not fill
 * alike) and touched as it fills; 48 bytes a key and 4 to 8 of buckets. The number of shards stays what it was at the
 * beginning; each holds a key at least.
 * Times are the calendar's seconds, since bindings survive restarts.
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "base/check.h"
#include "base/slice.h"

#define TABLE_HASH_KEY 16

struct table;

struct table_key {
	uint64_t high, low;
};

struct table_binding {
	uint64_t tag;		/* of the gateway */
	uint32_t born_s;	/* bound to it */
	uint32_t seen_s;	/* last used */
	uint32_t confirmed_s;	/* a shared store said so; 0: it has not */
};

/* A binding with its key, as a snapshot holds it. */
struct table_entry {
	struct table_key key;
	struct table_binding binding;
};

enum table_bound {
	TABLE_SAME,		/* it was bound so; renewed */
	TABLE_NEW,
	TABLE_MOVED,		/* it was bound to another */
};

/* What all shards together hold and did. */
struct table_counts {
	size_t keys;
	uint64_t evicted;	/* of those in use, for want of room */
	uint64_t expired;
};

/* max_keys counts all shards; ttl_s slides with every use. NULL: there is no memory for so many. */
struct table *table_new(size_t max_keys, uint32_t ttl_s) MUST_CHECK;
/* In so many shards, a power of two; table_new() chooses. */
struct table *table_new_sharded(size_t max_keys, uint32_t ttl_s, unsigned shards) MUST_CHECK;
void table_free(struct table *t);			/* NULL is fine */
/* While others use it: what is bound stays bound, as far as it fits (of each shard the most recently used do), and
 * nobody waits for longer than some hundred keys take. The memory of what is not needed any more is given back. Takes
 * its time: a second for a million keys, which the main thread has not; one thread at a time. False: there is no
 * memory, and nothing has changed. */
bool table_resize(struct table *t, size_t max_keys, uint32_t ttl_s) MUST_CHECK;

/* Pure: whatever is bound. Keys may hold any bytes. */
struct table_key table_key(const struct table *t, struct slice pool, struct slice key);
/* A hit renews the key's life. False: it is not bound, or was for too long. */
bool table_get(struct table *t, const struct table_key *k, uint32_t now_s, struct table_binding *b) MUST_CHECK;
/* The same without renewing: for operators. */
bool table_peek(struct table *t, const struct table_key *k, uint32_t now_s, struct table_binding *b) MUST_CHECK;
/* Binds or renews. confirmed: a shared store has said so just now. *was: with TABLE_MOVED, what it was bound to; may
 * be NULL. */
enum table_bound table_bind(struct table *t, const struct table_key *k, uint64_t tag, uint32_t now_s, bool confirmed,
    uint64_t *was);
/* Binds only what is not bound, in one step. *b: what it is bound to then; with TABLE_SAME it was bound before, to
 * whomever, and is renewed. */
enum table_bound table_claim(struct table *t, const struct table_key *k, uint64_t tag, uint32_t now_s,
    struct table_binding *b);
/* False: it was not bound. */
bool table_forget(struct table *t, const struct table_key *k);
struct table_counts table_counts(struct table *t);
/* Of all buckets: what chosen keys would make long. Walks them all; for tests and measurements. */
unsigned table_longest_chain(struct table *t);

/* For snapshots. */

/* The hash's key, without which stored keys mean nothing. */
const unsigned char *table_hash_key(const struct table *t);
/* Before anything is bound. */
void table_set_hash_key(struct table *t, const unsigned char key[TABLE_HASH_KEY]);
/* Copies up to `room` entries, holding a shard's lock for no longer than that takes; *at is 0 at first. 0: that was
 * all. What is bound meanwhile may be missed or not. */
size_t table_copy(struct table *t, uint64_t *at, struct table_entry *to, size_t room);
/* At boot, in the order of use, the least recent first; what has expired or has no room is left out. */
void table_restore(struct table *t, const struct table_entry *e, uint32_t now_s);

#endif
