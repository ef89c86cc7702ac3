/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A shard is one array of slots and one of buckets. Slots name each other by their index: the next in a bucket's
 * chain, and both neighbours in the ring of use, whose head is slot 0, so that 0 also means "none".
 *
 * Every other map of this program is a uthash. This one is not, for its size: 52 bytes a key here, in two blocks that
 * are touched as they fill. uthash's handle alone has 56; with key, binding and malloc's own that makes more than
 * 110, and a pause whenever a million keys are spread over twice the buckets.
 */
#include "store/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define TABLE_SHARDS 64
#define TABLE_LARGE 65536	/* keys; fewer are one shard */
#define SPARE 4			/* this part of its share a shard may hold beyond it, as chance gives some more */
#define TABLE_SWEEP 2		/* expired keys dropped for each that comes: more than one comes */

_Static_assert(TABLE_HASH_KEY == HASH_KEY, "the hash's key is the table's");

struct slot {
	struct table_key key;
	uint64_t tag;
	uint32_t born_s, seen_s, confirmed_s;
	uint32_t next;		/* in its bucket's chain, or of the free ones */
	uint32_t newer, older;	/* in the ring of use; a free one is a ring of its own */
};

_Static_assert(sizeof(struct slot) == 48, "the header promises so");

/* What all shards share; written only when a key comes or goes. */
struct room {
	_Alignas(64) atomic_size_t keys;
	size_t max_keys;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct room *room;
	struct slot *slot;	/* capacity of them behind the head */
	uint32_t *bucket;
	uint32_t mask;		/* of buckets */
	uint32_t capacity;
	uint32_t used;		/* slots beyond were never touched */
	uint32_t free;		/* the first of those that are free again */
	uint32_t keys;
	uint32_t ttl_s;
	uint64_t evicted, expired;
};

struct table {
	unsigned shards;	/* a power of two */
	unsigned char hash_key[TABLE_HASH_KEY];
	struct room room;
	struct shard shard[];
};

/* ---- the ring of use ---- */

static void
shard_unlink(struct shard *s, uint32_t i)
{
	struct slot *at = &s->slot[i];

	s->slot[at->newer].older = at->older;
	s->slot[at->older].newer = at->newer;
	at->newer = at->older = i;
}

static void
shard_link_newest(struct shard *s, uint32_t i)
{
	struct slot *head = &s->slot[0], *at = &s->slot[i];

	at->newer = 0;
	at->older = head->older;
	s->slot[at->older].newer = i;
	head->older = i;
}

static uint32_t
shard_oldest(const struct shard *s)
{
	return s->slot[0].newer;
}

static bool
slot_is_free(const struct shard *s, uint32_t i)
{
	return s->slot[i].older == i;
}

/* ---- slots and chains ---- */

/* The link that names the key's slot, or that ends its bucket's chain. */
static uint32_t *
shard_find_link(const struct shard *s, const struct table_key *k)
{
	uint32_t *link = &s->bucket[k->low & s->mask];

	while (*link != 0) {
		struct slot *at = &s->slot[*link];

		if (at->key.low == k->low && at->key.high == k->high)
			break;
		link = &at->next;
	}
	return link;
}

static void
shard_remove(struct shard *s, uint32_t i)
{
	struct slot *at = &s->slot[i];
	uint32_t *link = shard_find_link(s, &at->key);

	must(*link == i);
	*link = at->next;
	shard_unlink(s, i);
	at->next = s->free;
	s->free = i;
	s->keys--;
	atomic_fetch_sub_explicit(&s->room->keys, 1, memory_order_relaxed);
}

/* A clock that was set back makes nothing expire. */
static bool
is_expired(uint32_t seen_s, uint32_t ttl_s, uint32_t now_s)
{
	return now_s > seen_s && now_s - seen_s > ttl_s;
}

static bool
shard_drop_expired(struct shard *s, uint32_t i, uint32_t now_s)
{
	if (!is_expired(s->slot[i].seen_s, s->ttl_s, now_s))
		return false;
	shard_remove(s, i);
	s->expired++;
	return true;
}

/* 0: it is not bound. */
static uint32_t
shard_find(struct shard *s, const struct table_key *k, uint32_t now_s)
{
	uint32_t i = *shard_find_link(s, k);

	return i != 0 && !shard_drop_expired(s, i, now_s) ? i : 0;
}

/* Counts one more key, of which there may be one too many then: the shard's own oldest goes, so that nobody needs
 * another shard's lock. Only an empty shard has none to give; as keys fall by chance, none is empty when the table
 * is full. */
static void
shard_make_room(struct shard *s)
{
	size_t keys = atomic_fetch_add_explicit(&s->room->keys, 1, memory_order_relaxed);

	if (s->keys == 0 || (keys < s->room->max_keys && s->keys < s->capacity))
		return;
	shard_remove(s, shard_oldest(s));
	s->evicted++;
}

/* Free, or freed for the purpose. */
static uint32_t
shard_take_slot(struct shard *s, uint32_t now_s)
{
	uint32_t i;

	for (unsigned n = 0; n < TABLE_SWEEP && s->keys != 0; n++)
		if (!shard_drop_expired(s, shard_oldest(s), now_s))
			break;
	shard_make_room(s);
	if (s->free == 0)
		return ++s->used;
	i = s->free;
	s->free = s->slot[i].next;
	return i;
}

/* It is not there yet. */
static struct slot *
shard_insert(struct shard *s, const struct table_key *k, uint64_t tag, uint32_t now_s)
{
	uint32_t i = shard_take_slot(s, now_s), *bucket = &s->bucket[k->low & s->mask];

	s->slot[i] = (struct slot){ .key = *k, .tag = tag, .born_s = now_s, .seen_s = now_s, .next = *bucket };
	*bucket = i;
	shard_link_newest(s, i);
	s->keys++;
	return &s->slot[i];
}

static void
shard_renew(struct shard *s, uint32_t i, uint32_t now_s)
{
	s->slot[i].seen_s = now_s;
	if (s->slot[i].newer == 0)
		return;
	shard_unlink(s, i);
	shard_link_newest(s, i);
}

static struct table_binding
slot_binding(const struct slot *at)
{
	return (struct table_binding){
		.tag = at->tag, .born_s = at->born_s, .seen_s = at->seen_s, .confirmed_s = at->confirmed_s,
	};
}

/* ---- its life ---- */

static bool
shard_init(struct shard *s, struct room *room, uint32_t share, uint32_t spare, uint32_t ttl_s)
{
	uint32_t buckets = 1, capacity = share + spare;

	while (buckets < share)
		buckets *= 2;
	pthread_mutex_init(&s->lock, NULL);
	s->room = room;
	s->capacity = capacity;
	s->mask = buckets - 1;
	s->ttl_s = ttl_s;
	s->slot = calloc((size_t)capacity + 1, sizeof *s->slot);
	s->bucket = calloc(buckets, sizeof *s->bucket);
	return s->slot != NULL && s->bucket != NULL;
}

struct table *
table_new_sharded(size_t max_keys, uint32_t ttl_s, unsigned shards)
{
	size_t bytes = sizeof(struct table) + shards * sizeof(struct shard);
	bool good = true;
	struct table *t;

	must(shards != 0 && (shards & (shards - 1)) == 0 && max_keys >= shards && max_keys / shards < INT32_MAX / 2);
	if (posix_memalign((void **)&t, _Alignof(struct table), bytes) != 0)
		return NULL;
	memset(t, 0, bytes);
	t->shards = shards;
	t->room.max_keys = max_keys;
	hash_draw_key(t->hash_key);
	for (unsigned i = 0; i < shards; i++) {
		uint32_t share = (uint32_t)((max_keys + shards - 1) / shards);
		uint32_t spare = shards != 1 ? share / SPARE : 0;

		good = shard_init(&t->shard[i], &t->room, share, spare, ttl_s) && good;
	}
	if (good)
		return t;
	table_free(t);
	return NULL;
}

struct table *
table_new(size_t max_keys, uint32_t ttl_s)
{
	return table_new_sharded(max_keys, ttl_s, max_keys < TABLE_LARGE ? 1 : TABLE_SHARDS);
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < t->shards; i++) {
		pthread_mutex_destroy(&t->shard[i].lock);
		free(t->shard[i].slot);
		free(t->shard[i].bucket);
	}
	free(t);
}

/* ---- its use ---- */

/* A pool's name has no NUL. */
struct table_key
table_key(const struct table *t, struct slice pool, struct slice key)
{
	struct hash_wide w = hash_wide(t->hash_key, pool, key);

	return (struct table_key){ w.high, w.low };
}

/* The buckets are chosen by the other half. */
static struct shard *
table_lock(struct table *t, const struct table_key *k)
{
	struct shard *s = &t->shard[k->high & (t->shards - 1)];

	pthread_mutex_lock(&s->lock);
	return s;
}

/* As it may be for long where only exceptions are kept. What is being bound this moment comes after. */
static bool
table_is_empty(const struct table *t)
{
	return atomic_load_explicit(&t->room.keys, memory_order_relaxed) == 0;
}

bool
table_get(struct table *t, const struct table_key *k, uint32_t now_s, struct table_binding *b)
{
	struct shard *s;
	uint32_t i;

	if (table_is_empty(t))
		return false;
	s = table_lock(t, k);
	i = shard_find(s, k, now_s);
	if (i != 0) {
		shard_renew(s, i, now_s);
		*b = slot_binding(&s->slot[i]);
	}
	pthread_mutex_unlock(&s->lock);
	return i != 0;
}

bool
table_peek(struct table *t, const struct table_key *k, uint32_t now_s, struct table_binding *b)
{
	struct shard *s = table_lock(t, k);
	uint32_t i = shard_find(s, k, now_s);

	if (i != 0)
		*b = slot_binding(&s->slot[i]);
	pthread_mutex_unlock(&s->lock);
	return i != 0;
}

/* Of a key that is there. */
static enum table_bound
slot_bind(struct slot *at, uint64_t tag, uint32_t now_s, uint64_t *was)
{
	if (at->tag == tag)
		return TABLE_SAME;
	if (was != NULL)
		*was = at->tag;
	at->tag = tag;
	at->born_s = now_s;
	at->confirmed_s = 0;
	return TABLE_MOVED;
}

enum table_bound
table_bind(struct table *t, const struct table_key *k, uint64_t tag, uint32_t now_s, bool confirmed, uint64_t *was)
{
	struct shard *s = table_lock(t, k);
	uint32_t i = shard_find(s, k, now_s);
	enum table_bound bound = TABLE_NEW;
	struct slot *at;

	if (i != 0) {
		shard_renew(s, i, now_s);
		at = &s->slot[i];
		bound = slot_bind(at, tag, now_s, was);
	} else
		at = shard_insert(s, k, tag, now_s);
	if (confirmed)
		at->confirmed_s = now_s;
	pthread_mutex_unlock(&s->lock);
	return bound;
}

enum table_bound
table_claim(struct table *t, const struct table_key *k, uint64_t tag, uint32_t now_s, struct table_binding *b)
{
	struct shard *s = table_lock(t, k);
	uint32_t i = shard_find(s, k, now_s);

	if (i != 0) {
		shard_renew(s, i, now_s);
		*b = slot_binding(&s->slot[i]);
	} else
		*b = slot_binding(shard_insert(s, k, tag, now_s));
	pthread_mutex_unlock(&s->lock);
	return i != 0 ? TABLE_SAME : TABLE_NEW;
}

bool
table_forget(struct table *t, const struct table_key *k)
{
	struct shard *s = table_lock(t, k);
	uint32_t i = *shard_find_link(s, k);

	if (i != 0)
		shard_remove(s, i);
	pthread_mutex_unlock(&s->lock);
	return i != 0;
}

struct table_counts
table_counts(struct table *t)
{
	struct table_counts c = { 0, 0, 0 };

	for (unsigned i = 0; i < t->shards; i++) {
		struct shard *s = &t->shard[i];

		pthread_mutex_lock(&s->lock);
		c.keys += s->keys;
		c.evicted += s->evicted;
		c.expired += s->expired;
		pthread_mutex_unlock(&s->lock);
	}
	return c;
}

static unsigned
shard_longest_chain(const struct shard *s)
{
	unsigned longest = 0;

	for (size_t b = 0; b <= s->mask; b++) {
		unsigned n = 0;

		for (uint32_t i = s->bucket[b]; i != 0; i = s->slot[i].next)
			n++;
		if (n > longest)
			longest = n;
	}
	return longest;
}

unsigned
table_longest_chain(struct table *t)
{
	unsigned longest = 0;

	for (unsigned i = 0; i < t->shards; i++) {
		struct shard *s = &t->shard[i];
		unsigned n;

		pthread_mutex_lock(&s->lock);
		n = shard_longest_chain(s);
		pthread_mutex_unlock(&s->lock);
		if (n > longest)
			longest = n;
	}
	return longest;
}

/* ---- snapshots ---- */

const unsigned char *
table_hash_key(const struct table *t)
{
	return t->hash_key;
}

void
table_set_hash_key(struct table *t, const unsigned char key[TABLE_HASH_KEY])
{
	must(table_counts(t).keys == 0);
	memcpy(t->hash_key, key, TABLE_HASH_KEY);
}

/* Looks at `room` slots from *at on, so that free ones do not keep the lock either. */
static size_t
shard_copy(struct shard *s, uint32_t *at, struct table_entry *to, size_t room)
{
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t seen = 0; seen < room && *at < s->used; seen++) {
		uint32_t i = ++*at;

		if (!slot_is_free(s, i))
			to[n++] = (struct table_entry){ s->slot[i].key, slot_binding(&s->slot[i]) };
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* *at is the shard, and in its lower half the last slot that was looked at. */
size_t
table_copy(struct table *t, uint64_t *at, struct table_entry *to, size_t room)
{
	uint64_t shard = *at >> 32;
	uint32_t slot = (uint32_t)*at;
	size_t n = 0;

	while (n == 0 && shard < t->shards) {
		uint32_t before = slot;

		n = shard_copy(&t->shard[shard], &slot, to, room);
		if (slot == before) {
			shard++;
			slot = 0;
		}
	}
	*at = shard << 32 | slot;
	return n;
}

static uint32_t
not_after(uint32_t time_s, uint32_t now_s)
{
	return time_s < now_s ? time_s : now_s;
}

/* A key that is there already was bound anew while the snapshot was written, and what comes later is younger. */
void
table_restore(struct table *t, const struct table_entry *e, uint32_t now_s)
{
	uint32_t seen_s = not_after(e->binding.seen_s, now_s), i;
	struct shard *s = table_lock(t, &e->key);
	struct slot *at;

	if (!is_expired(seen_s, s->ttl_s, now_s)) {
		i = *shard_find_link(s, &e->key);
		if (i != 0)
			shard_remove(s, i);
		at = shard_insert(s, &e->key, e->binding.tag, now_s);
		at->born_s = not_after(e->binding.born_s, now_s);
		at->seen_s = seen_s;
		at->confirmed_s = not_after(e->binding.confirmed_s, now_s);
	}
	pthread_mutex_unlock(&s->lock);
}
