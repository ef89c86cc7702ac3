/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - bytes from one thread to another without a lock.
 *
 * One producer reserves, fills and commits; one consumer peeks and consumes. What was reserved is contiguous: where
 * it does not fit before the end of the buffer, it begins at its start. An empty ring starts over from its second
 * half, so that one which is seldom full stays in the cache and in little memory. A commit is sequentially
 * consistent: a producer that then looks whether the consumer sleeps, and a consumer that says so and then looks into
 * the ring, can't both miss.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include "base/check.h"
#include "base/slice.h"

struct ring;

struct ring *ring_new(size_t bytes) MUST_CHECK;		/* never NULL, see mem.h */
void ring_free(struct ring *r);				/* NULL is fine */

/* The producer. Room for max bytes, or NULL; a second call without a commit forgets the first. */
char *ring_reserve(struct ring *r, size_t max) MUST_CHECK;
/* The first n bytes of what was reserved go to the consumer. */
void ring_commit(struct ring *r, size_t n);

/* The consumer. What is there, in order, in one or two pieces (the second may be empty), each made of whole
 * commits; the pieces stay as they are until consumed. Returns their bytes together. */
size_t ring_peek(const struct ring *r, struct slice piece[2]);
void ring_consume(struct ring *r, size_t n);

/* Either of the two: bytes committed and not consumed. The other may be about to change it. */
size_t ring_used(const struct ring *r);

#endif
