/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load KIND [options] PORT: clients that cost little, of a proxy at 127.0.0.1:PORT.
 *	get		requests on kept connections; the cookie that was set is sent back
 *	new		each on a connection of its own
 *	down, up	the same as get with bodies, to fetch or to send
 *	echo		WebSocket messages, each when the one before has come back, or at a rate (-r)
 *	upgrade		connect, handshake, one message, its echo, close frames, the end
 *	hold		sessions that rest until standard input says "burst BYTES": then a message and its echo
 * It opens -c connections, uses each once, prints "ready", waits for a line "go" (hold: does what the lines say, each
 * answered by "done") and prints what it saw as a line of JSON: ops (messages that came back, requests, upgrades) in
 * -d seconds, or -n of them; latencies; errors, the first of which is described on standard error.
 *	-t THREADS  -s BYTES (of a payload or body)  -r MESSAGES A SECOND  -T TLS 1.3  -R resumed  -P PATH  -H HOST
 * At a rate, a message's time counts from when it was due. Every echo must have the number and length of its message.
 * A request or message is written by one call, that a proxy see it as clients send it.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define BUFFER (256 * 1024)
#define OPENING 64		/* connections of a thread that are in the making at once */
#define PATIENCE_S 20		/* for something to happen at all */
#define UPGRADE_BYTES 125
#define HEAD 4096
#define FRAME_HEAD 14
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="		/* RFC 6455, 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum kind { GET, NEW, DOWN, UP, ECHO, UPGRADE, HOLD, KINDS };
static const char *const kinds[KINDS] = { "get", "new", "down", "up", "echo", "upgrade", "hold" };

static struct {
	enum kind kind;
	unsigned threads, connections;
	uint64_t bytes, ops;
	double seconds, rate;
	bool tls, resumes;
	const char *path, *host;
	struct sockaddr_in to;
} conf = { .threads = 1, .connections = 1, .bytes = 128, .seconds = 5, .path = "/", .host = "bench.test" };

enum state { CLOSED, CONNECTING, SHAKING, HEAD_OF_ANSWER, BODY_OF_ANSWER, OPEN, ECHOING, CLOSING };

struct conn {
	int fd;
	enum state state;
	bool idle, upgraded;
	SSL *ssl;
	SSL_SESSION *session;
	uint64_t begun_ns, due_ns;	/* due: of a message that could not be sent yet; 0: none */
	unsigned late;			/* how many of these */
	const char *send;		/* the rest of what is to be sent, of */
	uint64_t send_n;
	uint64_t send_alike;		/* and behind it so many bytes that are all alike */
	uint64_t number;		/* of the last message */
	uint64_t left;			/* of the answer's body, or the echo's payload */
	unsigned char echo[10 + 8];	/* its header and number */
	unsigned have;
	unsigned head_n;
	char *head;			/* an answer's */
	char *request;			/* HTTP's, with the cookie */
	char frame[FRAME_HEAD + 8];
};

struct thread {
	pthread_t id;
	int ep;
	unsigned n, opening, next_open, busy;
	struct conn *conn;
	uint64_t ops, errors, bytes;
	uint64_t due_n;			/* messages that have become due */
	double interval_ns;
	uint32_t *us;
	size_t us_n, us_room;
	SSL_CTX *tls;
	char in[BUFFER];
	char out[HEAD + BUFFER];	/* what is to be sent goes before what is all alike */
};

static struct thread *threads;
static pthread_barrier_t barrier;
static atomic_bool running, once;	/* once: each connection does one thing */
static _Atomic int64_t ops_left;
static _Atomic uint64_t end_ns, start_ns;
static atomic_bool said;
static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void conn_begin(struct thread *t, struct conn *c);

/* ---- accounts ---- */

static void
note_error(struct thread *t, const char *what)
{
	t->errors++;
	if (!atomic_exchange(&said, true))
		warnx("%s", what);
}

static void
note_op(struct thread *t, struct conn *c)
{
	if (t->us_n == t->us_room) {
		t->us_room = t->us_room * 2 + 65536;
		t->us = realloc(t->us, t->us_room * sizeof *t->us);
		if (t->us == NULL)
			err(1, "memory");
	}
	t->us[t->us_n++] = (uint32_t)((now_ns() - c->begun_ns) / 1000);
	t->ops++;
}

/* ---- out and in ---- */

static ssize_t
conn_write(struct conn *c, const char *p, uint64_t n)
{
	int sent;

	if (c->ssl == NULL)
		return send(c->fd, p, n, MSG_NOSIGNAL);
	sent = SSL_write(c->ssl, p, (int)n);
	if (sent > 0)
		return sent;
	errno = SSL_get_error(c->ssl, sent) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	return -1;
}

static void
conn_sent(struct conn *c, uint64_t n)
{
	uint64_t own = n < c->send_n ? n : c->send_n;

	c->send += own;
	c->send_n -= own;
	c->send_alike -= n - own;
}

/* False: it broke. */
static bool
conn_flush(struct thread *t, struct conn *c)
{
	while (c->send_n != 0 || c->send_alike != 0) {
		char *from = t->out + HEAD - c->send_n;
		uint64_t alike = c->send_alike < BUFFER ? c->send_alike : BUFFER;
		ssize_t sent;

		memcpy(from, c->send, c->send_n);
		sent = conn_write(c, from, c->send_n + alike);
		if (sent == -1)
			return errno == EAGAIN;
		conn_sent(c, (uint64_t)sent);
	}
	return true;
}

/* 0: the end; -1: errno. */
static ssize_t
conn_read(struct thread *t, struct conn *c)
{
	int n, e;

	if (c->ssl == NULL)
		return recv(c->fd, t->in, BUFFER - 1, 0);
	n = SSL_read(c->ssl, t->in, BUFFER - 1);
	if (n > 0)
		return n;
	e = SSL_get_error(c->ssl, n);
	errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
	return e == SSL_ERROR_ZERO_RETURN || e == SSL_ERROR_SYSCALL ? 0 : -1;
}

/* ---- one connection's life ---- */

static void
conn_close(struct conn *c)
{
	if (c->state == CLOSED)
		return;
	if (c->ssl != NULL)		/* as if it had been closed properly, or its session can't be resumed */
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	c->state = CLOSED;
	c->upgraded = false;
	c->send_n = c->send_alike = 0;
	c->head_n = 0;
	c->have = 0;
	c->left = 0;
}

static void
conn_rest(struct thread *t, struct conn *c)
{
	if (!c->idle) {
		c->idle = true;
		t->busy--;
	}
}

/* What it was to do is done: the next one, if there is to be one. */
static void
conn_next(struct thread *t, struct conn *c)
{
	if (atomic_load_explicit(&running, memory_order_relaxed) && conf.rate == 0 && !atomic_load(&once) &&
	    (conf.ops == 0 ? now_ns() < atomic_load(&end_ns) : atomic_fetch_sub(&ops_left, 1) > 0))
		conn_begin(t, c);
	else
		conn_rest(t, c);
}

static void
conn_done(struct thread *t, struct conn *c)
{
	if (atomic_load_explicit(&running, memory_order_relaxed))
		note_op(t, c);
	conn_next(t, c);
}

static void
conn_fail(struct thread *t, struct conn *c, const char *what)
{
	static const char *const states[] = { "when closed", "when connecting", "in the TLS handshake",
		"before an answer", "in an answer", "while nothing was asked", "before an echo", "when closing" };
	char text[256];

	snprintf(text, sizeof text, "%s: %s", states[c->state], what);
	note_error(t, text);
	conn_close(c);
	conn_rest(t, c);
}

static bool
is_websocket(void)
{
	return conf.kind >= ECHO;
}

static void
conn_say(struct thread *t, struct conn *c, const char *p, uint64_t n, uint64_t alike)
{
	c->send = p;
	c->send_n = n;
	c->send_alike = alike;
	if (!conn_flush(t, c))
		conn_fail(t, c, strerror(errno));
}

static void
say_request(struct thread *t, struct conn *c)
{
	c->state = HEAD_OF_ANSWER;
	c->head_n = 0;
	conn_say(t, c, c->request, strlen(c->request), conf.kind == UP ? conf.bytes : 0);
}

static uint64_t
message_bytes(void)
{
	return conf.kind == UPGRADE ? UPGRADE_BYTES : conf.bytes;
}

/* The header, the mask, and the number, masked; the rest is the filler, of which nobody looks at what it says. */
static void
say_message(struct thread *t, struct conn *c)
{
	uint64_t n = message_bytes(), number = ++c->number;
	unsigned at = 2, more = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;

	c->state = ECHOING;
	c->have = 0;
	c->frame[0] = (char)0x82;
	c->frame[1] = (char)(0x80 | (more == 0 ? (unsigned)n : more == 2 ? 126 : 127));
	for (unsigned i = 0; i < more; i++)
		c->frame[at++] = (char)(n >> (8 * (more - 1 - i)));
	memcpy(c->frame + at, mask, 4);
	at += 4;
	for (unsigned i = 0; i < 8; i++)
		c->frame[at++] = (char)((unsigned char)(number >> (8 * i)) ^ mask[i & 3]);
	conn_say(t, c, c->frame, at, n - 8);
}

static void
say_close(struct thread *t, struct conn *c)
{
	static const char frame[] = "\x88\x82\x37\xfa\x21\x3d\x34\x12";	/* 1000 */

	c->state = CLOSING;
	c->have = 0;
	conn_say(t, c, frame, sizeof frame - 1, 0);
}

static void
conn_opened(struct thread *t, struct conn *c)
{
	t->opening--;
	say_request(t, c);
}

static void
conn_open(struct thread *t, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
	int one = 1;

	t->opening++;
	c->state = CONNECTING;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		err(1, "a socket");
	if (connect(c->fd, (struct sockaddr *)&conf.to, sizeof conf.to) == -1 && errno != EINPROGRESS)
		err(1, "connect");
	if (epoll_ctl(t->ep, EPOLL_CTL_ADD, c->fd, &ev) == -1)
		err(1, "epoll");
}

static void
conn_shake_hands(struct thread *t, struct conn *c)
{
	int r;

	if (c->state == CONNECTING && conf.tls) {
		c->state = SHAKING;
		c->ssl = SSL_new(t->tls);
		SSL_set_fd(c->ssl, c->fd);
		SSL_set_connect_state(c->ssl);
		SSL_set_app_data(c->ssl, c);
		if (c->session != NULL)
			SSL_set_session(c->ssl, c->session);
	}
	if (c->ssl != NULL) {
		r = SSL_do_handshake(c->ssl);
		if (r != 1 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ)
			return;
		if (r != 1) {
			t->opening--;
			conn_fail(t, c, "no handshake");
			return;
		}
		if (conf.resumes && atomic_load(&running) && !SSL_session_reused(c->ssl))
			note_error(t, "a session was not resumed");
	}
	conn_opened(t, c);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct conn *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

/* ---- answers ---- */

static const char *
field(const char *head, const char *name)
{
	const char *v = strcasestr(head, name);

	return v != NULL ? v + strlen(name) : NULL;
}

static void
make_request(struct conn *c, const char *cookie, size_t cookie_n)
{
	char target[256], *length = NULL;

	if (is_websocket() || strcmp(conf.path, "/") != 0)
		snprintf(target, sizeof target, "%s", conf.path);
	else
		snprintf(target, sizeof target, conf.kind == UP ? "/sink" : "/bytes/%llu",
		    (unsigned long long)conf.bytes);
	if (conf.kind == UP && asprintf(&length, "Content-Length: %llu\r\n", (unsigned long long)conf.bytes) == -1)
		err(1, "memory");
	free(c->request);
	if (asprintf(&c->request, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n%s%s%.*s%s%s\r\n",
	    conf.kind == UP ? "POST" : "GET", target, conf.host, length != NULL ? length : "",
	    cookie_n != 0 ? "Cookie: " : "", (int)cookie_n, cookie, cookie_n != 0 ? "\r\n" : "",
	    is_websocket() ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			     "Sec-WebSocket-Key: " KEY "\r\n" :
	    conf.kind == NEW ? "Connection: close\r\n" : "") == -1)
		err(1, "memory");
	free(length);
}

/* At a path that is not the gateway's own there may be anything. */
static bool
is_right_length(uint64_t n)
{
	return strcmp(conf.path, "/") != 0 || n == (conf.kind == UP ? 0 : conf.bytes);
}

/* The head has come: is it what was asked for? */
static bool
take_head(struct thread *t, struct conn *c)
{
	const char *cookie = field(c->head, "\r\nset-cookie: "), *length = field(c->head, "\r\ncontent-length: ");
	const char *accepted = field(c->head, "\r\nsec-websocket-accept: ");

	if (strncmp(c->head, is_websocket() ? "HTTP/1.1 101" : "HTTP/1.1 200", 12) != 0) {
		char text[128];

		snprintf(text, sizeof text, "answered: %.60s", c->head);
		conn_fail(t, c, text);
		return false;
	}
	if (is_websocket() ? accepted == NULL || strncmp(accepted, ACCEPT "\r", sizeof ACCEPT) != 0 :
	    length == NULL || !is_right_length(strtoull(length, NULL, 10))) {
		conn_fail(t, c, "not the answer to that");
		return false;
	}
	if (cookie != NULL)
		make_request(c, cookie, strcspn(cookie, ";\r"));
	c->left = is_websocket() ? 0 : strtoull(length, NULL, 10);
	c->upgraded = is_websocket();
	return true;
}

/* In an answer's head: how many bytes of it there are in these. */
static size_t
gather_head(struct thread *t, struct conn *c, const char *p, size_t n)
{
	unsigned before = c->head_n, some = n < HEAD - 1 - c->head_n ? (unsigned)n : HEAD - 1 - c->head_n;
	char *end;

	if (c->head == NULL)
		c->head = malloc(HEAD);
	memcpy(c->head + before, p, some);
	c->head_n += some;
	c->head[c->head_n] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL) {
		if (c->head_n == HEAD - 1)
			conn_fail(t, c, "a head too long");
		return n;
	}
	some = (unsigned)(end + 4 - c->head) - before;
	end[2] = '\0';
	if (take_head(t, c))
		c->state = BODY_OF_ANSWER;
	if (is_websocket()) {
		free(c->head);
		c->head = NULL;
	}
	return some;
}

static void
answer_came(struct thread *t, struct conn *c)
{
	if (is_websocket()) {
		c->state = OPEN;
		if (conf.kind == HOLD)
			conn_rest(t, c);
		else
			say_message(t, c);
	} else if (conf.kind == NEW) {
		c->state = CLOSING;
	} else {
		c->state = OPEN;
		t->bytes += conf.kind == UP ? conf.bytes : 0;
		conn_done(t, c);
	}
}

static unsigned
echo_header(const struct conn *c)
{
	unsigned n = c->have < 2 ? 0 : c->echo[1] & 127;

	return n == 126 ? 4 : n == 127 ? 10 : 2;
}

/* Its header and its number have come. */
static bool
is_right_echo(struct conn *c)
{
	unsigned header = echo_header(c);
	uint64_t n = 0, number = 0;

	for (unsigned i = header == 2 ? 1 : 2; i < header; i++)
		n = n << 8 | c->echo[i];
	for (unsigned i = 0; i < 8; i++)
		number |= (uint64_t)c->echo[header + i] << (8 * i);
	c->left = message_bytes() - 8;
	return c->echo[0] == 0x82 && n == message_bytes() && number == c->number;
}

static void
echo_came(struct thread *t, struct conn *c)
{
	c->state = OPEN;
	t->bytes += message_bytes();
	if (conf.kind == UPGRADE) {
		say_close(t, c);
		return;
	}
	conn_done(t, c);
	if (c->state == OPEN && c->late != 0) {
		c->late--;
		c->begun_ns = c->due_ns;
		c->due_ns += (uint64_t)t->interval_ns;
		c->idle = false;
		t->busy++;
		say_message(t, c);
	}
}

static size_t
take_echo(struct thread *t, struct conn *c, const char *p, size_t n)
{
	if (c->have < 2 || c->have < echo_header(c) + 8) {
		c->echo[c->have++] = (unsigned char)*p;
		if (c->have >= 2 && c->have == echo_header(c) + 8 && !is_right_echo(c))
			conn_fail(t, c, "not the echo that was due");
		else if (c->have >= 2 && c->have == echo_header(c) + 8 && c->left == 0)
			echo_came(t, c);
		return 1;
	}
	if (n > c->left)
		n = c->left;
	c->left -= n;
	if (c->left == 0)
		echo_came(t, c);
	return n;
}

static size_t
take_body(struct thread *t, struct conn *c, size_t n)
{
	if (n > c->left)
		n = c->left;
	c->left -= n;
	t->bytes += n;
	return n;
}

/* The other's close frame, of which it is the first byte that counts; then the end. */
static size_t
take_close(struct thread *t, struct conn *c, const char *p, size_t n)
{
	if (!is_websocket())
		conn_fail(t, c, "more than was announced");
	else if (c->have == 0 && (unsigned char)*p != 0x88)
		conn_fail(t, c, "not a close frame");
	c->have = 1;
	return n;
}

static size_t
take(struct thread *t, struct conn *c, const char *p, size_t n)
{
	size_t took = n;

	switch (c->state) {
	case HEAD_OF_ANSWER:
		took = gather_head(t, c, p, n);
		break;
	case BODY_OF_ANSWER:
		took = take_body(t, c, n);
		break;
	case ECHOING:
		return take_echo(t, c, p, n);
	case CLOSING:
		return take_close(t, c, p, n);
	case CLOSED:
		return n;
	default:
		conn_fail(t, c, "something came");
		return n;
	}
	if (c->state == BODY_OF_ANSWER && c->left == 0)
		answer_came(t, c);
	return took;
}

static void
conn_ended(struct thread *t, struct conn *c, ssize_t n)
{
	if (c->state != CLOSING || n == -1 || (is_websocket() && c->have == 0)) {
		conn_fail(t, c, n == -1 ? strerror(errno) : "it ended");
		return;
	}
	conn_close(c);
	conn_done(t, c);
}

/* Edges: a short read tells that there is no more, but not whether the end, or a TLS record, follows it. */
static void
conn_pump(struct thread *t, struct conn *c, bool to_the_end)
{
	ssize_t n;

	do {
		n = conn_read(t, c);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_ended(t, c, n);
			return;
		}
		for (size_t took = 0; took < (size_t)n && c->state > SHAKING;)
			took += take(t, c, t->in + took, (size_t)n - took);
	} while (c->state > SHAKING && (to_the_end || c->ssl != NULL || n == BUFFER - 1));
}

static void
conn_ready(struct thread *t, struct conn *c, uint32_t events)
{
	if (c->state == CONNECTING && (events & (EPOLLERR | EPOLLHUP))) {
		t->opening--;
		conn_fail(t, c, "no connection");
	} else if (c->state == CONNECTING || c->state == SHAKING) {
		if (c->state == SHAKING || (events & EPOLLOUT))
			conn_shake_hands(t, c);
	} else if (c->state != CLOSED && !conn_flush(t, c)) {
		conn_fail(t, c, strerror(errno));
	}
	if (c->state > SHAKING)
		conn_pump(t, c, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

/* Now it has something to do. */
static void
conn_begin(struct thread *t, struct conn *c)
{
	if (c->idle) {
		c->idle = false;
		t->busy++;
	}
	c->begun_ns = now_ns();
	if (c->state == CLOSED)
		conn_open(t, c);
	else if (c->upgraded)
		say_message(t, c);
	else
		say_request(t, c);
}

/* ---- a thread ---- */

/* At a rate: session i's k-th message is due i + k * sessions intervals after the start, so they come due in turn. */
static uint64_t
next_due_ns(const struct thread *t)
{
	return atomic_load(&start_ns) + (uint64_t)((double)t->due_n * t->interval_ns / t->n);
}

/* Those are sent too for which it was late at the end: what the proxy held up must be seen. */
static bool
has_more_due(const struct thread *t)
{
	return conf.rate != 0 && atomic_load(&running) && next_due_ns(t) < atomic_load(&end_ns);
}

static void
send_what_is_due(struct thread *t)
{
	uint64_t now = now_ns(), due;

	while (has_more_due(t) && (due = next_due_ns(t)) <= now) {
		struct conn *c = &t->conn[t->due_n++ % t->n];

		if (c->state == CLOSED)
			continue;
		if (!c->idle) {
			if (c->late++ == 0)
				c->due_ns = due;
			continue;
		}
		conn_begin(t, c);
		c->begun_ns = due;
	}
}

static void
open_some(struct thread *t)
{
	while (t->next_open < t->n && t->opening < OPENING)
		conn_begin(t, &t->conn[t->next_open++]);
}

static void
thread_turn(struct thread *t, uint64_t until_ns)
{
	struct epoll_event event[EVENTS];
	uint64_t now = now_ns(), wait_ns = until_ns > now ? until_ns - now : 0;
	struct timespec patience = { (time_t)(wait_ns / 1000000000), (long)(wait_ns % 1000000000) };
	int n = epoll_pwait2(t->ep, event, EVENTS, &patience, NULL);

	for (int i = 0; i < n; i++)
		conn_ready(t, event[i].data.ptr, event[i].events);
}

static uint64_t
progress(const struct thread *t)
{
	return t->ops + t->errors + t->bytes + t->next_open;
}

/* Until nothing is under way any more. */
static void
thread_run(struct thread *t)
{
	uint64_t silent_ns = now_ns() + PATIENCE_S * 1000000000ull, before = progress(t);

	while (t->busy != 0 || t->next_open < t->n || has_more_due(t)) {
		open_some(t);
		send_what_is_due(t);
		thread_turn(t, has_more_due(t) ? next_due_ns(t) : silent_ns);
		if (progress(t) != before) {
			before = progress(t);
			silent_ns = now_ns() + PATIENCE_S * 1000000000ull;
		} else if (now_ns() >= silent_ns) {
			note_error(t, "nothing came any more");
			return;
		}
	}
}

static void
thread_begin_all(struct thread *t)
{
	if (conf.rate != 0)
		return;
	for (unsigned i = 0; i < t->n; i++)
		if (t->conn[i].state != CLOSED || conf.kind == NEW || conf.kind == UPGRADE)
			conn_next(t, &t->conn[i]);
}

static void
thread_begin_once(struct thread *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->conn[i].state == OPEN)
			conn_begin(t, &t->conn[i]);
}

static void *
thread_main(void *arg)
{
	struct thread *t = arg;

	thread_run(t);
	for (;;) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		if (atomic_load(&once))
			thread_begin_once(t);
		else
			thread_begin_all(t);
		thread_run(t);
	}
	return NULL;
}

static SSL_CTX *
tls_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
		errx(1, "no TLS 1.3");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (conf.resumes) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, on_session);
	}
	return ctx;
}

static void
thread_start(struct thread *t, unsigned n)
{
	t->n = n;
	t->ep = epoll_create1(EPOLL_CLOEXEC);
	t->conn = calloc(n, sizeof *t->conn);
	memset(t->out, 'x', sizeof t->out);
	if (t->ep == -1 || t->conn == NULL)
		err(1, "a thread");
	if (conf.tls)
		t->tls = tls_new();
	if (conf.rate != 0)
		t->interval_ns = 1e9 * conf.connections / conf.rate;
	for (unsigned i = 0; i < n; i++) {
		t->conn[i].idle = true;
		make_request(&t->conn[i], "", 0);
	}
	if (pthread_create(&t->id, NULL, thread_main, t) != 0)
		errx(1, "no thread");
}

/* ---- the whole ---- */

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
report(double seconds)
{
	uint64_t ops = 0, errors = 0, bytes = 0;
	size_t n = 0, at = 0;
	uint32_t *us;

	for (unsigned i = 0; i < conf.threads; i++)
		n += threads[i].us_n;
	us = malloc((n + 1) * sizeof *us);
	for (unsigned i = 0; i < conf.threads; i++) {
		ops += threads[i].ops;
		errors += threads[i].errors;
		bytes += threads[i].bytes;
		if (threads[i].us_n != 0)
			memcpy(us + at, threads[i].us, threads[i].us_n * sizeof *us);
		at += threads[i].us_n;
	}
	qsort(us, n, sizeof *us, compare);
	us[n] = 0;
	printf("{\"ops\": %llu, \"errors\": %llu, \"seconds\": %.3f, \"bytes\": %llu, ", (unsigned long long)ops,
	    (unsigned long long)errors, seconds, (unsigned long long)bytes);
	printf("\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n", us[n / 2], us[n * 99 / 100],
	    us[n * 999 / 1000], us[n == 0 ? 0 : n - 1]);
	fflush(stdout);
	free(us);
}

static void
run(bool each_once)
{
	uint64_t begun = now_ns();

	for (unsigned i = 0; i < conf.threads; i++)
		threads[i].bytes = 0;
	atomic_store(&once, each_once);
	atomic_store(&ops_left, (int64_t)conf.ops);
	atomic_store(&start_ns, begun);
	atomic_store(&end_ns, begun + (uint64_t)(conf.seconds * 1e9));
	atomic_store(&running, true);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	atomic_store(&running, false);
	if (!each_once)
		report((double)(now_ns() - begun) / 1e9);
}

static void
hold(void)
{
	char line[64];
	unsigned long long bytes;

	while (fgets(line, sizeof line, stdin) != NULL) {
		if (sscanf(line, "burst %llu", &bytes) != 1 || bytes < 8)
			errx(1, "not understood: %s", line);
		conf.bytes = bytes;
		run(true);
		for (unsigned i = 0; i < conf.threads; i++)
			if (threads[i].errors != 0)
				exit(1);
		puts("done");
		fflush(stdout);
	}
}

static void
usage(void)
{
	errx(1, "usage: load get|new|down|up|echo|upgrade|hold [-c CONNECTIONS] [-t THREADS] [-s BYTES]\n"
		"       [-d SECONDS | -n OPS] [-r RATE] [-T [-R]] [-P PATH] [-H HOST] PORT");
}

static void
read_options(int argc, char **argv)
{
	int option;

	while (conf.kind < KINDS && (argc < 2 || strcmp(argv[1], kinds[conf.kind]) != 0))
		conf.kind++;
	if (conf.kind == KINDS)
		usage();
	optind = 2;
	while ((option = getopt(argc, argv, "c:t:s:d:n:r:TRP:H:")) != -1) {
		switch (option) {
		case 'c':
			conf.connections = (unsigned)atoi(optarg);
			break;
		case 't':
			conf.threads = (unsigned)atoi(optarg);
			break;
		case 's':
			conf.bytes = (uint64_t)atoll(optarg);
			break;
		case 'd':
			conf.seconds = atof(optarg);
			break;
		case 'n':
			conf.ops = (uint64_t)atoll(optarg);
			break;
		case 'r':
			conf.rate = atof(optarg);
			break;
		case 'T':
			conf.tls = true;
			break;
		case 'R':
			conf.resumes = true;
			break;
		case 'P':
			conf.path = optarg;
			break;
		case 'H':
			conf.host = optarg;
			break;
		default:
			usage();
		}
	}
	if (conf.rate != 0 && conf.ops != 0)
		conf.seconds = (double)conf.ops / conf.rate;
	if (optind != argc - 1 || conf.connections < conf.threads || conf.threads == 0 ||
	    (is_websocket() && conf.bytes < 8))
		usage();
	conf.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(argv[optind])) };
}

int
main(int argc, char **argv)
{
	char line[64];

	read_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	threads = calloc(conf.threads, sizeof *threads);
	pthread_barrier_init(&barrier, NULL, conf.threads + 1);
	for (unsigned i = 0; i < conf.threads; i++)
		thread_start(&threads[i], conf.connections / conf.threads + (i < conf.connections % conf.threads));
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < conf.threads; i++)
		if (threads[i].errors != 0)
			errx(1, "not all could be opened, or did what they should");
	puts("ready");
	fflush(stdout);
	if (conf.kind == HOLD)
		hold();
	else if (fgets(line, sizeof line, stdin) != NULL)
		run(false);
	while (fgets(line, sizeof line, stdin) != NULL)
		;
	return 0;
}
