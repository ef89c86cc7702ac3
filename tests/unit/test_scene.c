/* SPDX-License-Identifier: BSD-2-Clause */
/* What a reload means to one worker's clients: doors that stay, doors that are no more, and when a scene is over. */
#include "proxy/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "net/acceptor.h"
#include "proxy/client.h"
#include "proxy/proxy.h"
#include "small_daemon.h"
#include "wire.h"

#define GLOBAL "[global]\nuser =\nworkers = 1\n"
#define DOOR(name, pool) "[listener " name "]\nbind = 127.0.0.1:0\npool = " pool "\n"
#define POOL(name) "[pool " name "]\ncheck = none\nretries = 0\ngateway = gw 127.0.0.1:1\n"
/* The one that stays comes second in the first and first in the second: nothing goes by its place. */
#define BEFORE GLOBAL DOOR("goes", "gone") DOOR("stays", "kept") POOL("kept") POOL("gone")
#define AFTER GLOBAL DOOR("stays", "kept") POOL("kept")
#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

struct world {
	struct loop *loop;
	struct daemon *before, *after;		/* only their editions are of interest */
	struct proxy *proxy;
	struct scene *first, *second;
	struct acceptor *acceptor[2];
	const struct scene *over;		/* the last that is */
};

static void
on_scene_over(void *arg, struct scene *s)
{
	((struct world *)arg)->over = s;
}

static void
no_log(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static struct scene *
world_scene(struct world *w, const struct daemon *d, const struct scene *before)
{
	const struct edition *e = d->edition;
	const struct scene_setup setup = {
		.service = e->service, .services = e->pools, .listener = e->listener, .routes = e->routes,
		.listeners = e->listeners, .ring = e->ring,
	};
	struct scene *s = scene_new(w->proxy, &setup, before);

	assert_non_null(s);
	return s;
}

static void
world_init(struct world *w)
{
	struct proxy_setup setup = { .number = 0 };

	log_to(no_log);
	*w = (struct world){ .loop = loop_new(), .before = small_daemon(BEFORE), .after = small_daemon(AFTER) };
	w->proxy = proxy_new(w->loop, &setup);
	w->proxy->on_scene_over = on_scene_over;
	w->proxy->arg = w;
	w->first = world_scene(w, w->before, NULL);
	proxy_show(w->proxy, w->first);
	assert_true(edition_listen(w->before->edition, small_report, NULL));
	for (unsigned i = 0; i < 2; i++)
		w->acceptor[i] = acceptor_new(w->loop, w->before->edition->listener[i]->port[0], 0,
		    w->before->edition->listener[i], proxy_accept, w->first->door[i]);
	w->second = world_scene(w, w->after, w->first);
}

static void
world_fini(struct world *w)
{
	WIRE_UNTIL(w->loop, list_is_empty(&w->proxy->client_list));
	for (unsigned i = 0; i < 2; i++)
		acceptor_free(w->acceptor[i]);
	proxy_stop(w->proxy, 0);
	loop_reap_all(w->loop);
	proxy_show(w->proxy, NULL);
	scene_free(w->first);
	scene_free(w->second);
	proxy_free(w->proxy);
	loop_free(w->loop);
	small_daemon_free(w->before);
	small_daemon_free(w->after);
	log_to(NULL);
}

/* A client of the listener at this place, which the worker has taken in. */
static int
world_connect(struct world *w, size_t listener)
{
	size_t before = w->proxy->clients.live;
	int fd = wire_connect(&w->before->edition->listener[listener]->port[0]->addr.sa.v4);

	WIRE_UNTIL(w->loop, w->proxy->clients.live == before + 1);
	return fd;
}

/* All that comes is this, from its beginning, and then the end. */
static void
assert_last_answer(struct world *w, int fd, const char *begins)
{
	struct wire_got got = { .n = 0 };

	WIRE_UNTIL_DOING(w->loop, wire_take(fd, &got, SIZE_MAX), got.ended);
	assert_true(got.n > strlen(begins));
	assert_memory_equal(got.p, begins, strlen(begins));
	assert_non_null(memmem(got.p, got.n, "Connection: close\r\n", 19));
	wire_got_free(&got);
	close(fd);
}

static uint64_t
answered(const struct tally_view *v)
{
	uint64_t n = 0, outcome[AFFINITY_OUTCOMES] = { 0 };

	tally_add(v->tally, outcome);
	for (unsigned i = 0; i < AFFINITY_OUTCOMES; i++)
		n += outcome[i];
	return n;
}

/* Whose head came half before and half behind the change is served by the routes that it came in by, and counted
 * there. */
static void
half_a_head(void **state)
{
	struct tally_view gone;
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	gone = w.first->tally[1];
	fd = world_connect(&w, 0);
	wire_say(fd, "GET / HTTP/1.1\r\nHo");
	wire_turns(w.loop, 3);
	proxy_show(w.proxy, w.second);
	assert_null(w.over);
	wire_say(fd, "st: h\r\n\r\n");
	assert_last_answer(&w, fd, "HTTP/1.1 502");
	assert_int_equal(answered(&gone), 1);
	assert_int_equal(answered(&w.second->tally[0]), 0);
	WIRE_UNTIL(w.loop, w.over == w.first);
	world_fini(&w);
}

/* Its first request is on the way. */
static void
just_connected(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	fd = world_connect(&w, 0);
	proxy_show(w.proxy, w.second);
	wire_turns(w.loop, 3);
	wire_say(fd, GET);
	assert_last_answer(&w, fd, "HTTP/1.1 502");
	WIRE_UNTIL(w.loop, w.over == w.first);
	world_fini(&w);
}

/* Who says nothing is not waited for, and who is between two requests is not either. */
static void
silent(void **state)
{
	struct wire_got got = { .n = 0 };
	struct world w;
	int fd[2];

	(void)state;
	world_init(&w);
	fd[0] = world_connect(&w, 0);
	fd[1] = world_connect(&w, 0);
	wire_say(fd[1], GET);
	WIRE_UNTIL_DOING(w.loop, wire_take(fd[1], &got, SIZE_MAX), got.n != 0);
	proxy_show(w.proxy, w.second);
	for (unsigned i = 0; i < 2; i++) {
		WIRE_UNTIL_DOING(w.loop, wire_take(fd[i], &got, SIZE_MAX), got.ended);
		wire_got_free(&got);
		got = (struct wire_got){ .n = 0 };
		close(fd[i]);
	}
	WIRE_UNTIL(w.loop, w.over == w.first);
	world_fini(&w);
}

/* By name; its clients go on, by the new listener's settings. The old scene is over at once: nobody is in it. */
static void
a_door_that_stays(void **state)
{
	struct wire_got got = { .n = 0 };
	struct world w;
	struct door *d;
	int fd;

	(void)state;
	world_init(&w);
	d = w.first->door[1];
	assert_ptr_equal(w.second->door[0], d);
	fd = world_connect(&w, 1);
	proxy_show(w.proxy, w.second);
	assert_ptr_equal(w.over, w.first);
	assert_ptr_equal(d->scene, w.second);
	assert_ptr_equal(d->listener, w.after->edition->listener[0]);
	assert_false(d->retired);
	for (unsigned i = 1; i <= 2; i++) {
		got.n = 0;
		wire_say(fd, GET);
		WIRE_UNTIL_DOING(w.loop, wire_take(fd, &got, SIZE_MAX), got.n != 0);
		assert_false(got.ended);
		assert_int_equal(answered(&w.second->tally[0]), i);
	}
	wire_got_free(&got);
	close(fd);
	world_fini(&w);
}

/* As when a reload comes too late: what was made for it goes, what is shown stays. */
static void
never_shown(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	scene_free(w.second);
	w.second = NULL;
	assert_ptr_equal(w.first->door[1]->scene, w.first);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_a_head),
		cmocka_unit_test(just_connected),
		cmocka_unit_test(silent),
		cmocka_unit_test(a_door_that_stays),
		cmocka_unit_test(never_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
