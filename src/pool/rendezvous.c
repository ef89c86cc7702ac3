/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logarithms of different C libraries may differ in their last bit; for that to move a key, two gateways' scores
 * would have to agree in some fifty bits.
 */
#include "pool/rendezvous.h"

#include <math.h>

/* The length tells keys apart that differ in NULs at their end. */
uint64_t
rendezvous_hash(struct slice key)
{
	uint64_t hash = key.n + UINT64_C(0x9e3779b97f4a7c15);

	for (; key.n > 8; key = slice_make(key.p + 8, key.n - 8))
		hash = rendezvous_draw(hash, slice_word(key));
	return rendezvous_draw(hash, slice_word(key));
}

/* The middle of the draw's 2^-52 part of (0, 1): exact in a double, and never 0 or 1. */
double
rendezvous_score(struct rendezvous_bid bid)
{
	double u = ((double)(bid.draw >> 12) + 0.5) * 0x1p-52;

	return -(double)bid.weight / log(u);
}

bool
rendezvous_scores_above(struct rendezvous_bid one, struct rendezvous_bid other)
{
	if (one.draw > other.draw && one.weight >= other.weight)
		return true;
	if (one.draw < other.draw && one.weight <= other.weight)
		return false;
	return rendezvous_score(one) > rendezvous_score(other);
}
