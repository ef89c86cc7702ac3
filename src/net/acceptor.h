/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acceptor.h - one worker's listening socket.
 *
 * Where descriptors or memory run out, or the listener holds max_connections, it rests for a moment and says so, once
 * in a while; connections wait in the kernel's queue meanwhile. It never spins.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "net/listener.h"
#include "net/loop.h"

struct acceptor;

/* A connection came in, non-blocking, counted in l->connections; the descriptor is the callee's. */
typedef void acceptor_fn(void *arg, struct listener *l, int fd, const struct addr *peer);

/* Takes the worker's socket of l->bind[bind]. */
struct acceptor *acceptor_new(struct loop *loop, struct listener *l, size_t bind, unsigned worker, acceptor_fn *fn,
    void *arg) MUST_CHECK;
/* Closes the socket: what waits in its queue is reset by the kernel. NULL is fine. */
void acceptor_free(struct acceptor *a);

#endif
