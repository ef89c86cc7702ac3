/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of 4 KiB: an ordinary request with its cookies fits into one. */
#include "base/arena.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_PLAIN 1
#endif
#endif
#ifndef ARENA_PLAIN
#define ARENA_PLAIN 0
#endif

#define ARENA_BLOCK 4096
#define ARENA_ALIGN 16

struct arena_block {
	struct arena_block *next;
	size_t used, size;	/* of bytes */
	_Alignas(ARENA_ALIGN) char bytes[];
};

void
arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){ .limit_bytes = limit_bytes };
}

void
arena_fini(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->held_bytes = 0;
}

static struct arena_block *
arena_grow(struct arena *a, size_t bytes)
{
	size_t whole = bytes;
	struct arena_block *b;

	if (!ARENA_PLAIN && whole < ARENA_BLOCK - sizeof *b)
		whole = ARENA_BLOCK - sizeof *b;
	if (bytes > a->limit_bytes || a->held_bytes > a->limit_bytes - bytes)
		return NULL;
	b = malloc(sizeof *b + whole);
	if (b == NULL)
		return NULL;
	b->next = a->blocks;
	b->used = 0;
	b->size = whole;
	a->blocks = b;
	a->held_bytes += whole;
	return b;
}

void *
arena_alloc(struct arena *a, size_t bytes)
{
	struct arena_block *b = a->blocks;
	size_t rounded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	void *p;

	if (rounded < bytes)
		return NULL;
	if (ARENA_PLAIN)
		rounded = bytes;
	if (ARENA_PLAIN || b == NULL || b->size - b->used < rounded) {
		b = arena_grow(a, rounded);
		if (b == NULL)
			return NULL;
	}
	p = b->bytes + b->used;
	b->used += rounded;
	return p;
}

bool
arena_copy(struct arena *a, struct slice from, struct slice *copy)
{
	char *p = arena_alloc(a, from.n);

	if (p == NULL)
		return false;
	if (from.n != 0)
		memcpy(p, from.p, from.n);
	*copy = slice_make(p, from.n);
	return true;
}
