/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - a keyed hash, for tables whose keys a client may choose.
 *
 * SipHash-2-4: who does not know the key can't find keys that collide. The process draws its key once, so a hash
 * means nothing outside of it and is never stored. Any thread.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_KEY 16

/* 128 bits, so many that two inputs never meet: it may stand for what was hashed. */
struct hash_wide {
	uint64_t high, low;
};

/* One under way, of bytes that come in pieces: it does not matter where they were cut. */
struct hash_pieces {
	uint64_t v[4];
	uint64_t tail;		/* what is not yet a word of eight bytes */
	uint64_t n;
};

/* Under this process's key. */
uint64_t hash_bytes(const void *bytes, size_t n);
/* Under the caller's. */
uint64_t hash_keyed(const unsigned char key[HASH_KEY], const void *bytes, size_t n);
/* A new key, at random. */
void hash_draw_key(unsigned char key[HASH_KEY]);

/* In 128 bits. */
struct hash_wide hash_wide(const unsigned char key[HASH_KEY], const void *bytes, size_t n);
void hash_begin(struct hash_pieces *h, const unsigned char key[HASH_KEY]);
void hash_add(struct hash_pieces *h, const void *bytes, size_t n);
struct hash_wide hash_end(const struct hash_pieces *h);

#endif
