/* SPDX-License-Identifier: BSD-2-Clause */
/* Each text has one of two places: few of those who come often have none for want of luck. */
#include "affinity/opened.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define PAIR_BITS 11
#define PAIRS BIT(PAIR_BITS)
#define POOL_BYTES 64		/* what a name in the configuration may have */

/* So many others may want a place in vain after each use, and after its text was kept: so that the next one takes the
 * other place of the two. */
#define CREDIT_USED 4
#define CREDIT_KEPT 1

struct place {
	struct seal_binding binding;
	char text[OPENED_TEXT];		/* all zero: nothing is here; no seal has such a text */
	unsigned char credit;
	unsigned char pool_bytes;
	char pool[POOL_BYTES];
};

struct opened {
	uint64_t factor;		/* odd, and nobody else's to know */
	struct place place[PAIRS][2];
};

struct opened *
opened_new(void)
{
	struct opened *o = mem_zalloc(sizeof *o);
	unsigned char random[HASH_KEY];

	hash_draw_key(random);
	memcpy(&o->factor, random, sizeof o->factor);
	o->factor |= 1;
	return o;
}

void
opened_free(struct opened *o)
{
	if (o == NULL)
		return;
	explicit_bzero(o, sizeof *o);
	free(o);
}

static uint64_t
word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}

/* The end of a seal is of GCM's tag, which nobody chooses: one word of it (48 bits) says as much as the whole.
 * Multiplied and shifted, two of them have one pair with a chance of at most 2 in PAIRS for who does not know the
 * factor (Dietzfelbinger, Hagerup, Katajainen, Penttonen, "A Reliable Randomized Algorithm for the Closest-Pair
 * Problem", 1997). */
static struct place *
opened_pair(struct opened *o, const char text[OPENED_TEXT])
{
	return o->place[word_at(text + OPENED_TEXT - sizeof(uint64_t)) * o->factor >> (64 - PAIR_BITS)];
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
	struct place *pair = opened_pair(o, text);

	for (struct place *e = pair; e < pair + 2; e++) {
		if (!is_same_text(e->text, text) || !slice_eq(slice_make(e->pool, e->pool_bytes), pool))
			continue;
		e->credit = CREDIT_USED;
		*b = e->binding;
		return true;
	}
	return false;
}

/* A place that nobody holds any more; NULL: both are held, each a little less than before. */
static struct place *
pair_give(struct place *pair)
{
	for (struct place *e = pair; e < pair + 2; e++)
		if (e->credit == 0)
			return e;
	pair[0].credit--;
	pair[1].credit--;
	return NULL;
}

void
opened_keep(struct opened *o, struct slice pool, const char text[OPENED_TEXT], const struct seal_binding *b)
{
	struct place *e;

	if (pool.n == 0 || pool.n > POOL_BYTES)
		return;
	e = pair_give(opened_pair(o, text));
	if (e == NULL)
		return;
	memcpy(e->text, text, OPENED_TEXT);
	memcpy(e->pool, pool.p, pool.n);
	e->pool_bytes = (unsigned char)pool.n;
	e->binding = *b;
	e->credit = CREDIT_KEPT;
}
