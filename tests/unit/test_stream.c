/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams over real sockets: edges, ends and resets together with data, blocked writes, and TLS cut anywhere. */
#include "net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "wire.h"

#define MUCH (3 * 1024 * 1024)

/* A stream and all that it said. */
struct ear {
	struct stream stream;
	struct loop *loop;
	unsigned calls, drained, connected;
	size_t most; /* of one read */
	unsigned reads_left; /* then it says stream_again() */
	bool deaf; /* does not read */
	bool closes; /* in its first callback */
	enum stream_result last; /* of the last read */
	struct wire_got got;
};

static void
ear_read(struct ear *e)
{
	static char bytes[LOOP_SCRATCH];
	struct slice got;

	for (unsigned left = e->reads_left; !e->deaf; left--) {
		if (left == 0) {
			stream_again(&e->stream);
			return;
		}
		e->last =
		    stream_read(&e->stream, e->most != 0 ? bytes : NULL, e->most != 0 ? e->most : LOOP_SCRATCH, &got);
		if (e->last != STREAM_OK)
			return;
		assert_int_not_equal(got.n, 0);
		if (e->got.room - e->got.n < got.n) {
			e->got.room = e->got.room * 2 + got.n;
			e->got.p = mem_realloc(e->got.p, e->got.room);
		}
		memcpy(e->got.p + e->got.n, got.p, got.n);
		e->got.n += got.n;
	}
}

static void
on_ear(struct stream *s, unsigned what)
{
	struct ear *e = s->owner;

	assert_int_not_equal(s->fd, -1);
	e->calls++;
	e->drained += (what & STREAM_DRAINED) != 0;
	e->connected += (what & STREAM_CONNECTED) != 0;
	if (e->closes)
		stream_close(s);
	else if (what & STREAM_CAN_READ)
		ear_read(e);
}

static void
ear_init(struct ear *e, struct loop *l, int fd, SSL *ssl)
{
	*e = (struct ear){ .loop = l, .reads_left = 100, .last = STREAM_WAIT };
	assert_true(stream_init(&e->stream, l, fd, ssl, on_ear, e));
}

static void
ear_fini(struct ear *e)
{
	stream_close(&e->stream);
	stream_close(&e->stream); /* twice is fine */
	wire_got_free(&e->got);
}

static bool
ear_has(const struct ear *e, const char *text)
{
	return e->got.n == strlen(text) && memcmp(e->got.p, text, e->got.n) == 0;
}

/* Bytes of which each tells its place. */
static char *
pattern(size_t n)
{
	char *p = mem_zalloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 31 + (i >> 8) * 7 + (i >> 16));
	return p;
}

static int
setup(void **state)
{
	*state = loop_new();
	return *state == NULL;
}

static int
teardown(void **state)
{
	loop_free(*state);
	return 0;
}

/* ---- plain ---- */

/* With bytes of the peer's unread a close is a reset; what was kept back for company must have left before. */
static void
closing_loses_nothing_that_was_written(void **state)
{
	for (unsigned shuts = 0; shuts < 2; shuts++) {
		struct wire_got got = { .p = NULL };
		struct ear e;
		int fd[2];

		wire_tcp(fd);
		ear_init(&e, *state, fd[1], NULL);
		e.deaf = true;
		wire_say(fd[0], "never read");
		wire_turns(*state, 3);
		assert_int_equal(stream_write_more(&e.stream, SLICE_LIT("last ")), STREAM_OK);
		assert_int_equal(stream_write_more(&e.stream, SLICE_LIT("words")), STREAM_OK);
		if (shuts != 0)
			stream_shut(&e.stream);
		stream_close(&e.stream);
		WIRE_UNTIL_DOING(*state, wire_take(fd[0], &got, SIZE_MAX), got.ended || got.n == 10);
		assert_int_equal(got.n, 10);
		assert_memory_equal(got.p, "last words", 10);
		wire_got_free(&got);
		close(fd[0]);
		ear_fini(&e);
	}
}

/* splice(2) stops before an urgent byte and says, when a FIN has come, that this is the end. It is not. */
static void
moving_stops_before_urgent_data(void **state)
{
	struct wire_got got = { .p = NULL };
	struct ear from, to;
	int in[2], out[2];
	size_t n;

	wire_tcp(in);
	wire_tcp(out);
	wire_say(in[0], "before");
	assert_int_equal(send(in[0], "!", 1, MSG_OOB), 1);
	wire_say(in[0], "behind");
	shutdown(in[0], SHUT_WR);
	ear_init(&from, *state, in[1], NULL);
	ear_init(&to, *state, out[1], NULL);
	from.deaf = true;
	WIRE_UNTIL(*state, from.stream.hup);
	assert_int_equal(stream_move(&from.stream, &to.stream, 1000, &n), STREAM_OK);
	assert_int_equal(n, 6);
	assert_int_equal(stream_move(&from.stream, &to.stream, 1000, &n), STREAM_OK);
	assert_int_equal(n, 0);
	from.deaf = false;
	ear_read(&from);
	assert_int_equal(from.last, STREAM_END);
	assert_true(ear_has(&from, "behind"));
	WIRE_UNTIL_DOING(*state, wire_take(out[0], &got, SIZE_MAX), got.n == 6);
	assert_memory_equal(got.p, "before", 6);
	wire_got_free(&got);
	close(in[0]);
	close(out[0]);
	ear_fini(&from);
	ear_fini(&to);
}

static void
says_what_came_and_the_end(void **state)
{
	struct ear e;
	int fd[2];

	wire_tcp(fd);
	ear_init(&e, *state, fd[1], NULL);
	wire_turns(*state, 3);
	assert_int_equal(e.got.n, 0);
	wire_say(fd[0], "hello");
	WIRE_UNTIL(*state, ear_has(&e, "hello"));
	assert_int_equal(e.last, STREAM_WAIT);
	assert_false(stream_may_have_more(&e.stream));
	wire_say(fd[0], " world");
	shutdown(fd[0], SHUT_WR);
	WIRE_UNTIL(*state, e.last == STREAM_END);
	assert_true(ear_has(&e, "hello world"));
	assert_true(stream_may_have_more(&e.stream)); /* whoever has not seen the end must look */
	/* the other direction is still open */
	assert_int_equal(stream_write(&e.stream, SLICE_LIT("answer")), STREAM_OK);
	stream_shut(&e.stream);
	stream_shut(&e.stream);
	WIRE_UNTIL_DOING(*state, wire_take(fd[0], &e.got, SIZE_MAX), e.got.ended);
	assert_true(ear_has(&e, "hello worldanswer"));
	close(fd[0]);
	ear_fini(&e);
}

/* Data and what ends it, all there before the first look. */
static void
the_end_comes_with_the_data(void **state)
{
	for (unsigned reset = 0; reset < 2; reset++) {
		for (unsigned most = 0; most < 12; most++) {
			struct ear e;
			int fd[2];

			wire_tcp(fd);
			wire_say(fd[0], "last words");
			if (reset != 0)
				wire_reset(fd[0]);
			else
				close(fd[0]);
			ear_init(&e, *state, fd[1], NULL);
			e.most = most;
			WIRE_UNTIL(*state, e.last == (reset != 0 ? STREAM_FAILED : STREAM_END));
			assert_true(ear_has(&e, "last words"));
			assert_int_equal(stream_has_failed(&e.stream), reset != 0);
			ear_fini(&e);
		}
	}
}

/* It is read short first; then the reset alone. */
static void
a_reset_behind_the_data_is_noticed(void **state)
{
	struct ear e;
	char text[64];
	int fd[2];

	wire_tcp(fd);
	ear_init(&e, *state, fd[1], NULL);
	wire_say(fd[0], "x");
	WIRE_UNTIL(*state, ear_has(&e, "x"));
	wire_reset(fd[0]);
	WIRE_UNTIL(*state, e.last == STREAM_FAILED);
	assert_string_equal(stream_why(&e.stream, text, sizeof text), "Connection reset by peer");
	assert_int_equal(stream_write(&e.stream, SLICE_LIT("y")), STREAM_FAILED);
	ear_fini(&e);
}

/* It does not read, and asks. */
static void
a_reset_can_be_asked_for(void **state)
{
	struct ear e;
	struct slice got;
	char bytes[8];
	int fd[2];

	wire_tcp(fd);
	ear_init(&e, *state, fd[1], NULL);
	e.deaf = true;
	assert_true(stream_is_quiet(&e.stream));
	assert_false(stream_is_reset(&e.stream));
	assert_true(stream_peek(&e.stream, bytes, sizeof bytes, &got));
	assert_int_equal(got.n, 0);
	wire_say(fd[0], "data");
	WIRE_UNTIL(*state, !stream_is_quiet(&e.stream));
	assert_false(stream_is_reset(&e.stream));
	assert_true(stream_peek(&e.stream, bytes, sizeof bytes, &got));
	assert_memory_equal(got.p, "data", 4);
	shutdown(fd[0], SHUT_WR);
	wire_turns(*state, 3);
	assert_false(stream_is_reset(&e.stream)); /* a half-close is none */
	e.deaf = false;
	ear_read(&e);
	assert_int_equal(e.last, STREAM_END);
	assert_true(ear_has(&e, "data"));
	assert_false(stream_is_quiet(&e.stream));
	assert_false(stream_peek(&e.stream, bytes, sizeof bytes, &got));
	wire_reset(fd[0]);
	WIRE_UNTIL(*state, stream_is_reset(&e.stream));
	assert_true(stream_is_reset(&e.stream));
	ear_fini(&e);
}

/* One edge for much data: whoever stops early and says stream_again() gets all of it, and others have their turns
 * between. */
static void
going_on_later_loses_nothing(void **state)
{
	struct ear greedy, other;
	int fd[2], fd2[2];
	size_t sent;

	wire_tcp(fd);
	wire_pair(fd2);
	ear_init(&greedy, *state, fd[1], NULL);
	ear_init(&other, *state, fd2[1], NULL);
	greedy.reads_left = 1;
	greedy.most = 100;
	sent = wire_fill(fd[0]);
	wire_say(fd2[0], "me too");
	WIRE_UNTIL(*state, greedy.got.n != 0);
	wire_turn(*state);
	assert_true(greedy.got.n < 10000);
	assert_true(ear_has(&other, "me too"));
	greedy.most = 0;
	WIRE_UNTIL_DOING(*state, sent += wire_fill(fd[0]), sent >= MUCH);
	close(fd[0]);
	WIRE_UNTIL(*state, greedy.last == STREAM_END);
	assert_int_equal(greedy.got.n, sent);
	close(fd2[0]);
	ear_fini(&greedy);
	ear_fini(&other);
}

/* What asked to go on and is closed then, or before, is not called. */
static void
closed_before_its_turn(void **state)
{
	struct ear e;
	int fd[2];

	wire_pair(fd);
	ear_init(&e, *state, fd[1], NULL);
	wire_turns(*state, 2);
	stream_again(&e.stream);
	stream_again(&e.stream);
	e.calls = 0;
	ear_fini(&e);
	wire_turns(*state, 3);
	assert_int_equal(e.calls, 0);
	close(fd[0]);
}

/* Both have an event in one turn, and whoever comes first closes the other. */
static struct ear *rivals[2];

static void
on_rival(struct stream *s, unsigned what)
{
	(void)what;
	for (unsigned i = 0; i < COUNT(rivals); i++)
		if (&rivals[i]->stream != s)
			stream_close(&rivals[i]->stream);
	((struct ear *)s->owner)->calls++;
}

static void
closed_by_another_of_this_turn(void **state)
{
	struct ear e[2];
	int fd[2][2];

	for (unsigned i = 0; i < 2; i++) {
		wire_pair(fd[i]);
		ear_init(&e[i], *state, fd[i][1], NULL);
		rivals[i] = &e[i];
	}
	wire_turns(*state, 2);
	for (unsigned i = 0; i < 2; i++) {
		stream_hand_over(&e[i].stream, on_rival, &e[i]);
		e[i].calls = 0;
		wire_say(fd[i][0], "now");
	}
	WIRE_UNTIL(*state, e[0].calls + e[1].calls != 0);
	wire_turns(*state, 3);
	assert_int_equal(e[0].calls + e[1].calls, 1);
	for (unsigned i = 0; i < 2; i++) {
		close(fd[i][0]);
		ear_fini(&e[i]);
	}
}

static void
closing_in_a_callback(void **state)
{
	struct ear e;
	int fd[2];

	wire_tcp(fd);
	ear_init(&e, *state, fd[1], NULL);
	e.closes = true;
	wire_say(fd[0], "x");
	WIRE_UNTIL(*state, e.calls != 0);
	wire_turns(*state, 3);
	assert_int_equal(e.calls, 1);
	assert_int_equal(e.stream.fd, -1);
	assert_int_equal(((struct loop *)*state)->chunks.live, 0);
	close(fd[0]);
	ear_fini(&e);
}

/* Back-pressure: it keeps what the socket refuses, says when all is gone, and owns nothing then. */
static void
writes_more_than_the_socket_takes(void **state)
{
	for (unsigned piece = 1000; piece <= 100000; piece *= 10) {
		struct wire_got got = { 0 };
		char *bytes = pattern(MUCH);
		struct ear e;
		int fd[2];
		size_t at = 0;

		wire_tcp(fd);
		assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
		ear_init(&e, *state, fd[1], NULL);
		wire_turns(*state, 2);
		while (at < MUCH) {
			struct slice s = slice_head(slice_make(bytes + at, MUCH - at), piece);

			if (at % 3 == 0)
				assert_int_equal(stream_write_more(&e.stream, s), STREAM_OK);
			else
				assert_int_equal(stream_write(&e.stream, s), STREAM_OK);
			at += s.n;
			if (stream_is_blocked(&e.stream))
				wire_take(fd[0], &got, piece / 2);
			wire_turn(*state);
		}
		stream_shut(&e.stream); /* behind what is pending */
		WIRE_UNTIL_DOING(*state, wire_take(fd[0], &got, SIZE_MAX), got.ended);
		assert_int_equal(got.n, MUCH);
		assert_memory_equal(got.p, bytes, MUCH);
		assert_true(e.drained != 0);
		assert_false(stream_is_blocked(&e.stream));
		assert_int_equal(((struct loop *)*state)->chunks.live, 0);
		close(fd[0]);
		ear_fini(&e);
		wire_got_free(&got);
		free(bytes);
	}
}

/* The peer goes while we are blocked: whoever only writes hears of it too. */
static void
breaks_off_while_blocked(void **state)
{
	char *bytes = pattern(MUCH * 4);
	struct ear e;
	int fd[2];

	wire_tcp(fd);
	ear_init(&e, *state, fd[1], NULL);
	assert_int_equal(stream_write(&e.stream, slice_make(bytes, MUCH * 4)), STREAM_OK);
	assert_true(stream_is_blocked(&e.stream));
	wire_turns(*state, 2);
	wire_reset(fd[0]);
	WIRE_UNTIL(*state, stream_has_failed(&e.stream));
	assert_true(e.calls != 0);
	ear_read(&e);
	assert_true(e.last == STREAM_FAILED || e.last == STREAM_END);
	assert_int_equal(e.drained, 0);
	ear_fini(&e);
	free(bytes);
}

static void
connects(void **state)
{
	struct sockaddr_in at;
	int listening = wire_listen(&at), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), peer;
	struct wire_got got = { 0 };
	struct ear e;

	(void)!connect(fd, (struct sockaddr *)&at, sizeof at);
	ear_init(&e, *state, fd, NULL);
	e.stream.connecting = true;
	assert_int_equal(stream_write(&e.stream, SLICE_LIT("early")), STREAM_OK); /* kept until then */
	WIRE_UNTIL(*state, e.connected == 1);
	assert_false(stream_is_blocked(&e.stream));
	peer = accept(listening, NULL, NULL);
	wire_take(peer, &got, 5);
	assert_memory_equal(got.p, "early", 5);
	close(peer);
	WIRE_UNTIL(*state, e.last == STREAM_END);
	assert_int_equal(e.connected, 1);
	ear_fini(&e);
	wire_got_free(&got);
	/* and to nobody: the first write, or read, tells */
	close(listening);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)!connect(fd, (struct sockaddr *)&at, sizeof at);
	ear_init(&e, *state, fd, NULL);
	e.stream.connecting = true;
	WIRE_UNTIL(*state, e.calls != 0);
	assert_int_equal(stream_write(&e.stream, SLICE_LIT("x")), STREAM_FAILED);
	ear_fini(&e);
}

/* ---- TLS ---- */

/* The client's end is OpenSSL with its bytes in memory, so that they can be cut as the test likes. */
static SSL_CTX *server_ctx, *client_ctx;

static void
tls_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	assert_non_null(key);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int
setup_tls(void **state)
{
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	tls_certificate(server_ctx);
	/* as net/tls.c sets them */
	SSL_CTX_set_options(server_ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(server_ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(server_ctx, 1);
	return setup(state);
}

static int
teardown_tls(void **state)
{
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return teardown(state);
}

struct tls_peer {
	SSL *ssl;
	BIO *in, *out; /* of the client: from and to the wire */
	int fd;
	struct wire_got got; /* decrypted */
	bool closed; /* close_notify seen */
};

static void
tls_peer_init(struct tls_peer *p, int fd, int version)
{
	*p = (struct tls_peer){
		.fd = fd, .ssl = SSL_new(client_ctx), .in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem())
	};
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_connect_state(p->ssl);
	if (version != 0)
		SSL_set_max_proto_version(p->ssl, version);
}

static void
tls_peer_fini(struct tls_peer *p)
{
	SSL_free(p->ssl);
	if (p->fd != -1)
		close(p->fd);
	wire_got_free(&p->got);
}

/* At most so many bytes from the wire to the client, which reads. */
static void
tls_peer_receive(struct tls_peer *p, size_t most)
{
	struct wire_got raw = { 0 };
	char bytes[16384];
	size_t n;

	wire_take(p->fd, &raw, most);
	if (raw.n != 0)
		assert_int_equal(BIO_write(p->in, raw.p, (int)raw.n), raw.n);
	wire_got_free(&raw);
	while (SSL_read_ex(p->ssl, bytes, sizeof bytes, &n)) {
		if (p->got.room - p->got.n < n) {
			p->got.room = p->got.room * 2 + n;
			p->got.p = mem_realloc(p->got.p, p->got.room);
		}
		memcpy(p->got.p + p->got.n, bytes, n);
		p->got.n += n;
	}
	p->closed = (SSL_get_shutdown(p->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
	ERR_clear_error();
}

/* At most so many of the client's bytes to the wire; returns how many went. */
static size_t
tls_peer_send(struct tls_peer *p, size_t most)
{
	char bytes[16384];
	size_t all = 0;
	int n;

	while (all < most &&
	    (n = BIO_read(p->out, bytes, (int)(most - all < sizeof bytes ? most - all : sizeof bytes))) > 0) {
		wire_write(p->fd, bytes, (size_t)n);
		all += (size_t)n;
	}
	return all;
}

static void
tls_peer_step(struct tls_peer *p, size_t piece)
{
	tls_peer_receive(p, SIZE_MAX);
	tls_peer_send(p, piece);
}

static void
tls_begin(struct tls_peer *p, struct ear *e, struct loop *l, int version)
{
	int fd[2];
	SSL *ssl = SSL_new(server_ctx);

	wire_tcp(fd);
	SSL_set_accept_state(ssl);
	tls_peer_init(p, fd[0], version);
	ear_init(e, l, fd[1], ssl);
	assert_false(stream_is_established(&e->stream));
	WIRE_UNTIL_DOING(
	    l, tls_peer_step(p, SIZE_MAX), stream_is_established(&e->stream) && SSL_is_init_finished(p->ssl));
}

/* However the handshake's and the records' bytes are cut, the text is the same. */
static void
tls_cut_anywhere(void **state)
{
	static const size_t pieces[] = { 1, 2, 4, 5, 6, 7, 100, 1000, 16384 };
	static const int versions[] = { 0, TLS1_2_VERSION };

	for (unsigned v = 0; v < COUNT(versions); v++) {
		for (unsigned i = 0; i < COUNT(pieces); i++) {
			struct tls_peer p;
			struct ear e;
			SSL *ssl = SSL_new(server_ctx);
			int fd[2];

			wire_tcp(fd);
			SSL_set_accept_state(ssl);
			tls_peer_init(&p, fd[0], versions[v]);
			ear_init(&e, *state, fd[1], ssl);
			e.most = pieces[i] == 100 ? 3 : 0;
			SSL_do_handshake(p.ssl);
			WIRE_UNTIL_DOING(*state, tls_peer_step(&p, pieces[i]), SSL_is_init_finished(p.ssl));
			/* two records, that may come together or in parts */
			assert_int_equal(SSL_write(p.ssl, "hello ", 6), 6);
			assert_int_equal(SSL_write(p.ssl, "world", 5), 5);
			WIRE_UNTIL_DOING(*state, tls_peer_step(&p, pieces[i]), ear_has(&e, "hello world"));
			assert_true(stream_is_established(&e.stream));
			assert_int_equal(stream_write(&e.stream, SLICE_LIT("answer")), STREAM_OK);
			WIRE_UNTIL_DOING(*state, tls_peer_receive(&p, pieces[i]), p.got.n == 6);
			assert_memory_equal(p.got.p, "answer", 6);
			/* close_notify, then the other half still */
			SSL_shutdown(p.ssl);
			tls_peer_send(&p, SIZE_MAX);
			WIRE_UNTIL(*state, e.last == STREAM_END);
			assert_int_equal(stream_write(&e.stream, SLICE_LIT("bye")), STREAM_OK);
			stream_shut(&e.stream);
			WIRE_UNTIL_DOING(*state, tls_peer_receive(&p, SIZE_MAX), p.closed);
			assert_int_equal(p.got.n, 9);
			tls_peer_fini(&p);
			ear_fini(&e);
			assert_int_equal(ERR_peek_error(), 0);
		}
	}
}

/* All is there before the first look: the last record, the close_notify and the FIN; or no close_notify; or a
 * reset. */
static void
tls_ends_with_the_data(void **state)
{
	for (unsigned how = 0; how < 3; how++) {
		struct tls_peer p;
		struct ear e;

		tls_begin(&p, &e, *state, 0);
		wire_turns(*state, 3);
		e.most = how == 0 ? 0 : 4;
		assert_int_equal(SSL_write(p.ssl, "last words", 10), 10);
		if (how == 0)
			SSL_shutdown(p.ssl);
		tls_peer_send(&p, SIZE_MAX);
		if (how != 2) {
			shutdown(p.fd, SHUT_WR);
		} else {
			wire_reset(p.fd);
			p.fd = -1;
		}
		WIRE_UNTIL(*state, e.last == (how == 2 ? STREAM_FAILED : STREAM_END));
		assert_true(ear_has(&e, "last words"));
		tls_peer_fini(&p);
		ear_fini(&e);
	}
}

/* Records that came in one piece are more than what is asked for: no edge will tell of the rest. */
static void
tls_keeps_what_was_not_read(void **state)
{
	struct tls_peer p;
	struct ear e;
	struct slice got;
	char byte;

	tls_begin(&p, &e, *state, 0);
	e.deaf = true;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(SSL_write(p.ssl, "ab", 2), 2);
	tls_peer_send(&p, SIZE_MAX);
	wire_turns(*state, 3);
	WIRE_UNTIL(*state, stream_read(&e.stream, &byte, 1, &got) == STREAM_OK);
	for (unsigned i = 1; i < 6; i++) {
		assert_int_equal(byte, i % 2 == 1 ? 'a' : 'b');
		assert_true(stream_may_have_more(&e.stream));
		assert_int_equal(stream_read(&e.stream, &byte, 1, &got), STREAM_OK);
	}
	assert_int_equal(stream_read(&e.stream, &byte, 1, &got), STREAM_WAIT);
	tls_peer_fini(&p);
	ear_fini(&e);
}

/* A close_notify that came along with the last record, and no FIN behind it. */
static void
tls_close_notify_alone(void **state)
{
	struct tls_peer p;
	struct ear e;
	struct slice got;

	tls_begin(&p, &e, *state, 0);
	wire_turns(*state, 3);
	e.deaf = true;
	assert_int_equal(SSL_write(p.ssl, "x", 1), 1);
	SSL_shutdown(p.ssl);
	tls_peer_send(&p, SIZE_MAX);
	WIRE_UNTIL(*state, stream_read(&e.stream, NULL, 100, &got) == STREAM_OK);
	assert_int_equal(got.n, 1);
	assert_true(stream_may_have_more(&e.stream));
	assert_int_equal(stream_read(&e.stream, NULL, 100, &got), STREAM_END);
	tls_peer_fini(&p);
	ear_fini(&e);
}

/* What the socket refuses is offered again, together with what was written since: OpenSSL wants at least the length
 * and the bytes that it was offered first. */
static void
tls_writes_more_than_the_socket_takes(void **state)
{
	static const size_t pieces[] = { 10, 777, 10000, 16384, 16385, 50000 };

	for (unsigned i = 0; i < COUNT(pieces); i++) {
		char *bytes = pattern(MUCH);
		struct tls_peer p;
		struct ear e;
		size_t at = 0;
		unsigned turn = 0;
		size_t all = pieces[i] < 100 ? MUCH / 8 : MUCH;

		tls_begin(&p, &e, *state, 0);
		assert_int_equal(setsockopt(e.stream.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
		while (at < all) {
			struct slice s = slice_head(slice_make(bytes + at, all - at), pieces[i]);

			assert_int_equal(stream_write(&e.stream, s), STREAM_OK);
			at += s.n;
			if (++turn % 7 != 0 && stream_is_blocked(&e.stream)) {
				tls_peer_receive(&p, 3000 + turn % 5000);
				wire_turn(*state);
			}
		}
		stream_shut(&e.stream);
		WIRE_UNTIL_DOING(*state, tls_peer_receive(&p, SIZE_MAX), p.closed);
		assert_int_equal(p.got.n, all);
		assert_memory_equal(p.got.p, bytes, all);
		assert_false(stream_is_blocked(&e.stream));
		assert_false(stream_has_failed(&e.stream));
		tls_peer_fini(&p);
		ear_fini(&e);
		free(bytes);
	}
}

/* Both directions at once, with new keys in the middle of a blocked write. */
static void
tls_new_keys_while_blocked(void **state)
{
	char *bytes = pattern(MUCH);
	struct tls_peer p;
	struct ear e;

	tls_begin(&p, &e, *state, 0);
	assert_int_equal(stream_write(&e.stream, slice_make(bytes, MUCH)), STREAM_OK);
	assert_int_equal(stream_write(&e.stream, slice_make(bytes, MUCH)), STREAM_OK);
	assert_true(stream_is_blocked(&e.stream));
	assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(p.ssl, "x", 1), 1);
	tls_peer_send(&p, SIZE_MAX);
	WIRE_UNTIL(*state, ear_has(&e, "x"));
	assert_int_equal(stream_write(&e.stream, SLICE_LIT("end")), STREAM_OK);
	WIRE_UNTIL_DOING(*state, tls_peer_receive(&p, SIZE_MAX), p.got.n == 2 * MUCH + 3);
	assert_memory_equal(p.got.p + MUCH, bytes, MUCH);
	assert_memory_equal(p.got.p + 2 * MUCH, "end", 3);
	tls_peer_fini(&p);
	ear_fini(&e);
	free(bytes);
}

static void
tls_garbage(void **state)
{
	static const char *const garbage[] = { "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff????????????????" };

	for (unsigned i = 0; i < COUNT(garbage); i++) {
		struct ear e;
		char text[128];
		SSL *ssl = SSL_new(server_ctx);
		int fd[2];

		wire_tcp(fd);
		SSL_set_accept_state(ssl);
		ear_init(&e, *state, fd[1], ssl);
		wire_say(fd[0], garbage[i]);
		WIRE_UNTIL(*state, e.last == STREAM_FAILED);
		assert_non_null(strstr(stream_why(&e.stream, text, sizeof text), "TLS: "));
		assert_int_equal(stream_write(&e.stream, SLICE_LIT("x")), STREAM_FAILED);
		assert_int_equal(ERR_peek_error(), 0);
		close(fd[0]);
		ear_fini(&e);
	}
}

/* Who leaves in the handshake has not ended a stream. */
static void
tls_leaves_in_the_handshake(void **state)
{
	struct ear e;
	SSL *ssl = SSL_new(server_ctx);
	int fd[2];

	wire_tcp(fd);
	SSL_set_accept_state(ssl);
	ear_init(&e, *state, fd[1], ssl);
	wire_write(fd[0], "\x16\x03", 2);
	close(fd[0]);
	WIRE_UNTIL(*state, e.last == STREAM_FAILED);
	assert_false(stream_is_established(&e.stream));
	ear_fini(&e);
}

int
main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(closing_loses_nothing_that_was_written),
		cmocka_unit_test(moving_stops_before_urgent_data),
		cmocka_unit_test(says_what_came_and_the_end),
		cmocka_unit_test(the_end_comes_with_the_data),
		cmocka_unit_test(a_reset_behind_the_data_is_noticed),
		cmocka_unit_test(a_reset_can_be_asked_for),
		cmocka_unit_test(going_on_later_loses_nothing),
		cmocka_unit_test(closed_before_its_turn),
		cmocka_unit_test(closed_by_another_of_this_turn),
		cmocka_unit_test(closing_in_a_callback),
		cmocka_unit_test(writes_more_than_the_socket_takes),
		cmocka_unit_test(breaks_off_while_blocked),
		cmocka_unit_test(connects),
	};
	const struct CMUnitTest tls[] = {
		cmocka_unit_test(tls_cut_anywhere),
		cmocka_unit_test(tls_ends_with_the_data),
		cmocka_unit_test(tls_keeps_what_was_not_read),
		cmocka_unit_test(tls_close_notify_alone),
		cmocka_unit_test(tls_writes_more_than_the_socket_takes),
		cmocka_unit_test(tls_new_keys_while_blocked),
		cmocka_unit_test(tls_garbage),
		cmocka_unit_test(tls_leaves_in_the_handshake),
	};

	return cmocka_run_group_tests(plain, setup, teardown) + cmocka_run_group_tests(tls, setup_tls, teardown_tls);
}
