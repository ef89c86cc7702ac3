/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rendezvous.h - weighted rendezvous hashing: each key has an order of all gateways, which nobody has to store.
 *
 * (Thaler, Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996; with weights: Schindelhauer, Schomaker,
 * "Weighted Distributed Hash Tables", 2005.) A gateway's score for a key is -weight / ln(u), u being uniform in
 * (0, 1) by the hash of both; the highest wins. So a gateway that comes takes its share evenly from all others, and
 * one that goes gives its keys to all others, and nobody else moves.
 *
 * Pure: the same key and names have the same order in every process, so the hash has no secret. Who chooses his key
 * can choose his gateway by it; where that matters, assign = table.
 */
#ifndef POOL_RENDEZVOUS_H
#define POOL_RENDEZVOUS_H

#include "base/check.h"
#include "base/slice.h"

/* What a gateway puts in for a key: the higher `draw`, the higher u; weight is not 0. */
struct rendezvous_bid {
	uint64_t draw;
	unsigned weight;
};

/* The same in every version and on every machine, or all clients move: the tests know some. Of the key's words, each
 * mixed in as the gateway's tag is at last. */
uint64_t rendezvous_hash(struct slice key) MUST_CHECK;

/* The key's hash with the gateway's tag, mixed (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
 * with Stafford's constants). The mixing can be undone, so two gateways never draw the same. */
static inline uint64_t
rendezvous_draw(uint64_t hash, uint64_t tag)
{
	uint64_t x = hash ^ tag;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Pure arithmetic of a bid: -weight / ln(u). */
double rendezvous_score(struct rendezvous_bid bid) MUST_CHECK;
bool rendezvous_scores_above(struct rendezvous_bid one, struct rendezvous_bid other) MUST_CHECK;

/* Is one before the other in the key's order? As the scores say; but who has drawn more at no less weight scores
 * higher, so that among equals nobody takes a logarithm. */
static inline bool
rendezvous_wins(struct rendezvous_bid one, struct rendezvous_bid other)
{
	if (LIKELY(one.weight == other.weight))
		return one.draw > other.draw;
	return rendezvous_scores_above(one, other);
}

#endif
