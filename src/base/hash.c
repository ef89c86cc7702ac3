/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"); names and constants are the paper's. */
#include "base/hash.h"

#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
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
	sip_round(s);
	s->v0 ^= m;
}

static inline struct sip
sip_start(const unsigned char key[HASH_KEY])
{
	uint64_t k0 = load64(key), k1 = load64(key + 8);

	return (struct sip){
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	};
}

static inline uint64_t
sip_finish(struct sip *s)
{
	for (unsigned i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Fewer than eight bytes. */
static inline uint64_t
load_rest(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t
hash_keyed(const unsigned char key[HASH_KEY], const void *bytes, size_t n)
{
	uint64_t length = (uint64_t)n << 56;
	struct sip s = sip_start(key);
	const unsigned char *p = bytes;

	for (; n >= 8; n -= 8, p += 8)
		sip_compress(&s, load64(p));
	sip_compress(&s, length | load_rest(p, n));
	s.v2 ^= 0xff;
	return sip_finish(&s);
}

/* 0xee, here and at the end, keeps the 128-bit variant from sharing its first half with the other. */
void
hash_begin(struct hash_pieces *h, const unsigned char key[HASH_KEY])
{
	struct sip s = sip_start(key);

	*h = (struct hash_pieces){ .v = { s.v0, s.v1 ^ 0xee, s.v2, s.v3 } };
}

void
hash_add(struct hash_pieces *h, const void *bytes, size_t n)
{
	struct sip s = { h->v[0], h->v[1], h->v[2], h->v[3] };
	unsigned at = 8 * (unsigned)(h->n % 8);		/* where in a word the next byte belongs */
	const unsigned char *p = bytes;
	uint64_t word;

	h->n += n;
	for (; n >= 8; n -= 8, p += 8) {
		word = load64(p);
		sip_compress(&s, h->tail | word << at);
		h->tail = at != 0 ? word >> (64 - at) : 0;
	}
	word = load_rest(p, n);
	h->tail |= word << at;
	if (at + 8 * n >= 64) {		/* so at is not 0: n is less than 8 */
		sip_compress(&s, h->tail);
		h->tail = word >> (64 - at);
	}
	h->v[0] = s.v0;
	h->v[1] = s.v1;
	h->v[2] = s.v2;
	h->v[3] = s.v3;
}

struct hash_wide
hash_end(const struct hash_pieces *h)
{
	struct sip s = { h->v[0], h->v[1], h->v[2], h->v[3] };
	struct hash_wide w;

	sip_compress(&s, h->n << 56 | h->tail);
	s.v2 ^= 0xee;
	w.high = sip_finish(&s);
	s.v1 ^= 0xdd;
	w.low = sip_finish(&s);
	return w;
}

struct hash_wide
hash_wide(const unsigned char key[HASH_KEY], const void *bytes, size_t n)
{
	struct hash_pieces h;

	hash_begin(&h, key);
	hash_add(&h, bytes, n);
	return hash_end(&h);
}

uint64_t
hash_bytes(const void *bytes, size_t n)
{
	pthread_once(&hash_once, hash_draw_process_key);
	return hash_keyed(hash_process_key, bytes, n);
}
