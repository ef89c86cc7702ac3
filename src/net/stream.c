/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One socket, edge-triggered. TLS goes through a BIO of our own, so that both kinds share the knowledge of whether
 * the socket may have more: OpenSSL's own socket BIO would ask the kernel for an EAGAIN after each message.
 */
#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sys.h"
#include "net/tls.h"
#include "net/tls_client.h"

#define STREAM_MAGIC 0x57ae4111

/* As long as a TLS record's payload: what SSL_write was refused must be offered again with at least that length. */
#define CHUNK_BYTES 16384
struct chunk {
	struct chunk *next;
	struct pipe *pipe;	/* NULL, or what is to be sent is in there, and no bytes are here */
	size_t at, n;		/* bytes[at .. n) are still to be sent */
	char bytes[CHUNK_BYTES];
};

_Static_assert(sizeof(struct chunk) <= LOOP_CHUNK, "a chunk must fit");

static enum stream_result
stream_fail(struct stream *s, int error)
{
	if (s->error == 0)
		s->error = error;
	s->readable = true;		/* what the peer said before may still be there */
	return STREAM_FAILED;
}

static void
stream_note_read(struct stream *s, ssize_t n)
{
	if (n == 0)
		s->ended = true;
	else if (n == -1 && errno == EAGAIN)
		s->readable = false;
}

/* One read of the socket: bytes, 0 at the end, -1 with errno. */
static ssize_t
stream_recv(struct stream *s, void *to, size_t most)
{
	ssize_t n;

	do
		n = sys_recv(s->fd, to, most, 0);
	while (n == -1 && errno == EINTR);
	stream_note_read(s, n);
	if (n > 0 && (size_t)n < most && !s->hup)
		s->readable = false;
	return n;
}

static ssize_t
stream_send(struct stream *s, const void *from, size_t n, int flags)
{
	ssize_t sent;

	do
		sent = sys_send(s->fd, from, n, MSG_NOSIGNAL | flags);
	while (sent == -1 && errno == EINTR);
	return sent;
}

/* ---- TLS ---- */

static int
on_bio_read(BIO *b, char *to, int most)
{
	struct stream *s = BIO_get_data(b);
	ssize_t n;

	BIO_clear_retry_flags(b);
	if (s->ended)
		return 0;
	if (!s->readable) {
		BIO_set_retry_read(b);
		return -1;
	}
	n = stream_recv(s, to, (size_t)most);
	if (n == -1 && errno == EAGAIN)
		BIO_set_retry_read(b);
	else if (n == -1)
		stream_fail(s, errno);
	return (int)n;
}

/* Of a request that has come behind the Finished the answer is next, and the ticket leaves with it. (The kernel keeps
 * it 200 ms at most.) Else it leaves at once, since it acknowledges the Finished, for which a client without
 * TCP_NODELAY may wait. In 1.2 a ticket stands before our own Finished (RFC 5077, 3.3), which nobody may hold up. */
static bool
stream_may_hold_ticket(const struct stream *s)
{
	return SSL_get_state(s->ssl) == TLS_ST_SW_SESSION_TICKET && SSL_version(s->ssl) == TLS1_3_VERSION &&
	       SSL_has_pending(s->ssl);
}

static int
on_bio_write(BIO *b, const char *from, int n)
{
	struct stream *s = BIO_get_data(b);
	bool more = s->more || stream_may_hold_ticket(s);
	ssize_t sent = stream_send(s, from, (size_t)n, more ? MSG_MORE : 0);

	BIO_clear_retry_flags(b);
	if (sent == -1 && errno == EAGAIN)
		BIO_set_retry_write(b);
	else if (sent == -1)
		stream_fail(s, errno);
	return (int)sent;
}

static long
on_bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	return what == BIO_CTRL_FLUSH;		/* nothing is held back here */
}

/* Made once for the process; the race of two threads for it is settled by the C library's once. */
static BIO_METHOD *stream_bio_method;

static void
stream_bio_method_free(void)
{
	BIO_meth_free(stream_bio_method);
}

static void
stream_bio_method_make(void)
{
	stream_bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stickyd stream");
	must(stream_bio_method != NULL);
	BIO_meth_set_read(stream_bio_method, on_bio_read);
	BIO_meth_set_write(stream_bio_method, on_bio_write);
	BIO_meth_set_ctrl(stream_bio_method, on_bio_ctrl);
	must(atexit(stream_bio_method_free) == 0);
}

void
stream_set_tls(struct stream *s, SSL *ssl)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	BIO *b;

	must(CRYPTO_THREAD_run_once(&once, stream_bio_method_make));
	b = BIO_new(stream_bio_method);
	s->ssl = ssl;
	if (b == NULL) {
		stream_fail(s, ENOMEM);
		return;
	}
	BIO_set_data(b, s);
	BIO_set_init(b, 1);
	SSL_set_bio(ssl, b, b);
}

/* What an unsuccessful call on the SSL means. The thread's error queue is left empty, as SSL_get_error needs it. */
static enum stream_result
stream_tls_result(struct stream *s, int returned)
{
	int e = SSL_get_error(s->ssl, returned);

	switch (e) {
	case SSL_ERROR_WANT_READ:
		return STREAM_WAIT;
	case SSL_ERROR_WANT_WRITE:
		s->read_needs_write = true;
		return STREAM_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		s->ended = true;
		return STREAM_END;
	}
	s->tls_error = (uint32_t)ERR_peek_error();
	ERR_clear_error();
	if (s->error != 0)
		return STREAM_FAILED;
	if (s->ended && SSL_is_init_finished(s->ssl))
		return STREAM_END;	/* no close_notify: the framing inside will tell whether all has come */
	return stream_fail(s, s->ended ? ECONNRESET : -1);
}

/* A read would find nothing, which is long to find out inside OpenSSL. In a handshake there may be something to
 * write that was refused. */
static bool
stream_is_dry_tls(const struct stream *s)
{
	return !stream_may_have_more(s) && SSL_is_init_finished(s->ssl);
}

static enum stream_result
stream_read_tls(struct stream *s, char *to, size_t most, size_t *n)
{
	enum stream_result r = STREAM_OK;
	size_t got;

	*n = 0;
	while (*n < most && r == STREAM_OK) {
		if (stream_is_dry_tls(s))
			r = STREAM_WAIT;
		else if (SSL_read_ex(s->ssl, to + *n, most - *n, &got))
			*n += got;
		else
			r = stream_tls_result(s, 0);
	}
	return *n != 0 ? STREAM_OK : r;
}

static enum stream_result
stream_write_refused(struct stream *s)
{
	int e = SSL_get_error(s->ssl, 0);

	if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ)
		return STREAM_OK;
	s->tls_error = (uint32_t)ERR_peek_error();
	ERR_clear_error();
	return stream_fail(s, -1);
}

/* All records of one write leave together, as far as the socket takes them: only the last one pushes. */
static enum stream_result
stream_write_tls(struct stream *s, const char *from, size_t n, int flags, size_t *written)
{
	size_t done;

	*written = 0;
	while (*written < n) {
		size_t piece = n - *written < CHUNK_BYTES ? n - *written : CHUNK_BYTES;
		int ok;

		s->more = piece < n - *written || flags == MSG_MORE;
		ok = SSL_write_ex(s->ssl, from + *written, piece, &done);
		s->more = false;
		if (!ok)
			return stream_write_refused(s);
		*written += done;
	}
	return STREAM_OK;
}

/* Our own handshake goes on with whatever event comes. True when there is something to tell: it is over. A peer that
 * closes in it has not said what it does not like. */
static bool
stream_shake_hands(struct stream *s)
{
	int r;

	if (s->error != 0)
		return true;
	r = SSL_do_handshake(s->ssl);
	if (r == 1)
		return true;
	switch (stream_tls_result(s, r)) {
	case STREAM_WAIT:
		return false;
	case STREAM_END:
		stream_fail(s, ECONNRESET);
		return true;
	default:
		return true;
	}
}

bool
stream_is_established(const struct stream *s)
{
	return s->ssl == NULL || SSL_is_init_finished(s->ssl);
}

/* ---- reading and writing ---- */

/* What it means that a socket gave 0 bytes or -1, with errno as it is. */
static enum stream_result
stream_read_nothing(struct stream *s, ssize_t got)
{
	if (got == 0)
		return STREAM_END;
	return errno == EAGAIN && s->error == 0 ? STREAM_WAIT : stream_fail(s, errno);
}

static enum stream_result
stream_read_plain(struct stream *s, char *to, size_t most, size_t *n)
{
	ssize_t got;

	if (!s->readable)
		return s->error == 0 ? STREAM_WAIT : STREAM_FAILED;
	got = stream_recv(s, to, most);
	if (got <= 0)
		return stream_read_nothing(s, got);
	*n = (size_t)got;
	return STREAM_OK;
}

enum stream_result
stream_read(struct stream *s, char *to, size_t most, struct slice *got)
{
	enum stream_result r;
	size_t n = 0;

	ALIVE(s, STREAM_MAGIC);
	if (s->connecting)
		return STREAM_WAIT;
	if (s->error != 0 && s->ssl != NULL)
		return STREAM_FAILED;
	if (to == NULL) {
		must(most <= LOOP_SCRATCH);
		to = s->loop->in;
	}
	if (s->ssl != NULL)
		r = stream_read_tls(s, to, most, &n);
	else
		r = s->ended ? STREAM_END : stream_read_plain(s, to, most, &n);
	*got = slice_make(to, n);
	return r;
}

/* A new one at the ring's end. NULL: there is no memory. */
static struct chunk *
stream_add_chunk(struct stream *s, struct pipe *p)
{
	struct chunk *c = slab_get_raw(&s->loop->chunks);

	if (c == NULL)
		return NULL;
	c->pipe = p;
	c->at = c->n = 0;
	if (s->out == NULL) {
		c->next = c;
	} else {
		c->next = s->out->next;
		s->out->next = c;
	}
	s->out = c;
	return c;
}

/* The ring's last chunk, with room: NULL when there is no memory. */
static struct chunk *
stream_tail(struct stream *s)
{
	struct chunk *c = s->out;

	return c != NULL && c->pipe == NULL && c->n < CHUNK_BYTES ? c : stream_add_chunk(s, NULL);
}

static enum stream_result
stream_keep(struct stream *s, struct slice bytes)
{
	while (bytes.n != 0) {
		struct chunk *c = stream_tail(s);
		size_t n;

		if (c == NULL)
			return stream_fail(s, ENOMEM);
		n = bytes.n < CHUNK_BYTES - c->n ? bytes.n : CHUNK_BYTES - c->n;
		memcpy(c->bytes + c->n, bytes.p, n);
		c->n += n;
		bytes = slice_skip(bytes, n);
	}
	return STREAM_OK;
}

/* Takes the ring's first chunk off. */
static void
stream_drop_first(struct stream *s)
{
	struct chunk *first = s->out->next;

	if (first == s->out)
		s->out = NULL;
	else
		s->out->next = first->next;
	pipe_put(&s->loop->pipes, first->pipe);
	slab_put(&s->loop->chunks, first);
}

/* Offers bytes to the socket; *written may be less than n, down to 0. */
static enum stream_result
stream_offer(struct stream *s, const char *from, size_t n, int flags, size_t *written)
{
	ssize_t sent;

	s->corked = flags == MSG_MORE;
	if (s->ssl != NULL)
		return stream_write_tls(s, from, n, flags, written);
	*written = 0;
	sent = stream_send(s, from, n, flags);
	if (sent == -1)
		return errno == EAGAIN ? STREAM_OK : stream_fail(s, errno);
	*written = (size_t)sent;
	return STREAM_OK;
}

static enum stream_result
stream_put(struct stream *s, struct slice bytes, int flags)
{
	size_t written = 0;

	ALIVE(s, STREAM_MAGIC);
	if (s->error != 0)
		return STREAM_FAILED;
	must(!s->shut_wanted);
	if (bytes.n == 0)
		return STREAM_OK;
	if (s->out == NULL && !s->connecting && stream_offer(s, bytes.p, bytes.n, flags, &written) != STREAM_OK)
		return STREAM_FAILED;
	return stream_keep(s, slice_skip(bytes, written));
}

enum stream_result
stream_write(struct stream *s, struct slice bytes)
{
	return stream_put(s, bytes, 0);
}

enum stream_result
stream_write_more(struct stream *s, struct slice bytes)
{
	return stream_put(s, bytes, MSG_MORE);
}

/* ---- moving ---- */

bool
stream_can_ever_move(const struct stream *from, const struct stream *to)
{
	return from->ssl == NULL && to->ssl == NULL;
}

bool
stream_can_move(const struct stream *from, const struct stream *to)
{
	return stream_can_ever_move(from, to) && to->out == NULL && !to->connecting && to->error == 0;
}

/* True when nothing of it is left. */
static bool
stream_flush_pipe(struct stream *s, struct pipe *p)
{
	if (pipe_drain(p, s->fd))
		return true;
	if (errno != EAGAIN)
		stream_fail(s, errno);
	return false;
}

/* Takes the pipe over: what the socket refuses waits in it. */
static void
stream_send_pipe(struct stream *s, struct pipe *p)
{
	if (!stream_flush_pipe(s, p) && s->error == 0) {
		if (stream_add_chunk(s, p) != NULL)
			return;
		stream_fail(s, ENOMEM);
	}
	pipe_put(&s->loop->pipes, p);
}

enum stream_result
stream_move(struct stream *from, struct stream *to, size_t most, size_t *n)
{
	enum stream_result r;
	struct pipe *p;
	ssize_t got;

	ALIVE(from, STREAM_MAGIC);
	ALIVE(to, STREAM_MAGIC);
	must(stream_can_move(from, to) && !to->shut_wanted);
	*n = 0;
	if (from->ended)
		return STREAM_END;
	if (!from->readable)
		return from->error == 0 ? STREAM_WAIT : STREAM_FAILED;
	p = pipe_get(&from->loop->pipes);
	if (p == NULL)
		return STREAM_OK;
	got = pipe_fill(p, from->fd, most < PIPE_BYTES ? most : PIPE_BYTES);
	if (got == 0 || (got == -1 && pipe_is_unfit(errno))) {
		pipe_put(&from->loop->pipes, p);
		return STREAM_OK;
	}
	if (got == -1) {
		stream_note_read(from, got);
		r = stream_read_nothing(from, got);
		pipe_put(&from->loop->pipes, p);
		return r;
	}
	*n = (size_t)got;
	stream_send_pipe(to, p);
	return STREAM_OK;
}

/* ---- ending ---- */

/* The close_notify, which goes together with the FIN that comes next. False: there is no room for it just now. */
static bool
stream_shut_tls(struct stream *s)
{
	int r, e;

	s->more = s->corked = true;
	r = SSL_shutdown(s->ssl);
	s->more = false;
	e = r < 0 ? SSL_get_error(s->ssl, r) : SSL_ERROR_NONE;
	ERR_clear_error();
	return e != SSL_ERROR_WANT_WRITE;
}

static void
stream_shut_now(struct stream *s)
{
	if (s->ssl != NULL && SSL_is_init_finished(s->ssl) && !stream_shut_tls(s))
		return;			/* again when it is writable */
	s->shut_done = true;
	shutdown(s->fd, SHUT_WR);
}

void
stream_shut(struct stream *s)
{
	ALIVE(s, STREAM_MAGIC);
	if (s->shut_wanted || s->error != 0 || s->fd == -1)
		return;
	s->shut_wanted = true;
	if (s->out == NULL)
		stream_shut_now(s);
}

/* True when nothing of it is left. */
static bool
stream_flush_chunk(struct stream *s, struct chunk *c)
{
	size_t written;

	if (c->pipe != NULL)
		return stream_flush_pipe(s, c->pipe);
	if (stream_offer(s, c->bytes + c->at, c->n - c->at, 0, &written) != STREAM_OK)
		return false;
	c->at += written;
	return c->at == c->n;
}

/* True when nothing is pending any more. */
static bool
stream_flush(struct stream *s)
{
	while (s->out != NULL) {
		if (!stream_flush_chunk(s, s->out->next))
			return false;
		stream_drop_first(s);
	}
	return true;
}

/* ---- events ---- */

static unsigned
stream_writable(struct stream *s)
{
	unsigned what = 0;

	if (s->connecting) {
		s->connecting = false;
		what |= STREAM_CONNECTED;
	}
	if (s->out != NULL && stream_flush(s))
		what |= STREAM_DRAINED;
	if (s->shut_wanted && !s->shut_done && s->out == NULL)
		stream_shut_now(s);
	if (s->read_needs_write || s->error != 0) {
		s->read_needs_write = false;
		what |= STREAM_CAN_READ;
	}
	return what;
}

/* A handshake that fails is a connect that failed. */
static unsigned
stream_connect_tls(struct stream *s)
{
	if (!stream_shake_hands(s))
		return 0;
	if (s->error != 0) {
		s->connecting = false;
		return STREAM_CAN_READ;
	}
	return stream_writable(s) | (stream_may_have_more(s) ? STREAM_CAN_READ : 0);
}

static void
on_stream_event(struct watch *w, uint32_t events)
{
	struct stream *s = CONTAINER(w, struct stream, watch);
	unsigned what = 0;

	ALIVE(s, STREAM_MAGIC);
	if (s->fd == -1)
		return;			/* closed by an event before this one */
	if (events == 0)
		what |= STREAM_CAN_READ;	/* stream_again() */
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->hup = true;
	if (events & EPOLLERR)
		s->broken = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		s->readable = true;
		what |= STREAM_CAN_READ;
	}
	if (s->connecting && s->ssl != NULL)
		what = stream_connect_tls(s);
	else if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		what |= stream_writable(s);
	if (what != 0)
		s->ready(s, what);
}

bool
stream_init(struct stream *s, struct loop *l, int fd, SSL *ssl, stream_fn *ready, void *owner)
{
	*s = (struct stream){ .magic = STREAM_MAGIC, .fd = fd, .loop = l, .ready = ready, .owner = owner };
	watch_init(&s->watch, on_stream_event);
	if (!loop_watch(l, &s->watch, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
		s->fd = -1;
		return false;
	}
	if (ssl != NULL)
		stream_set_tls(s, ssl);
	return true;
}

void
stream_hand_over(struct stream *s, stream_fn *ready, void *owner)
{
	ALIVE(s, STREAM_MAGIC);
	s->ready = ready;
	s->owner = owner;
}

void
stream_again(struct stream *s)
{
	ALIVE(s, STREAM_MAGIC);
	loop_again(s->loop, &s->watch);
}

bool
stream_may_have_more(const struct stream *s)
{
	return s->readable || s->ended || (s->ssl != NULL && SSL_has_pending(s->ssl));
}

bool
stream_is_reset(struct stream *s)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (s->error != 0)
		return true;
	if (!s->broken)
		return false;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 || error == 0)
		error = ECONNRESET;
	stream_fail(s, error);
	return true;
}

bool
stream_peek(struct stream *s, char *to, size_t most, struct slice *got)
{
	ssize_t n = recv(s->fd, to, most, MSG_PEEK | MSG_DONTWAIT);

	*got = slice_make(to, n > 0 ? (size_t)n : 0);
	if (n > 0)
		return true;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n == -1)
		stream_fail(s, errno);
	return false;
}

bool
stream_progresses(struct stream *s)
{
	uint32_t before = s->unread;
	int unread;

	if (s->error != 0 || ioctl(s->fd, SIOCOUTQ, &unread) == -1)
		return false;
	s->unread = (uint32_t)unread;
	return s->unread != before;
}

bool
stream_is_quiet(struct stream *s)
{
	char c;

	return s->error == 0 && (s->ssl == NULL || !SSL_has_pending(s->ssl)) &&
	    recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

void
stream_close(struct stream *s)
{
	ALIVE(s, STREAM_MAGIC);
	if (s->fd == -1)
		return;
	if (s->ssl != NULL) {
		tls_note_end(s->ssl);
		if (s->error == 0 && !s->shut_done && s->out == NULL && SSL_is_init_finished(s->ssl))
			(void)stream_shut_tls(s);
		SSL_free(s->ssl);
		s->ssl = NULL;
	}
	/* A close is a reset where bytes were left unread, and takes with it what is corked. */
	if (s->corked && !s->shut_done && s->error == 0)
		shutdown(s->fd, SHUT_WR);
	loop_unwatch(s->loop, &s->watch, s->fd);
	close(s->fd);
	s->fd = -1;
	while (s->out != NULL)
		stream_drop_first(s);
}

const char *
stream_why(const struct stream *s, char *text, size_t room)
{
	if (s->error == 0)
		return "closed";
	if (s->error > 0)
		return strerror_r(s->error, text, room);
	return tls_client_why(s->ssl, s->tls_error, text, room);
}
