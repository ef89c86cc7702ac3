/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener.h - an address that clients connect to, with what is decided before their first byte: who may come, how
 * many, under which certificate.
 *
 * An entity shared by all workers; made on the main thread before they run. Each worker has a listening socket of its
 * own for each address (SO_REUSEPORT), so accepting takes no lock and wakes one thread.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/iplimit.h"
#include "net/tls.h"

struct listener_nets {
	struct addr_net *net;
	size_t n;
};

struct listener_bind {
	struct addr addr;		/* with the true port where 0 was asked for */
	int *fd;			/* one for each worker */
};

struct listener {
	uint32_t magic;
	const struct conf_listener *conf;
	unsigned workers;
	struct tls_set *tls;		/* NULL: plain */
	struct iplimit *iplimit;	/* NULL: no limit by address */
	struct listener_nets trusted, allow, deny;
	struct listener_bind *bind;
	size_t binds;
	atomic_uint connections;
	atomic_ullong full_said_ms;	/* when it was last logged that max_connections is reached */
};

/* Loads certificates and binds, but does not listen yet. vanish_ms: for TCP_USER_TIMEOUT, inherited by what is
 * accepted. check_only: an address in use is no mistake then, since it may be ours. conf must outlive the result.
 * NULL: reported. */
struct listener *listener_new(const struct conf_listener *cf, unsigned workers, uint64_t vanish_ms, bool check_only,
    conf_report_fn *report, void *arg) MUST_CHECK;
/* Closes whatever socket was not taken by a worker. NULL is fine. */
void listener_free(struct listener *l);
/* From here on connections may queue. Logs each address. */
bool listener_listen(struct listener *l) MUST_CHECK;

/* By allow and deny; deny wins. */
bool listener_admits(const struct listener *l, const struct addr *a);
/* Is what this peer says of its clients believed? */
bool listener_trusts(const struct listener *l, const struct addr *peer);

#endif
