/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - one way in which a request can say where it belongs.
 *
 * The kinds stand in one table in selector.c: a further kind is one more row and its look function.
 */
#ifndef AFFINITY_SELECTOR_H
#define AFFINITY_SELECTOR_H

#include "affinity/seal.h"
#include "http/head.h"
#include "net/addr.h"
#include "pool/pool.h"

enum selector_sight {
	SELECTOR_NOTHING,	/* the request carries none */
	SELECTOR_INVALID,	/* it carries one that does not count: forged, cut, expired */
	SELECTOR_GATEWAY,	/* it names a gateway of the pool */
	SELECTOR_GONE,		/* it names one that the pool no longer has */
};

/* What a selector may look at. */
struct selector_request {
	const struct head *head;
	const struct addr *client;
	struct pool *pool;
	struct sealer *sealer;
	uint64_t now_s;			/* the calendar's */
};

struct selector_found {
	struct gateway *gateway;	/* borrowed from the pool */
	struct seal_binding binding;	/* of a sealed selector, with SELECTOR_GATEWAY */
	const char *why;		/* with SELECTOR_INVALID: "malformed" "forged" "idle" "expired" "future" */
};

struct selector_kind;
struct selector {
	const struct selector_kind *kind;
	char *argument;			/* behind the colon; NULL: none */
	char *text;			/* as the operator wrote it */
	const struct conf_cookie *cookie;	/* of the pool */
};

/* False with *why (static) when there is no such selector. cf must outlive it. */
bool selector_init(struct selector *s, const struct conf_pool *cf, const char *text, const char **why) MUST_CHECK;
void selector_fini(struct selector *s);		/* zeroed is fine */
bool selector_issues_cookie(const struct selector *s);
enum selector_sight selector_look(const struct selector *s, const struct selector_request *rq,
    struct selector_found *found) MUST_CHECK;

#endif
