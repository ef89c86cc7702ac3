/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"); names and constants are the paper's. */
#include "base/hash.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static unsigned char hash_process_key[HASH_KEY];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

void
hash_draw_key(unsigned char key[HASH_KEY])
{
	if (getrandom(key, HASH_KEY, 0) != HASH_KEY) {
		fputs("stickyd: no random numbers\n", stderr);
		abort();
	}
}

static void
hash_draw_process_key(void)
{
	hash_draw_key(hash_process_key);
}

static inline uint64_t
rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void
sip_compress(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

static inline struct sip
sip_start(const unsigned char key[HASH_KEY])
{
	const char *p = (const char *)key;
	uint64_t k0 = slice_word(slice_make(p, 8)), k1 = slice_word(slice_make(p + 8, 8));

	return (struct sip){
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	};
}

/* All whole words; what is left is less than one. */
static inline struct slice
sip_add(struct sip *s, struct slice text)
{
	for (; text.n >= 8; text = slice_make(text.p + 8, text.n - 8))
		sip_compress(s, slice_word(text));
	return text;
}

static inline uint64_t
sip_finish(struct sip *s)
{
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t
hash_keyed(const unsigned char key[HASH_KEY], const void *bytes, size_t n)
{
	struct sip s = sip_start(key);
	struct slice rest = sip_add(&s, slice_make(bytes, n));

	sip_compress(&s, (uint64_t)n << 56 | slice_word(rest));
	s.v2 ^= 0xff;
	return sip_finish(&s);
}

/* 0xee, here and at the end, keeps the 128-bit variant from sharing its first half with the other. The length that
 * goes into the last word counts the space's NULs, too. */
struct hash_wide
hash_wide(const unsigned char key[HASH_KEY], struct slice space, struct slice text)
{
	uint64_t n = space.n / 8 * 8 + 8 + text.n;
	struct sip s = sip_start(key);
	struct hash_wide w;

	s.v1 ^= 0xee;
	sip_compress(&s, slice_word(sip_add(&s, space)));
	sip_compress(&s, n << 56 | slice_word(sip_add(&s, text)));
	s.v2 ^= 0xee;
	w.high = sip_finish(&s);
	s.v1 ^= 0xdd;
	w.low = sip_finish(&s);
	return w;
}

uint64_t
hash_bytes(const void *bytes, size_t n)
{
	pthread_once(&hash_once, hash_draw_process_key);
	return hash_keyed(hash_process_key, bytes, n);
}
