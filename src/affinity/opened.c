/* SPDX-License-Identifier: BSD-2-Clause */
/* Each text has one place: to look for it is to compare once. */
#include "affinity/opened.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define PLACES 4096		/* a power of two */
#define POOL_BYTES 64		/* what a name in the configuration may have */

/* So many others may want a place in vain after each use. */
#define OPENED_CREDIT 4

/* The end of a seal is of GCM's tag, which nobody chooses: one word of it (48 bits) says as much as the whole, and is
 * hashed in a third of the time. */
#define HASHED 8

struct place {
	struct seal_binding binding;
	char text[OPENED_TEXT];		/* all zero: nothing is here; no seal has such a text */
	unsigned char credit;
	unsigned char pool_bytes;
	char pool[POOL_BYTES];
};

struct opened {
	struct place place[PLACES];
};

struct opened *
opened_new(void)
{
	return mem_zalloc(sizeof(struct opened));
}

void
opened_free(struct opened *o)
{
	if (o == NULL)
		return;
	explicit_bzero(o, sizeof *o);
	free(o);
}

static struct place *
opened_place(struct opened *o, const char text[OPENED_TEXT])
{
	return &o->place[hash_bytes(text + OPENED_TEXT - HASHED, HASHED) % PLACES];
}

static uint64_t
word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}

/* As CRYPTO_memcmp does, but by words; the last one overlaps the one before. */
static bool
is_same_text(const char a[OPENED_TEXT], const char b[OPENED_TEXT])
{
	const unsigned last = OPENED_TEXT - sizeof(uint64_t);
	uint64_t differs = word_at(a + last) ^ word_at(b + last);

	for (unsigned i = 0; i < last; i += sizeof(uint64_t))
		differs |= word_at(a + i) ^ word_at(b + i);
	return differs == 0;
}

bool
opened_find(struct opened *o, struct slice pool, const char text[OPENED_TEXT], struct seal_binding *b)
{
	struct place *e = opened_place(o, text);

	if (!is_same_text(e->text, text) || !slice_eq(slice_make(e->pool, e->pool_bytes), pool))
		return false;
	e->credit = OPENED_CREDIT;
	*b = e->binding;
	return true;
}

void
opened_keep(struct opened *o, struct slice pool, const char text[OPENED_TEXT], const struct seal_binding *b)
{
	struct place *e = opened_place(o, text);

	if (pool.n == 0 || pool.n > POOL_BYTES)
		return;
	if (e->credit != 0) {
		e->credit--;
		return;
	}
	memcpy(e->text, text, OPENED_TEXT);
	memcpy(e->pool, pool.p, pool.n);
	e->pool_bytes = (unsigned char)pool.n;
	e->binding = *b;
}
