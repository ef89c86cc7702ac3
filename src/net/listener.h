/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener.h - addresses that clients connect to, with what is decided before their first byte: who may come, how
 * many, under which certificate.
 *
 * Shared by all workers, and part of an edition of the configuration: a reload makes a new one from scratch, on any
 * thread, which then adopts what goes on of the one before it. What outlives both is its ports (port.h), and its
 * guests: the counts of who is here, which all editions of one listener share, so that a client who came in by the
 * old is counted out by the new.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/iplimit.h"
#include "net/port.h"
#include "net/tls.h"

struct listener_nets {
	struct addr_net *net;
	size_t n;
};

/* Counted by reference. */
struct listener_guests {
	atomic_uint refs;
	atomic_uint connections;
	atomic_ullong full_said_ms;	/* when it was last logged that max_connections is reached */
	struct iplimit *iplimit;	/* always there, maybe without a limit */
	struct tls_counts *handshakes;	/* one for each worker */
	unsigned workers;
};

struct listener {
	uint32_t magic;
	const struct conf_listener *conf;
	struct listener_guests *guests;
	struct tls_set *tls;		/* NULL: plain */
	struct listener_nets trusted, allow, deny;
	struct port **port;		/* referenced */
	size_t ports;
	uint64_t vanish_ms;
};

/* Any thread. Loads certificates and takes or binds ports (port_new), but does not listen yet. workers: their number;
 * where ports are in force, the number that these were made for is meant, whatever is asked. vanish_ms: for
 * TCP_USER_TIMEOUT, inherited by what is accepted; ports that were there get it by listener_adopt. check_only: an
 * address in use is no mistake then, since it may be ours. conf must outlive the result. NULL: reported. */
struct listener *listener_new(const struct conf_listener *cf, unsigned workers, uint64_t vanish_ms,
    struct port_source *ports, bool check_only, conf_report_fn *report, void *arg) MUST_CHECK;
/* NULL is fine. */
void listener_free(struct listener *l);
/* From here on connections may queue in all its ports; logs each new one. Any thread, when all else has been
 * prepared. False: reported. */
bool listener_listen(struct listener *l, conf_report_fn *report, void *arg) MUST_CHECK;
/* Goes on where `old`, the one of its name that is in force, ends: its guests, under the limits that l says; its
 * ticket keys, or the certificates themselves where they are the same. old: NULL if there is none. To be called
 * before any worker sees l or a context is made of l->tls. Main thread; can't fail. */
void listener_adopt(struct listener *l, const struct listener *old);
/* What may be taken over of it. */
void listener_offer_ports(const struct listener *l, struct port_source *to);

/* A worker's context; that of `before` where the certificates are still those. Plain: NULL, as when it is out of
 * memory. */
struct tls_context *listener_tls_context(const struct listener *l, unsigned worker, struct tls_context *before)
    MUST_CHECK;
/* Of all workers since the listener came up. Any thread. */
struct tls_totals listener_handshakes(const struct listener *l);

/* By allow and deny; deny wins. */
bool listener_admits(const struct listener *l, const struct addr *a);
/* Is what this peer says of its clients believed? */
bool listener_trusts(const struct listener *l, const struct addr *peer);

static inline unsigned
listener_connections(const struct listener *l)
{
	return atomic_load_explicit(&l->guests->connections, memory_order_relaxed);
}

/* A connection has come in (which the acceptor counts), or has gone (which its owner does, once). */
static inline void
listener_note_come(struct listener *l)
{
	atomic_fetch_add_explicit(&l->guests->connections, 1, memory_order_relaxed);
}

static inline void
listener_note_gone(struct listener *l)
{
	atomic_fetch_sub_explicit(&l->guests->connections, 1, memory_order_relaxed);
}

#endif
