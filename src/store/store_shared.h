/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_shared.h - what the stores of all workers have in common (store.h). Only store.c and store_shared.c look
 * inside; everything that changes is atomic, or the main thread's, or under the lock.
 *
 * Stamps settle who was later when a key's binding is decided in two places at once: each key has one (many keys
 * share one), which is moved on whenever this process decides where the key belongs, or hears that another did.
 * Whoever asks the server notes the stamps; an answer counts for the table only if they have not moved.
 */
#ifndef STORE_STORE_SHARED_H
#define STORE_STORE_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/script.h"
#include "store/store.h"

#define STORE_STAMPS 4096
#define STORE_SENDER 16

/* Added to by any worker: each time there was a round trip, which costs a thousand times as much. */
struct store_totals {
	_Atomic uint64_t asked, found, bound, silent, errors, told, dropped, reconnects, answer_us;
	_Atomic uint64_t waiting;
};

struct store_shared {
	atomic_uint refs;			/* its owner, and each store */
	struct conf_store conf;			/* a copy: editions come and go */
	struct table *table;
	struct redis_server worker_server;	/* with the script; */
	struct redis_server main_server;	/* without */
	char *name;				/* for logs: no password */
	char sha[SCRIPT_SHA], sender[STORE_SENDER];
	uint32_t ttl_s;
	struct store_totals totals;
	atomic_uint behind;			/* stores that are not well, or not done with telling what waited */
	atomic_uint heard_since_s;		/* the calendar's; 0: others' changes go unheard */
	atomic_uint stamp[STORE_STAMPS];

	pthread_mutex_t lock;			/* of the health that was told to the log */
	bool unwell;
	uint64_t unwell_ms, said_ms;
	char why[160];

	/* the main thread's */
	struct loop *loop;
	struct redis *ear;
	struct redis_call subscription;
	char **pool;				/* names: of others nothing is forgotten, as nothing is known */
	size_t pools;
	struct event *ready, *due;
};

/* For stores. The last of all to let go frees it, on whatever thread. */
void store_shared_unref(struct store_shared *sh);
/* Somebody's store is not well; for the log. Any thread. */
void store_shared_ail(struct store_shared *sh, const char *why);
/* One is well again: all may be. */
void store_shared_recover(struct store_shared *sh);

static inline void
store_total_add(_Atomic uint64_t *total, uint64_t n)
{
	atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

static inline atomic_uint *
store_stamp(struct store_shared *sh, const struct table_key *k)
{
	return &sh->stamp[k->low % STORE_STAMPS];
}

static inline uint32_t
store_now_s(void)
{
	return (uint32_t)clock_wall_s();
}

#endif
