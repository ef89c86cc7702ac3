/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * roster.h - the inside of pool.h, shared by the files that it is made of and by nobody else: pool.c (choosing,
 * finding, its life), adopt.c (what goes over from one configuration to the next).
 */
#ifndef POOL_ROSTER_H
#define POOL_ROSTER_H

#include "pool/pool.h"

/* Of the gateway with the same index. */
struct pool_seat {
	uint64_t tag;			/* the gateway's, where hashing over all of them finds it without a detour */
	int64_t turn;			/* what it has gathered for its next turn; under the pool's lock */
};

/* Where a gateway is found by its tag: a cookie names one with each request. */
struct pool_tag {
	uint64_t tag;
	struct gateway *gateway;
	unsigned place;			/* its index */
	bool is_former;			/* of a name it had before */
};

/* The gateways are not what they were: makes all that is sorted anew. */
void pool_list(struct pool *p);

#endif
