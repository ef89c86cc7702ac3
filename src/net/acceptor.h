/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acceptor.h - one worker's share of a port: connections come out of its sockets.
 *
 * It stays as long as its port does; a reload aims it at the port's new listener. Where descriptors or memory run
 * out, or the listener holds max_connections, it rests for a moment and says so, once in a while; connections wait in
 * the kernel's queue meanwhile. It never spins.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "net/listener.h"
#include "net/loop.h"

struct acceptor;

/* A connection came in, non-blocking, counted among l's (listener_note_gone); the descriptor is the callee's. */
typedef void acceptor_fn(void *arg, struct listener *l, int fd, const struct addr *peer);

/* One for each worker of p->workers, by its number; references the port. */
struct acceptor *acceptor_new(struct loop *loop, struct port *p, unsigned worker, struct listener *l, acceptor_fn *fn,
    void *arg) MUST_CHECK;
/* Hands over what waits in the queue, as far as max_connections and descriptors allow, then closes: nobody who has
 * connected is reset (which takes a millisecond for those who are about to). Not so while paused, or of a socket that
 * the service manager or other workers hold on to: what waits there is for them. May be called by fn, which may then
 * be called again. NULL is fine. */
void acceptor_free(struct acceptor *a);
/* From now on connections are this listener's. */
void acceptor_aim(struct acceptor *a, struct listener *l, void *arg);
/* Takes nothing until it is resumed: what comes waits in the queue, for us or for whoever inherits the socket. */
void acceptor_pause(struct acceptor *a);
void acceptor_resume(struct acceptor *a);
struct port *acceptor_port(const struct acceptor *a);

#endif
