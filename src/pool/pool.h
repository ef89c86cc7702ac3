/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - gateways that can stand for one another, and which of them gets a newcomer.
 *
 * Any thread may choose. The choice and its reservation are one step under a short lock, so that a hundred clients
 * that arrive at once are spread, not piled onto whoever was least loaded a moment ago.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <pthread.h>

#include "pool/gateway.h"

#define POOL_GATEWAYS_MAX 4096

struct pool_tag;
struct pool {
	uint32_t magic;
	const struct conf_pool *conf;
	char *name;
	struct gateway **gateway;
	unsigned gateways;
	struct pool_tag *by_tag;	/* all gateways, sorted */
	pthread_mutex_t lock;		/* of choosing */
	uint64_t random;		/* xorshift's, under the lock */
};

/* Gateways that were tried for one request and must not be tried again. */
struct pool_tried {
	unsigned n;
	const struct gateway *gateway[16];
};

/* Reports (like conf) what can't be resolved, and two gateways whose tags collide; NULL then. conf must outlive
 * the pool. */
struct pool *pool_new(const struct conf_pool *cf, conf_report_fn *report, void *arg) MUST_CHECK;
void pool_free(struct pool *p);			/* NULL is fine */

/* By the pool's balance, among the gateways that take newcomers and were not tried. Reserved and referenced for the
 * caller, who gives back both (gateway_release, gateway_unref). NULL: there is none. */
struct gateway *pool_choose(struct pool *p, const struct pool_tried *tried) MUST_CHECK;
/* The gateway a tag names, not reserved, borrowed from the pool; NULL when it is gone. */
struct gateway *pool_find_tag(const struct pool *p, uint64_t tag);
bool pool_was_tried(const struct pool_tried *tried, const struct gateway *g);

#endif
