/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A shard is one array of slots and one of buckets. Slots name each other by their index: the next in a bucket's
 * chain, and both neighbours in the ring of use, whose head is slot 0, so that 0 also means "none".
 *
 * Every other map of this program is a uthash. This one is not, for its size: 52 bytes a key here, in two blocks that
 * are touched as they fill. uthash's handle alone has 56; with key, binding and malloc's own that makes more than
 * 110, and a pause whenever a million keys are spread over twice the buckets.
 *
 * A table that is resized gets new blocks, one shard after the other. Until a shard's keys have moved, some at a
 * time, both blocks count: all that is said of a key begins with bringing it over, and what has not moved is older
 * than what has, since the newest move first, to the old end of the ring.
 */
#include "store/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/hash.h"

#define TABLE_SHARDS 64
#define TABLE_LARGE 65536	/* keys; fewer are one shard */
/* So much of its share, and so many at least, a shard may hold beyond it, as chance gives some more: that is eight
 * times the deviation, or more. */
#define SPARE 4
#define SPARE_LEAST 256
#define TABLE_SWEEP 2		/* expired keys dropped for each that comes: more than one comes */
#define TABLE_MOVES 256		/* keys moved under one lock: some 50 us; */
#define TABLE_PAUSE_US 20	/* then others come first, who would not if it was taken again at once */

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
	atomic_size_t max_keys;
};

struct slots {
	struct slot *slot;	/* capacity of them behind the head; NULL: there are none */
	uint32_t *bucket;
	uint32_t mask;		/* of buckets */
	uint32_t capacity;
	uint32_t used;		/* slots beyond were never touched */
	uint32_t free;		/* the first of those that are free again */
	uint32_t keys;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct room *room;
	struct slots now;
	struct slots before;	/* while they move */
	uint32_t ttl_s;
	uint16_t generation;	/* changes whenever slots begin or cease to move */
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
slots_unlink(struct slots *s, uint32_t i)
{
	struct slot *at = &s->slot[i];

	s->slot[at->newer].older = at->older;
	s->slot[at->older].newer = at->newer;
	at->newer = at->older = i;
}

/* Between two neighbours; the head is older than the newest and newer than the oldest. */
static void
slots_link(struct slots *s, uint32_t i, uint32_t older, uint32_t newer)
{
	s->slot[i].older = older;
	s->slot[i].newer = newer;
	s->slot[older].newer = i;
	s->slot[newer].older = i;
}

static uint32_t
slots_newest(const struct slots *s)
{
	return s->slot[0].older;
}

static uint32_t
slots_oldest(const struct slots *s)
{
	return s->slot[0].newer;
}

static void
slots_link_newest(struct slots *s, uint32_t i)
{
	slots_link(s, i, slots_newest(s), 0);
}

static void
slots_link_oldest(struct slots *s, uint32_t i)
{
	slots_link(s, i, 0, slots_oldest(s));
}

static bool
slot_is_free(const struct slots *s, uint32_t i)
{
	return s->slot[i].older == i;
}

/* ---- slots and chains ---- */

/* The link that names the key's slot, or that ends its bucket's chain. */
static uint32_t *
slots_find_link(const struct slots *s, const struct table_key *k)
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
slots_remove(struct slots *s, uint32_t i)
{
	struct slot *at = &s->slot[i];
	uint32_t *link = slots_find_link(s, &at->key);

	must(*link == i);
	*link = at->next;
	slots_unlink(s, i);
	at->next = s->free;
	s->free = i;
	s->keys--;
}

/* It is not there yet, and there is a slot. In the chain, but not in the ring. */
static uint32_t
slots_add(struct slots *s, const struct slot *what)
{
	uint32_t *bucket = &s->bucket[what->key.low & s->mask], i = s->free;

	must(s->keys < s->capacity);
	if (i != 0)
		s->free = s->slot[i].next;
	else
		i = ++s->used;
	s->slot[i] = *what;
	s->slot[i].next = *bucket;
	*bucket = i;
	s->keys++;
	return i;
}

/* Pages of its own: they are zero, take no memory until they are touched, and are given back whatever else was
 * allocated since. */
static void *
pages_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

static void
pages_free(void *p, size_t bytes)
{
	if (p != NULL)
		must(munmap(p, bytes) == 0);
}

static size_t
slots_bytes(const struct slots *s)
{
	return ((size_t)s->capacity + 1) * sizeof *s->slot;
}

static size_t
buckets_bytes(const struct slots *s)
{
	return ((size_t)s->mask + 1) * sizeof *s->bucket;
}

static void
slots_fini(struct slots *s)
{
	pages_free(s->slot, slots_bytes(s));
	pages_free(s->bucket, buckets_bytes(s));
	*s = (struct slots){ .slot = NULL };
}

/* False: there is no memory. */
static bool
slots_init(struct slots *s, uint32_t share, bool is_all)
{
	uint32_t buckets = 1, spare = share / SPARE > SPARE_LEAST ? share / SPARE : SPARE_LEAST;

	while (buckets < share)
		buckets *= 2;
	*s = (struct slots){ .capacity = is_all ? share : share + spare, .mask = buckets - 1 };
	s->slot = pages_new(slots_bytes(s));
	s->bucket = pages_new(buckets_bytes(s));
	return s->slot != NULL && s->bucket != NULL;
}

/* ---- a shard ---- */

static uint32_t
shard_keys(const struct shard *s)
{
	return s->now.keys + s->before.keys;
}

static void
shard_remove(struct shard *s, struct slots *from, uint32_t i)
{
	slots_remove(from, i);
	atomic_fetch_sub_explicit(&s->room->keys, 1, memory_order_relaxed);
}

/* A clock that was set back makes nothing expire. */
static bool
is_expired(uint32_t seen_s, uint32_t ttl_s, uint32_t now_s)
{
	return now_s > seen_s && now_s - seen_s > ttl_s;
}

static bool
shard_drop_expired(struct shard *s, struct slots *from, uint32_t i, uint32_t now_s)
{
	if (!is_expired(from->slot[i].seen_s, s->ttl_s, now_s))
		return false;
	shard_remove(s, from, i);
	s->expired++;
	return true;
}

static void
shard_evict(struct shard *s, struct slots *from)
{
	shard_remove(s, from, slots_oldest(from));
	s->evicted++;
}

/* Where the shard's oldest is. */
static struct slots *
shard_old_end(struct shard *s)
{
	return s->before.keys != 0 ? &s->before : &s->now;
}

/* 0: it is not bound. */
static uint32_t
shard_find(struct shard *s, const struct table_key *k, uint32_t now_s)
{
	uint32_t i = *slots_find_link(&s->now, k);

	return i != 0 && !shard_drop_expired(s, &s->now, i, now_s) ? i : 0;
}

/* Counts one more key, of which there may be one too many then: the shard's own oldest goes, so that nobody needs
 * another shard's lock. Only an empty shard has none to give; as keys fall by chance, none is empty when the table
 * is full. */
static void
shard_make_room(struct shard *s)
{
	size_t keys = atomic_fetch_add_explicit(&s->room->keys, 1, memory_order_relaxed);

	if (s->now.keys == s->now.capacity)
		shard_evict(s, &s->now);
	else if (shard_keys(s) != 0 && keys >= atomic_load_explicit(&s->room->max_keys, memory_order_relaxed))
		shard_evict(s, shard_old_end(s));
}

/* It is not there yet. */
static struct slot *
shard_insert(struct shard *s, const struct table_key *k, uint64_t tag, uint32_t now_s)
{
	const struct slot new = { .key = *k, .tag = tag, .born_s = now_s, .seen_s = now_s };
	uint32_t i;

	for (unsigned n = 0; n < TABLE_SWEEP && shard_keys(s) != 0; n++) {
		struct slots *from = shard_old_end(s);

		if (!shard_drop_expired(s, from, slots_oldest(from), now_s))
			break;
	}
	shard_make_room(s);
	i = slots_add(&s->now, &new);
	slots_link_newest(&s->now, i);
	return &s->now.slot[i];
}

static void
shard_renew(struct shard *s, uint32_t i, uint32_t now_s)
{
	s->now.slot[i].seen_s = now_s;
	if (s->now.slot[i].newer == 0)
		return;
	slots_unlink(&s->now, i);
	slots_link_newest(&s->now, i);
}

static struct table_binding
slot_binding(const struct slot *at)
{
	return (struct table_binding){
		.tag = at->tag, .born_s = at->born_s, .seen_s = at->seen_s, .confirmed_s = at->confirmed_s,
	};
}

/* ---- moving ---- */

/* Behind all that have moved. */
static void
shard_move(struct shard *s, uint32_t i)
{
	struct slot what = s->before.slot[i];

	slots_remove(&s->before, i);
	slots_link_oldest(&s->now, slots_add(&s->now, &what));
}

/* A key that somebody asks for. Where there are more than fit, it takes the place of the oldest that has moved. */
static void
shard_bring(struct shard *s, const struct table_key *k)
{
	uint32_t i = *slots_find_link(&s->before, k);

	if (i == 0)
		return;
	if (s->now.keys == s->now.capacity)
		shard_evict(s, &s->now);
	shard_move(s, i);
}

/* The buckets are chosen by the other half. What the key is bound to stands among those that are now. */
static struct shard *
table_lock(struct table *t, const struct table_key *k)
{
	struct shard *s = &t->shard[k->high & (t->shards - 1)];

	pthread_mutex_lock(&s->lock);
	if (s->before.keys != 0)
		shard_bring(s, k);
	return s;
}

/* Returns how many keys it had. */
static size_t
shard_begin_move(struct shard *s, const struct slots *to)
{
	size_t keys;

	pthread_mutex_lock(&s->lock);
	s->before = s->now;
	s->now = *to;
	s->generation++;
	keys = s->before.keys;
	pthread_mutex_unlock(&s->lock);
	return keys;
}

/* It holds more than its part of a table that holds more than fit. */
static bool
shard_is_over(const struct shard *s, size_t most)
{
	return shard_keys(s) > most && atomic_load(&s->room->keys) > atomic_load(&s->room->max_keys);
}

/* Some of them: the newest move, the oldest go as long as there are too many. False: all is done. */
static bool
shard_move_some(struct shard *s, size_t most)
{
	bool more;

	pthread_mutex_lock(&s->lock);
	for (unsigned n = 0; n < TABLE_MOVES && s->before.keys != 0; n++) {
		if (s->now.keys == s->now.capacity || shard_is_over(s, most))
			shard_evict(s, &s->before);
		else
			shard_move(s, slots_newest(&s->before));
	}
	more = s->before.keys != 0;
	pthread_mutex_unlock(&s->lock);
	return more;
}

static void
shard_end_move(struct shard *s)
{
	struct slots old;

	pthread_mutex_lock(&s->lock);
	old = s->before;
	s->before = (struct slots){ .slot = NULL };
	s->generation++;
	pthread_mutex_unlock(&s->lock);
	slots_fini(&old);
}

/* Where there are more than fit, each shard keeps the same part. */
static void
shard_resize(struct shard *s, const struct slots *to, size_t max_keys, size_t all)
{
	size_t keys = shard_begin_move(s, to), most = keys;

	if (all > max_keys)
		most = (size_t)((double)keys * (double)max_keys / (double)all);
	while (shard_move_some(s, most))
		nanosleep(&(struct timespec){ .tv_nsec = TABLE_PAUSE_US * 1000 }, NULL);
	shard_end_move(s);
}

/* False: there is no need, or nothing to give. */
static bool
shard_trim_one(struct shard *s, size_t max_keys)
{
	bool trimmed;

	pthread_mutex_lock(&s->lock);
	trimmed = s->now.keys > 1 && atomic_load(&s->room->keys) > max_keys;
	if (trimmed)
		shard_evict(s, &s->now);
	pthread_mutex_unlock(&s->lock);
	return trimmed;
}

/* What was brought over for somebody who asked came on top of what fits. All shards give alike, since none that is
 * small grows again while the table is full. */
static void
table_trim(struct table *t, size_t max_keys)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < t->shards; i++)
			more = shard_trim_one(&t->shard[i], max_keys) || more;
	}
}

/* ---- its life ---- */

static uint32_t
table_share(const struct table *t, size_t max_keys)
{
	return (uint32_t)((max_keys + t->shards - 1) / t->shards);
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
	atomic_init(&t->room.max_keys, max_keys);
	hash_draw_key(t->hash_key);
	for (unsigned i = 0; i < shards; i++) {
		struct shard *s = &t->shard[i];

		pthread_mutex_init(&s->lock, NULL);
		s->room = &t->room;
		s->ttl_s = ttl_s;
		good = slots_init(&s->now, table_share(t, max_keys), shards == 1) && good;
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
		slots_fini(&t->shard[i].now);
	}
	free(t);
}

/* Another life counts for keys that are there already, too. */
static void
table_set_ttl(struct table *t, uint32_t ttl_s)
{
	for (unsigned i = 0; i < t->shards; i++) {
		pthread_mutex_lock(&t->shard[i].lock);
		t->shard[i].ttl_s = ttl_s;
		pthread_mutex_unlock(&t->shard[i].lock);
	}
}

/* All of it or nothing. */
static bool
table_make_slots(const struct table *t, size_t max_keys, struct slots to[TABLE_SHARDS])
{
	bool good = true;

	for (unsigned i = 0; i < t->shards; i++)
		good = slots_init(&to[i], table_share(t, max_keys), t->shards == 1) && good;
	for (unsigned i = 0; i < t->shards && !good; i++)
		slots_fini(&to[i]);
	return good;
}

bool
table_resize(struct table *t, size_t max_keys, uint32_t ttl_s)
{
	struct slots to[TABLE_SHARDS];
	size_t all;

	must(t->shards <= TABLE_SHARDS && max_keys != 0 && max_keys / t->shards < INT32_MAX / 2);
	if (max_keys != atomic_load(&t->room.max_keys)) {
		if (!table_make_slots(t, max_keys, to))
			return false;
		atomic_store(&t->room.max_keys, max_keys);
		all = atomic_load(&t->room.keys);
		for (unsigned i = 0; i < t->shards; i++)
			shard_resize(&t->shard[i], &to[i], max_keys, all);
		table_trim(t, max_keys);
	}
	table_set_ttl(t, ttl_s);
	return true;
}

/* ---- its use ---- */

/* A pool's name has no NUL. */
struct table_key
table_key(const struct table *t, struct slice pool, struct slice key)
{
	struct hash_wide w = hash_wide(t->hash_key, pool, key);

	return (struct table_key){ w.high, w.low };
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
		*b = slot_binding(&s->now.slot[i]);
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
		*b = slot_binding(&s->now.slot[i]);
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
		at = &s->now.slot[i];
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
		*b = slot_binding(&s->now.slot[i]);
	} else
		*b = slot_binding(shard_insert(s, k, tag, now_s));
	pthread_mutex_unlock(&s->lock);
	return i != 0 ? TABLE_SAME : TABLE_NEW;
}

bool
table_forget(struct table *t, const struct table_key *k)
{
	struct shard *s = table_lock(t, k);
	uint32_t i = *slots_find_link(&s->now, k);

	if (i != 0)
		shard_remove(s, &s->now, i);
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
		c.keys += shard_keys(s);
		c.evicted += s->evicted;
		c.expired += s->expired;
		pthread_mutex_unlock(&s->lock);
	}
	return c;
}

static unsigned
slots_longest_chain(const struct slots *s)
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
		n = slots_longest_chain(&s->now);
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

/* Where a copy stands: the shard, its generation, the last slot that was looked at, of those before and those now as
 * if they were one row. */
struct place {
	unsigned shard;
	uint16_t generation;
	uint32_t slot;
};

static struct place
place_of(uint64_t at)
{
	return (struct place){ (unsigned)(at >> 48), (uint16_t)(at >> 32), (uint32_t)at };
}

static uint64_t
place_number(const struct place *p)
{
	return (uint64_t)p->shard << 48 | (uint64_t)p->generation << 32 | p->slot;
}

static const struct slots *
shard_slots_at(const struct shard *s, uint32_t *i)
{
	if (*i <= s->before.used)
		return &s->before;
	*i -= s->before.used;
	return &s->now;
}

/* Looks at `room` slots, so that free ones do not keep the lock either. Keys that move meanwhile come by twice rather
 * than not at all: they go from those that are looked at first to those that come after, and a shard whose slots
 * have begun or ceased to move is begun anew. False: the shard is done. */
static bool
shard_copy(struct shard *s, struct place *p, struct table_entry *to, size_t room, size_t *n)
{
	bool more;

	pthread_mutex_lock(&s->lock);
	if (p->generation != s->generation)
		p->slot = 0;
	p->generation = s->generation;
	more = p->slot < s->before.used + s->now.used;
	for (size_t seen = 0; seen < room && p->slot < s->before.used + s->now.used; seen++) {
		uint32_t i = ++p->slot;
		const struct slots *from = shard_slots_at(s, &i);

		if (!slot_is_free(from, i))
			to[(*n)++] = (struct table_entry){ from->slot[i].key, slot_binding(&from->slot[i]) };
	}
	pthread_mutex_unlock(&s->lock);
	return more;
}

size_t
table_copy(struct table *t, uint64_t *at, struct table_entry *to, size_t room)
{
	struct place p = place_of(*at);
	size_t n = 0;

	while (n == 0 && p.shard < t->shards)
		if (!shard_copy(&t->shard[p.shard], &p, to, room, &n))
			p = (struct place){ .shard = p.shard + 1 };
	*at = place_number(&p);
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
		i = *slots_find_link(&s->now, &e->key);
		if (i != 0)
			shard_remove(s, &s->now, i);
		at = shard_insert(s, &e->key, e->binding.tag, now_s);
		at->born_s = not_after(e->binding.born_s, now_s);
		at->seen_s = seen_s;
		at->confirmed_s = not_after(e->binding.confirmed_s, now_s);
	}
	pthread_mutex_unlock(&s->lock);
}
