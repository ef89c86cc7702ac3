/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners: what they bind, what they report, whom they admit and trust. */
#include "net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <netinet/tcp.h>

#include "base/log.h"
#include "wire.h"

static char reported[1024];
static unsigned reports;

static void
report(void *arg, const char *line)
{
	(void)arg;
	snprintf(reported, sizeof reported, "%s", line);
	reports++;
}

static void
no_log(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static int
setup(void **state)
{
	(void)state;
	log_to(no_log);
	reports = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_to(NULL);
	return 0;
}

static int
vanish_of(const struct port *p)
{
	int ms;
	socklen_t len = sizeof ms;

	assert_int_equal(getsockopt(p->socket[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len), 0);
	return ms;
}

static struct conf *
conf_with(const char *bind, const char *more)
{
	char *text =
	    mem_printf("[listener l]\nbind = %s\npool = p\n%s\n[pool p]\ngateway = g 127.0.0.1:1\n", bind, more);
	struct conf *c = conf_load_bytes(text, strlen(text), "test.ini", report, NULL);

	free(text);
	assert_non_null(c);
	return c;
}

/* A socket for each worker and address, all of one port. */
static void
a_socket_for_each(void **state)
{
	struct conf *c = conf_with("127.0.0.1:0, 127.0.0.2:0", "");
	struct listener *l = listener_new(&c->listener[0], 3, 30000, NULL, false, report, NULL);

	(void)state;
	assert_non_null(l);
	assert_int_equal(l->ports, 2);
	assert_true(listener_listen(l, report, NULL));
	for (size_t i = 0; i < l->ports; i++) {
		int fd = wire_connect(&l->port[i]->addr.sa.v4);

		close(fd);
		for (unsigned w = 0; w < 3; w++) {
			struct sockaddr_in at;
			socklen_t len = sizeof at;

			assert_int_equal(getsockname(l->port[i]->socket[w].fd, (struct sockaddr *)&at, &len), 0);
			assert_int_equal(ntohs(at.sin_port), addr_port(&l->port[i]->addr));
		}
	}
	listener_free(l);
	listener_free(NULL);
	conf_free(c);
}

static void
a_port_in_use(void **state)
{
	struct sockaddr_in at;
	int taken = wire_listen(&at);
	char *bind = mem_printf("127.0.0.1:%u", ntohs(at.sin_port));
	struct conf *c = conf_with(bind, "");
	struct listener *l;

	(void)state;
	assert_null(listener_new(&c->listener[0], 2, 0, NULL, false, report, NULL));
	assert_int_equal(reports, 1);
	assert_non_null(strstr(reported, "test.ini:2: [listener l] bind: '127.0.0.1:"));
	assert_non_null(strstr(reported, "Address already in use"));
	/* checking a configuration whose daemon runs is no mistake */
	l = listener_new(&c->listener[0], 2, 0, NULL, true, report, NULL);
	assert_non_null(l);
	assert_int_equal(reports, 1);
	listener_free(l);
	close(taken);
	conf_free(c);
	free(bind);
}

/* Our own two workers share the port, another daemon of ours may not. */
static void
another_daemon(void **state)
{
	struct conf *c = conf_with("127.0.0.1:0", ""), *second;
	struct listener *l = listener_new(&c->listener[0], 2, 0, NULL, false, report, NULL);
	char *bind;

	(void)state;
	assert_non_null(l);
	assert_true(listener_listen(l, report, NULL));
	bind = mem_printf("127.0.0.1:%u", addr_port(&l->port[0]->addr));
	second = conf_with(bind, "");
	assert_null(listener_new(&second->listener[0], 2, 0, NULL, false, report, NULL));
	assert_int_equal(reports, 1);
	listener_free(l);
	conf_free(c);
	conf_free(second);
	free(bind);
}

static void
not_our_address(void **state)
{
	struct conf *c = conf_with("203.0.113.1:0, 127.0.0.1:0, 203.0.113.2:0", "");

	(void)state;
	assert_null(listener_new(&c->listener[0], 2, 0, NULL, false, report, NULL));
	assert_int_equal(reports, 2); /* each, not the first alone */
	conf_free(c);
}

/* The next edition of a listener: a port of the one before is no mistake, a new one is bound, and who came in by the
 * old is counted out by the new, under the new limits. */
static void
the_next_edition(void **state)
{
	struct conf *c = conf_with("127.0.0.1:0", ""), *next;
	struct listener *old = listener_new(&c->listener[0], 2, 30000, NULL, false, report, NULL), *l;
	struct port_source ports = { .inherited = NULL };
	struct addr a;
	char *bind;
	bool counted;

	(void)state;
	assert_true(listener_listen(old, report, NULL));
	listener_note_come(old);
	assert_true(addr_parse(SLICE_LIT("10.0.0.1:1"), &a));
	bind = mem_printf("127.0.0.1:%u, 127.0.0.1:0", addr_port(&old->port[0]->addr));
	next = conf_with(bind, "max_connections_per_ip = 1");
	listener_offer_ports(old, &ports);
	l = listener_new(&next->listener[0], 7, 20000, &ports, false, report, NULL);
	assert_non_null(l);
	assert_int_equal(l->port[1]->workers, 2); /* there are no more until a restart */
	assert_int_equal(l->guests->workers, 2);
	assert_ptr_equal(l->port[0], old->port[0]);
	assert_int_equal(vanish_of(l->port[0]), 30000); /* nothing in force is changed yet */
	assert_int_equal(vanish_of(l->port[1]), 20000);
	assert_true(listener_listen(l, report, NULL));
	listener_adopt(l, old);
	assert_int_equal(vanish_of(l->port[0]), 20000);
	assert_int_equal(listener_connections(l), 1);
	assert_true(iplimit_enter(l->guests->iplimit, &a, 1, &counted));
	assert_false(iplimit_enter(l->guests->iplimit, &a, 1, &counted));
	listener_free(old);
	listener_note_gone(l);
	assert_int_equal(listener_connections(l), 0);
	listener_adopt(l, NULL); /* one that was not there before */
	port_source_fini(&ports);
	listener_free(l);
	conf_free(c);
	conf_free(next);
	free(bind);
	assert_int_equal(reports, 0);
}

static void
whom_it_admits_and_trusts(void **state)
{
	struct conf *c =
	    conf_with("127.0.0.1:0", "allow = 10.0.0.0/8, ::1\ndeny = 10.1.0.0/16\ntrusted_proxies = 10.2.0.0/16");
	struct conf *open = conf_with("127.0.0.1:0", "");
	struct listener *l = listener_new(&c->listener[0], 1, 0, NULL, false, report, NULL);
	struct listener *all = listener_new(&open->listener[0], 1, 0, NULL, false, report, NULL);
	static const struct {
		const char *peer;
		bool admitted, trusted;
	} cases[] = {
		{ "10.0.0.1", true, false },
		{ "10.1.2.3", false, false },
		{ "10.2.0.1", true, true },
		{ "11.0.0.1", false, false },
		{ "::1", true, false },
		{ "::2", false, false },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct addr a;

		assert_true(addr_parse_host(slice_of(cases[i].peer), &a));
		assert_int_equal(listener_admits(l, &a), cases[i].admitted);
		assert_int_equal(listener_trusts(l, &a), cases[i].trusted);
		assert_true(listener_admits(all, &a));
		assert_false(listener_trusts(all, &a));
	}
	listener_free(l);
	listener_free(all);
	conf_free(c);
	conf_free(open);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_socket_for_each, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(another_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(not_our_address, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_edition, setup, teardown),
		cmocka_unit_test_setup_teardown(whom_it_admits_and_trusts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
