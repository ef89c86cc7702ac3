/* SPDX-License-Identifier: BSD-2-Clause */
/* One look at a gateway, as a small state machine of plain events: checks are rare, so these may be
 * level-triggered. */
#include "pool/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/h1.h"
#include "net/sock.h"

#define PROBE_MAGIC 0x9120be00

/* A head larger than this is not one that a health check gives. */
#define ANSWER_BYTES 16384
#define WHY_TEXT 160

static void on_socket(evutil_socket_t fd, short what, void *arg);

static void
probe_close(struct probe *p)
{
	if (p->fd != -1) {
		event_del(&p->socket);
		close(p->fd);
		p->fd = -1;
	}
	event_del(&p->timer);
	free(p->answer);
	p->answer = NULL;
	p->state = PROBE_IDLE;
}

/* Tells the owner, who may start anew: nothing may be done with the probe behind this. */
static void PRINTF_LIKE(3, 4)
probe_end(struct probe *p, enum probe_result result, const char *fmt, ...)
{
	char why[WHY_TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	probe_close(p);
	p->done(p, result, why);
}

/* Which errors of socket() and connect() are ours: they must not take every gateway down at once. */
static bool
is_own_trouble(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EAGAIN ||
	    error == EADDRNOTAVAIL;
}

static bool
probe_watch(struct probe *p, short what)
{
	event_assign(&p->socket, p->base, p->fd, what | EV_PERSIST, on_socket, p);
	return event_add(&p->socket, NULL) == 0;
}

/* Only memory can fail, and that as the timers' heap grows, at boot. */
static void
probe_set_timer(struct probe *p, uint64_t ms)
{
	struct timeval after = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

	must(event_add(&p->timer, &after) == 0);
}

static void
probe_judge(struct probe *p, unsigned status)
{
	unsigned low = p->conf->check_expect_low, high = p->conf->check_expect_high;

	if (status >= low && status <= high)
		probe_end(p, PROBE_GOOD, "status %u", status);
	else
		probe_end(p, PROBE_BAD, "status %u, expected %u-%u", status, low, high);
}

/* Parsed from its first byte each time: an answer comes in one piece or two. An interim answer (RFC 9110, 15.2) is
 * skipped. */
static void
probe_parse(struct probe *p)
{
	struct slice bytes = slice_make(p->answer, p->got);
	struct head head;
	struct h1 h1;

	for (;;) {
		h1_init(&h1, H1_RESPONSE, ANSWER_BYTES);
		switch (h1_parse(&h1, bytes, &head)) {
		case H1_MORE:
			if (p->got == ANSWER_BYTES)
				probe_end(p, PROBE_BAD, "the answer's head is above %d bytes", ANSWER_BYTES);
			return;
		case H1_HEAD:
			if (head.status >= 200 || head.status == 101) {
				probe_judge(p, head.status);
				return;
			}
			bytes = slice_skip(bytes, h1.head_bytes);
			break;
		default:
			probe_end(p, PROBE_BAD, "answer is not HTTP: %s", h1.why);
			return;
		}
	}
}

static void
probe_read(struct probe *p)
{
	ssize_t n = read(p->fd, p->answer + p->got, ANSWER_BYTES - p->got);

	if (n > 0) {
		p->got += (size_t)n;
		probe_parse(p);
	} else if (n == 0)
		probe_end(p, PROBE_BAD, "closed %s an answer", p->got == 0 ? "without" : "in the middle of");
	else if (errno != EAGAIN && errno != EINTR)
		probe_end(p, PROBE_BAD, "read: %s", strerror(errno));
}

static void
probe_send(struct probe *p)
{
	ssize_t n = send(p->fd, p->request + p->sent, p->request_bytes - p->sent, MSG_NOSIGNAL);

	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			probe_end(p, PROBE_BAD, "send: %s", strerror(errno));
		return;
	}
	p->sent += (size_t)n;
	if (p->sent < p->request_bytes)
		return;
	p->answer = malloc(ANSWER_BYTES);
	p->state = PROBE_READING;
	event_del(&p->socket);
	if (p->answer == NULL || !probe_watch(p, EV_READ))
		probe_end(p, PROBE_VOID, "out of memory");
}

static void
probe_connected(struct probe *p)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		probe_end(p, PROBE_BAD, "connect: %s", strerror(error));
	else if (p->request == NULL)
		probe_end(p, PROBE_GOOD, "connected");
	else {
		p->state = PROBE_SENDING;
		probe_send(p);
	}
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	(void)fd;
	(void)what;
	ALIVE(p, PROBE_MAGIC);
	if (p->state == PROBE_CONNECTING)
		probe_connected(p);
	else if (p->state == PROBE_SENDING)
		probe_send(p);
	else
		probe_read(p);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	(void)fd;
	(void)what;
	ALIVE(p, PROBE_MAGIC);
	if (p->state == PROBE_FAILED_AT_ONCE)
		probe_end(p, is_own_trouble(p->error) ? PROBE_VOID : PROBE_BAD, "connect: %s", strerror(p->error));
	else
		probe_end(p, PROBE_BAD, "%sno answer in %" PRIu64 " ms",
		    p->state == PROBE_CONNECTING ? "connect: " : "", p->conf->check_timeout_ms);
}

void
probe_init(struct probe *p, struct event_base *base, const struct conf_pool *cf, const struct addr *addr,
    const char *host, probe_fn *done)
{
	must(cf->check == CONF_CHECK_TCP || cf->check == CONF_CHECK_HTTP);
	*p = (struct probe){ .magic = PROBE_MAGIC, .conf = cf, .addr = *addr, .done = done, .base = base, .fd = -1 };
	if (cf->check == CONF_CHECK_HTTP) {
		p->request = mem_printf("GET %s HTTP/1.1\r\n"
		    "Host: %s\r\n"
		    "User-Agent: stickyd\r\n"
		    "Connection: close\r\n\r\n", cf->check_path, host);
		p->request_bytes = strlen(p->request);
	}
	event_assign(&p->timer, base, -1, 0, on_timer, p);
}

void
probe_fini(struct probe *p)
{
	probe_close(p);
	free(p->request);
	p->magic = 0;
}

/* What fails at once is told by the timer, so that nobody is called back from within his own call. */
void
probe_start(struct probe *p)
{
	ALIVE(p, PROBE_MAGIC);
	must(p->state == PROBE_IDLE);
	p->got = p->sent = 0;
	p->fd = sock_connect(&p->addr);
	if (p->fd != -1 && !probe_watch(p, EV_WRITE)) {
		close(p->fd);
		p->fd = -1;
		errno = ENOMEM;
	}
	p->state = p->fd != -1 ? PROBE_CONNECTING : PROBE_FAILED_AT_ONCE;
	p->error = errno;
	probe_set_timer(p, p->fd != -1 ? p->conf->check_timeout_ms : 0);
}
