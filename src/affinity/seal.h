/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seal.h - sealed bindings: opaque, authenticated text that names a gateway of one pool.
 *
 * AES-256-GCM under the first key of a ring; all keys of the ring open. Inside: the gateway's tag, when the
 * binding was first given, when it was last renewed (seconds since 1970). The pool's name is authenticated along
 * with it, so a seal of one pool does not open in another. Every seal has the same length, whatever it holds.
 *
 * A ring is immutable and shared; a sealer is one thread's, with the ciphers keyed once, and remembers what it has
 * opened.
 */
#ifndef AFFINITY_SEAL_H
#define AFFINITY_SEAL_H

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

#define SEAL_KEYS 8
#define SEAL_TEXT 64		/* room for a seal's text; its true length is a constant of seal.c, at most this */

struct seal_ring;
struct sealer;

struct seal_binding {
	uint64_t tag;		/* gateway.h */
	uint32_t born_s;	/* first given */
	uint32_t seen_s;	/* last renewed */
	bool is_outdated;	/* sealed by another key than the first: to be given anew before that key goes */
};

enum seal_result {
	SEAL_OPEN,
	SEAL_MALFORMED,		/* not of our making: length, alphabet, version */
	SEAL_FORGED,		/* no key opens it for this pool */
};

/* Reads DIR/seal.key, one key of 64 hexadecimal digits a line, "#" for comments, the first seals; makes it (mode
 * 0600, written aside, synced, linked into place) where there is none: of several processes that make it at once,
 * all end with the key of one. NULL on failure, *why (to be freed) says what. */
struct seal_ring *seal_ring_load(const char *state_dir, char **why) MUST_CHECK;
/* The same from the file's text; *line: where the mistake is, 0: in the whole. *why is static. */
struct seal_ring *seal_ring_parse(struct slice text, unsigned *line, const char **why) MUST_CHECK;
/* The same keys in the same order: then sealers of the one are as good as the other's. */
bool seal_ring_same(const struct seal_ring *a, const struct seal_ring *b) MUST_CHECK;
void seal_ring_free(struct seal_ring *r);	/* NULL is fine; keys are wiped */

/* Keeps nothing of the ring. Its user is who made it, and */
struct sealer *sealer_new(const struct seal_ring *r) MUST_CHECK;
/* one more: the same sealer. All users are of one thread. */
struct sealer *sealer_share(struct sealer *s) MUST_CHECK;
void sealer_free(struct sealer *s);		/* a user less; NULL is fine */

/* Looks like a seal, of whoever's making. */
bool seal_is_shaped(struct slice text) MUST_CHECK;
/* Text of the cookie alphabet, not terminated; returns its length, 0 when the random source failed. */
size_t seal_close(struct sealer *s, struct slice pool, const struct seal_binding *b, char text[SEAL_TEXT]) MUST_CHECK;
enum seal_result seal_open(struct sealer *s, struct slice pool, struct slice text, struct seal_binding *b) MUST_CHECK;

#endif
