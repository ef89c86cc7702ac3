/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edition.h - all that one reading of the configuration says: its value, its pools, listeners and routes, the sealing
 * keys, the shared store.
 *
 * A reload makes a new edition beside the one in force, adopts what the two have in common (edition_adopt), and
 * publishes it; workers go over to it one by one, and each says when nothing of it uses the old one any more. Only
 * then is the old one freed. What lives longer than an edition is an entity of its own that editions point to:
 * gateways, ports, the table, workers.
 */
#ifndef RUN_EDITION_H
#define RUN_EDITION_H

#include "affinity/seal.h"
#include "base/list.h"
#include "conf/conf.h"
#include "net/listener.h"
#include "pool/pool.h"
#include "proxy/route.h"

struct edition {
	struct list list;			/* the daemon's: of all that are not over */
	unsigned scenes;			/* workers' that are not over; the main thread's */
	const struct conf *conf;		/* owned */
	struct pool **pool;
	struct service *service;		/* one for each pool */
	size_t pools;
	struct listener **listener;
	struct routes **routes;			/* one for each listener */
	size_t listeners;
	struct seal_ring *ring;			/* NULL until it is read */
	struct store_shared *store;		/* NULL: the store is the memory alone */
};

/* Takes over cf, whatever comes of it. Any thread, since names are resolved and files read: nothing in force is
 * changed. shared must outlive the result. ports: those that may be taken over (port.h). check_only: as for
 * listener_new. NULL: each mistake was reported. */
struct edition *edition_new(struct conf *cf, const struct affinity_shared *shared, struct port_source *ports,
    bool check_only, conf_report_fn *report, void *arg) MUST_CHECK;
/* Its ports, those that do not yet. False: reported. */
bool edition_listen(struct edition *e, conf_report_fn *report, void *arg) MUST_CHECK;
void edition_free(struct edition *e);		/* NULL is fine */
/* Takes over from the one in force what goes on: gateways, counts, ticket keys, the store's connections. Main thread;
 * can't fail. Gateways that are in no pool any more are gone. */
void edition_adopt(struct edition *e, struct edition *before);
#endif
