/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - objects of one size, given back to be taken again.
 *
 * One per worker and type: no lock. slab_get may answer NULL, then shed that one connection. Objects come zeroed. Under
 * AddressSanitizer each is a malloc of its own.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

#include "base/check.h"

struct slab_free;
struct slab_page;
struct slab {
	size_t object_bytes;
	size_t live;			/* given out and not yet given back */
	struct slab_free *free;
	struct slab_page *pages;
};

void slab_init(struct slab *s, size_t object_bytes);
/* All objects must have come back. */
void slab_fini(struct slab *s);
void *slab_get(struct slab *s) MUST_CHECK;
/* The same, not cleared: for what is filled at once. */
void *slab_get_raw(struct slab *s) MUST_CHECK;
void slab_put(struct slab *s, void *object);	/* NULL is fine */

#endif
