/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - gateways that can stand for one another, and which of them gets a newcomer.
 *
 * Any thread may choose. The choice and its reservation are one step under a short lock, so that a hundred clients
 * that arrive at once are spread, not piled onto whoever was least loaded a moment ago. By hash nobody looks at
 * loads, and there is no lock.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <pthread.h>

#include "net/tls_client.h"
#include "pool/gateway.h"

#define POOL_GATEWAYS_MAX 4096

struct pool_tag;
struct pool_seat;
struct pool {
	uint32_t magic;
	const struct conf_pool *conf;
	char *name;
	struct tls_client *tls;		/* NULL: gateways are spoken to in plain */
	struct gateway **gateway;	/* as the configuration lists them */
	struct pool_seat *seat;		/* of each, what only this pool knows of it */
	unsigned gateways;
	struct pool_tag *by_tag;	/* sorted: all gateways, and by the tags they had before a rename */
	unsigned tags;
	struct gateway **by_name;	/* all gateways, sorted */
	pthread_mutex_t lock;		/* of choosing */
	uint64_t random;		/* xorshift's, under the lock */
};

/* Gateways that were tried for one request and must not be tried again. */
struct pool_tried {
	unsigned n;
	const struct gateway *gateway[16];
};

/* Reports (like conf) what can't be resolved or read, and two gateways whose tags collide; NULL then. conf must
 * outlive the pool. */
struct pool *pool_new(const struct conf_pool *cf, conf_report_fn *report, void *arg) MUST_CHECK;
void pool_free(struct pool *p);			/* NULL is fine */

/* A reload: main thread, before anybody else sees the fresh pools; all of a configuration's at once, since gateways
 * may have moved. A fresh gateway gives way to the live one that it is: of the same pool, name, address and way to
 * speak to it; or of the same address, where its pool did not know its name before: it was renamed, or moved here
 * from another pool. Renamed, it is still found by its old tag. A gateway is taken once. Turns go on. */
void pool_adopt(struct pool *const *fresh, size_t n, struct pool *const *old, size_t olds);
/* Whoever is in an old pool and in no fresh one is gone (gateway_remove), its pool's drain_deadline from now. */
void pool_leave_behind(struct pool *const *old, size_t olds, struct pool *const *fresh, size_t n);

/* What a newcomer needs. */
struct pool_wish {
	const struct pool_tried *tried;		/* may be NULL */
	bool session;		/* a place for a session: who is full is passed over for all newcomers alike */
	bool by_hash;		/* by rendezvous, whatever the pool's balance is */
	uint64_t hash;		/* rendezvous_hash() of the client's key, or of its address */
};

/* Why there is none. */
enum pool_lack {
	POOL_LACKS_NOTHING,
	POOL_IS_DOWN,		/* nobody that is up takes newcomers, or all that do were tried */
	POOL_IS_FULL,		/* some would, if they had a place */
};

/* By the pool's balance, among the gateways that take newcomers, have a place and were not tried; backups when there
 * is no other. Entered (gateway_enter, with wish->session) and referenced for the caller, who gives back both
 * (gateway_leave, gateway_unref). NULL: there is none. */
struct gateway *pool_choose(struct pool *p, const struct pool_wish *w, enum pool_lack *lack) MUST_CHECK;
/* Whose a key is by rendezvous alone, with all gateways well: those with weight that are no backups. Borrowed; NULL
 * when there is none. */
struct gateway *pool_owner(const struct pool *p, uint64_t hash);
/* Does any gateway now have what a newcomer needs? For those who wait; nothing is taken. */
bool pool_has_room(const struct pool *p);
/* Would newcomers find somebody without this one? */
bool pool_can_spare(const struct pool *p, const struct gateway *g);
/* The gateway that has this name, or had it before a rename; borrowed; NULL when there is none. */
struct gateway *pool_find_name(const struct pool *p, struct slice name);
/* The gateway a tag names, not reserved, borrowed from the pool; NULL when it is gone. */
struct gateway *pool_find_tag(const struct pool *p, uint64_t tag);
bool pool_was_tried(const struct pool_tried *tried, const struct gateway *g);

#endif
