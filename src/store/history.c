/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/history.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct history {
	pthread_mutex_t lock;
	uint64_t added;		/* move n is at n % HISTORY_MOVES */
	struct history_move move[HISTORY_MOVES];
};

struct history *
history_new(void)
{
	struct history *h = mem_zalloc(sizeof *h);

	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void
history_add(struct history *h, const struct history_move *m)
{
	pthread_mutex_lock(&h->lock);
	h->move[h->added++ % HISTORY_MOVES] = *m;
	pthread_mutex_unlock(&h->lock);
}

static bool
move_is_of(const struct history_move *m, const struct table_key *key, uint64_t from)
{
	if (key == NULL)
		return m->from == from;
	return m->key.high == key->high && m->key.low == key->low;
}

unsigned
history_find(struct history *h, const struct table_key *key, uint64_t from, struct history_move *to, unsigned room)
{
	unsigned n = 0;
	uint64_t kept;

	pthread_mutex_lock(&h->lock);
	kept = h->added < HISTORY_MOVES ? h->added : HISTORY_MOVES;
	for (uint64_t back = 1; back <= kept && n < room; back++) {
		const struct history_move *m = &h->move[(h->added - back) % HISTORY_MOVES];

		if (move_is_of(m, key, from))
			to[n++] = *m;
	}
	pthread_mutex_unlock(&h->lock);
	return n;
}
