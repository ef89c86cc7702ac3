/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's thread, told to pause and to end, and what is asked of one that runs no more. */
#include "run/worker.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "small_daemon.h"
#include "wire.h"

#define INI \
	"[global]\nuser =\nworkers = 1\n[listener l]\nbind = 127.0.0.1:0\npool = p\n" \
	"[pool p]\ncheck = none\nretries = 0\ngateway = gw 127.0.0.1:1\n"

struct world {
	struct daemon *daemon;
	struct mailbox *main;
	struct worker *worker;
	unsigned shown, gone, listed;
};

static void
on_failed_connects(void *arg, size_t number)
{
	(void)arg;
	(void)number;
}

static void
on_shown(void *arg, size_t number)
{
	assert_int_equal(number, 0);
	((struct world *)arg)->shown++;
}

static void
on_gone(void *arg, size_t number)
{
	assert_int_equal(number, 0);
	((struct world *)arg)->gone++;
}

static void
on_listed(struct session_query *q)
{
	((struct world *)q->arg)->listed++;
}

static void
no_log(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static void
world_init(struct world *w)
{
	const struct worker_events events = {
		.on_failed_connects = on_failed_connects, .on_shown = on_shown, .on_gone = on_gone, .arg = w,
	};

	log_to(no_log);
	*w = (struct world){ .daemon = small_daemon(INI), .main = mailbox_new() };
	w->daemon->writer = writer_new(&w->daemon->edition->conf->log, small_report, NULL);
	assert_non_null(w->daemon->writer);
	assert_true(daemon_start(w->daemon, w->main, &events, small_report, NULL));
	w->worker = w->daemon->worker[0];
}

static void
world_fini(struct world *w)
{
	daemon_end_workers(w->daemon);
	mailbox_free(w->main);
	small_daemon_free(w->daemon);
	log_to(NULL);
}

/* What the worker says is heard until this has happened so often. */
static void
world_hear(struct world *w, const unsigned *what, unsigned times)
{
	struct pollfd mail = { .fd = mailbox_fd(w->main), .events = POLLIN };

	while (*what < times) {
		assert_int_equal(poll(&mail, 1, WIRE_LIMIT_MS), 1);
		mailbox_deliver(w->main);
	}
	assert_int_equal(*what, times);
}

static void
assert_answered(int fd)
{
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	char bytes[4096];

	assert_int_equal(poll(&answer, 1, WIRE_LIMIT_MS), 1);
	assert_true(recv(fd, bytes, sizeof bytes, 0) > 12);
	assert_memory_equal(bytes, "HTTP/1.1 502", 12);
	close(fd);
}

/* Who came while it paused is served when it goes on, and when it stops as well. */
static void
at_a_paused_door(void **state)
{
	(void)state;
	for (unsigned stops = 0; stops < 2; stops++) {
		struct world w;
		int fd;

		world_init(&w);
		worker_pause(w.worker);
		world_hear(&w, &w.shown, 1);
		fd = wire_connect(&w.daemon->edition->listener[0]->port[0]->addr.sa.v4);
		wire_say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
		if (stops == 0)
			worker_resume(w.worker);
		else
			worker_stop(w.worker, clock_coarse_ms() + WIRE_LIMIT_MS);
		assert_answered(fd);
		if (stops == 0)
			worker_stop(w.worker, clock_coarse_ms() + WIRE_LIMIT_MS);
		world_hear(&w, &w.gone, 1);
		world_fini(&w);
	}
}

/* Whether it gets to it before its end, behind it, or has long gone: an order is done, a query answered. */
static void
behind_its_end(void **state)
{
	struct session_query *q[3];
	struct closing_order *o;
	struct world w;

	(void)state;
	world_init(&w);
	o = closing_new(small_gateway(w.daemon, 0, "gw"), NULL, END_DRAINED, 1, UINT64_MAX);
	for (unsigned i = 0; i < COUNT(q); i++) {
		q[i] = session_query_new(1);
		q[i]->done = on_listed;
		q[i]->arg = &w;
	}
	worker_list_sessions(w.worker, q[0]);
	worker_abort(w.worker);
	worker_list_sessions(w.worker, q[1]);
	worker_close_at(w.worker, closing_ref(o));
	worker_ask(w.worker);
	world_hear(&w, &w.gone, 1);
	assert_int_equal(w.listed, 2);
	assert_true(closing_is_done(o));
	assert_true(worker_answers(w.worker));
	worker_list_sessions(w.worker, q[2]);
	worker_close_at(w.worker, closing_ref(o));
	worker_ask(w.worker);
	assert_int_equal(w.listed, 3);
	assert_true(closing_is_done(o));
	assert_true(worker_answers(w.worker));
	for (unsigned i = 0; i < COUNT(q); i++)
		session_query_free(q[i]);
	closing_unref(o);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_a_paused_door),
		cmocka_unit_test(behind_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
