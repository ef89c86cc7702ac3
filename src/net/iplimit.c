/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each shard has a lock, a table of hosts, and a list of those that hold nothing, the longest unseen first. A token
 * bucket is kept as one number: when it will be full again. A connection moves that by one token's time, and is
 * refused where it would come to lie further ahead than the whole bucket takes to fill.
 */
#include "net/iplimit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"

#define HASH_FUNCTION(key, n, hash) ((hash) = (unsigned)hash_bytes(key, n))
#define HASH_NONFATAL_OOM 1
#include <string.h>
#include <uthash.h>

#define IPLIMIT_SHARDS 16	/* a power of two */
#define IPLIMIT_IDLE 4096	/* of hosts without connections in one shard: 64 Ki in all, some 10 MB */
#define IPLIMIT_SWEEP 2		/* forgotten at each arrival: more than one arrives */

#define NS_PER_MS 1000000ULL

struct iplimit_key {
	unsigned char bytes[16];
};

struct iplimit_host {
	UT_hash_handle hh;
	struct list idle;	/* in its shard's, while it holds nothing */
	struct iplimit_key key;
	unsigned held;
	uint64_t full_ns;
};

struct iplimit_shard {
	_Alignas(64) pthread_mutex_t lock;
	unsigned max_connections;	/* 0: any number */
	uint64_t token_ns;		/* one connection's; 0: at any rate */
	uint64_t bucket_ns;		/* the burst's */
	struct iplimit_host *hosts;
	struct list idle;
	unsigned idles;
	uint64_t now_ns;	/* of the last arrival */
};

struct iplimit {
	struct iplimit_shard shard[IPLIMIT_SHARDS];
	atomic_bool is_limited;
};

struct iplimit *
iplimit_new(unsigned max_connections, struct conf_rate rate)
{
	struct iplimit *l;

	must(posix_memalign((void **)&l, _Alignof(struct iplimit), sizeof *l) == 0);
	memset(l, 0, sizeof *l);
	for (unsigned i = 0; i < IPLIMIT_SHARDS; i++) {
		pthread_mutex_init(&l->shard[i].lock, NULL);
		list_init(&l->shard[i].idle);
	}
	iplimit_set(l, max_connections, rate);
	return l;
}

void
iplimit_set(struct iplimit *l, unsigned max_connections, struct conf_rate rate)
{
	bool is_rated = rate.count != 0 && rate.per_ms != 0;
	uint64_t token_ns = is_rated ? rate.per_ms * NS_PER_MS / rate.count : 0;

	for (unsigned i = 0; i < IPLIMIT_SHARDS; i++) {
		struct iplimit_shard *s = &l->shard[i];

		pthread_mutex_lock(&s->lock);
		s->max_connections = max_connections;
		s->token_ns = token_ns;
		s->bucket_ns = token_ns * rate.count;
		pthread_mutex_unlock(&s->lock);
	}
	atomic_store_explicit(&l->is_limited, max_connections != 0 || is_rated, memory_order_relaxed);
}

static void
iplimit_forget(struct iplimit_shard *s, struct iplimit_host *h)
{
	must(h->held == 0);
	list_remove(&h->idle);
	s->idles--;
	HASH_DELETE(hh, s->hosts, h);
	free(h);
}

void
iplimit_free(struct iplimit *l)
{
	struct iplimit_host *h, *after;

	if (l == NULL)
		return;
	for (unsigned i = 0; i < IPLIMIT_SHARDS; i++) {
		HASH_ITER(hh, l->shard[i].hosts, h, after) {
			HASH_DELETE(hh, l->shard[i].hosts, h);
			free(h);
		}
		pthread_mutex_destroy(&l->shard[i].lock);
	}
	free(l);
}

/* An IPv4 address stands behind a byte that no /64 in use begins with. */
static struct iplimit_key
iplimit_key_of(const struct addr *a)
{
	struct iplimit_key key = { { 0 } };

	if (a->sa.any.sa_family == AF_INET6) {
		memcpy(key.bytes, &a->sa.v6.sin6_addr, 8);
	} else {
		key.bytes[0] = 0xff;
		memcpy(key.bytes + 8, &a->sa.v4.sin_addr, 4);
	}
	return key;
}

/* uthash takes the low bits of the hash for its buckets, so the shard is chosen by the high ones. */
static struct iplimit_shard *
iplimit_shard_of(struct iplimit *l, const struct iplimit_key *key, unsigned *hash)
{
	HASH_VALUE(key, sizeof *key, *hash);
	return &l->shard[*hash >> 24 & (IPLIMIT_SHARDS - 1)];
}

static struct iplimit_host *
iplimit_find(const struct iplimit_shard *s, const struct iplimit_key *key, unsigned hash)
{
	struct iplimit_host *h;

	HASH_FIND_BYHASHVALUE(hh, s->hosts, key, sizeof *key, hash, h);
	return h;
}

/* NULL: no memory, or a flood of others. */
static struct iplimit_host *
iplimit_add(struct iplimit_shard *s, const struct iplimit_key *key, unsigned hash)
{
	struct iplimit_host *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->key = *key;
	HASH_ADD_BYHASHVALUE(hh, s->hosts, key, sizeof h->key, hash, h);
	if (h->hh.tbl == NULL) {
		free(h);
		return NULL;
	}
	list_add_tail(&s->idle, &h->idle);
	s->idles++;
	return h;
}

/* Full buckets say nothing any more. The list is not quite in their order, but none is late by more than one
 * bucket. */
static void
iplimit_sweep(struct iplimit_shard *s)
{
	for (unsigned i = 0; i < IPLIMIT_SWEEP && !list_is_empty(&s->idle); i++) {
		struct iplimit_host *h = LIST_ENTRY_OF(s->idle.next, struct iplimit_host, idle);

		if (h->full_ns > s->now_ns && s->idles <= IPLIMIT_IDLE)
			return;
		iplimit_forget(s, h);
	}
}

/* A bucket is empty at most, however much it owed under other limits. */
static bool
iplimit_admit(const struct iplimit_shard *s, struct iplimit_host *h)
{
	uint64_t empty_ns = s->now_ns + s->bucket_ns;

	if (s->max_connections != 0 && h->held >= s->max_connections)
		return false;
	if (s->token_ns == 0)
		return true;
	if (h->full_ns < s->now_ns)
		h->full_ns = s->now_ns;
	if (h->full_ns > empty_ns)
		h->full_ns = empty_ns;
	if (h->full_ns + s->token_ns > empty_ns)
		return false;
	h->full_ns += s->token_ns;
	return true;
}

bool
iplimit_enter(struct iplimit *l, const struct addr *a, uint64_t now_ms, bool *counted)
{
	struct iplimit_shard *s;
	struct iplimit_host *h;
	struct iplimit_key key;
	unsigned hash;
	bool ok;

	*counted = false;
	if (l == NULL || !atomic_load_explicit(&l->is_limited, memory_order_relaxed))
		return true;
	key = iplimit_key_of(a);
	s = iplimit_shard_of(l, &key, &hash);
	pthread_mutex_lock(&s->lock);
	s->now_ns = now_ms * NS_PER_MS;
	h = iplimit_find(s, &key, hash);
	if (h == NULL)
		h = iplimit_add(s, &key, hash);
	ok = h != NULL && iplimit_admit(s, h);
	if (h != NULL && h->held == 0) {
		list_remove(&h->idle);
		if (ok)
			s->idles--;
		else
			list_add_tail(&s->idle, &h->idle);
	}
	if (ok)
		h->held++;
	iplimit_sweep(s);
	pthread_mutex_unlock(&s->lock);
	*counted = ok;
	return ok;
}

void
iplimit_leave(struct iplimit *l, const struct addr *a)
{
	struct iplimit_shard *s;
	struct iplimit_host *h;
	struct iplimit_key key;
	unsigned hash;

	key = iplimit_key_of(a);
	s = iplimit_shard_of(l, &key, &hash);
	pthread_mutex_lock(&s->lock);
	h = iplimit_find(s, &key, hash);
	must(h != NULL && h->held != 0);
	if (--h->held == 0) {
		list_add_tail(&s->idle, &h->idle);
		s->idles++;
		if (h->full_ns <= s->now_ns)
			iplimit_forget(s, h);
	}
	pthread_mutex_unlock(&s->lock);
}
