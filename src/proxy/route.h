/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - where a request goes: a listener's routes by host and path, else the listener's pool.
 *
 * Built once from the configuration, immutable, for any thread. An exact host comes before a wildcard, a wildcard
 * before any host; among those that fit alike the longest path wins.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "affinity/affinity.h"
#include "base/buf.h"

/* A pool and how its clients find back to their gateways. */
struct service {
	unsigned index;				/* among all */
	const struct conf_pool *conf;
	struct pool *pool;
	struct affinity *affinity;
};

struct route {
	struct slice host;			/* lower case; with wildcard: what follows the "*"; empty: any */
	bool wildcard;
	struct slice path;			/* a prefix */
	const struct service *service;		/* or */
	const struct conf_redirect *redirect;
};

/* One listener's, in the order in which they are tried. */
struct routes {
	struct route *route;
	size_t n;
};

/* services: one for each pool of the configuration, in its order. Both must outlive the result. */
struct routes *routes_new(const struct conf *cf, const struct conf_listener *listener, const struct service *services)
    MUST_CHECK;
void routes_free(struct routes *r);		/* NULL is fine */
/* NULL: nothing takes it. */
const struct route *routes_find(const struct routes *r, struct slice host, struct slice path);
/* The redirect's target with {host} and {uri} put in; false when it does not fit. */
bool route_location(const struct route *r, struct slice host, struct slice uri, struct buf *to) MUST_CHECK;

#endif
