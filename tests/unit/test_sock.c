/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets of our own: what they are set to, as the kernel says. */
#include "net/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <netinet/tcp.h>
#include <poll.h>

#include "wire.h"

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
assert_ours(int fd)
{
	assert_true(fd > 2);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static struct addr
bound(int fd)
{
	struct addr a;
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr(&a, (struct sockaddr *)&sa, len);
	return a;
}

static void
binds(void **state)
{
	struct addr any, at;
	bool fell_back = true;
	int fd, second;

	(void)state;
	assert_true(addr_parse(SLICE_LIT("127.0.0.1:0"), &any));
	fd = sock_bind(&any, true, false, &fell_back);
	assert_ours(fd);
	assert_false(fell_back);
	assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	at = bound(fd);
	assert_int_not_equal(addr_port(&at), 0);
	assert_int_equal(listen(fd, 1), 0);
	second = sock_bind(&at, true, false, &fell_back); /* a worker's share */
	assert_ours(second);
	close(second);
	errno = 0;
	assert_int_equal(sock_bind(&at, false, false, &fell_back), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	/* with Multipath TCP, or without where the kernel has none */
	fd = sock_bind(&any, true, true, &fell_back);
	assert_ours(fd);
	assert_int_equal(option(fd, SOL_SOCKET, SO_PROTOCOL), fell_back ? IPPROTO_TCP : 262);
	close(fd);
}

/* An IPv6 address of any is not one of IPv4 too. */
static void
ipv6_alone(void **state)
{
	struct addr any;
	bool fell_back;
	int fd;

	(void)state;
	assert_true(addr_parse(SLICE_LIT("[::1]:0"), &any));
	fd = sock_bind(&any, true, false, &fell_back);
	if (fd == -1)
		skip(); /* no IPv6 here */
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void
connects(void **state)
{
	struct sockaddr_in sa;
	int listening = wire_listen(&sa), fd;
	struct addr at;
	struct pollfd p = { .events = POLLOUT };

	(void)state;
	addr_from_sockaddr(&at, (struct sockaddr *)&sa, sizeof sa);
	fd = sock_connect(&at);
	assert_ours(fd);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, WIRE_LIMIT_MS), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_ERROR), 0);
	close(fd);
	close(listening);
	/* to nobody: at once, or by the socket's error */
	fd = sock_connect(&at);
	if (fd != -1) {
		p.fd = fd;
		assert_int_equal(poll(&p, 1, WIRE_LIMIT_MS), 1);
		assert_int_equal(option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
		close(fd);
	} else {
		assert_int_equal(errno, ECONNREFUSED);
	}
}

static void
vanished_peers(void **state)
{
	static const struct {
		uint64_t ms;
		int user_timeout, keepalive, third_s;
	} cases[] = { { 0, 0, 0, 0 }, { 1000, 1000, 1, 1 }, { 30000, 30000, 1, 10 },
		{ 86400000, 86400000, 1, 28800 } };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		sock_set_vanish(fd, cases[i].ms);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), cases[i].user_timeout);
		assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), cases[i].keepalive);
		if (cases[i].keepalive != 0) {
			assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), cases[i].third_s);
			assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), cases[i].third_s);
		}
		sock_set_vanish(fd, 0);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
		assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
		close(fd);
	}
	sock_set_vanish(-1, 1000); /* a wish: refused without a word */
	sock_set_nodelay(-1);
}

/* It has no TCP_USER_TIMEOUT: so it is told how many probes may be lost. */
static void
vanished_peers_by_multipath_tcp(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), timeout = 1000;

	(void)state;
	if (fd == -1)
		skip();
	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout) == 0) {
		close(fd);
		skip();
	}
	sock_set_vanish(fd, 30000);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binds),
		cmocka_unit_test(ipv6_alone),
		cmocka_unit_test(connects),
		cmocka_unit_test(vanished_peers),
		cmocka_unit_test(vanished_peers_by_multipath_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
