/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * issue.h - the cookies by which clients are sent away with where they belong: how their Set-Cookie fields look.
 *
 * Made once for a pool, immutable; any thread, with its own sealer.
 */
#ifndef AFFINITY_ISSUE_H
#define AFFINITY_ISSUE_H

#include "affinity/seal.h"
#include "base/buf.h"
#include "conf/conf.h"

#define ISSUE_TEXT 1024

enum issue_which {
	ISSUE_OURS,
	ISSUE_TWIN,		/* cookie_cors_twin: for pages on other sites */
	ISSUE_END_OF_LEGACY,	/* takes another balancer's cookie from the client, once ours is there */
};

struct issue;

/* NULL when a Set-Cookie could be longer than ISSUE_TEXT. */
struct issue *issue_new(const struct conf_cookie *cf) MUST_CHECK;
void issue_free(struct issue *i);		/* NULL is fine */
/* A Set-Cookie field's value; by_tls: the client came so. Returns its length; 0: there is no such cookie, or it can't
 * be made. */
size_t issue_write(const struct issue *i, enum issue_which which, struct sealer *sealer, struct slice pool,
    const struct seal_binding *b, bool by_tls, char to[ISSUE_TEXT]) MUST_CHECK;

#endif
