/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway.h - one server that holds clients' sessions: its name, address, state and counts.
 *
 * An entity: it is matched by name at a reload and outlives the configuration that named it. Reference-counted;
 * any thread may hold one. What changes is atomic; state is written by the main thread alone (health, operators),
 * counts by whoever has the exchange. The struct's atomics are touched here and in gateway.c only; choosing reads
 * them for every gateway of a pool, so those readers are inline.
 */
#ifndef POOL_GATEWAY_H
#define POOL_GATEWAY_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "net/addr.h"

enum gateway_state { GATEWAY_UP, GATEWAY_DOWN };

/* So many connects in a row that fail in traffic count as one failed check: one may be a full queue, three are
 * not. */
#define GATEWAY_CONNECTS_ARE_A_CHECK 3

struct gateway {
	uint32_t magic;
	atomic_uint refs;
	char *name;
	char *pool_name;
	struct addr addr;
	uint64_t tag;			/* what a sealed cookie holds in place of the name; unique in its pool */
	unsigned index;			/* in its pool */
	bool backup;			/* gets newcomers only when no other can take them */
	unsigned max_sessions;		/* 0: no limit */
	atomic_uint weight;
	atomic_int state;
	atomic_uint load;		/* reservations: exchanges and sessions under way */
	atomic_uint sessions;		/* of them: upgraded, or in handshake; never above max_sessions */
	atomic_uint failed_connects;	/* in a row */
	atomic_uint failed_connects_reported;	/* batches of GATEWAY_CONNECTS_ARE_A_CHECK not yet seen by health */
	int current_weight;		/* smooth round robin's, under the pool's lock */
};

/* The tag is derived from both names alone: the same on every proxy, after any reordering. NULL when the address
 * can't be resolved (*why says). */
struct gateway *gateway_new(const struct conf_gateway *cf, const char *pool_name, unsigned index, const char **why)
    MUST_CHECK;
struct gateway *gateway_ref(struct gateway *g);
void gateway_unref(struct gateway *g);			/* NULL is fine */

static inline enum gateway_state
gateway_state(const struct gateway *g)
{
	return (enum gateway_state)atomic_load_explicit(&g->state, memory_order_relaxed);
}

static inline unsigned
gateway_weight(const struct gateway *g)
{
	return atomic_load_explicit(&g->weight, memory_order_relaxed);
}

static inline unsigned
gateway_load(const struct gateway *g)
{
	return atomic_load_explicit(&g->load, memory_order_relaxed);
}

static inline unsigned
gateway_sessions(const struct gateway *g)
{
	return atomic_load_explicit(&g->sessions, memory_order_relaxed);
}

/* May it get a client that belongs nowhere yet? */
static inline bool
gateway_takes_newcomers(const struct gateway *g)
{
	return gateway_state(g) == GATEWAY_UP && gateway_weight(g) != 0;
}

/* Main thread. Logs the change with its reason; false when nothing changed. */
bool gateway_set_state(struct gateway *g, enum gateway_state state, const char *why);
/* Has it no place for one more session? */
static inline bool
gateway_is_full(const struct gateway *g)
{
	return g->max_sessions != 0 &&
	    atomic_load_explicit(&g->sessions, memory_order_relaxed) >= g->max_sessions;
}

/* An exchange takes its share, with a session's place if it is to become one, and gives the same back once. False: it
 * is full; max_sessions is held exactly, by all workers together. Without session it can't fail. */
bool gateway_enter(struct gateway *g, bool session) MUST_CHECK;
void gateway_leave(struct gateway *g, bool session);

void gateway_connect_ok(struct gateway *g);
/* True when a batch has filled: the main thread should health_look(). */
bool gateway_connect_failed(struct gateway *g);
/* Main thread: batches of failed connects since the last call, each worth one failed check. */
unsigned gateway_take_failed_connects(struct gateway *g);

#endif
