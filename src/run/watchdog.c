/* SPDX-License-Identifier: BSD-2-Clause */
/* Three tellings in the time allowed, so that one may come late. */
#include "run/watchdog.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/notify.h"

#define WATCHDOG_TELLINGS 3

struct watchdog {
	struct daemon *daemon;
	struct event tick;
	bool silent;		/* it has been said that a worker hangs */
};

/* A worker that was asked at the last tick has had the time until now. */
static bool
all_alive(struct watchdog *w)
{
	bool good = true;

	for (unsigned i = 0; i < w->daemon->workers; i++) {
		if (worker_answers(w->daemon->worker[i])) {
			worker_ask(w->daemon->worker[i]);
			continue;
		}
		good = false;
		if (!w->silent)
			log_error("worker %u hangs: the service manager is told nothing until it goes on", i);
	}
	return good;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct watchdog *w = arg;
	bool good = all_alive(w);

	(void)fd;
	(void)what;
	w->silent = !good;
	if (good)
		notify_alive();
}

struct watchdog *
watchdog_new(struct event_base *base, struct daemon *d)
{
	uint64_t us = notify_watchdog_us() / WATCHDOG_TELLINGS;
	struct timeval every = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
	struct watchdog *w;

	if (us == 0)
		return NULL;
	w = mem_zalloc(sizeof *w);
	w->daemon = d;
	must(event_assign(&w->tick, base, -1, EV_PERSIST, on_tick, w) == 0);
	must(event_add(&w->tick, &every) == 0);
	return w;
}

void
watchdog_free(struct watchdog *w)
{
	if (w == NULL)
		return;
	event_del(&w->tick);
	free(w);
}
