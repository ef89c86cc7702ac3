/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * legacy.h - the cookie that cloud load balancers of the Tengine family hand out: md5(ip:port)|last|first.
 *
 * 32 lower-case hexadecimal digits, "|", when it was last used, "|", when it was first given (seconds since 1970). It
 * is not authenticated: it can name a gateway of the pool and nothing else, and is believed until ours is there.
 */
#ifndef AFFINITY_LEGACY_H
#define AFFINITY_LEGACY_H

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"
#include "net/addr.h"

#define LEGACY_DIGEST 16

struct legacy {
	unsigned char digest[LEGACY_DIGEST];
	uint32_t last_s, first_s;
};

/* False: it is none. Nothing is said about what it means. */
bool legacy_parse(struct slice text, struct legacy *l) MUST_CHECK;
/* Of a gateway's address; false when this OpenSSL has no MD5. */
bool legacy_digest(const struct addr *a, unsigned char digest[LEGACY_DIGEST]) MUST_CHECK;

#endif
