/* SPDX-License-Identifier: BSD-2-Clause */
/* accept4 in small batches, and what to do when it fails. */
#include "net/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCEPTOR_MAGIC 0xacce9704

/* Others have their turn after so many; the level-triggered event comes again. */
#define ACCEPT_BATCH 64
/* How long to rest when nothing more can be taken: long enough not to spin, short enough not to be felt as an
 * outage. */
#define ACCEPT_REST_MS 100
#define ACCEPT_SAY_MS 10000

struct acceptor {
	uint32_t magic;
	int fd;
	struct loop *loop;
	struct listener *listener;
	acceptor_fn *fn;
	void *arg;
	struct watch watch;
	struct timer rest;
	bool resting;
	struct reap reap;
};

/* Level-triggered: what is not taken in one batch comes again. The kernel may have no memory for it just now. */
static void
acceptor_wake(struct acceptor *a)
{
	a->resting = !loop_watch(a->loop, &a->watch, a->fd, EPOLLIN);
	if (a->resting)
		loop_timer_by(a->loop, &a->rest, loop_now_ms(a->loop) + ACCEPT_REST_MS);
}

static void
on_rested(struct timer *t, uint64_t now_ms)
{
	struct acceptor *a = CONTAINER(t, struct acceptor, rest);

	(void)now_ms;
	ALIVE(a, ACCEPTOR_MAGIC);
	acceptor_wake(a);
}

/* All workers meet the same limit at once: one of them says it. */
static void
acceptor_rest(struct acceptor *a, const char *why)
{
	uint64_t now = loop_now_ms(a->loop);
	unsigned long long said = atomic_load(&a->listener->full_said_ms);

	loop_unwatch(a->loop, &a->watch, a->fd);
	a->resting = true;
	loop_timer_by(a->loop, &a->rest, now + ACCEPT_REST_MS);
	if ((said == 0 || now - said >= ACCEPT_SAY_MS) &&
	    atomic_compare_exchange_strong(&a->listener->full_said_ms, &said, now))
		log_warn("listener %s: %s: new connections wait (%u are open)", a->listener->conf->name, why,
		    atomic_load(&a->listener->connections));
}

/* The connection itself failed before we took it, which is its own affair (accept(2)). */
static bool
is_the_peers(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	}
	return false;
}

/* False: no more for now. */
static bool
acceptor_take(struct acceptor *a)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr peer;
	int fd;

	if (atomic_load_explicit(&a->listener->connections, memory_order_relaxed) >=
	    a->listener->conf->max_connections) {
		acceptor_rest(a, "max_connections reached");
		return false;
	}
	fd = accept4(a->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EAGAIN)
			return false;
		if (is_the_peers(errno))
			return true;
		acceptor_rest(a, strerror(errno));
		return false;
	}
	atomic_fetch_add_explicit(&a->listener->connections, 1, memory_order_relaxed);
	addr_from_sockaddr(&peer, (struct sockaddr *)&sa, len);
	a->fn(a->arg, a->listener, fd, &peer);
	return true;
}

static void
on_acceptable(struct watch *w, uint32_t events)
{
	struct acceptor *a = CONTAINER(w, struct acceptor, watch);

	(void)events;
	ALIVE(a, ACCEPTOR_MAGIC);
	for (unsigned i = 0; i < ACCEPT_BATCH && a->fd != -1; i++)
		if (!acceptor_take(a))
			return;
}

struct acceptor *
acceptor_new(struct loop *loop, struct listener *l, size_t bind, unsigned worker, acceptor_fn *fn, void *arg)
{
	struct acceptor *a = mem_zalloc(sizeof *a);

	a->magic = ACCEPTOR_MAGIC;
	a->fd = l->bind[bind].fd[worker];
	l->bind[bind].fd[worker] = -1;
	a->loop = loop;
	a->listener = l;
	a->fn = fn;
	a->arg = arg;
	timer_init(&a->rest, on_rested);
	watch_init(&a->watch, on_acceptable);
	acceptor_wake(a);
	return a;
}

static void
acceptor_reaped(struct reap *r)
{
	free(CONTAINER(r, struct acceptor, reap));
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	if (!a->resting)
		loop_unwatch(a->loop, &a->watch, a->fd);
	timer_cancel(&a->rest);
	close(a->fd);
	a->fd = -1;
	loop_reap(a->loop, &a->reap, acceptor_reaped);
}
