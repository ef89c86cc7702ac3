/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread: turns of the loop until it is to stop and nobody is left. */
#include "run/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/acceptor.h"
#include "log/access.h"

struct worker {
	struct worker_setup setup;
	pthread_t thread;
	bool started;
	struct loop *loop;
	struct mailbox *mailbox;
	struct watch mail;
	struct proxy *proxy;
	struct acceptor **acceptor;
	size_t acceptors;
	bool paused;
	struct writer_ring *ring;		/* made once, when an access log is first wanted */
	enum conf_log_format format;
	atomic_size_t sessions, connections;
	atomic_bool asked;			/* for a sign of life */

	/* the main thread's */
	struct list scenes;			/* that are not over */
	struct scene *next, *shown;
};

static void
worker_report(const struct worker *w, mailbox_fn *fn)
{
	mailbox_post(w->setup.main, fn, w->setup.events.arg, w->setup.proxy.number);
}

static void
on_record(void *arg, const struct record *r)
{
	struct worker *w = arg;
	char *line = writer_ring_reserve(w->ring, ACCESS_LINE);

	if (line != NULL)
		writer_ring_commit(w->ring, access_format(w->format, r, line));
}

static void
on_failed_connects(void *arg)
{
	struct worker *w = arg;

	worker_report(w, w->setup.events.on_failed_connects);
}

/* The main thread's end of it. */
static void
on_left(void *arg, size_t number)
{
	struct scene *s = arg;
	struct worker *w = s->proxy->arg;
	struct edition *e = s->setup.owner;

	(void)number;
	list_remove(&s->list);
	scene_free(s);
	w->setup.events.on_left(w->setup.events.left_arg, e);
}

static void
on_scene_over(void *arg, struct scene *s)
{
	struct worker *w = arg;

	mailbox_post(w->setup.main, on_left, s, w->setup.proxy.number);
}

static void
on_close_session(void *arg, size_t number)
{
	struct worker *w = arg;

	proxy_close_session(w->proxy, number);
}

static void
on_duplicate(void *arg, const struct holder *old)
{
	struct worker *w = arg, *its = w->setup.worker[old->worker];

	mailbox_post(its->mailbox, on_close_session, its, old->session);
}

static void
on_mail(struct watch *watch, uint32_t events)
{
	struct worker *w = CONTAINER(watch, struct worker, mail);

	(void)events;
	mailbox_deliver(w->mailbox);
}

struct worker *
worker_new(const struct worker_setup *setup)
{
	struct worker *w = mem_zalloc(sizeof *w);

	w->setup = *setup;
	list_init(&w->scenes);
	w->loop = loop_new();
	w->mailbox = mailbox_new();
	watch_init(&w->mail, on_mail);
	if (w->loop == NULL || w->mailbox == NULL ||
	    !loop_watch(w->loop, &w->mail, mailbox_fd(w->mailbox), EPOLLIN)) {
		worker_free(w);
		return NULL;
	}
	w->proxy = proxy_new(w->loop, &setup->proxy);
	w->proxy->on_failed_connects = on_failed_connects;
	w->proxy->on_duplicate = on_duplicate;
	w->proxy->on_scene_over = on_scene_over;
	w->proxy->arg = w;
	return w;
}

/* What it can't do itself, since it does not run yet or has ended, is done at once: whoever counts on it counts on
 * each worker. */
static void
worker_post(struct worker *w, mailbox_fn *fn, void *arg, size_t number)
{
	if (w->started)
		mailbox_post(w->mailbox, fn, arg, number);
	else
		fn(arg, number);
}

static void
worker_stop_accepting(struct worker *w)
{
	for (size_t i = 0; i < w->acceptors; i++)
		acceptor_free(w->acceptor[i]);		/* NULL is fine */
	w->acceptors = 0;
}

/* ---- what is shown ---- */

static struct acceptor *
worker_find_acceptor(const struct worker *w, const struct port *p)
{
	for (size_t i = 0; i < w->acceptors; i++)
		if (w->acceptor[i] != NULL && acceptor_port(w->acceptor[i]) == p)
			return w->acceptor[i];
	return NULL;
}

static void
worker_forget_acceptor(struct worker *w, const struct acceptor *a)
{
	for (size_t i = 0; i < w->acceptors; i++)
		if (w->acceptor[i] == a)
			w->acceptor[i] = NULL;
}

/* A port that was there before keeps its acceptor, whichever listener it belongs to now. */
static struct acceptor *
worker_accept_at(struct worker *w, struct port *p, struct listener *l, struct door *d)
{
	struct acceptor *a = worker_find_acceptor(w, p);

	if (a == NULL) {
		a = acceptor_new(w->loop, p, w->setup.proxy.number, l, proxy_accept, d);
		if (w->paused)
			acceptor_pause(a);
		return a;
	}
	worker_forget_acceptor(w, a);
	acceptor_aim(a, l, d);
	return a;
}

static void
worker_accept_all(struct worker *w, const struct scene *s)
{
	struct acceptor **acceptor;
	size_t ports = 0, n = 0;

	for (size_t i = 0; i < s->setup.listeners; i++)
		ports += s->setup.listener[i]->ports;
	acceptor = mem_zalloc((ports + 1) * sizeof(struct acceptor *));
	for (size_t i = 0; i < s->setup.listeners; i++)
		for (size_t k = 0; k < s->setup.listener[i]->ports; k++)
			acceptor[n++] =
			    worker_accept_at(w, s->setup.listener[i]->port[k], s->setup.listener[i], s->door[i]);
	worker_stop_accepting(w);
	free(w->acceptor);
	w->acceptor = acceptor;
	w->acceptors = n;
}

/* Ports that are no more first hand over what waits there, by doors that are still open. */
static void
worker_go_over(struct worker *w, struct scene *s)
{
	const struct edition *e = s->setup.owner;

	w->format = e->conf->log.format;
	w->proxy->on_record = w->ring != NULL && e->conf->log.access != CONF_LOG_OFF ? on_record : NULL;
	if (!w->proxy->stopping && !w->proxy->leaving)
		worker_accept_all(w, s);
	proxy_show(w->proxy, s);
}

static void
on_show(void *arg, size_t number)
{
	struct scene *s = arg;
	struct worker *w = s->proxy->arg;

	(void)number;
	worker_go_over(w, s);
	worker_report(w, w->setup.events.on_shown);
}

bool
worker_prepare(struct worker *w, struct edition *e)
{
	struct scene_setup setup = {
		.service = e->service, .services = e->pools, .listener = e->listener, .routes = e->routes,
		.listeners = e->listeners, .ring = e->ring, .store = e->store, .owner = e,
	};

	w->next = scene_new(w->proxy, &setup, w->shown);
	return w->next != NULL;
}

void
worker_discard(struct worker *w)
{
	scene_free(w->next);
	w->next = NULL;
}

void
worker_show(struct worker *w)
{
	struct scene *s = w->next;

	if (w->ring == NULL)
		w->ring = writer_ring_new(w->setup.writer);
	w->shown = s;
	w->next = NULL;
	list_add_tail(&w->scenes, &s->list);
	if (w->started)
		mailbox_post(w->mailbox, on_show, s, 0);
	else
		worker_go_over(w, s);
}

/* ---- the thread ---- */

/* The main thread's end of it: what came too late for it is done now. */
static void
on_over(void *arg, size_t number)
{
	struct worker *w = arg;

	worker_join(w);
	mailbox_deliver(w->mailbox);
	w->setup.events.on_gone(w->setup.events.arg, number);
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;

	while (!proxy_is_over(w->proxy)) {
		loop_turn(w->loop);
		atomic_store_explicit(&w->sessions, w->proxy->sessions.live, memory_order_relaxed);
		atomic_store_explicit(&w->connections, w->proxy->clients.live, memory_order_relaxed);
	}
	store_end(w->proxy->scene->tools.store);
	store_end_leaving(&w->proxy->leaving_stores);
	mailbox_post(w->setup.main, on_over, w, w->setup.proxy.number);
	return NULL;
}

bool
worker_start(struct worker *w)
{
	char name[16];
	sigset_t all, old;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	errno = pthread_create(&w->thread, NULL, worker_run, w);
	w->started = errno == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!w->started)
		return false;
	snprintf(name, sizeof name, "worker %u", w->setup.proxy.number);
	pthread_setname_np(w->thread, name);
	return true;
}

static void
worker_set_paused(struct worker *w, bool paused)
{
	w->paused = paused;
	for (size_t i = 0; i < w->acceptors; i++)
		if (paused)
			acceptor_pause(w->acceptor[i]);
		else
			acceptor_resume(w->acceptor[i]);
}

/* Who waits at a paused door waits for another process, which will not be: it is for us again. */
static void
on_stop(void *arg, size_t by_ms)
{
	struct worker *w = arg;

	if (w->paused)
		worker_set_paused(w, false);
	worker_stop_accepting(w);
	proxy_stop(w->proxy, by_ms);
}

static void
on_leave(void *arg, size_t by_ms)
{
	struct worker *w = arg;

	worker_stop_accepting(w);
	proxy_leave(w->proxy, by_ms);
}

void
worker_leave(struct worker *w, uint64_t by_ms)
{
	worker_post(w, on_leave, w, by_ms);
}

static void
on_close_sessions(void *arg, size_t n)
{
	struct worker *w = arg;

	proxy_close_sessions(w->proxy, n);
}

static void
on_abort(void *arg, size_t number)
{
	struct worker *w = arg;

	on_stop(arg, number);
	proxy_abort(w->proxy);
}

static void
on_pause(void *arg, size_t paused)
{
	struct worker *w = arg;

	worker_set_paused(w, paused != 0);
	worker_report(w, w->setup.events.on_shown);
}

void
worker_pause(struct worker *w)
{
	worker_post(w, on_pause, w, true);
}

void
worker_resume(struct worker *w)
{
	worker_post(w, on_pause, w, false);
}

static void
on_close_at(void *arg, size_t order)
{
	struct worker *w = arg;

	proxy_close_at(w->proxy, (struct closing_order *)order);
}

void
worker_close_at(struct worker *w, struct closing_order *order)
{
	worker_post(w, on_close_at, w, (size_t)order);
}

static void
on_list_sessions(void *arg, size_t query)
{
	struct worker *w = arg;

	proxy_list_sessions(w->proxy, (struct session_query *)query);
}

void
worker_list_sessions(struct worker *w, struct session_query *query)
{
	worker_post(w, on_list_sessions, w, (size_t)query);
}

void
worker_stop(struct worker *w, uint64_t by_ms)
{
	worker_post(w, on_stop, w, by_ms);
}

void
worker_close_sessions(struct worker *w, size_t n)
{
	worker_post(w, on_close_sessions, w, n);
}

void
worker_abort(struct worker *w)
{
	worker_post(w, on_abort, w, 0);
}

static void
on_ask(void *arg, size_t number)
{
	struct worker *w = arg;

	(void)number;
	atomic_store_explicit(&w->asked, false, memory_order_relaxed);
}

void
worker_ask(struct worker *w)
{
	atomic_store_explicit(&w->asked, true, memory_order_relaxed);
	worker_post(w, on_ask, w, 0);
}

bool
worker_answers(const struct worker *w)
{
	return !atomic_load_explicit(&w->asked, memory_order_relaxed);
}

size_t
worker_sessions(const struct worker *w)
{
	return atomic_load_explicit(&w->sessions, memory_order_relaxed);
}

size_t
worker_connections(const struct worker *w)
{
	return atomic_load_explicit(&w->connections, memory_order_relaxed);
}

const struct proxy_counts *
worker_counts(const struct worker *w)
{
	return &w->proxy->counts;
}

const struct meters *
worker_meters(const struct worker *w)
{
	return &w->proxy->meters;
}

const struct tally_view *
worker_tally(const struct worker *w, size_t pool)
{
	return &w->shown->tally[pool];
}

const struct loop_lag *
worker_lag(const struct worker *w)
{
	return loop_lag(w->loop);
}

uint64_t
worker_take_lag_peak(struct worker *w)
{
	return loop_lag_take_peak(loop_lag(w->loop));
}

void
worker_join(struct worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	must(!w->started);
	worker_stop_accepting(w);
	free(w->acceptor);
	worker_discard(w);
	if (w->proxy != NULL)
		proxy_show(w->proxy, NULL);
	if (w->loop != NULL)
		loop_reap_all(w->loop);
	LIST_EACH (at, after, &w->scenes)
		scene_free(LIST_ENTRY_OF(at, struct scene, list));
	mailbox_free(w->mailbox);
	proxy_free(w->proxy);
	loop_free(w->loop);
	free(w);
}
