/* SPDX-License-Identifier: BSD-2-Clause */
/* Accepting, and resting where nothing more can be taken: at max_connections, and without descriptors. */
#include "net/acceptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "base/log.h"
#include "wire.h"

#define MANY 200

static unsigned warnings;
static char warned[512];

static void
on_log(enum log_level level, struct slice text)
{
	if (level != LOG_LEVEL_WARN)
		return;
	warnings++;
	snprintf(warned, sizeof warned, "%.*s", SLICE_FMT(text));
}

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

struct world {
	struct loop *loop;
	struct conf *conf;
	struct listener *listener;
	struct acceptor *acceptor;
	int taken[MANY];
	unsigned takes;
	bool frees; /* the acceptor, with the first connection */
};

static void
on_connection(void *arg, struct listener *l, int fd, const struct addr *peer)
{
	struct world *w = arg;

	assert_ptr_equal(l, w->listener);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(peer->sa.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	w->taken[w->takes++] = fd;
	if (w->frees) {
		acceptor_free(w->acceptor);
		w->acceptor = NULL;
	}
}

static void
world_init(struct world *w, const char *more)
{
	char *text =
	    mem_printf("[listener l]\nbind = 127.0.0.1:0\npool = p\n%s\n[pool p]\ngateway = g 127.0.0.1:1\n", more);

	*w = (struct world){ .loop = loop_new() };
	warnings = 0;
	log_to(on_log);
	w->conf = conf_load_bytes(text, strlen(text), "test.ini", no_report, NULL);
	free(text);
	assert_non_null(w->conf);
	w->listener = listener_new(&w->conf->listener[0], 1, 0, NULL, false, no_report, NULL);
	assert_true(listener_listen(w->listener, no_report, NULL));
	w->acceptor = acceptor_new(w->loop, w->listener->port[0], 0, w->listener, on_connection, w);
	assert_ptr_equal(acceptor_port(w->acceptor), w->listener->port[0]);
}

static void
world_drop(struct world *w)
{
	while (w->takes != 0) {
		close(w->taken[--w->takes]);
		listener_note_gone(w->listener);
	}
}

static void
world_fini(struct world *w)
{
	world_drop(w);
	assert_int_equal(listener_connections(w->listener), 0);
	acceptor_free(w->acceptor);
	acceptor_free(NULL);
	loop_free(w->loop);
	listener_free(w->listener);
	conf_free(w->conf);
	log_to(NULL);
}

static void
takes_all(void **state)
{
	struct world w;
	int fd[MANY];

	(void)state;
	world_init(&w, "");
	for (unsigned i = 0; i < MANY; i++)
		fd[i] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	WIRE_UNTIL(w.loop, w.takes == MANY);
	assert_int_equal(listener_connections(w.listener), MANY);
	assert_int_equal(warnings, 0);
	for (unsigned i = 0; i < MANY; i++)
		close(fd[i]);
	world_fini(&w);
}

/* One who comes alone is let in alone; of a crowd, more each turn, so that the last needn't wait for long. */
static void
lets_a_crowd_in(void **state)
{
	struct world w;
	int fd[MANY];
	unsigned turns = 0;

	(void)state;
	world_init(&w, "");
	for (unsigned i = 0; i < MANY; i++)
		fd[i] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	for (unsigned before = 0; w.takes != MANY; turns++) {
		loop_turn_within(w.loop, 1000);
		assert_true(w.takes > before);
		assert_true(turns != 0 || w.takes == 1);
		before = w.takes;
	}
	assert_true(turns <= 10);
	for (unsigned i = 0; i < MANY; i++)
		close(fd[i]);
	world_fini(&w);
}

/* What is above max_connections waits in the kernel's queue, is said once, and comes in when there is room. */
static void
at_max_connections(void **state)
{
	struct world w;
	int fd[8];

	(void)state;
	world_init(&w, "max_connections = 5");
	for (unsigned i = 0; i < COUNT(fd); i++)
		fd[i] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	WIRE_UNTIL(w.loop, w.takes == 5 && warnings == 1);
	assert_non_null(strstr(warned, "listener l: max_connections reached: new connections wait (5 are open)"));
	wire_turns(w.loop, 100);
	assert_int_equal(w.takes, 5);
	assert_int_equal(warnings, 1);
	world_drop(&w);
	WIRE_UNTIL(w.loop, w.takes == 3);
	for (unsigned i = 0; i < COUNT(fd); i++)
		close(fd[i]);
	world_fini(&w);
}

/* Without descriptors: it rests, it does not spin, and nobody is lost. */
static void
without_descriptors(void **state)
{
	struct world w;
	struct rlimit before, none;
	unsigned turns = 0;
	uint64_t end;
	int fd;

	(void)state;
	world_init(&w, "");
	fd = wire_connect(&w.listener->port[0]->addr.sa.v4);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	end = clock_exact_us() + 250000;
	for (; clock_exact_us() < end; turns++)
		loop_turn(w.loop); /* which waits by itself */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(w.takes, 0);
	assert_true(turns < 50);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warned, "Too many open files"));
	WIRE_UNTIL(w.loop, w.takes == 1);
	close(fd);
	world_fini(&w);
}

/* By its own callback, in the middle of a batch, or from outside: who waits in the queue is handed over first, as far
 * as there is room. */
static void
freed(void **state)
{
	static const struct {
		const char *more;
		bool by_itself;
		unsigned before, takes;
	} cases[] = {
		{ "", false, 0, 3 },
		{ "", true, 0, 3 },
		{ "max_connections = 1", false, 1, 1 },
		{ "max_connections = 2", false, 0, 2 },
	};

	(void)state;
	for (unsigned k = 0; k < COUNT(cases); k++) {
		struct world w;
		int fd[3];

		world_init(&w, cases[k].more);
		w.frees = cases[k].by_itself;
		for (unsigned i = 0; i < COUNT(fd); i++)
			fd[i] = wire_connect(&w.listener->port[0]->addr.sa.v4);
		if (cases[k].by_itself || cases[k].before != 0)
			WIRE_UNTIL(w.loop, w.takes >= 1);
		acceptor_free(w.acceptor);
		w.acceptor = NULL;
		assert_int_equal(w.takes, cases[k].takes);
		wire_turns(w.loop, 5);
		assert_int_equal(w.takes, cases[k].takes);
		for (unsigned i = 0; i < COUNT(fd); i++)
			close(fd[i]);
		world_fini(&w);
	}
}

/* What comes meanwhile waits, also while it rests; freed then, it takes nothing. */
static void
paused(void **state)
{
	struct world w;
	int fd[3];

	(void)state;
	world_init(&w, "max_connections = 2");
	acceptor_pause(w.acceptor);
	fd[0] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	wire_turns(w.loop, 10);
	assert_int_equal(w.takes, 0);
	acceptor_resume(w.acceptor);
	acceptor_resume(w.acceptor);
	WIRE_UNTIL(w.loop, w.takes == 1);
	fd[1] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	fd[2] = wire_connect(&w.listener->port[0]->addr.sa.v4);
	WIRE_UNTIL(w.loop, w.takes == 2 && warnings == 1); /* it rests */
	acceptor_pause(w.acceptor);
	world_drop(&w);
	WIRE_UNTIL(w.loop, loop_patience_ms(w.loop) == -1); /* nor does its timer wake it */
	wire_turns(w.loop, 10);
	assert_int_equal(w.takes, 0);
	acceptor_free(w.acceptor);
	w.acceptor = NULL;
	wire_turn(w.loop);
	assert_int_equal(w.takes, 0);
	for (unsigned i = 0; i < COUNT(fd); i++)
		close(fd[i]);
	world_fini(&w);
}

/* From then on connections are another listener's. */
static void
aimed(void **state)
{
	struct world w, other;
	int fd;

	(void)state;
	world_init(&w, "");
	world_init(&other, "");
	acceptor_aim(w.acceptor, other.listener, &other);
	fd = wire_connect(&w.listener->port[0]->addr.sa.v4);
	WIRE_UNTIL(w.loop, other.takes == 1);
	assert_int_equal(w.takes, 0);
	assert_int_equal(listener_connections(w.listener), 0);
	assert_int_equal(listener_connections(other.listener), 1);
	close(fd);
	world_fini(&w);
	world_fini(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_all),
		cmocka_unit_test(lets_a_crowd_in),
		cmocka_unit_test(at_max_connections),
		cmocka_unit_test(without_descriptors),
		cmocka_unit_test(freed),
		cmocka_unit_test(paused),
		cmocka_unit_test(aimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
