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

/* Under this process's key. */
uint64_t hash_bytes(const void *bytes, size_t n);
/* Under the caller's. */
uint64_t hash_keyed(const unsigned char key[HASH_KEY], const void *bytes, size_t n);

#endif
