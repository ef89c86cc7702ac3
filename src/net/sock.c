/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets as this daemon wants them. */
#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A probe each third of the time-out, so that the second is already an answer to the first's loss. How many may be
 * lost is TCP_USER_TIMEOUT's to say (tcp(7)), which Multipath TCP does not have. */
#define KEEPALIVE_PROBES 3

static bool
sock_can_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static void
sock_set(int fd, int level, int option, int value)
{
	(void)sock_can_set(fd, level, option, value);
}

void
sock_set_nodelay(int fd)
{
	sock_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void
sock_set_vanish(int fd, uint64_t timeout_ms)
{
	int third_s = (int)(timeout_ms / 1000 / KEEPALIVE_PROBES);

	sock_set(fd, SOL_SOCKET, SO_KEEPALIVE, timeout_ms != 0);
	if (!sock_can_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)timeout_ms))
		sock_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	if (timeout_ms == 0)
		return;
	if (third_s == 0)
		third_s = 1;
	sock_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, third_s);
	sock_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, third_s);
}

static int
sock_open(const struct addr *a, int protocol)
{
	return socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

int
sock_bind(const struct addr *a, bool shared, bool mptcp, bool *fell_back)
{
	int fd = sock_open(a, mptcp ? IPPROTO_MPTCP : 0);

	*fell_back = mptcp && fd == -1;
	if (*fell_back)
		fd = sock_open(a, 0);
	if (fd == -1)
		return -1;
	sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (shared)
		sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (a->sa.any.sa_family == AF_INET6)
		sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);	/* 0.0.0.0 is bound by its own entry */
	if (bind(fd, &a->sa.any, a->len) == -1) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
sock_connect(const struct addr *a)
{
	int fd = sock_open(a, 0);

	if (fd == -1)
		return -1;
	sock_set_nodelay(fd);
	if (connect(fd, &a->sa.any, a->len) == -1 && errno != EINPROGRESS) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
