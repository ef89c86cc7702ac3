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
#include "pool/health.h"
#include "run/admin.h"
#include "run/drainer.h"
#include "run/ending.h"
#include "run/notify.h"
#include "run/reload.h"
#include "run/upgrade.h"
#include "run/watchdog.h"

/* A hand-over waits for a reload to end. */
#define UPGRADE_RETRY_MS 50

struct control {
	struct daemon *daemon;
	struct event_base *base;
	struct mailbox *mailbox;
	struct event mail;
	struct event signal[5];
	struct event retry;		/* of an upgrade that waits for a reload */
	struct store_shared *heard;	/* whose changes we listen for; NULL: there is none */
	struct ending *ending;
	struct watchdog *watchdog;
	struct heritage *heritage;	/* NULL: we follow nobody */
	struct upgrade *upgrade;	/* NULL: none under way */
	unsigned pausing;		/* workers that have still to pause, or to go on */
	unsigned gone;			/* workers that have ended */
	bool started, stopping, failed;
	bool handed_over;		/* another process is the service now */
};

static void
control_finish(struct control *c)
{
	event_base_loopbreak(c->base);
}

/* ---- start ---- */

static void
on_failed_connects(void *arg, size_t number)
{
	struct control *c = arg;

	(void)number;
	if (c->daemon->health != NULL)
		health_look(c->daemon->health);
}

static void
on_gone(void *arg, size_t number)
{
	struct control *c = arg;

	(void)number;
	if (++c->gone == c->daemon->workers)
		control_finish(c);
}

/* A worker has done what was asked of all: it shows an edition, or takes no more connections. */
static void
on_shown(void *arg, size_t number)
{
	struct control *c = arg;

	(void)number;
	if (c->pausing == 0)
		reload_note_shown(c->daemon->reload);
	else if (--c->pausing == 0 && c->upgrade != NULL)
		upgrade_paused(c->upgrade);
}

/* A gateway's state. */
static void
on_changed(void *arg)
{
	struct control *c = arg;

	drainer_look(c->daemon->drainer);
}

/* One store at a time is listened to: what is said of others is of no edition in force. */
static void
control_hear(struct control *c, struct store_shared *sh)
{
	store_shared_deafen(c->heard);
	if (sh != NULL)
		store_shared_listen(sh, c->base);
	c->heard = sh;
}

/* Who hangs on pools goes over to the new ones. */
static void
on_adopted(void *arg)
{
	struct control *c = arg;
	struct daemon *d = c->daemon;

	health_update(d->health, d->edition->pool, d->edition->pools);
	if (d->edition->store != c->heard)
		control_hear(c, d->edition->store);
	drainer_look(d->drainer);
}

static void
on_mistake(void *arg, const char *line)
{
	(void)arg;
	log_error("%s", line);
}

static void
control_fail(struct control *c)
{
	c->failed = true;
	control_finish(c);
}

static void
control_start(struct control *c)
{
	struct daemon *d = c->daemon;
	const struct worker_events events = {
		.on_failed_connects = on_failed_connects, .on_shown = on_shown, .on_gone = on_gone, .arg = c,
	};

	c->started = daemon_start(d, c->mailbox, &events, on_mistake, NULL);
	if (!c->started) {
		log_error("the workers can't be started: %s", strerror(errno));
		ending_abort(c->ending);	/* some may run already */
		control_fail(c);
		return;
	}
	if (!daemon_begin_snapshots(d)) {
		log_error("the writer of snapshots can't be started: %s", strerror(errno));
		ending_abort(c->ending);
		control_fail(c);
		return;
	}
	if (c->heritage != NULL) {
		heritage_ready(c->heritage);
		admin_start(d->admin, c->base, d);
	}
	d->phase = DAEMON_RUNNING;
	log_notice("stickyd %s is ready: %u worker%s", PACKAGE_VERSION, d->workers, d->workers == 1 ? "" : "s");
	notify_ready();
	notify_status("%u workers, %zu pools", d->workers, d->edition->pools);
	reload_allow(d->reload);
}

static void
on_inherited(void *arg, bool good)
{
	struct control *c = arg;

	if (good)
		control_start(c);
	else
		control_fail(c);
}

static void
on_first_round(void *arg)
{
	struct control *c = arg;

	if (ending_is_under_way(c->ending))
		return;
	if (c->heritage != NULL)
		heritage_prepared(c->heritage, c->base, c->daemon, on_inherited, c);
	else
		control_start(c);
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

/* Nothing else is begun any more, and what can be called off is. */
static void
control_begin_to_end(struct control *c, const char *why)
{
	c->daemon->phase = DAEMON_STOPPING;
	reload_forbid(c->daemon->reload, why);
	upgrade_free(c->upgrade);
	c->upgrade = NULL;
}

static void
control_abort(struct control *c)
{
	control_begin_to_end(c, "the process is ending");
	if (c->started)
		ending_abort(c->ending);
	else
		control_finish(c);
}

static void
control_stop(struct control *c)
{
	c->stopping = true;
	control_begin_to_end(c, "the process is stopping");
	if (!c->handed_over)
		notify_stopping();
	ending_stop(c->ending);
	if (!c->started)
		control_finish(c);
}

/* ---- upgrade ---- */

static void
control_pause(void *arg)
{
	struct control *c = arg;

	c->pausing += c->daemon->workers;	/* some may still have to go on from the last one */
	for (unsigned i = 0; i < c->daemon->workers; i++)
		worker_pause(c->daemon->worker[i]);
}

static void
control_resume(void *arg)
{
	struct control *c = arg;

	upgrade_free(c->upgrade);
	c->upgrade = NULL;
	c->daemon->phase = DAEMON_RUNNING;
	c->pausing += c->daemon->workers;
	for (unsigned i = 0; i < c->daemon->workers; i++)
		worker_resume(c->daemon->worker[i]);
	reload_allow(c->daemon->reload);
}

/* What others find by a path is the new process's now. */
static void
control_hand_over(void *arg, pid_t successor)
{
	struct control *c = arg;

	upgrade_free(c->upgrade);
	c->upgrade = NULL;
	c->handed_over = true;
	c->daemon->phase = DAEMON_STOPPING;
	notify_successor(successor);
	watchdog_free(c->watchdog);
	c->watchdog = NULL;
	daemon_hand_over(c->daemon);
	ending_leave(c->ending);
}

static void
control_upgrade(struct control *c)
{
	const struct upgrade_events events = {
		.pause = control_pause, .resume = control_resume, .done = control_hand_over, .arg = c,
	};
	struct timeval soon = { .tv_usec = UPGRADE_RETRY_MS * 1000 };

	if (!c->started || ending_is_under_way(c->ending) || c->upgrade != NULL) {
		log_warn("USR2: no upgrade now: %s", c->upgrade != NULL ? "one is under way"
		    : c->started ? "the process is about to end" : "it has not started yet");
		return;
	}
	if (reload_is_under_way(c->daemon->reload)) {
		must(event_add(&c->retry, &soon) == 0);
		return;
	}
	reload_forbid(c->daemon->reload, "another process is about to take over");
	c->upgrade = upgrade_begin(c->daemon, c->base, &events);
	if (c->upgrade == NULL)
		reload_allow(c->daemon->reload);
	else
		c->daemon->phase = DAEMON_UPGRADING;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	control_upgrade(arg);
}

/* ---- signals ---- */

static void
on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct control *c = arg;

	(void)what;
	switch (signal) {
	case SIGTERM:
		if (!c->stopping)
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
		reload_request(c->daemon->reload, NULL, NULL);
		break;
	case SIGUSR2:
		control_upgrade(c);
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
add_decisions(const struct tally_view *v, const struct affinity *a, uint64_t sum[AFFINITY_OUTCOMES])
{
	for (size_t i = 0; i <= affinity_selectors(a); i++)
		for (unsigned o = 0; o < AFFINITY_OUTCOMES; o++)
			sum[o] += counter_read(&v->row[i]->outcome[o]);
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
		for (size_t pool = 0; pool < c->daemon->edition->pools; pool++)
			add_decisions(worker_tally(w, pool), c->daemon->edition->service[pool].affinity, affinity);
	}
	log_notice("stopped: %llu connections, %llu requests (%llu refused as malformed), %llu sessions; affinity: "
		   "%llu hit, %llu new, %llu reassigned, %llu invalid, %llu rejected",
	    (unsigned long long)connections, (unsigned long long)requests, (unsigned long long)bad_requests,
	    (unsigned long long)sessions, (unsigned long long)affinity[AFFINITY_HIT],
	    (unsigned long long)affinity[AFFINITY_NEW], (unsigned long long)affinity[AFFINITY_REASSIGNED],
	    (unsigned long long)affinity[AFFINITY_INVALID], (unsigned long long)affinity[AFFINITY_REJECTED]);
}

/* From the first look at the gateways to the end of the last worker. */
static void
control_live(struct control *c)
{
	struct daemon *d = c->daemon;

	c->watchdog = watchdog_new(c->base, d);
	if (c->heritage == NULL)	/* else operators still speak to the other one */
		admin_start(d->admin, c->base, d);
	control_hear(c, d->edition->store);
	d->health = health_new(c->base, d->edition->pool, d->edition->pools, on_first_round, c);
	health_on_change(d->health, on_changed, c);
	if (!c->failed)		/* with nobody to look at, the first round is over already */
		event_base_dispatch(c->base);
}

/* What waits by our base goes before it. */
static void
control_take_down(struct control *c)
{
	struct daemon *d = c->daemon;

	upgrade_free(c->upgrade);
	daemon_end_workers(d);
	reload_free(d->reload);
	drainer_free(d->drainer);
	control_hear(c, NULL);
	admin_free(d->admin);
	health_free(d->health);
	d->admin = NULL;
	d->main = NULL;
	d->reload = NULL;
	d->drainer = NULL;
	d->health = NULL;
	watchdog_free(c->watchdog);
	ending_free(c->ending);
	heritage_break_off(c->heritage);
	for (unsigned i = 0; i < COUNT(c->signal); i++)
		event_del(&c->signal[i]);
	event_del(&c->retry);
	event_del(&c->mail);
	mailbox_free(c->mailbox);
	event_base_free(c->base);
}

int
control_run(struct daemon *d, const struct conf_options *options, struct heritage *h)
{
	struct control c = { .daemon = d, .heritage = h };

	c.base = event_base_new();
	must(c.base != NULL);
	c.mailbox = mailbox_new();
	must(c.mailbox != NULL);
	must(event_assign(&c.mail, c.base, mailbox_fd(c.mailbox), EV_READ | EV_PERSIST, on_mail, &c) == 0);
	must(event_add(&c.mail, NULL) == 0);
	must(event_assign(&c.retry, c.base, -1, 0, on_retry, &c) == 0);
	control_watch_signals(&c);
	c.ending = ending_new(c.base, d);
	d->main = c.mailbox;
	d->reload = reload_new(d, options, c.mailbox, on_adopted, &c);
	d->drainer = drainer_new(c.base, d);
	c.failed = !writer_start(d->writer);
	if (c.failed)
		log_error("the log writer can't be started: %s", strerror(errno));
	else
		control_live(&c);
	if (c.started)
		control_say_counts(&c);
	control_take_down(&c);
	return c.failed ? 1 : 0;
}
