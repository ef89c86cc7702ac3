/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two positions, neither ever counted round the buffer. While read <= write, the bytes are [read, write); once the
 * producer has gone back to the start they are [read, end) and then [0, write), and write stays below read, until the
 * consumer has followed. `end` changes only at that step back, when the consumer can't be looking at it.
 */
#include "base/ring.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

#define RING_LINE 64	/* of the cache: the two threads write to different ones */

struct ring {
	char *bytes;
	size_t size;
	size_t end;
	size_t reserved;	/* where the producer's next bytes begin */
	_Alignas(RING_LINE) atomic_size_t write;	/* the producer's alone to change */
	_Alignas(RING_LINE) atomic_size_t read;		/* the consumer's */
};

struct ring *
ring_new(size_t bytes)
{
	struct ring *r;

	must(posix_memalign((void **)&r, RING_LINE, sizeof *r) == 0);
	*r = (struct ring){ .bytes = mem_zalloc(bytes), .size = bytes };
	return r;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	free(r->bytes);
	free(r);
}

char *
ring_reserve(struct ring *r, size_t max)
{
	size_t write = atomic_load_explicit(&r->write, memory_order_relaxed);
	size_t read = atomic_load_explicit(&r->read, memory_order_acquire);
	bool is_ahead = write >= read;

	/* Empty, it starts over only from its second half: until the consumer has followed, what lies before `read`
	 * is all the room there is. */
	if (is_ahead && ((write == read && write > r->size / 2) || r->size - write < max) && max < read)
		r->reserved = 0;
	else if ((is_ahead ? r->size : read - 1) - write >= max)
		r->reserved = write;
	else
		return NULL;
	return r->bytes + r->reserved;
}

void
ring_commit(struct ring *r, size_t n)
{
	size_t write = atomic_load_explicit(&r->write, memory_order_relaxed);

	if (n == 0)
		return;
	if (r->reserved < write)
		r->end = write;
	r->reserved += n;
	atomic_store(&r->write, r->reserved);
}

size_t
ring_peek(const struct ring *r, struct slice piece[2])
{
	size_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
	size_t write = atomic_load(&r->write);

	if (write >= read) {
		piece[0] = slice_make(r->bytes + read, write - read);
		piece[1] = SLICE_NONE;
	} else {
		piece[0] = slice_make(r->bytes + read, r->end - read);
		piece[1] = slice_make(r->bytes, write);
	}
	return piece[0].n + piece[1].n;
}

void
ring_consume(struct ring *r, size_t n)
{
	size_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
	size_t write = atomic_load_explicit(&r->write, memory_order_acquire);

	if (write < read && n >= r->end - read)
		read = n - (r->end - read);
	else
		read += n;
	atomic_store_explicit(&r->read, read, memory_order_release);
}

size_t
ring_used(const struct ring *r)
{
	size_t read = atomic_load_explicit(&r->read, memory_order_acquire);
	size_t write = atomic_load(&r->write);

	return write >= read ? write - read : r->end - read + write;
}
