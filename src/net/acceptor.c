/* SPDX-License-Identifier: BSD-2-Clause */
/* accept4 in small batches, and what to do when it fails. */
#include "net/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCEPTOR_MAGIC 0xacce9704

/* Others have their turn after so many; the level-triggered event comes again. Of a socket that workers share each
 * takes little, so that they share what comes. */
#define ACCEPT_BATCH 64
#define ACCEPT_BATCH_SHARED 4
/* How long to rest when nothing more can be taken: long enough not to spin, short enough not to be felt as an
 * outage. */
#define ACCEPT_REST_MS 100
#define ACCEPT_SAY_MS 10000
#define ACCEPT_LAST_MS 5

enum acceptor_state {
	ACCEPTOR_OPEN,
	ACCEPTOR_RESTING,		/* until the timer */
	ACCEPTOR_PAUSED,
	ACCEPTOR_CLOSING,
};

struct acceptor_socket {
	struct watch watch;
	struct acceptor *acceptor;
	unsigned number;		/* of the port's sockets */
	unsigned expected;		/* how many are taken without knowing that there are so many */
	uint64_t turn;			/* the loop's, in which that many were there; 0: there were fewer */
	bool is_watched;
};

struct acceptor {
	uint32_t magic;
	enum acceptor_state state;
	struct loop *loop;
	struct port *port;
	struct listener *listener;
	acceptor_fn *fn;
	void *arg;
	struct timer rest;
	struct reap reap;
	unsigned batch;
	unsigned sockets;
	struct acceptor_socket socket[];
};

static int
socket_fd(const struct acceptor_socket *s)
{
	return s->acceptor->port->socket[s->number].fd;
}

/* Level-triggered: what is not taken in one batch comes again. A shared socket wakes one of those who wait for it.
 * False: the kernel has no memory for it just now. */
static bool
socket_watch(struct acceptor_socket *s)
{
	const struct acceptor *a = s->acceptor;
	uint32_t events = EPOLLIN | (port_is_shared(a->port) ? EPOLLEXCLUSIVE : 0);

	if (!s->is_watched)
		s->is_watched = loop_watch(a->loop, &s->watch, socket_fd(s), events);
	return s->is_watched;
}

static void
socket_unwatch(struct acceptor_socket *s)
{
	if (s->is_watched)
		loop_unwatch(s->acceptor->loop, &s->watch, socket_fd(s));
	s->is_watched = false;
}

static void
acceptor_halt(struct acceptor *a, enum acceptor_state state)
{
	for (unsigned i = 0; i < a->sockets; i++)
		socket_unwatch(&a->socket[i]);
	timer_cancel(&a->rest);
	a->state = state;
	if (state == ACCEPTOR_RESTING)
		loop_timer_by(a->loop, &a->rest, loop_now_ms(a->loop) + ACCEPT_REST_MS);
}

static void
acceptor_wake(struct acceptor *a)
{
	bool good = true;

	for (unsigned i = 0; i < a->sockets; i++)
		good = socket_watch(&a->socket[i]) && good;
	if (good)
		a->state = ACCEPTOR_OPEN;
	else
		acceptor_halt(a, ACCEPTOR_RESTING);
}

static void
on_rested(struct timer *t, uint64_t now_ms)
{
	struct acceptor *a = CONTAINER(t, struct acceptor, rest);

	(void)now_ms;
	ALIVE(a, ACCEPTOR_MAGIC);
	acceptor_wake(a);
}

/* All workers meet the same limit at once: one of them says it. Who is closing can't wait for better times. */
static void
acceptor_rest(struct acceptor *a, const char *why)
{
	uint64_t now = loop_now_ms(a->loop);
	atomic_ullong *said_ms = &a->listener->guests->full_said_ms;
	unsigned long long said = atomic_load(said_ms);

	if (a->state != ACCEPTOR_CLOSING)
		acceptor_halt(a, ACCEPTOR_RESTING);
	if ((said == 0 || now - said >= ACCEPT_SAY_MS) && atomic_compare_exchange_strong(said_ms, &said, now))
		log_warn("listener %s: %s: new connections wait (%u are open)", a->listener->conf->name, why,
		    listener_connections(a->listener));
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
acceptor_take(struct acceptor *a, const struct acceptor_socket *from)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr peer;
	int fd;

	if (listener_connections(a->listener) >= a->listener->conf->max_connections) {
		acceptor_rest(a, "max_connections reached");
		return false;
	}
	fd = accept4(socket_fd(from), (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EAGAIN)
			return false;
		if (is_the_peers(errno))
			return true;
		acceptor_rest(a, strerror(errno));
		return false;
	}
	listener_note_come(a->listener);
	addr_from_sockaddr(&peer, (struct sockaddr *)&sa, len);
	a->fn(a->arg, a->listener, fd, &peer);
	return true;
}

/* An accept that finds nobody costs more than most calls, since the kernel makes a socket first. So it is left to the
 * event, which comes again, to say that there is one more; where they queue, twice as many are taken each turn. */
static void
socket_expect(struct acceptor_socket *s)
{
	const struct acceptor *a = s->acceptor;

	if (s->turn == 0 || s->turn + 1 != a->loop->turn)
		return;
	s->expected = s->expected < a->batch / 2 ? s->expected * 2 : a->batch;
}

static void
socket_note_taken(struct acceptor_socket *s, unsigned taken)
{
	s->turn = taken == s->expected ? s->acceptor->loop->turn : 0;
	s->expected = taken != 0 ? taken : 1;
}

static void
on_acceptable(struct watch *w, uint32_t events)
{
	struct acceptor_socket *s = CONTAINER(w, struct acceptor_socket, watch);
	struct acceptor *a = s->acceptor;
	unsigned taken = 0;

	(void)events;
	ALIVE(a, ACCEPTOR_MAGIC);
	socket_expect(s);
	while (taken < s->expected && a->state == ACCEPTOR_OPEN && acceptor_take(a, s))
		taken++;
	socket_note_taken(s, taken);
}

struct acceptor *
acceptor_new(struct loop *loop, struct port *p, unsigned worker, struct listener *l, acceptor_fn *fn, void *arg)
{
	unsigned n = port_share(p, worker);
	struct acceptor *a = mem_zalloc(sizeof *a + n * sizeof a->socket[0]);

	a->magic = ACCEPTOR_MAGIC;
	a->loop = loop;
	a->port = port_ref(p);
	a->listener = l;
	a->fn = fn;
	a->arg = arg;
	a->batch = port_is_shared(p) ? ACCEPT_BATCH_SHARED : ACCEPT_BATCH;
	timer_init(&a->rest, on_rested);
	for (; a->sockets < n; a->sockets++) {
		struct acceptor_socket *s = &a->socket[a->sockets];

		watch_init(&s->watch, on_acceptable);
		s->acceptor = a;
		s->expected = 1;
		s->number = port_share_at(p, worker, a->sockets);
	}
	acceptor_wake(a);
	return a;
}

void
acceptor_aim(struct acceptor *a, struct listener *l, void *arg)
{
	ALIVE(a, ACCEPTOR_MAGIC);
	a->listener = l;
	a->arg = arg;
}

void
acceptor_pause(struct acceptor *a)
{
	ALIVE(a, ACCEPTOR_MAGIC);
	acceptor_halt(a, ACCEPTOR_PAUSED);
}

void
acceptor_resume(struct acceptor *a)
{
	ALIVE(a, ACCEPTOR_MAGIC);
	acceptor_wake(a);
}

struct port *
acceptor_port(const struct acceptor *a)
{
	return a->port;
}

/* ---- its end ---- */

/* False: there was nobody, or nobody can be let in. */
static bool
acceptor_take_all(struct acceptor *a, const struct acceptor_socket *s)
{
	bool any = false;

	while (acceptor_take(a, s))
		any = true;
	return any;
}

/* Who waits in the queue has connected, and would be reset by the close. Then for some milliseconds, which is all
 * that a worker can spare, those who had come halfway when the door was shut. */
static void
acceptor_empty(struct acceptor *a, const struct acceptor_socket *s)
{
	struct pollfd more = { .fd = socket_fd(s), .events = POLLIN };

	port_refuse_newcomers(a->port, s->number);
	(void)acceptor_take_all(a, s);
	while (poll(&more, 1, ACCEPT_LAST_MS) == 1 && acceptor_take_all(a, s))
		continue;
}

static void
acceptor_leave(struct acceptor *a, const struct acceptor_socket *s, bool empty)
{
	if (!port_leave(a->port, s->number))
		return;
	if (empty)
		acceptor_empty(a, s);
	port_close(a->port, s->number);
}

static void
acceptor_reaped(struct reap *r)
{
	struct acceptor *a = CONTAINER(r, struct acceptor, reap);

	port_unref(a->port);
	free(a);
}

void
acceptor_free(struct acceptor *a)
{
	bool empty;

	if (a == NULL || a->state == ACCEPTOR_CLOSING)
		return;
	ALIVE(a, ACCEPTOR_MAGIC);
	empty = a->state != ACCEPTOR_PAUSED && !a->port->is_lent;
	acceptor_halt(a, ACCEPTOR_CLOSING);
	for (unsigned i = 0; i < a->sockets; i++)
		acceptor_leave(a, &a->socket[i], empty);
	loop_reap(a->loop, &a->reap, acceptor_reaped);
}
