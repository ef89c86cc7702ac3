/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports: where they come from, who has which socket, and that nobody who connects is refused or reset while they go
 * from hand to hand. */
#include "net/port.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>

#include "base/log.h"
#include "net/acceptor.h"
#include "net/sock.h"
#include "wire.h"

#define TAKEOVERS 100
#define ROUNDS 30

static unsigned warnings;

static void
on_log(enum log_level level, struct slice text)
{
	(void)text;
	warnings += level == LOG_LEVEL_WARN;
}

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static int
setup(void **state)
{
	(void)state;
	warnings = 0;
	log_to(on_log);
	unsetenv("LISTEN_PID");
	unsetenv(BEQUEST_VARIABLE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_to(NULL);
	return 0;
}

static struct addr
address(const char *host, unsigned port)
{
	char text[ADDR_TEXT];
	struct addr a;

	snprintf(text, sizeof text, "%s:%u", host, port);
	assert_true(addr_parse(slice_of(text), &a));
	return a;
}

static struct port *
bound(unsigned workers)
{
	struct addr at = address("127.0.0.1", 0);
	struct port *p = port_new(NULL, &at, workers, false, "test");

	assert_non_null(p);
	assert_true(port_listen(p));
	return p;
}

/* A port of inherited sockets; *at: their address. */
static struct port *
inherited(unsigned sockets, unsigned workers, bool is_lent, struct addr *at)
{
	struct heirlooms *h = heirlooms_new();
	struct port_source s = { .inherited = h };
	struct port *p;

	*at = address("127.0.0.1", 0);
	for (unsigned i = 0; i < sockets; i++) {
		bool fell_back;
		int fd = sock_bind(at, true, false, &fell_back);

		assert_int_equal(getsockname(fd, &at->sa.any, &at->len), 0);
		assert_int_equal(listen(fd, 100), 0);
		heirlooms_add(h, fd, "", is_lent);
	}
	p = port_new(&s, at, workers, false, "test");
	assert_non_null(p);
	heirlooms_free(h);
	assert_true(port_listen(p));
	return p;
}

/* ---- who has which socket ---- */

static void
shares(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 5; workers++)
		for (unsigned sockets = 1; sockets <= 12; sockets++) {
			struct addr at;
			struct port *p = inherited(sockets, workers, false, &at);
			unsigned users[12] = { 0 };

			assert_int_equal(p->sockets, sockets);
			assert_int_equal(port_is_shared(p), sockets < workers);
			for (unsigned w = 0; w < workers; w++) {
				assert_int_not_equal(port_share(p, w), 0);
				for (unsigned i = 0; i < port_share(p, w); i++)
					users[port_share_at(p, w, i)]++;
			}
			for (unsigned i = 0; i < sockets; i++) {
				assert_int_not_equal(users[i], 0);
				assert_int_equal(atomic_load(&p->socket[i].users), users[i]);
				assert_true(sockets < workers || users[i] == 1);
			}
			port_unref(p);
		}
	port_unref(NULL);
}

/* ---- where it comes from ---- */

static void
one_in_force(void **state)
{
	struct port *p = bound(2), *same, *other;
	struct port_source s = { .inherited = NULL };
	struct addr elsewhere = address("127.0.0.2", addr_port(&p->addr));

	(void)state;
	port_source_add(&s, p);
	same = port_new(&s, &p->addr, 2, false, "test");
	assert_ptr_equal(same, p);
	assert_null(port_new(NULL, &p->addr, 2, false, "test"));
	assert_int_equal(errno, EADDRINUSE);
	other = port_new(&s, &elsewhere, 2, false, "test");
	assert_ptr_not_equal(other, p);
	assert_true(port_listen(other));
	port_unref(p);
	port_unref(same);
	port_unref(other);
	assert_true(p->listens); /* the source holds it */
	port_source_fini(&s);
}

/* "127.0.0.1:80" becomes "*:80", or the other way round: ours are not in each other's way. */
static void
wider_and_narrower(void **state)
{
	struct port *narrow = bound(2), *wide;
	struct addr any = address("*", addr_port(&narrow->addr));
	struct port_source s = { .inherited = NULL };

	(void)state;
	assert_null(port_new(NULL, &any, 2, false, "test"));
	port_source_add(&s, narrow);
	wide = port_new(&s, &any, 2, false, "test");
	assert_non_null(wide);
	assert_true(port_listen(wide));
	port_source_fini(&s);
	port_unref(narrow);
	port_source_add(&s, wide);
	any = address("127.0.0.1", addr_port(&wide->addr));
	narrow = port_new(&s, &any, 2, false, "test");
	assert_non_null(narrow);
	assert_true(port_listen(narrow));
	port_source_fini(&s);
	port_unref(narrow);
	port_unref(wide);
}

/* One can't become the other, so it is another port at the same address. */
static void
multipath_turned_on(void **state)
{
	struct port *plain = bound(1), *multi;
	struct port_source s = { .inherited = NULL };

	(void)state;
	port_source_add(&s, plain);
	multi = port_new(&s, &plain->addr, 1, true, "test");
	assert_non_null(multi); /* warned of, where the kernel has none */
	assert_ptr_not_equal(multi, plain);
	assert_true(port_listen(multi));
	port_source_fini(&s);
	port_unref(plain);
	port_source_add(&s, multi);
	plain = port_new(&s, &multi->addr, 1, true, "test");
	assert_ptr_equal(plain, multi);
	port_source_fini(&s);
	port_unref(plain);
	port_unref(multi);
}

/* An inherited socket is as it is. */
static void
multipath_not_inherited(void **state)
{
	struct heirlooms *h = heirlooms_new();
	struct port_source s = { .inherited = h };
	struct sockaddr_in at;
	int fd = wire_listen(&at);
	struct addr a = address("127.0.0.1", ntohs(at.sin_port));
	struct port *p;

	(void)state;
	heirlooms_add(h, fd, "", true);
	p = port_new(&s, &a, 1, true, "test");
	assert_non_null(p);
	assert_int_equal(p->socket[0].fd, fd);
	assert_int_equal(warnings, 1);
	port_unref(p);
	heirlooms_free(h);
	assert_int_equal(warnings, 1);
}

/* ---- from hand to hand ---- */

/* Somebody who connects again and again, and wants one byte each time. */
struct knocker {
	pthread_t thread;
	struct sockaddr_in to;
	atomic_bool stop;
	atomic_uint served;
	atomic_uint refused; /* or not answered at all until `stop` */
	atomic_uint reset;   /* connected, but no byte came */
	int error;
};

/* Did it become ready before the end? */
static bool
ready_for(struct knocker *k, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	while ((n = poll(&p, 1, 10)) == 0 && !atomic_load(&k->stop))
		;
	return n == 1;
}

static void
knock(struct knocker *k)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof k->error;
	struct linger none = { .l_onoff = 1 };
	char byte;

	if (connect(fd, (const struct sockaddr *)&k->to, sizeof k->to) == -1 &&
	    (errno != EINPROGRESS || !ready_for(k, fd, POLLOUT) ||
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &k->error, &len) == -1 || k->error != 0))
		atomic_fetch_add(&k->refused, 1);
	else if (ready_for(k, fd, POLLIN) && recv(fd, &byte, 1, 0) == 1)
		atomic_fetch_add(&k->served, 1);
	else
		atomic_fetch_add(&k->reset, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* leaves no port in TIME_WAIT */
	close(fd);
}

static void *
knocker_run(void *arg)
{
	struct knocker *k = arg;

	while (!atomic_load(&k->stop))
		knock(k);
	return NULL;
}

static void
knocker_begin(struct knocker *k, const struct port *p)
{
	*k = (struct knocker){ .to = p->addr.sa.v4 };
	assert_int_equal(pthread_create(&k->thread, NULL, knocker_run, k), 0);
}

/* It may be in the middle of one: that must end well, too. */
#define KNOCKER_END(k, loop) \
	do { \
		unsigned served = atomic_load(&(k)->served); \
		WIRE_UNTIL(loop, atomic_load(&(k)->served) >= served + 2); \
		atomic_store(&(k)->stop, true); \
		wire_turns(loop, 100); \
		pthread_join((k)->thread, NULL); \
	} while (0)

static unsigned taken[4];

/* arg: the worker's place in taken. */
static void
on_connection(void *arg, struct listener *l, int fd, const struct addr *peer)
{
	unsigned *taken_by = arg;

	(void)peer;
	++*taken_by;
	listener_note_gone(l);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	close(fd);
}

static struct conf *
conf_at(unsigned port)
{
	char *text = mem_printf(
	    "[listener l]\nbind = 127.0.0.1:%u\npool = p\n[pool p]\ngateway = g 127.0.0.1:1\n", port);
	struct conf *c = conf_load_bytes(text, strlen(text), "test.ini", no_report, NULL);

	free(text);
	assert_non_null(c);
	return c;
}

/* An edition's worth: one listener of one port, and its workers' acceptors, all on one loop. */
struct world {
	struct loop *loop;
	struct conf *conf;
	struct listener *listener;
	struct acceptor *acceptor[4];
	unsigned workers;
};

static void
world_listen(struct world *w, unsigned port, struct port_source *s, unsigned workers)
{
	w->conf = conf_at(port);
	w->workers = workers;
	w->listener = listener_new(&w->conf->listener[0], workers, 30000, s, false, no_report, NULL);
	assert_non_null(w->listener);
	assert_true(listener_listen(w->listener, no_report, NULL));
}

static void
world_accept(struct world *w)
{
	for (unsigned i = 0; i < w->workers; i++)
		w->acceptor[i] =
		    acceptor_new(w->loop, w->listener->port[0], i, w->listener, on_connection, &taken[i]);
}

static void
world_init(struct world *w, struct port_source *s, unsigned port, unsigned workers)
{
	*w = (struct world){ .loop = loop_new() };
	memset(taken, 0, sizeof taken);
	world_listen(w, port, s, workers);
	world_accept(w);
}

static void
world_stop_accepting(struct world *w)
{
	for (unsigned i = 0; i < w->workers; i++) {
		acceptor_free(w->acceptor[i]);
		w->acceptor[i] = NULL;
	}
}

static void
world_fini(struct world *w)
{
	world_stop_accepting(w);
	loop_reap_all(w->loop);
	loop_free(w->loop);
	listener_free(w->listener);
	conf_free(w->conf);
}

/* A reload: the same port in a new listener, acceptors are aimed at that. */
static void
world_reload(struct world *w)
{
	struct listener *old = w->listener;
	struct conf *old_conf = w->conf;
	struct port_source s = { .inherited = NULL };

	listener_offer_ports(old, &s);
	world_listen(w, addr_port(&old->port[0]->addr), &s, w->workers);
	port_source_fini(&s);
	listener_adopt(w->listener, old);
	assert_ptr_equal(w->listener->port[0], old->port[0]);
	for (unsigned i = 0; i < w->workers; i++)
		acceptor_aim(w->acceptor[i], w->listener, &taken[i]);
	listener_free(old);
	conf_free(old_conf);
}

static void
reloads_under_load(void **state)
{
	struct knocker k;
	struct world w;

	(void)state;
	world_init(&w, NULL, 0, 3);
	knocker_begin(&k, w.listener->port[0]);
	for (unsigned i = 0; i < TAKEOVERS; i++) {
		unsigned served = atomic_load(&k.served);

		world_reload(&w);
		WIRE_UNTIL(w.loop, atomic_load(&k.served) != served);
	}
	KNOCKER_END(&k, w.loop);
	assert_int_equal(atomic_load(&k.refused), 0);
	assert_int_equal(atomic_load(&k.reset), 0);
	assert_true(atomic_load(&k.served) >= TAKEOVERS);
	assert_int_equal(listener_connections(w.listener), 0);
	world_fini(&w);
}

/* What a process does that takes another's place, here in one: the sockets are the same, the numbers are not. */
static void
world_inherit(struct world *heir, const struct world *w, unsigned workers)
{
	struct heirlooms *h = heirlooms_new();
	struct port_source s = { .inherited = h };
	struct bequest b = { .n = 0 };

	port_bequeath(w->listener->port[0], &b);
	for (size_t i = 0; i < b.n; i++)
		heirlooms_add(h, fcntl(b.fd[i], F_DUPFD_CLOEXEC, 0), "", b.is_lent[i]);
	bequest_fini(&b);
	*heir = (struct world){ .loop = w->loop };
	world_listen(heir, addr_port(&w->listener->port[0]->addr), &s, workers);
	heirlooms_free(h);
}

/* An upgrade: what comes between the old one's pause and the new one's first accept waits. Each time the number of
 * workers is another one. */
static void
upgrades_under_load(void **state)
{
	struct world w, heir;
	struct knocker k;

	(void)state;
	world_init(&w, NULL, 0, 2);
	knocker_begin(&k, w.listener->port[0]);
	for (unsigned i = 0; i < TAKEOVERS; i++) {
		unsigned served = atomic_load(&k.served);

		world_inherit(&heir, &w, 1 + i % 4);
		for (unsigned n = 0; n < w.workers; n++)
			acceptor_pause(w.acceptor[n]);
		world_accept(&heir);
		world_stop_accepting(&w);
		loop_reap_all(w.loop);
		listener_free(w.listener);
		conf_free(w.conf);
		w = heir;
		WIRE_UNTIL(w.loop, atomic_load(&k.served) != served);
	}
	KNOCKER_END(&k, w.loop);
	assert_int_equal(atomic_load(&k.refused), 0);
	assert_int_equal(atomic_load(&k.reset), 0);
	assert_int_equal(warnings, 0);
	world_fini(&w);
}

/* A port that is removed, or a stop: some are refused then, but who has connected is served. */
static void
closed_under_load(void **state)
{
	unsigned served = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct knocker k[3];
		struct world w;

		world_init(&w, NULL, 0, 1 + i % 2);
		for (unsigned n = 0; n < COUNT(k); n++)
			knocker_begin(&k[n], w.listener->port[0]);
		WIRE_UNTIL(w.loop, atomic_load(&k[0].served) >= 5);
		world_stop_accepting(&w);
		for (unsigned n = 0; n < COUNT(k); n++)
			atomic_store(&k[n].stop, true);
		for (unsigned n = 0; n < COUNT(k); n++) {
			pthread_join(k[n].thread, NULL);
			assert_int_equal(atomic_load(&k[n].reset), 0);
			served += atomic_load(&k[n].served);
		}
		assert_true(taken[0] + taken[1] >= 5);
		world_fini(&w);
	}
	assert_true(served >= 5 * ROUNDS);
}

/* ---- inherited ---- */

static void
knock_often(struct world *w, struct knocker *k, unsigned times)
{
	knocker_begin(k, w->listener->port[0]);
	WIRE_UNTIL(w->loop, atomic_load(&k->served) >= times);
	KNOCKER_END(k, w->loop);
	assert_int_equal(atomic_load(&k->refused) + atomic_load(&k->reset), 0);
}

static bool
is_refused(const struct port *p)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = connect(fd, &p->addr.sa.any, p->addr.len) == -1;

	close(fd);
	return refused;
}

/* Fewer sockets than workers, as many, more: each connection is taken once, the last worker to leave closes. */
static void
inherited_sockets(void **state)
{
	static const unsigned cases[] = { 1, 2, 3, 7 };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct port_source s = { .inherited = NULL };
		struct knocker k;
		struct world w;
		struct addr at;
		struct port *p = inherited(cases[i], 3, false, &at);

		port_source_add(&s, p);
		world_init(&w, &s, addr_port(&at), 3);
		assert_ptr_equal(w.listener->port[0], p);
		knock_often(&w, &k, 50);
		assert_int_equal(taken[0] + taken[1] + taken[2], atomic_load(&k.served));
		acceptor_free(w.acceptor[0]);
		w.acceptor[0] = NULL;
		taken[0] = 0;
		knock_often(&w, &k, 20); /* the others still do */
		assert_int_equal(taken[0], 0);
		world_stop_accepting(&w);
		assert_true(is_refused(p));
		port_source_fini(&s);
		port_unref(p);
		world_fini(&w);
	}
}

/* It goes on without us, and what waits in it is for those who come after. */
static void
lent_sockets(void **state)
{
	struct port_source s = { .inherited = NULL };
	struct world w;
	struct addr at;
	struct port *p = inherited(1, 2, true, &at);
	int managers = fcntl(p->socket[0].fd, F_DUPFD_CLOEXEC, 0), client, fd;

	(void)state;
	port_source_add(&s, p);
	world_init(&w, &s, addr_port(&at), 2);
	client = wire_connect(&at.sa.v4);
	world_stop_accepting(&w);
	assert_int_equal(taken[0] + taken[1], 0);
	fd = accept4(managers, NULL, NULL, SOCK_CLOEXEC);
	assert_int_not_equal(fd, -1);
	close(fd);
	close(client);
	client = wire_connect(&at.sa.v4); /* nor are newcomers kept out */
	close(client);
	close(managers);
	port_source_fini(&s);
	port_unref(p);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shares, setup, teardown),
		cmocka_unit_test_setup_teardown(one_in_force, setup, teardown),
		cmocka_unit_test_setup_teardown(wider_and_narrower, setup, teardown),
		cmocka_unit_test_setup_teardown(multipath_turned_on, setup, teardown),
		cmocka_unit_test_setup_teardown(multipath_not_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(reloads_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(upgrades_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(inherited_sockets, setup, teardown),
		cmocka_unit_test_setup_teardown(lent_sockets, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
