/* SPDX-License-Identifier: BSD-2-Clause */
/* The main thread's loop: it starts the workers when the gateways' first verdicts are in, and ends them in good
 * order. */
#include "run/control.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/value.h"
#include "pool/health.h"
#include "run/admin.h"
#include "run/notify.h"

/* While stopping: how often sessions are closed, at least how many a second, and what part of the grace the spreading
 * takes, so that the last ones have time to say goodbye. */
#define STOP_TICK_MS 100
#define STOP_LEAST_PER_S 200
#define STOP_SPREAD_OF_GRACE 3 / 4

struct control {
	struct daemon *daemon;
	struct event_base *base;
	struct mailbox *mailbox;
	struct event mail;
	struct health *health;
	struct event signal[5];
	struct event stop_tick;
	uint64_t stop_by_ms;		/* 0: not stopping */
	size_t stop_batch;		/* sessions to close in each tick, all workers together */
	unsigned gone;			/* workers that have ended */
	bool started, failed;
};

static void
control_finish(struct control *c)
{
	event_base_loopbreak(c->base);
}

/* ---- start ---- */

static void
control_each_worker(struct control *c, void (*fn)(struct worker *w))
{
	for (unsigned i = 0; i < c->daemon->workers; i++)
		fn(c->daemon->worker[i]);
}

static void
on_failed_connects(void *arg, size_t number)
{
	struct control *c = arg;

	(void)number;
	if (c->health != NULL)
		health_look(c->health);
}

static void
on_gone(void *arg, size_t number)
{
	struct control *c = arg;

	(void)number;
	if (++c->gone == c->daemon->workers)
		control_finish(c);
}

static void
on_first_round(void *arg)
{
	struct control *c = arg;
	struct daemon *d = c->daemon;

	if (c->stop_by_ms != 0)
		return;
	c->started = daemon_start(d, c->mailbox, on_failed_connects, on_gone, c);
	if (!c->started) {
		log_error("the workers can't be started: %s", strerror(errno));
		c->failed = true;
		control_each_worker(c, worker_abort);	/* some may run already */
		control_finish(c);
		return;
	}
	log_notice("stickyd %s is ready: %u worker%s", PACKAGE_VERSION, d->workers, d->workers == 1 ? "" : "s");
	notify_ready();
}

static void
on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	mailbox_deliver(c->mailbox);
}

/* ---- stop ---- */

static size_t
control_sessions(const struct control *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->daemon->workers; i++)
		n += worker_sessions(c->daemon->worker[i]);
	return n;
}

/* Each worker closes its share: what a worker has, of what all have. */
static void
control_close_batch(struct control *c)
{
	size_t all = control_sessions(c);

	for (unsigned i = 0; i < c->daemon->workers && all != 0; i++) {
		size_t its = worker_sessions(c->daemon->worker[i]);

		if (its != 0)
			worker_close_sessions(c->daemon->worker[i], (its * c->stop_batch + all - 1) / all);
	}
}

static void
on_stop_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	if (clock_coarse_ms() < c->stop_by_ms) {
		control_close_batch(c);
		return;
	}
	event_del(&c->stop_tick);
	log_notice("shutdown_grace is over: %zu sessions are ended", control_sessions(c));
	control_each_worker(c, worker_abort);
}

static void
control_abort(struct control *c)
{
	event_del(&c->stop_tick);
	if (c->started)
		control_each_worker(c, worker_abort);
	else
		control_finish(c);
}

static void
control_stop(struct control *c)
{
	uint64_t grace_ms = c->daemon->conf->global.shutdown_grace_ms, ticks;
	struct timeval every = { .tv_usec = STOP_TICK_MS * 1000 };
	char within[VALUE_TIME_TEXT];
	size_t sessions;

	c->stop_by_ms = clock_coarse_ms() + grace_ms;
	notify_stopping();
	if (!c->started) {
		control_finish(c);
		return;
	}
	sessions = control_sessions(c);
	ticks = grace_ms * STOP_SPREAD_OF_GRACE / STOP_TICK_MS;
	c->stop_batch = sessions / (size_t)(ticks != 0 ? ticks : 1) + 1;
	if (c->stop_batch < STOP_LEAST_PER_S * STOP_TICK_MS / 1000)
		c->stop_batch = STOP_LEAST_PER_S * STOP_TICK_MS / 1000;
	log_notice("stopping: %zu sessions, within %s", sessions, value_time_text(grace_ms, within));
	for (unsigned i = 0; i < c->daemon->workers; i++)
		worker_stop(c->daemon->worker[i], c->stop_by_ms);
	control_close_batch(c);
	must(event_add(&c->stop_tick, &every) == 0);
}

/* ---- signals ---- */

static void
on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct control *c = arg;

	(void)what;
	switch (signal) {
	case SIGTERM:
		if (c->stop_by_ms == 0)
			control_stop(c);
		else
			control_abort(c);
		break;
	case SIGINT:
		log_notice("interrupted: ending at once");
		control_abort(c);
		break;
	case SIGUSR1:
		log_notice("reopening the logs");
		writer_reopen(c->daemon->writer);
		break;
	case SIGHUP:
		log_warn("HUP: this version can't reload its configuration: restart to change it");
		break;
	case SIGUSR2:
		log_warn("USR2: this version can't hand over to a new binary: restart to change it");
		break;
	}
}

static void
control_watch_signals(struct control *c)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGUSR2 };

	for (unsigned i = 0; i < COUNT(signals); i++) {
		signal(signals[i], SIG_IGN);	/* in force again when we no longer watch: then one more is no news */
		must(evsignal_assign(&c->signal[i], c->base, signals[i], on_signal, c) == 0);
		must(evsignal_add(&c->signal[i], NULL) == 0);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a log or a snapshot that may grow no further costs no session */
}

/* All selectors together. */
static void
add_decisions(const struct proxy_tally *t, const struct affinity *a, uint64_t sum[AFFINITY_OUTCOMES])
{
	size_t n = (affinity_selectors(a) + 1) * AFFINITY_OUTCOMES;

	for (size_t i = 0; i < n; i++)
		sum[i % AFFINITY_OUTCOMES] += counter_read(&t->decided[i]);
}

static void
control_say_counts(const struct control *c)
{
	uint64_t connections = 0, requests = 0, sessions = 0, bad_requests = 0, affinity[AFFINITY_OUTCOMES] = { 0 };

	for (unsigned i = 0; i < c->daemon->workers; i++) {
		const struct worker *w = c->daemon->worker[i];
		const struct proxy_counts *counts = worker_counts(w);

		connections += counter_read(&counts->connections);
		requests += counter_read(&counts->requests);
		sessions += counter_read(&counts->sessions);
		bad_requests += counter_read(&counts->bad_requests);
		for (size_t pool = 0; pool < c->daemon->pools; pool++)
			add_decisions(worker_tally(w, pool), c->daemon->service[pool].affinity, affinity);
	}
	log_notice("stopped: %llu connections, %llu requests (%llu refused as malformed), %llu sessions; affinity: "
		   "%llu hit, %llu new, %llu reassigned, %llu invalid, %llu rejected",
	    (unsigned long long)connections, (unsigned long long)requests, (unsigned long long)bad_requests,
	    (unsigned long long)sessions, (unsigned long long)affinity[AFFINITY_HIT],
	    (unsigned long long)affinity[AFFINITY_NEW], (unsigned long long)affinity[AFFINITY_REASSIGNED],
	    (unsigned long long)affinity[AFFINITY_INVALID], (unsigned long long)affinity[AFFINITY_REJECTED]);
}

/* Those that nobody but the main thread deals with. */
static bool
control_start_threads(struct daemon *d)
{
	if (!writer_start(d->writer)) {
		log_error("the log writer can't be started: %s", strerror(errno));
		return false;
	}
	if (!daemon_begin_snapshots(d)) {
		log_error("the writer of snapshots can't be started: %s", strerror(errno));
		return false;
	}
	return true;
}

int
control_run(struct daemon *d)
{
	struct control c = { .daemon = d };

	c.base = event_base_new();
	must(c.base != NULL);
	c.mailbox = mailbox_new();
	must(c.mailbox != NULL);
	must(event_assign(&c.mail, c.base, mailbox_fd(c.mailbox), EV_READ | EV_PERSIST, on_mail, &c) == 0);
	must(event_add(&c.mail, NULL) == 0);
	must(event_assign(&c.stop_tick, c.base, -1, EV_PERSIST, on_stop_tick, &c) == 0);
	control_watch_signals(&c);
	c.failed = !control_start_threads(d);
	if (!c.failed)
		admin_start(d->admin, c.base, d);
	if (!c.failed && d->store != NULL)
		store_shared_listen(d->store, c.base);
	if (!c.failed)
		c.health = health_new(c.base, d->pool, d->pools, on_first_round, &c);
	if (!c.failed)
		event_base_dispatch(c.base);
	if (c.started)
		control_say_counts(&c);
	daemon_end_workers(d);
	store_shared_deafen(d->store);
	admin_free(d->admin);		/* it waits by our base */
	d->admin = NULL;
	health_free(c.health);
	for (unsigned i = 0; i < COUNT(c.signal); i++)
		event_del(&c.signal[i]);
	event_del(&c.stop_tick);
	event_del(&c.mail);
	mailbox_free(c.mailbox);
	event_base_free(c.base);
	return c.failed ? 1 : 0;
}
