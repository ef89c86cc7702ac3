/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health.h - watches gateways by TCP connects or HTTP requests and sets their state.
 *
 * Lives on the main thread's loop, one check in flight for each gateway, spread over the interval so that they do
 * not come in step. Until its first verdict a gateway counts as up, and one result is enough for that verdict;
 * afterwards `rise` good or `fall` bad ones in a row. Failed connects of the workers count too (gateway.h).
 * Gateways of a pool that checks nothing are always up: nothing would bring them back.
 */
#ifndef POOL_HEALTH_H
#define POOL_HEALTH_H

#include <event2/event.h>

#include "pool/pool.h"

struct health;

/* Begins with the loop's next turn. `first_round` is called once, when every gateway has had its first look (at
 * once where nothing is checked); it may be NULL, and must not free. Pools must outlive the result. */
struct health *health_new(struct event_base *base, struct pool *const *pools, size_t n,
    void (*first_round)(void *arg), void *arg) MUST_CHECK;
void health_free(struct health *h);		/* NULL is fine; ends checks in flight */
/* Failed connects were reported by a worker: look now, not at the next interval. */
void health_look(struct health *h);

#endif
