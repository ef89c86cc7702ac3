/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - memory that lives and dies with one exchange.
 *
 * Allocation moves a pointer; nothing is freed alone. A limit bounds what one client can make us hold. Not for two
 * threads. Under AddressSanitizer every piece is a malloc of its own, so that the tool can see its bounds.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/check.h"
#include "base/slice.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;	/* the newest first */
	size_t held_bytes;		/* of all blocks */
	size_t limit_bytes;
};

void arena_init(struct arena *a, size_t limit_bytes);
/* Gives all back; the arena may be used again. */
void arena_fini(struct arena *a);
/* Aligned for any type, not cleared. NULL when the limit or the memory is reached. */
void *arena_alloc(struct arena *a, size_t bytes) MUST_CHECK;
/* A copy; false as above. */
bool arena_copy(struct arena *a, struct slice from, struct slice *copy) MUST_CHECK;

#endif
