/* SPDX-License-Identifier: BSD-2-Clause */
/* A time until which it is worth a look, and entries of the table under a name that no pool has. */
#include "affinity/moved.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

/* As long as a seal may be, and the pool's name before it. */
#define MOVED_KEY_MAX 512

struct moved {
	_Atomic uint64_t until_s;
};

struct moved *
moved_new(void)
{
	return mem_zalloc(sizeof(struct moved));
}

void
moved_free(struct moved *m)
{
	free(m);
}

/* A key of the pool that is named "" in the table, since none is. */
struct table_key
moved_key(const struct table *t, struct slice pool, struct slice seal)
{
	char text[MOVED_KEY_MAX];
	struct buf b = buf_of(text, sizeof text);

	buf_add(&b, seal);
	buf_byte(&b, ' ');
	buf_add(&b, pool);
	return table_key(t, SLICE_NONE, buf_slice(&b));
}

void
moved_note(struct moved *m, struct table *t, const struct table_key *k, uint64_t tag, uint64_t now_s)
{
	table_bind(t, k, tag, (uint32_t)now_s, false, NULL);
	atomic_store_explicit(&m->until_s, now_s + MOVED_LOOKED_FOR_S, memory_order_relaxed);
}

uint64_t
moved_to(const struct moved *m, struct table *t, struct slice pool, struct slice seal, uint64_t now_s)
{
	struct table_binding b;
	struct table_key k;

	if (m == NULL || now_s >= atomic_load_explicit(&m->until_s, memory_order_relaxed))
		return 0;
	k = moved_key(t, pool, seal);
	return table_get(t, &k, (uint32_t)now_s, &b) ? b.tag : 0;
}
