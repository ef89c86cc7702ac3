/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.h - the options of TCP sockets that we set, and how we open them.
 *
 * Options are wishes: a Multipath TCP socket refuses some, and the connection is as good without.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include "net/addr.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Small messages leave at once. */
void sock_set_nodelay(int fd);
/* A peer that vanished is noticed after about this long, whether we send (TCP_USER_TIMEOUT) or wait (keepalive).
 * 0: whenever the kernel does. */
void sock_set_vanish(int fd, uint64_t timeout_ms);
/* A socket bound for listening, not listening yet; shared: with SO_REUSEPORT. mptcp falls back to plain TCP where the
 * kernel has none (*fell_back). -1 with errno. */
int sock_bind(const struct addr *a, bool shared, bool mptcp, bool *fell_back) MUST_CHECK;
/* Starts a non-blocking connect: the descriptor, or -1 with errno. */
int sock_connect(const struct addr *a) MUST_CHECK;

#endif
