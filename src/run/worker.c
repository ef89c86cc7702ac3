/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread: turns of the loop until it is to stop and nobody is left. */
#include "run/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/acceptor.h"
#include "run/access.h"

struct worker {
	struct worker_setup setup;
	pthread_t thread;
	bool started;
	struct loop *loop;
	struct mailbox *mailbox;
	struct watch mail;
	struct proxy *proxy;
	struct writer_ring *ring;	/* NULL: no access log */
	struct door *door;		/* one for each listener */
	struct acceptor **acceptor;
	size_t acceptors;
	atomic_size_t sessions;
};

static void
on_record(void *arg, const struct record *r)
{
	struct worker *w = arg;
	char *line = writer_ring_reserve(w->ring, ACCESS_LINE);

	if (line != NULL)
		writer_ring_commit(w->ring, access_format(w->setup.format, r, line));
}

static void
on_failed_connects(void *arg)
{
	struct worker *w = arg;

	mailbox_post(w->setup.main, w->setup.on_failed_connects, w->setup.arg, w->setup.proxy.number);
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
worker_accept_all(struct worker *w)
{
	size_t binds = 0;

	for (size_t i = 0; i < w->setup.listeners; i++)
		binds += w->setup.listener[i]->binds;
	w->acceptor = mem_zalloc((binds + 1) * sizeof(struct acceptor *));
	for (size_t i = 0; i < w->setup.listeners; i++) {
		struct listener *l = w->setup.listener[i];

		for (size_t b = 0; b < l->binds; b++)
			w->acceptor[w->acceptors++] =
			    acceptor_new(w->loop, l, b, w->setup.proxy.number, proxy_accept, &w->door[i]);
	}
}

static bool
worker_open_doors(struct worker *w)
{
	w->door = mem_zalloc((w->setup.listeners + 1) * sizeof *w->door);
	for (size_t i = 0; i < w->setup.listeners; i++) {
		struct door *d = &w->door[i];

		*d = (struct door){
			.proxy = w->proxy, .listener = w->setup.listener[i], .routes = w->setup.routes[i],
		};
		if (d->listener->tls == NULL)
			continue;
		d->tls = tls_context_new(d->listener->tls);
		if (d->tls == NULL)
			return false;
	}
	return true;
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
	w->loop = loop_new();
	w->mailbox = mailbox_new();
	watch_init(&w->mail, on_mail);
	if (w->loop == NULL || w->mailbox == NULL ||
	    !loop_watch(w->loop, &w->mail, mailbox_fd(w->mailbox), EPOLLIN)) {
		worker_free(w);
		return NULL;
	}
	w->proxy = proxy_new(w->loop, &setup->proxy);
	w->ring = writer_ring_new(setup->writer);
	w->proxy->on_record = w->ring != NULL ? on_record : NULL;
	w->proxy->on_failed_connects = on_failed_connects;
	w->proxy->on_duplicate = on_duplicate;
	w->proxy->arg = w;
	if (!worker_open_doors(w)) {
		worker_free(w);
		return NULL;
	}
	return w;
}

static void
worker_stop_accepting(struct worker *w)
{
	for (size_t i = 0; i < w->acceptors; i++)
		acceptor_free(w->acceptor[i]);
	w->acceptors = 0;
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;

	worker_accept_all(w);
	while (!w->proxy->stopping || !list_is_empty(&w->proxy->client_list)) {
		loop_turn(w->loop);
		atomic_store_explicit(&w->sessions, w->proxy->sessions.live, memory_order_relaxed);
	}
	store_end(w->proxy->tools.store);
	mailbox_post(w->setup.main, w->setup.on_gone, w->setup.arg, w->setup.proxy.number);
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
	w->started = pthread_create(&w->thread, NULL, worker_run, w) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!w->started)
		return false;
	snprintf(name, sizeof name, "worker %u", w->setup.proxy.number);
	pthread_setname_np(w->thread, name);
	return true;
}

static void
on_stop(void *arg, size_t by_ms)
{
	struct worker *w = arg;

	worker_stop_accepting(w);
	proxy_stop(w->proxy, by_ms);
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

void
worker_stop(struct worker *w, uint64_t by_ms)
{
	mailbox_post(w->mailbox, on_stop, w, by_ms);
}

void
worker_close_sessions(struct worker *w, size_t n)
{
	mailbox_post(w->mailbox, on_close_sessions, w, n);
}

void
worker_abort(struct worker *w)
{
	mailbox_post(w->mailbox, on_abort, w, 0);
}

size_t
worker_sessions(const struct worker *w)
{
	return atomic_load_explicit(&w->sessions, memory_order_relaxed);
}

const struct proxy_counts *
worker_counts(const struct worker *w)
{
	return &w->proxy->counts;
}

const struct proxy_tally *
worker_tally(const struct worker *w, size_t pool)
{
	return &w->proxy->tally[pool];
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
	mailbox_free(w->mailbox);
	if (w->loop != NULL)
		loop_reap_all(w->loop);
	proxy_free(w->proxy);
	loop_free(w->loop);
	for (size_t i = 0; w->door != NULL && i < w->setup.listeners; i++)
		tls_context_free(w->door[i].tls);
	free(w->door);
	free(w);
}
