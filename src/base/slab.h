/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - objects of one size, given back to be taken again.
 *
 * One per worker and type: no lock. slab_get may answer NULL, then shed that one connection. Objects come zeroed.
 * Under AddressSanitizer each is a malloc of its own.
 *
 * Small objects are cut from pages that stay. Large ones are loose: each is a malloc of its own, a few are kept for
 * the next time, and the others go back, so that a burst leaves its memory to whatever comes after it.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct slab_free;
struct slab_page;
struct slab {
	size_t object_bytes;
	size_t live;			/* given out and not yet given back */
	bool loose;
	size_t spare;			/* on the free list */
	size_t spare_most;		/* loose ones kept there */
	struct slab_free *free;
	struct slab_page *pages;
};

void slab_init(struct slab *s, size_t object_bytes);
void slab_init_loose(struct slab *s, size_t object_bytes, size_t spare_most);
/* All objects must have come back. */
void slab_fini(struct slab *s);
void *slab_get(struct slab *s) MUST_CHECK;
/* The same, not cleared: for what is filled at once. */
void *slab_get_raw(struct slab *s) MUST_CHECK;
void slab_put(struct slab *s, void *object);	/* NULL is fine */

#endif
