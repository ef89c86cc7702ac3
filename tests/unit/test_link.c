/* SPDX-License-Identifier: BSD-2-Clause */
/* Links to a real gateway: kept, taken, closed when the gateway closes or speaks, and nothing of them left. */
#include "pool/link.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "paper.h"
#include "wire.h"

static char name[] = "gw1";
static struct loop *loop;
static struct links *links;
static struct gateway *gateway;
static int listening;
static unsigned connected, readable;
static int owner; /* its address alone */

static void
on_ready(struct stream *s, unsigned what)
{
	assert_ptr_equal(s->owner, &owner);
	connected += (what & STREAM_CONNECTED) != 0;
	readable += (what & STREAM_CAN_READ) != 0;
}

static int
setup(void **state)
{
	struct sockaddr_in at;
	struct conf_gateway cf = { .name = name, .weight = 1 };
	static char pool_name[] = "pool";
	const struct conf_pool pool = { .name = pool_name };
	const char *why;

	(void)state;
	loop = loop_new();
	links = links_new(loop);
	listening = wire_listen(&at);
	cf.address = mem_printf("127.0.0.1:%u", ntohs(at.sin_port));
	gateway = gateway_new(&cf, &pool, &why);
	free(cf.address);
	connected = readable = 0;
	return gateway == NULL;
}

/* Every reference has come back. */
static int
teardown(void **state)
{
	(void)state;
	links_close_idle(links);
	wire_turn(loop);
	links_free(links);
	assert_int_equal(gateway->refs, 1);
	gateway_unref(gateway);
	if (listening != -1)
		close(listening);
	loop_free(loop);
	links_free(NULL);
	return 0;
}

static struct link *
opened(int *far)
{
	struct link *k = link_open(links, gateway, NULL, on_ready, &owner);
	unsigned before = connected;

	assert_non_null(k);
	WIRE_UNTIL(loop, connected == before + 1);
	WIRE_UNTIL(loop, (*far = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	assert_int_equal(k->uses, 1);
	return k;
}

static bool
far_closed(int far)
{
	char c;

	return recv(far, &c, 1, 0) == 0;
}

static void
kept_and_taken(void **state)
{
	struct link *k[3];
	int far[3];

	(void)state;
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	for (unsigned i = 0; i < 3; i++)
		k[i] = opened(&far[i]);
	for (unsigned i = 0; i < 3; i++)
		link_keep(k[i], 2);
	wire_turns(loop, 3);
	/* the latest used first, which lives longest */
	for (unsigned i = 3; i-- > 0;) {
		assert_ptr_equal(link_take_idle(links, gateway, on_ready, &owner), k[i]);
		assert_int_equal(k[i]->uses, 2);
	}
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	for (unsigned i = 0; i < 3; i++) {
		link_close(k[i]);
		assert_true(far_closed(far[i]));
		close(far[i]);
	}
	link_close(NULL);
}

/* Above `most` a link stays a moment only, the others for their time. */
static void
too_many_stay_a_moment(void **state)
{
	struct link *k[2];
	int far[2];
	uint64_t now = clock_coarse_ms();

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		k[i] = opened(&far[i]);
	link_keep(k[0], 1);
	link_keep(k[1], 1);
	wheel_advance(&loop->wheel, now + LINK_SPARE_MS / 2);
	assert_false(far_closed(far[1]));
	wheel_advance(&loop->wheel, now + LINK_SPARE_MS + 2000);
	wire_turn(loop);
	assert_true(far_closed(far[1]));
	assert_false(far_closed(far[0]));
	wheel_advance(&loop->wheel, now + LINK_IDLE_MS + 2000);
	wire_turn(loop);
	assert_true(far_closed(far[0]));
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	close(far[0]);
	close(far[1]);
}

static void
the_gateway_ends_it(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		int far;
		struct link *k = opened(&far);

		link_keep(k, 8);
		if (how == 0)
			close(far);
		else if (how == 1)
			wire_reset(far);
		else
			wire_say(far, "HTTP/1.1 408 Request Timeout\r\n\r\n");
		WIRE_UNTIL(loop, gateway->refs == 2); /* the list's, no link's */
		assert_null(link_take_idle(links, gateway, on_ready, &owner));
		if (how == 2)
			close(far);
	}
}

/* What is not clean is not kept. */
static void
not_kept(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 5; how++) {
		static char much[4 * 1024 * 1024];
		struct slice got;
		int far;
		struct link *k = opened(&far);

		readable = 0;
		switch (how) {
		case 0: /* not wished */
			break;
		case 1: /* it has ended */
			shutdown(far, SHUT_WR);
			WIRE_UNTIL(loop, readable != 0);
			break;
		case 2: /* it has failed */
			wire_reset(far);
			WIRE_UNTIL(loop, readable != 0);
			assert_int_equal(stream_read(&k->stream, NULL, 10, &got), STREAM_FAILED);
			break;
		case 3: /* a request's end is still to be sent */
			assert_int_equal(stream_write(&k->stream, slice_make(much, sizeof much)), STREAM_OK);
			assert_int_equal(stream_write(&k->stream, slice_make(much, sizeof much)), STREAM_OK);
			assert_true(stream_is_blocked(&k->stream));
			break;
		case 4: /* more has come than its answer, and lies there unread */
			wire_say(far, "answermore");
			WIRE_UNTIL(loop, readable != 0);
			assert_int_equal(stream_read(&k->stream, NULL, 6, &got), STREAM_OK);
			break;
		}
		link_keep(k, how == 0 ? 0 : 8);
		assert_null(link_take_idle(links, gateway, on_ready, &owner));
		wire_turn(loop);
		if (how != 2)
			close(far);
	}
}

/* Exactly its answer was read: nothing lies there, so it is kept. */
static void
kept_though_read_exactly(void **state)
{
	struct slice got;
	int far;
	struct link *k = opened(&far);

	(void)state;
	readable = 0;
	wire_say(far, "answer");
	WIRE_UNTIL(loop, readable != 0);
	assert_int_equal(stream_read(&k->stream, NULL, 6, &got), STREAM_OK);
	link_keep(k, 8);
	assert_ptr_equal(link_take_idle(links, gateway, on_ready, &owner), k);
	link_close(k);
	close(far);
}

static void
nobody_there(void **state)
{
	struct link *k;

	(void)state;
	close(listening);
	listening = -1;
	k = link_open(links, gateway, NULL, on_ready, &owner);
	if (k == NULL)
		return; /* told at once */
	WIRE_UNTIL(loop, connected + readable != 0);
	assert_int_equal(stream_write(&k->stream, SLICE_LIT("x")), STREAM_FAILED);
	link_close(k);
}

/* ---- TLS ---- */

static struct paper ca, leaf;
static SSL_CTX *server_ctx;
static struct tls_client *tls;
static char ca_file[] = "/tmp/stickyd-link-XXXXXX";

static struct tls_client *
tls_client_of(char *file)
{
	static char pool_name[] = "pool";
	const struct conf_pool cf = { .name = pool_name, .gateway_ca = file, .gateway_tls = true, .gateway_verify = true };

	return tls_client_new(&cf, NULL, NULL);
}

static int
setup_tls_of(void **state, const char *alternatives, int version)
{
	int fd = mkstemp(ca_file);

	close(fd);
	ca = paper_make(NULL, "authority", NULL, 3600);
	leaf = paper_make(&ca, "x", alternatives, 3600);
	paper_write(&ca, ca_file);
	server_ctx = paper_server(&leaf, version);
	tls = tls_client_of(ca_file);
	return tls == NULL || setup(state);
}

static int
setup_tls(void **state)
{
	return setup_tls_of(state, "IP:127.0.0.1", 0);
}

static int
setup_tls_1_2(void **state)
{
	return setup_tls_of(state, "IP:127.0.0.1", TLS1_2_VERSION);
}

static int
setup_tls_of_another(void **state)
{
	return setup_tls_of(state, "IP:127.0.0.2", 0);
}

static int
teardown_tls(void **state)
{
	tls_client_unref(tls);
	SSL_CTX_free(server_ctx);
	paper_free(&ca);
	paper_free(&leaf);
	unlink(ca_file);
	strcpy(ca_file, "/tmp/stickyd-link-XXXXXX");
	return teardown(state);
}

/* The gateway's end: OpenSSL on the very socket. */
struct far {
	int fd;
	SSL *ssl;
};

/* Accepts when somebody has come, then goes on with the handshake. */
static void
far_step(struct far *f)
{
	if (f->ssl == NULL) {
		f->fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (f->fd == -1)
			return;
		f->ssl = SSL_new(server_ctx);
		SSL_set_fd(f->ssl, f->fd);
		SSL_set_accept_state(f->ssl);
	}
	SSL_do_handshake(f->ssl);
	ERR_clear_error();
}

static void
far_close(struct far *f)
{
	SSL_shutdown(f->ssl);
	ERR_clear_error();
	SSL_free(f->ssl);
	close(f->fd);
}

/* Connected means that both have shaken hands. */
static struct link *
opened_tls(struct far *f, struct tls_client *t)
{
	struct link *k = link_open(links, gateway, t, on_ready, &owner);
	unsigned before = connected;
	char byte;

	*f = (struct far){ -1, NULL };
	assert_non_null(k);
	WIRE_UNTIL_DOING(loop, far_step(f), connected == before + 1);
	assert_true(stream_is_established(&k->stream));
	assert_int_equal(stream_write(&k->stream, SLICE_LIT("x")), STREAM_OK);
	WIRE_UNTIL(loop, SSL_read(f->ssl, &byte, 1) == 1);
	return k;
}

/* The gateway answers, and its answer is read: with what TLS has to say besides. */
static void
answered(struct link *k, struct far *f)
{
	struct slice got = SLICE_NONE;

	assert_int_equal(SSL_write(f->ssl, "answer", 6), 6);
	WIRE_UNTIL(loop, stream_read(&k->stream, NULL, 6, &got) == STREAM_OK);
	assert_true(slice_eq(got, SLICE_LIT("answer")));
}

static void
tls_kept_and_taken(void **state)
{
	struct far f;
	struct link *k = opened_tls(&f, tls);

	(void)state;
	answered(k, &f);
	link_keep(k, 8);
	wire_turns(loop, 3);
	assert_ptr_equal(link_take_idle(links, gateway, on_ready, &owner), k);
	answered(k, &f);
	link_keep(k, 8);
	far_close(&f);		/* close_notify, then the end */
	WIRE_UNTIL(loop, gateway->refs == 2);
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
}

/* What it said beyond its answer may stand in TLS, not in the socket any more. */
static void
tls_not_kept_when_more_was_said(void **state)
{
	struct far f;
	struct link *k = opened_tls(&f, tls);
	struct slice got = SLICE_NONE;

	(void)state;
	assert_int_equal(SSL_write(f.ssl, "answermore", 10), 10);
	WIRE_UNTIL(loop, stream_read(&k->stream, NULL, 6, &got) == STREAM_OK);
	link_keep(k, 8);
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	far_close(&f);
}

static void
tls_sessions_are_resumed(void **state)
{
	struct tls_client *other = tls_client_of(ca_file);

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		struct far f;
		struct link *k = opened_tls(&f, n < 3 ? tls : other);

		/* under other rules the first is a whole one */
		assert_int_equal(SSL_session_reused(f.ssl), n != 0 && n != 3);
		answered(k, &f);
		link_close(k);
		wire_turn(loop);
		far_close(&f);
	}
	assert_int_equal(gateway->refs, 2);	/* of the session's keeper */
	links_drop_gone(links);
	assert_int_equal(gateway->refs, 2);
	gateway_remove(gateway, 0);
	links_drop_gone(links);
	assert_int_equal(gateway->refs, 1);
	tls_client_unref(other);
}

/* Gone with the last link to a gateway that is gone. */
static void
tls_nothing_is_kept_of_who_is_gone(void **state)
{
	struct far f;
	struct link *k = opened_tls(&f, tls);

	(void)state;
	answered(k, &f);
	gateway_remove(gateway, 0);
	assert_int_equal(gateway->refs, 3);
	link_close(k);
	wire_turn(loop);
	assert_int_equal(gateway->refs, 1);
	far_close(&f);
}

static void
tls_failed(struct link *k, const char *why)
{
	char text[128];

	assert_int_equal(connected, 0);
	assert_true(stream_has_failed(&k->stream));
	assert_string_equal(stream_why(&k->stream, text, sizeof text), why);
	assert_int_equal(stream_write(&k->stream, SLICE_LIT("x")), STREAM_FAILED);
	link_close(k);
	wire_turn(loop);
}

static void
tls_of_another(void **state)
{
	struct far f = { -1, NULL };
	struct link *k = link_open(links, gateway, tls, on_ready, &owner);

	(void)state;
	assert_non_null(k);
	WIRE_UNTIL_DOING(loop, far_step(&f), readable != 0);
	tls_failed(k, "TLS: certificate: IP address mismatch");
	far_close(&f);
}

/* Whatever comes instead of a handshake, and nothing at all. */
static void
tls_no_handshake(void **state)
{
	static const struct {
		const char *said, *why;
	} cases[] = {
		{ "", "Connection reset by peer" },
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", "TLS: wrong version number" },
		{ "\x15\x03\x03\x00\x02\x02\x28", "TLS: sslv3 alert handshake failure" },
		{ "\x15\x03\x03\x00\x02\x01\x00", "Connection reset by peer" },	/* close_notify */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct link *k = link_open(links, gateway, tls, on_ready, &owner);
		size_t n = i < 2 ? strlen(cases[i].said) : 7;
		int far;

		readable = 0;
		assert_non_null(k);
		WIRE_UNTIL(loop, (far = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) != -1);
		if (n != 0)
			wire_write(far, cases[i].said, n);
		shutdown(far, SHUT_WR);
		WIRE_UNTIL(loop, readable != 0);
		tls_failed(k, cases[i].why);
		close(far);
	}
}

static void
tls_nobody_there(void **state)
{
	struct link *k;

	(void)state;
	close(listening);
	listening = -1;
	k = link_open(links, gateway, tls, on_ready, &owner);
	if (k == NULL)
		return; /* told at once */
	WIRE_UNTIL(loop, readable != 0);
	tls_failed(k, "Connection refused");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_and_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_stay_a_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(the_gateway_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_though_read_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(tls_kept_and_taken, setup_tls, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_not_kept_when_more_was_said, setup_tls, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_sessions_are_resumed, setup_tls, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_sessions_are_resumed, setup_tls_1_2, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_nothing_is_kept_of_who_is_gone, setup_tls, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_of_another, setup_tls_of_another, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_no_handshake, setup_tls, teardown_tls),
		cmocka_unit_test_setup_teardown(tls_nobody_there, setup_tls, teardown_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
