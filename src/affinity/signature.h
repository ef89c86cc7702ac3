/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signature.h - keys that nobody but the operator's own login can hand out: KEY.SIGNATURE.
 *
 * SIGNATURE is HMAC-SHA256 (RFC 2104) of KEY's bytes under the secret, in base64url (RFC 4648, 5): 43 characters
 * behind the last ".", and the "=" that pads them where the library writes one. Compared in constant time. The secret
 * is the whole of a file but for one line end.
 */
#ifndef AFFINITY_SIGNATURE_H
#define AFFINITY_SIGNATURE_H

#include "base/check.h"
#include "base/slice.h"

#define SIGNATURE_TEXT 43

struct signature;

/* Warns of a file that everybody may read or that is short; refuses an empty one. NULL: *why (to be freed). */
struct signature *signature_load(const char *file, char **why) MUST_CHECK;
struct signature *signature_new(struct slice secret) MUST_CHECK;
void signature_free(struct signature *s);		/* NULL is fine; the secret is wiped */
/* The key of KEY.SIGNATURE; NULL: it counts, else why not ("unsigned" "signature"). Any thread. */
const char *signature_check(const struct signature *s, struct slice text, struct slice *key) MUST_CHECK;
void signature_make(const struct signature *s, struct slice key, char text[SIGNATURE_TEXT]);

#endif
