/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys are keyed hashes (table.h), so nobody chooses them: their bits serve as uthash's hash as they are. */
#include "store/holders.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#define uthash_malloc(bytes) mem_zalloc(bytes)
#include <uthash.h>

#define HOLDERS_SHARDS 64	/* a power of two */

struct holding {
	UT_hash_handle hh;
	struct table_key key;
	struct holder holder;
};

struct holders_shard {
	_Alignas(64) pthread_mutex_t lock;
	struct holding *held;
};

struct holders {
	struct holders_shard shard[HOLDERS_SHARDS];
};

struct holders *
holders_new(void)
{
	struct holders *h;

	must(posix_memalign((void **)&h, _Alignof(struct holders), sizeof *h) == 0);
	memset(h, 0, sizeof *h);
	for (unsigned i = 0; i < HOLDERS_SHARDS; i++)
		pthread_mutex_init(&h->shard[i].lock, NULL);
	return h;
}

static void
shard_remove(struct holders_shard *s, struct holding *at)
{
	HASH_DELETE(hh, s->held, at);
	free(at);
}

void
holders_free(struct holders *h)
{
	struct holding *at, *after;

	if (h == NULL)
		return;
	for (unsigned i = 0; i < HOLDERS_SHARDS; i++) {
		HASH_ITER(hh, h->shard[i].held, at, after)
			shard_remove(&h->shard[i], at);
		pthread_mutex_destroy(&h->shard[i].lock);
	}
	free(h);
}

/* uthash takes the low bits of the hash, which is the key's other half. */
static struct holders_shard *
holders_lock(struct holders *h, const struct table_key *key)
{
	struct holders_shard *s = &h->shard[key->high & (HOLDERS_SHARDS - 1)];

	pthread_mutex_lock(&s->lock);
	return s;
}

static struct holding *
shard_find(const struct holders_shard *s, const struct table_key *key)
{
	struct holding *at;

	HASH_FIND_BYHASHVALUE(hh, s->held, key, sizeof *key, (unsigned)key->low, at);
	return at;
}

static void
shard_add(struct holders_shard *s, const struct table_key *key, const struct holder *new)
{
	struct holding *at = mem_zalloc(sizeof *at);

	at->key = *key;
	at->holder = *new;
	HASH_ADD_BYHASHVALUE(hh, s->held, key, sizeof at->key, (unsigned)key->low, at);
}

bool
holders_take(struct holders *h, const struct table_key *key, const struct holder *new, struct holder *old)
{
	struct holders_shard *s = holders_lock(h, key);
	struct holding *at = shard_find(s, key);
	bool was_held = at != NULL;

	if (was_held) {
		*old = at->holder;
		at->holder = *new;
	} else
		shard_add(s, key, new);
	pthread_mutex_unlock(&s->lock);
	return was_held;
}

void
holders_drop(struct holders *h, const struct table_key *key, const struct holder *which)
{
	struct holders_shard *s = holders_lock(h, key);
	struct holding *at = shard_find(s, key);

	if (at != NULL && at->holder.worker == which->worker && at->holder.session == which->session)
		shard_remove(s, at);
	pthread_mutex_unlock(&s->lock);
}

size_t
holders_count(struct holders *h)
{
	size_t n = 0;

	for (unsigned i = 0; i < HOLDERS_SHARDS; i++) {
		pthread_mutex_lock(&h->shard[i].lock);
		n += HASH_COUNT(h->shard[i].held);
		pthread_mutex_unlock(&h->shard[i].lock);
	}
	return n;
}
