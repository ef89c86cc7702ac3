/* SPDX-License-Identifier: BSD-2-Clause */
/* It says how far it is, and hears by the main loop. */
#include "run/heritage.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/handover.h"
#include "run/standing.h"
#include "store/snapshot.h"

/* The old process is there and has nothing else to do. */
#define HERITAGE_WAIT_S 20

struct heritage {
	int socket;
	struct event *said;
	struct daemon *daemon;
	void (*done)(void *arg, bool good);
	void *arg;
};

/* The variable's descriptor; -1: there is none, -2: nonsense. */
static int
heritage_descriptor(void)
{
	const char *text = getenv(HANDOVER_VARIABLE);
	int fd = -1, type = 0;
	socklen_t n = sizeof type;
	char *end;

	if (text == NULL)
		return -1;
	fd = (int)strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || fd < 3 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == -1 || type != SOCK_SEQPACKET)
		fd = -2;
	unsetenv(HANDOVER_VARIABLE);
	return fd;
}

bool
heritage_take(struct heritage **h)
{
	int fd = heritage_descriptor();

	*h = NULL;
	if (fd == -1)
		return true;
	if (fd == -2) {
		log_error("%s names no socket of a hand-over", HANDOVER_VARIABLE);
		return false;
	}
	*h = mem_zalloc(sizeof **h);
	(*h)->socket = fd;
	return true;
}

void
heritage_break_off(struct heritage *h)
{
	if (h == NULL)
		return;
	if (h->said != NULL)
		event_free(h->said);
	if (h->socket != -1)
		close(h->socket);
	h->said = NULL;
	h->socket = -1;
}

void
heritage_free(struct heritage *h)
{
	heritage_break_off(h);
	free(h);
}

/* The table and the operators' words, in this order. False: logged. */
static bool
heritage_enforce(struct heritage *h, const struct handover_message *m)
{
	uint32_t now_s = (uint32_t)(clock_wall_us() / 1000000);
	const char *why = NULL;

	if (m->word != HANDOVER_STATE || m->fds != 2) {
		log_error("the hand-over broke off: the old process says what makes no sense");
		return false;
	}
	if (!snapshot_read_fd(m->fd[0], h->daemon->shared.table, now_s, &why)) {
		log_error("the hand-over broke off: the table can't be used: %s", why);
		return false;
	}
	if (!standing_read(m->fd[1], h->daemon->edition->pool, h->daemon->edition->pools, &why)) {
		log_error("the hand-over broke off: what operators said can't be used: %s", why);
		return false;
	}
	return true;
}

static void
on_said(evutil_socket_t fd, short what, void *arg)
{
	struct heritage *h = arg;
	struct handover_message m;
	bool good = false;

	event_free(h->said);
	h->said = NULL;
	if (what & EV_TIMEOUT)
		log_error("the hand-over broke off: the old process says nothing any more");
	else if (!handover_receive(fd, &m))
		log_error("the hand-over broke off: %s", errno == 0 ? "the old process goes on" : strerror(errno));
	else {
		good = heritage_enforce(h, &m);
		handover_message_fini(&m);
	}
	h->done(h->arg, good);
}

void
heritage_prepared(struct heritage *h, struct event_base *base, struct daemon *d,
    void (*done)(void *arg, bool good), void *arg)
{
	struct timeval wait = { .tv_sec = HERITAGE_WAIT_S };

	h->daemon = d;
	h->done = done;
	h->arg = arg;
	h->said = event_new(base, h->socket, EV_READ, on_said, h);
	must(h->said != NULL);
	/* If it can't be said, the other side is gone, which is read from here. */
	if (!handover_send(h->socket, HANDOVER_PREPARED, NULL, 0))
		log_debug("hand-over: %s", strerror(errno));
	must(event_add(h->said, &wait) == 0);
}

void
heritage_ready(struct heritage *h)
{
	if (!handover_send(h->socket, HANDOVER_READY, NULL, 0))
		log_warn("the old process can't be told to go: %s", strerror(errno));
	close(h->socket);
	h->socket = -1;
}
