/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rebalance.h - which gateways of a pool have more sessions than their share by weight, which have less, and so from
 * where to where sessions are to go.
 *
 * Those that take newcomers are weighed, backups are not. A round moves what was above at its beginning; then clients
 * have some time to come back, and what they make of it is weighed again: until nobody has more than a twentieth
 * above its share, a round has made nothing better, or REBALANCE_ROUNDS have passed. It looks and reckons, others
 * close sessions. Main thread.
 */
#ifndef RUN_REBALANCE_H
#define RUN_REBALANCE_H

#include "pool/pool.h"

#define REBALANCE_ROUNDS 5

struct rebalance;

struct rebalance_step {
	struct gateway *from, *to;	/* borrowed */
	bool overfull;			/* from has more than its max_sessions */
	size_t most;			/* sessions that may go that way */
};

/* Keeps nothing of the pool but its gateways. */
struct rebalance *rebalance_new(const struct pool *p) MUST_CHECK;
void rebalance_free(struct rebalance *r);	/* NULL is fine */
/* Where most is to be moved from, and where most is lacking; false: this round has nothing left to move. */
bool rebalance_next(const struct rebalance *r, struct rebalance_step *step) MUST_CHECK;
/* So many are on their way. */
void rebalance_note(struct rebalance *r, const struct rebalance_step *step, size_t n);
/* The next round: weighs anew, as the pool is now. False: it is over. */
bool rebalance_again(struct rebalance *r, const struct pool *p) MUST_CHECK;
/* Of this round. */
size_t rebalance_left(const struct rebalance *r);

#endif
