/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - a keyed hash, for tables whose keys a client may choose.
 *
 * SipHash-1-3: one round a word and three at the end, as Rust and CPython have it for the same purpose. Who does not
 * know the key can't find inputs that collide; no attack on it is known that comes near to its 128-bit key, and here
 * nobody even sees a hash, only how long an answer takes. It is no signature: what leaves the process is sealed
 * or signed by others. A process draws its key once, so hash_bytes() means nothing outside of it and is never stored.
 * Any thread.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#define HASH_KEY 16

/* 128 bits, so that it may stand for what was hashed: of 2^40 inputs, chosen by somebody without the key, two are
 * alike with a chance of 2^-49. */
struct hash_wide {
	uint64_t high, low;
};

/* Under this process's key. */
uint64_t hash_bytes(const void *bytes, size_t n);
/* Under the caller's. */
uint64_t hash_keyed(const unsigned char key[HASH_KEY], const void *bytes, size_t n);
/* A new key, at random. */
void hash_draw_key(unsigned char key[HASH_KEY]);

/* A text of a name space, in 128 bits. `space` holds no NUL: it is hashed with one to eight of them behind, up to a
 * whole word, so that no other space and text make up the same bytes. */
struct hash_wide hash_wide(const unsigned char key[HASH_KEY], struct slice space, struct slice text);

#endif
