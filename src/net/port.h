/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - an address that is bound, with its sockets.
 *
 * An entity, counted by reference: it outlives the listeners and editions that name it, so that a reload touches no
 * socket of an address that stays. Bound by us it has a socket for each worker (SO_REUSEPORT), so accepting takes no
 * lock and wakes one thread. Inherited it has as many as there are: fewer than workers are shared by them, of more a
 * worker has several.
 *
 * A worker's share is taken by its acceptor, each once, and left with it; who leaves a socket last closes it. What no
 * acceptor has left is closed with the last reference.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stdatomic.h>

#include "net/heirloom.h"

struct port_socket {
	int fd;
	atomic_uint users;	/* workers whose it is and who have not left it; 0: closed */
};

struct port {
	atomic_uint refs;
	struct addr addr;		/* as asked for, but with the true port */
	bool mptcp;			/* as asked for */
	bool is_lent;			/* the service manager's: goes on without us, with what waits in it */
	bool listens;
	uint64_t vanish_ms;
	unsigned workers;
	struct port_socket *socket;
	unsigned sockets;
};

/* Where a port may come from before it is bound: those in force, and what was inherited. Filled by the main thread;
 * used by one at a time, which may be another. */
struct port_source {
	struct heirlooms *inherited;	/* not owned; NULL: nothing */
	struct port **port;		/* each referenced */
	size_t ports;
};

void port_source_add(struct port_source *s, struct port *p);
void port_source_fini(struct port_source *s);
/* For how many workers the ports in force were made, which a reload can't change; `wanted` where there are none.
 * s: may be NULL. */
unsigned port_source_workers(const struct port_source *s, unsigned wanted);

/* The one in force, or of inherited sockets, or newly bound, in this order; it does not listen yet where it is new.
 * s: may be NULL. mptcp falls back to plain TCP where the kernel has none, with a warning that says `what`. NULL with
 * errno; EADDRINUSE also when somebody else's socket there would let us in beside it. Any thread. */
struct port *port_new(struct port_source *s, const struct addr *at, unsigned workers, bool mptcp, const char *what)
    MUST_CHECK;
struct port *port_ref(struct port *p);
void port_unref(struct port *p);	/* NULL is fine */
/* From here on connections may queue. Once is enough. False with errno. */
bool port_listen(struct port *p) MUST_CHECK;
/* For what is accepted from now on (sock_set_vanish); 0 turns it off. */
void port_set_vanish(struct port *p, uint64_t timeout_ms);
/* Its sockets, for another process. Main thread, while it is in force. */
void port_bequeath(const struct port *p, struct bequest *to);

/* A worker's share, for its acceptor: how many sockets, and the number of each. */
unsigned port_share(const struct port *p, unsigned worker);
unsigned port_share_at(const struct port *p, unsigned worker, unsigned i);
bool port_is_shared(const struct port *p);
/* True: the caller was the last, and has to port_close it. */
bool port_leave(struct port *p, unsigned socket) MUST_CHECK;
/* No more connections are begun: SYNs are dropped and come again when the socket is closed, so that what waits can
 * be accepted to the end. As far as the kernel can do it. */
void port_refuse_newcomers(struct port *p, unsigned socket);
void port_close(struct port *p, unsigned socket);

#endif
