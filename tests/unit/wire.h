/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - what tests of the network share: connected sockets, bytes in and out of them, and a loop that is turned
 * until something holds. Include it behind cmocka.h.
 */
#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

#define WIRE_LIMIT_MS 10000 /* no condition takes longer, or the test has failed */

/* A connected pair that never leaves the process, non-blocking. */
static inline void
wire_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

/* A socket that listens on a free port of loopback. */
static inline int
wire_listen(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static inline int
wire_connect(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof *to), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* The same by TCP. */
static inline void
wire_tcp(int fd[2])
{
	struct sockaddr_in at;
	int listening = wire_listen(&at);

	fd[0] = wire_connect(&at);
	fd[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_int_not_equal(fd[1], -1);
	close(listening);
}

/* Closes so that the peer gets a reset (TCP). */
static inline void
wire_reset(int fd)
{
	struct linger none = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
	close(fd);
}

static inline void
wire_write(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

#define wire_say(fd, text) wire_write(fd, text, strlen(text))

/* Fills the socket until it takes no more; returns how many bytes that took. */
static inline size_t
wire_fill(int fd)
{
	static char bytes[16384];
	size_t all = 0;
	ssize_t n;

	while ((n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0)
		all += (size_t)n;
	return all;
}

/* What came out of a socket, gathered. */
struct wire_got {
	char *p;
	size_t n, room;
	bool ended; /* by FIN or reset */
	int error;
};

/* Takes what is there, at most `most` bytes. */
static inline void
wire_take(int fd, struct wire_got *g, size_t most)
{
	while (!g->ended && most != 0) {
		ssize_t n;

		if (g->room - g->n < 65536) {
			g->room = g->room * 2 + 65536;
			g->p = mem_realloc(g->p, g->room);
		}
		n = recv(fd, g->p + g->n, most < g->room - g->n ? most : g->room - g->n, 0);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1)
			g->error = errno;
		g->ended = n <= 0;
		g->n += n > 0 ? (size_t)n : 0;
		most -= n > 0 ? (size_t)n : 0;
	}
}

static inline void
wire_got_free(struct wire_got *g)
{
	free(g->p);
	*g = (struct wire_got){ 0 };
}

static inline void
wire_nothing(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
}

/* One turn of the loop, without waiting for anything. */
static inline void
wire_turn(struct loop *l)
{
	static struct watch again;

	watch_init(&again, wire_nothing);
	loop_again(l, &again);
	loop_turn(l);
}

static inline void
wire_turns(struct loop *l, unsigned n)
{
	while (n-- != 0)
		wire_turn(l);
}

/* Turns the loop until the condition holds; `each` is done before every look. */
#define WIRE_UNTIL_DOING(l, each, cond) \
	do { \
		uint64_t wire_end = clock_exact_us() + WIRE_LIMIT_MS * 1000; \
		for (;;) { \
			each; \
			if (cond) \
				break; \
			if (clock_exact_us() > wire_end) \
				fail_msg("%s:%d: never came true: %s", __FILE__, __LINE__, #cond); \
			wire_turn(l); \
			sched_yield(); \
		} \
	} while (0)
#define WIRE_UNTIL(l, cond) WIRE_UNTIL_DOING(l, (void)0, cond)

#endif
