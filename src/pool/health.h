/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health.h - watches gateways and keeps their causes (gateway.h) up to date.
 *
 * Lives on the main thread's loop, one check in flight for each gateway, spread over the interval so that they do
 * not come in step. Until its first verdict a gateway counts as well, and one result is enough for that verdict;
 * afterwards `rise` good or `fall` bad ones in a row. Failed connects of the workers count too, and failures of any
 * kind set a gateway aside (eject_after), but never the last one of its pool. An HTTP check whose answer carries
 * X-Stickyd-State: drain asks for a drain until one comes without. A pool that checks nothing has gateways that are
 * always well: nothing would bring them back.
 */
#ifndef POOL_HEALTH_H
#define POOL_HEALTH_H

#include <event2/event.h>

#include "pool/pool.h"

struct health;

/* Begins with the loop's next turn. `first_round` is called once, when every gateway has had its first look (at
 * once where nothing is checked); it may be NULL, and must not free. Pools must outlive the result, or until
 * health_update(). */
struct health *health_new(struct event_base *base, struct pool *const *pools, size_t n,
    void (*first_round)(void *arg), void *arg) MUST_CHECK;
void health_free(struct health *h);		/* NULL is fine; ends checks in flight */
/* After a reload: these are the pools now. Who is in them still keeps his verdict and what counts towards the next,
 * who is new gets a first look, who is in none is watched no more. The old pools are not looked at again. */
void health_update(struct health *h, struct pool *const *pools, size_t n);
/* Troubles were reported by a worker: look now, not at the next interval. */
void health_look(struct health *h);
/* Told when the state of a gateway under watch has changed; must not free. One may listen. */
void health_on_change(struct health *h, void (*fn)(void *arg), void *arg);

#endif
