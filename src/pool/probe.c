/* SPDX-License-Identifier: BSD-2-Clause */
/* One look at a gateway, as a small state machine of plain events: checks are rare, so these may be
 * level-triggered. */
#include "pool/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/h1.h"
#include "net/sock.h"
#include "ws/handshake.h"

#define PROBE_MAGIC 0x9120be00

/* A head larger than this is not one that a health check gives. */
#define ANSWER_BYTES 16384
#define WHY_TEXT 160
#define EXPECTED_TEXT 64
/* Who talks on and on must not keep the loop for itself. */
#define READS_AT_ONCE 16

#define CLOSE_NORMAL 1000	/* RFC 6455, 7.4.1 */

static void on_socket(evutil_socket_t fd, short what, void *arg);

/* ---- begun and ended ---- */

/* The peer is told by close_notify, where nothing went wrong. */
static void
probe_close_tls(struct probe *p)
{
	if (p->ssl == NULL)
		return;
	if (p->error == 0 && SSL_is_init_finished(p->ssl))
		SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	ERR_clear_error();
	p->ssl = NULL;
}

static void
probe_close(struct probe *p)
{
	probe_close_tls(p);
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

static void
probe_note_time(struct probe *p)
{
	p->took_us = (unsigned)(clock_exact_us() - p->begun_us);
}

/* Tells the owner, who may start anew: nothing may be done with the probe behind this. How the closing of a good
 * WebSocket goes on is no part of what was looked for. */
static void PRINTF_LIKE(3, 4)
probe_end(struct probe *p, enum probe_result result, const char *fmt, ...)
{
	char why[WHY_TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	if (p->state != PROBE_CLOSING)
		probe_note_time(p);
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
	if (p->watched == what)
		return true;
	if (p->watched != 0)
		event_del(&p->socket);
	p->watched = what;
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

/* ---- bytes ---- */

/* What a step came to, where it is not a number of bytes. */
enum { STEP_END = 0, STEP_WAIT = -1, STEP_FAILED = -2 };

static ssize_t
step_fail(struct probe *p, int error)
{
	p->error = error;
	return STEP_FAILED;
}

static ssize_t
step_wait(struct probe *p, short what)
{
	return probe_watch(p, what) ? STEP_WAIT : step_fail(p, ENOMEM);
}

static ssize_t
step_of_tls(struct probe *p, int returned)
{
	int e = SSL_get_error(p->ssl, returned), saved = errno;

	p->tls_error = ERR_peek_error();
	ERR_clear_error();
	switch (e) {
	case SSL_ERROR_NONE:
		return returned;
	case SSL_ERROR_WANT_READ:
		return step_wait(p, EV_READ);
	case SSL_ERROR_WANT_WRITE:
		return step_wait(p, EV_WRITE);
	case SSL_ERROR_ZERO_RETURN:
		return STEP_END;
	case SSL_ERROR_SYSCALL:
		return step_fail(p, saved != 0 ? saved : ECONNRESET);
	}
	if (ERR_GET_REASON(p->tls_error) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return step_fail(p, -1);
	p->error = ECONNRESET;		/* without a close_notify: none is sent then either */
	return STEP_END;
}

static ssize_t
step_of_socket(struct probe *p, ssize_t returned, short what)
{
	if (returned != -1)
		return returned;
	return errno == EAGAIN || errno == EINTR ? step_wait(p, what) : step_fail(p, errno);
}

static ssize_t
probe_recv(struct probe *p, char *to, size_t most)
{
	if (p->ssl != NULL)
		return step_of_tls(p, SSL_read(p->ssl, to, (int)most));
	return step_of_socket(p, recv(p->fd, to, most, 0), EV_READ);
}

static ssize_t
probe_offer(struct probe *p, const char *from, size_t n)
{
	if (p->ssl != NULL)
		return step_of_tls(p, SSL_write(p->ssl, from, (int)n));
	return step_of_socket(p, send(p->fd, from, n, MSG_NOSIGNAL), EV_WRITE);
}

static void
probe_failed(struct probe *p, const char *doing)
{
	char text[WHY_TEXT];

	if (p->error == ENOMEM)
		probe_end(p, PROBE_VOID, "out of memory");
	else if (p->error != -1)
		probe_end(p, PROBE_BAD, "%s: %s", doing, strerror(p->error));
	else
		probe_end(p, PROBE_BAD, "%s", tls_client_why(p->ssl, p->tls_error, text, sizeof text));
}

/* All that is to be sent: STEP_WAIT while some of it is not, then anything above. */
static ssize_t
probe_push(struct probe *p)
{
	ssize_t n = 1;

	while (n > 0 && p->sent < p->out_bytes) {
		n = probe_offer(p, p->out + p->sent, p->out_bytes - p->sent);
		p->sent += n > 0 ? (size_t)n : 0;
	}
	return n;
}

/* ---- the answer ---- */

/* A gateway about to go tells so: X-Stickyd-State: drain. */
static bool
head_asks_drain(const struct head *head)
{
	for (unsigned i = 0; i < head->fields; i++)
		if (slice_eq_nocase(head->field[i].name, SLICE_LIT("X-Stickyd-State")) &&
		    slice_eq_nocase(head->field[i].value, SLICE_LIT("drain")))
			return true;
	return false;
}

static bool
is_expected(const struct conf_pool *cf, unsigned status)
{
	for (size_t i = 0; i < cf->check_expects; i++)
		if (status >= cf->check_expect[i].low && status <= cf->check_expect[i].high)
			return true;
	return false;
}

/* "200-299, 403"; what has no room is left out. */
static struct slice
expected_text(const struct conf_pool *cf, char text[EXPECTED_TEXT])
{
	struct buf b = buf_of(text, EXPECTED_TEXT);

	for (size_t i = 0; i < cf->check_expects; i++) {
		if (i != 0)
			buf_lit(&b, ", ");
		buf_u64(&b, cf->check_expect[i].low);
		if (cf->check_expect[i].high == cf->check_expect[i].low)
			continue;
		buf_lit(&b, "-");
		buf_u64(&b, cf->check_expect[i].high);
	}
	return buf_slice(&b);
}

static void
probe_judge_status(struct probe *p, const struct head *answer)
{
	char text[EXPECTED_TEXT];
	struct slice expected = expected_text(p->conf, text);

	if (is_expected(p->conf, answer->status))
		probe_end(p, PROBE_GOOD, "status %u", answer->status);
	else
		probe_end(p, PROBE_BAD, "status %u, expected %.*s", answer->status,
		    SLICE_FMT(expected));
}

/* Sends what is left of the close frame, and waits for the gateway to close, as a client does (RFC 6455, 7.1.1). What
 * it says meanwhile is nobody's business. */
static void
probe_go_on_closing(struct probe *p)
{
	ssize_t n = probe_push(p);

	for (unsigned reads = 0; n > 0 && reads < READS_AT_ONCE; reads++)
		n = probe_recv(p, p->answer, ANSWER_BYTES);
	if (n == STEP_END || n == STEP_FAILED)
		probe_end(p, PROBE_GOOD, "status 101");
}

static void
probe_close_websocket(struct probe *p)
{
	uint8_t mask[4];

	must(RAND_bytes(mask, sizeof mask) == 1);
	p->out = p->closing;
	p->out_bytes = frame_write_close(p->closing, mask, CLOSE_NORMAL, SLICE_NONE);
	p->sent = 0;
	probe_note_time(p);
	p->state = PROBE_CLOSING;
	probe_go_on_closing(p);
}

/* Our own request is read like anybody's, since the handshake's rules compare two heads. */
static void
probe_judge_handshake(struct probe *p, const struct head *answer)
{
	struct head request;
	const char *why;
	struct h1 h1;

	h1_init(&h1, H1_REQUEST, ANSWER_BYTES);
	must(h1_parse(&h1, slice_of(p->request), &request) == H1_HEAD);
	if (handshake_response_ok(&request, answer, &why))
		probe_close_websocket(p);
	else if (answer->status != 101)
		probe_end(p, PROBE_BAD, "status %u", answer->status);
	else
		probe_end(p, PROBE_BAD, "%s", why);
}

static void
probe_judge(struct probe *p, const struct head *answer)
{
	p->asks_drain = head_asks_drain(answer);
	if (p->key != NULL)
		probe_judge_handshake(p, answer);
	else
		probe_judge_status(p, answer);
}

/* Parsed from its first byte each time: an answer comes in one piece or two. An interim answer (RFC 9110, 15.2) is
 * skipped. True: more has to come. */
static bool
probe_parse(struct probe *p)
{
	struct slice bytes = slice_make(p->answer, p->got);
	struct head head;
	struct h1 h1;

	for (;;) {
		h1_init(&h1, H1_RESPONSE, ANSWER_BYTES);
		switch (h1_parse(&h1, bytes, &head)) {
		case H1_MORE:
			if (p->got < ANSWER_BYTES)
				return true;
			probe_end(p, PROBE_BAD, "the answer's head is above %d bytes", ANSWER_BYTES);
			return false;
		case H1_HEAD:
			if (head.status >= 200 || head.status == 101) {
				probe_judge(p, &head);
				return false;
			}
			bytes = slice_skip(bytes, h1.head_bytes);
			break;
		default:
			probe_end(p, PROBE_BAD, "answer is not HTTP: %s", h1.why);
			return false;
		}
	}
}

/* Until nothing more is there: what TLS holds already, the socket does not announce. */
static void
probe_read(struct probe *p)
{
	ssize_t n;

	do {
		n = probe_recv(p, p->answer + p->got, ANSWER_BYTES - p->got);
		p->got += n > 0 ? (size_t)n : 0;
	} while (n > 0 && probe_parse(p));
	if (n == STEP_END)
		probe_end(p, PROBE_BAD, "closed %s an answer", p->got == 0 ? "without" : "in the middle of");
	else if (n == STEP_FAILED)
		probe_failed(p, "read");
}

/* ---- up to the answer ---- */

static void
probe_send(struct probe *p)
{
	ssize_t n = probe_push(p);

	if (n == STEP_WAIT)
		return;
	if (n <= 0) {
		probe_failed(p, "send");
		return;
	}
	p->answer = malloc(ANSWER_BYTES);
	p->state = PROBE_READING;
	if (p->answer == NULL || !probe_watch(p, EV_READ))
		probe_end(p, PROBE_VOID, "out of memory");
}

static void
probe_established(struct probe *p)
{
	if (p->request == NULL) {
		probe_end(p, PROBE_GOOD, "connected");
		return;
	}
	p->state = PROBE_SENDING;
	probe_send(p);
}

static void
probe_shake_hands(struct probe *p)
{
	ssize_t n = step_of_tls(p, SSL_do_handshake(p->ssl));

	if (n > 0)
		probe_established(p);
	else if (n == STEP_END)
		probe_end(p, PROBE_BAD, "TLS: closed in its handshake");
	else if (n == STEP_FAILED)
		probe_failed(p, "TLS: handshake");
}

static void
probe_begin_tls(struct probe *p)
{
	p->ssl = tls_client_connect(p->tls, p->address, NULL, NULL);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1) {
		probe_end(p, PROBE_VOID, "out of memory");
		return;
	}
	p->state = PROBE_SHAKING;
	probe_shake_hands(p);
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
	else if (p->tls != NULL)
		probe_begin_tls(p);
	else
		probe_established(p);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	static void (*const steps[])(struct probe *p) = {
		[PROBE_CONNECTING] = probe_connected,
		[PROBE_SHAKING] = probe_shake_hands,
		[PROBE_SENDING] = probe_send,
		[PROBE_READING] = probe_read,
		[PROBE_CLOSING] = probe_go_on_closing,
	};
	struct probe *p = arg;

	(void)fd;
	(void)what;
	ALIVE(p, PROBE_MAGIC);
	steps[p->state](p);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const char *const doing[] = {
		[PROBE_CONNECTING] = "connect: ", [PROBE_SHAKING] = "TLS: ", [PROBE_SENDING] = "",
		[PROBE_READING] = "",
	};
	struct probe *p = arg;

	(void)fd;
	(void)what;
	ALIVE(p, PROBE_MAGIC);
	if (p->state == PROBE_FAILED_AT_ONCE)
		probe_end(p, is_own_trouble(p->error) ? PROBE_VOID : PROBE_BAD, "connect: %s", strerror(p->error));
	else if (p->state == PROBE_CLOSING)
		probe_end(p, PROBE_GOOD, "status 101");
	else
		probe_end(p, PROBE_BAD, "%sno answer in %" PRIu64 " ms", doing[p->state], p->conf->check_timeout_ms);
}

/* ---- made and freed ---- */

/* RFC 9110, 8.6: those that come with a body say that there is none. */
static bool
has_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static char *
http_request(const struct conf_pool *cf, const char *host)
{
	return mem_printf("%s %s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "User-Agent: stickyd\r\n"
	    "%s"
	    "Connection: close\r\n\r\n", cf->check_method, cf->check_path, host,
	    has_body(cf->check_method) ? "Content-Length: 0\r\n" : "");
}

/* With room for a key, which is drawn for each look. */
static char *
websocket_request(const struct conf_pool *cf, const char *host)
{
	return mem_printf("GET %s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "User-Agent: stickyd\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: %*s\r\n\r\n", cf->check_path, host, HANDSHAKE_KEY, "");
}

static void
probe_set_request(struct probe *p)
{
	const struct conf_pool *cf = p->conf;
	const char *host = cf->check_host != NULL ? cf->check_host : p->address;

	if (cf->check == CONF_CHECK_HTTP)
		p->request = http_request(cf, host);
	if (cf->check != CONF_CHECK_WEBSOCKET)
		return;
	p->request = websocket_request(cf, host);
	p->key = p->request + strlen(p->request) - strlen("\r\n\r\n") - HANDSHAKE_KEY;
}

void
probe_init(struct probe *p, struct event_base *base, const struct pool *pool, unsigned index, probe_fn *done)
{
	must(pool->conf->check != CONF_CHECK_NONE);
	*p = (struct probe){
		.magic = PROBE_MAGIC, .conf = pool->conf, .tls = tls_client_ref(pool->tls),
		.addr = *gateway_address(pool->gateway[index]), .address = pool->conf->gateway[index].address,
		.done = done, .base = base, .fd = -1,
	};
	probe_set_request(p);
	event_assign(&p->timer, base, -1, 0, on_timer, p);
}

void
probe_fini(struct probe *p)
{
	probe_close(p);
	tls_client_unref(p->tls);
	free(p->request);
	p->magic = 0;
}

/* What fails at once is told by the timer, so that nobody is called back from within his own call. */
void
probe_start(struct probe *p)
{
	ALIVE(p, PROBE_MAGIC);
	must(p->state == PROBE_IDLE);
	p->begun_us = clock_exact_us();
	p->got = p->sent = 0;
	p->out = p->request;
	p->out_bytes = p->request != NULL ? strlen(p->request) : 0;
	p->asks_drain = false;
	p->error = 0;
	p->watched = 0;
	if (p->key != NULL)
		handshake_draw_key(p->key);
	p->fd = sock_connect(&p->addr);
	p->error = p->fd == -1 ? errno : 0;
	if (p->fd != -1 && !probe_watch(p, EV_WRITE)) {
		close(p->fd);
		p->fd = -1;
		p->error = ENOMEM;
	}
	p->state = p->fd != -1 ? PROBE_CONNECTING : PROBE_FAILED_AT_ONCE;
	probe_set_timer(p, p->fd != -1 ? p->conf->check_timeout_ms : 0);
}
