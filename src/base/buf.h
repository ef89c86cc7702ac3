/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf.h - text put together in memory that somebody else owns.
 *
 * What does not fit sets `full` and is left out as a whole; asking once at the end is enough.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <string.h>

#include "base/check.h"
#include "base/slice.h"

struct buf {
	char *p;
	size_t n, room;
	bool full;
};

static inline struct buf
buf_of(char *p, size_t room)
{
	return (struct buf){ .p = p, .room = room };
}

static inline struct slice
buf_slice(const struct buf *b)
{
	return slice_make(b->p, b->n);
}

static inline void
buf_add(struct buf *b, struct slice s)
{
	if (UNLIKELY(s.n > b->room - b->n)) {
		b->full = true;
		return;
	}
	if (s.n != 0)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

#define buf_lit(b, text) buf_add(b, SLICE_LIT(text))

static inline void
buf_byte(struct buf *b, char c)
{
	buf_add(b, slice_make(&c, 1));
}

/* In decimal. */
void buf_u64(struct buf *b, uint64_t v);
/* In decimal with leading zeros up to `width` digits, 20 at most. */
void buf_u64_wide(struct buf *b, uint64_t v, unsigned width);
/* In lower-case hexadecimal, sixteen digits. */
void buf_hex64(struct buf *b, uint64_t v);

#endif
