/* SPDX-License-Identifier: BSD-2-Clause */
/* One look at a gateway: what is asked, which answers are good, what is said of the others. The gateway is a thread with
 * a blocking socket, that reads a request, says what the test wants and listens to what comes then. */
#include "pool/probe.h"

#include <openssl/err.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "paper.h"
#include "wire.h"
#include "ws/handshake.h"

#define UPGRADE "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static char pool_name[] = "game", gateway_name_text[] = "gw1", path[] = "/ready?a=b", method[] = "GET";
static struct conf_range well[] = { { 200, 299 }, { 403, 403 } };
static struct event_base *base;

/* ---- the gateway ---- */

static struct far {
	int listening;
	SSL_CTX *ctx;		/* NULL: plain */
	const char *says;	/* with "{accept}": what the handshake's key asks for; NULL: it reads on */
	bool hangs;		/* it neither closes nor reads */
	char request[4096];	/* what came before it spoke */
	char rest[256];		/* and behind that */
	size_t rest_bytes;
	pthread_t thread;
} far;

struct conn {
	int fd;
	SSL *ssl;
};

static ssize_t
conn_read(struct conn *c, char *to, size_t most)
{
	return c->ssl != NULL ? SSL_read(c->ssl, to, (int)most) : recv(c->fd, to, most, 0);
}

static void
conn_write(struct conn *c, const char *from, size_t n)
{
	if (n == 0)
		return;
	if (c->ssl != NULL)
		SSL_write(c->ssl, from, (int)n);
	else
		send(c->fd, from, n, MSG_NOSIGNAL);
}

static void
far_speak(struct conn *c)
{
	const char *at = strstr(far.says, "{accept}"), *key = strstr(far.request, "Sec-WebSocket-Key: ");
	char accept[HANDSHAKE_ACCEPT];

	if (at == NULL || key == NULL) {
		conn_write(c, far.says, strlen(far.says));
		return;
	}
	conn_write(c, far.says, (size_t)(at - far.says));
	if (handshake_accept(slice_make(key + 19, HANDSHAKE_KEY), accept))
		conn_write(c, accept, sizeof accept);
	at += strlen("{accept}");
	conn_write(c, at, strlen(at));
}

static void
far_serve(struct conn *c)
{
	size_t got = 0;
	ssize_t n;

	while (strstr(far.request, "\r\n\r\n") == NULL &&
	    (n = conn_read(c, far.request + got, sizeof far.request - 1 - got)) > 0)
		got += (size_t)n;
	if (far.says != NULL)
		far_speak(c);
	if (far.says != NULL && strstr(far.says, "101") == NULL && !far.hangs)
		return;
	while (far.rest_bytes < sizeof far.rest &&
	    (n = conn_read(c, far.rest + far.rest_bytes, sizeof far.rest - far.rest_bytes)) > 0) {
		far.rest_bytes += (size_t)n;
		if (!far.hangs)
			return;
	}
}

static void *
far_run(void *arg)
{
	struct conn c = { accept4(far.listening, NULL, NULL, SOCK_CLOEXEC), NULL };

	(void)arg;
	if (far.ctx != NULL) {
		c.ssl = SSL_new(far.ctx);
		SSL_set_fd(c.ssl, c.fd);
	}
	if (c.ssl == NULL || SSL_accept(c.ssl) == 1)
		far_serve(&c);
	if (c.ssl != NULL)
		SSL_shutdown(c.ssl);
	SSL_free(c.ssl);
	ERR_clear_error();
	close(c.fd);
	return NULL;
}

/* ---- looking ---- */

static struct look {
	struct probe probe;
	struct conf_gateway gateway;
	struct conf_pool cf;
	struct pool *pool;
	enum probe_result result;
	char why[160];
} look;

static void
on_done(struct probe *p, enum probe_result result, const char *why)
{
	assert_ptr_equal(p, &look.probe);
	look.result = result;
	snprintf(look.why, sizeof look.why, "%s", why);
	event_base_loopbreak(base);
}

/* To be changed by the test before it looks. */
static void
look_init(enum conf_check check)
{
	struct sockaddr_in at;

	memset(&far, 0, sizeof far);
	memset(&look, 0, sizeof look);
	far.listening = wire_listen(&at);
	fcntl(far.listening, F_SETFL, 0);
	look.gateway = (struct conf_gateway){
		.name = gateway_name_text, .address = mem_printf("127.0.0.1:%u", ntohs(at.sin_port)), .weight = 1,
	};
	look.cf = (struct conf_pool){
		.name = pool_name, .gateway = &look.gateway, .gateways = 1, .check = check, .check_path = path,
		.check_method = method, .check_expect = well, .check_expects = COUNT(well), .check_timeout_ms = 2000,
	};
}

static void
look_begin(void)
{
	look.pool = pool_new(&look.cf, NULL, NULL);
	assert_non_null(look.pool);
	probe_init(&look.probe, base, look.pool, 0, on_done);
}

static void
look_once(void)
{
	far.request[0] = '\0';
	far.rest_bytes = 0;
	assert_int_equal(pthread_create(&far.thread, NULL, far_run, NULL), 0);
	probe_start(&look.probe);
	event_base_dispatch(base);
	assert_int_equal(look.probe.state, PROBE_IDLE);
	pthread_join(far.thread, NULL);
}

static void
look_end(void)
{
	probe_fini(&look.probe);
	pool_free(look.pool);
	free(look.gateway.address);
	close(far.listening);
}

static void
assert_found(enum probe_result result, const char *why)
{
	assert_string_equal(look.why, why);
	assert_int_equal(look.result, result);
	assert_true(look.probe.took_us != 0);
}

/* ---- by HTTP ---- */

static void
test_http_request(void **state)
{
	static char head[] = "HEAD", post[] = "POST", host[] = "game.test:81";
	char *wanted;

	(void)state;
	look_init(CONF_CHECK_HTTP);
	far.says = "HTTP/1.1 200 OK\r\n\r\n";
	look_begin();
	look_once();
	assert_found(PROBE_GOOD, "status 200");
	wanted = mem_printf("GET /ready?a=b HTTP/1.1\r\nHost: %s\r\nUser-Agent: stickyd\r\nConnection: close\r\n\r\n",
	    look.gateway.address);
	assert_string_equal(far.request, wanted);
	free(wanted);
	look_end();

	look_init(CONF_CHECK_HTTP);
	look.cf.check_method = head;
	look.cf.check_host = host;
	far.says = "HTTP/1.1 204 No Content\r\n\r\n";
	look_begin();
	look_once();
	assert_string_equal(far.request,
	    "HEAD /ready?a=b HTTP/1.1\r\nHost: game.test:81\r\nUser-Agent: stickyd\r\nConnection: close\r\n\r\n");
	look_end();

	look_init(CONF_CHECK_HTTP);
	look.cf.check_method = post;
	look.cf.check_host = host;
	far.says = "HTTP/1.1 403 Forbidden\r\n\r\n";
	look_begin();
	look_once();
	assert_string_equal(far.request, "POST /ready?a=b HTTP/1.1\r\nHost: game.test:81\r\nUser-Agent: stickyd\r\n"
	    "Content-Length: 0\r\nConnection: close\r\n\r\n");
	look_end();
}

static const struct {
	const char *says;
	enum probe_result result;
	const char *why;
	bool asks_drain;
} answers[] = {
	{ "HTTP/1.1 299 Well\r\n\r\n", PROBE_GOOD, "status 299", false },
	{ "HTTP/1.0 403 Forbidden\r\n\r\n", PROBE_GOOD, "status 403", false },
	{ "HTTP/1.1 404 Not Found\r\n\r\n", PROBE_BAD, "status 404, expected 200-299, 403", false },
	{ "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", PROBE_GOOD, "status 200", false },
	{ "HTTP/1.1 200 OK\r\nX-Stickyd-State: drain\r\n\r\n", PROBE_GOOD, "status 200", true },
	{ "HTTP/1.1 200 OK\r\nx-STICKYD-state:  DRAIN \r\n\r\n", PROBE_GOOD, "status 200", true },
	{ "HTTP/1.1 200 OK\r\nX-Stickyd-State: draining\r\n\r\n", PROBE_GOOD, "status 200", false },
	{ "HTTP/1.1 103 Early Hints\r\nX-Stickyd-State: drain\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", PROBE_GOOD, "status 200",
	  false },
	{ "", PROBE_BAD, "closed without an answer", false },
	{ "HTTP/1.1 200 OK\r\n", PROBE_BAD, "closed in the middle of an answer", false },
};

static void
test_http_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		look_init(CONF_CHECK_HTTP);
		far.says = answers[i].says;
		look_begin();
		look_once();
		assert_found(answers[i].result, answers[i].why);
		assert_int_equal(look.probe.asks_drain, answers[i].asks_drain);
		look_end();
	}
}

static void
test_no_http(void **state)
{
	(void)state;
	look_init(CONF_CHECK_HTTP);
	far.says = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
	look_begin();
	look_once();
	assert_memory_equal(look.why, "answer is not HTTP: ", 20);
	assert_int_equal(look.result, PROBE_BAD);
	look_end();
}

static void
test_a_head_too_large(void **state)
{
	char *much = mem_zalloc(20001);

	(void)state;
	memset(much, 'a', 20000);
	memcpy(much, "HTTP/1.1 200 OK\r\nA: ", 20);
	look_init(CONF_CHECK_HTTP);
	far.says = much;
	look_begin();
	look_once();
	assert_int_equal(look.result, PROBE_BAD);
	look_end();
	free(much);
}

/* ---- by WebSocket ---- */

/* A close frame of code 1000, masked, is all that comes behind the handshake. */
static void
assert_closed(void)
{
	struct frame_follower f;

	frame_follower_init(&f);
	frame_follow(&f, slice_make(far.rest, far.rest_bytes));
	assert_int_equal(far.rest_bytes, 8);
	assert_true(far.rest[1] & 0x80);
	assert_int_equal(f.close_code, 1000);
}

static void
test_websocket(void **state)
{
	char keys[3][HANDSHAKE_KEY];

	(void)state;
	look_init(CONF_CHECK_WEBSOCKET);
	far.says = UPGRADE "Sec-WebSocket-Accept: {accept}\r\nX-Stickyd-State: drain\r\n\r\n\x81\x02hi";
	look_begin();
	for (unsigned i = 0; i < COUNT(keys); i++) {
		const char *key;

		look_once();
		assert_found(PROBE_GOOD, "status 101");
		assert_true(look.probe.asks_drain);
		assert_closed();
		key = strstr(far.request, "Sec-WebSocket-Key: ");
		assert_non_null(key);
		memcpy(keys[i], key + 19, HANDSHAKE_KEY);
	}
	assert_memory_not_equal(keys[0], keys[1], HANDSHAKE_KEY);
	assert_memory_not_equal(keys[1], keys[2], HANDSHAKE_KEY);
	look_end();
}

static const struct {
	const char *says, *why;
} not_handshakes[] = {
	{ UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	  "not the one right Sec-WebSocket-Accept" },
	{ UPGRADE "\r\n", "not the one right Sec-WebSocket-Accept" },
	{ UPGRADE "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
	  "a subprotocol that was not offered" },
	{ "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
	  "a 101 that does not upgrade to WebSocket" },
	{ "HTTP/1.1 200 OK\r\n\r\n", "status 200" },
	{ "HTTP/1.1 503 Service Unavailable\r\n\r\n", "status 503" },
	{ "", "closed without an answer" },
};

static void
test_no_websocket(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(not_handshakes); i++) {
		look_init(CONF_CHECK_WEBSOCKET);
		far.says = not_handshakes[i].says;
		look_begin();
		look_once();
		assert_found(PROBE_BAD, not_handshakes[i].why);
		look_end();
	}
}

/* Good is good, whether it closes or not; and that it did not is no part of the time that it took. */
static void
test_a_websocket_that_is_not_closed(void **state)
{
	(void)state;
	look_init(CONF_CHECK_WEBSOCKET);
	look.cf.check_timeout_ms = 200;
	far.says = UPGRADE "Sec-WebSocket-Accept: {accept}\r\n\r\n";
	far.hangs = true;
	look_begin();
	look_once();
	assert_found(PROBE_GOOD, "status 101");
	assert_true(look.probe.took_us < 200 * 1000);
	assert_closed();
	look_end();
}

/* ---- in vain ---- */

static void
test_no_answer_in_time(void **state)
{
	(void)state;
	look_init(CONF_CHECK_HTTP);
	look.cf.check_timeout_ms = 50;
	look_begin();
	look_once();
	assert_found(PROBE_BAD, "no answer in 50 ms");
	look_end();
}

static void
test_refused(void **state)
{
	static const enum conf_check checks[] = { CONF_CHECK_TCP, CONF_CHECK_HTTP, CONF_CHECK_WEBSOCKET };

	(void)state;
	for (size_t i = 0; i < COUNT(checks); i++) {
		look_init(checks[i]);
		close(far.listening);
		far.listening = -1;
		look_begin();
		probe_start(&look.probe);
		event_base_dispatch(base);
		assert_found(PROBE_BAD, "connect: Connection refused");
		look_end();
	}
}

static void
test_ended_while_looking(void **state)
{
	(void)state;
	look_init(CONF_CHECK_HTTP);
	look_begin();
	look.result = PROBE_VOID;
	probe_start(&look.probe);
	event_base_loop(base, EVLOOP_NONBLOCK);
	look_end();
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1);	/* nothing is left */
	assert_int_equal(look.result, PROBE_VOID);
}

/* ---- over TLS ---- */

static struct paper ca;
static char ca_file[] = "/tmp/stickyd-probe-XXXXXX";

static const struct {
	enum conf_check check;
	const char *says, *why;
} over_tls[] = {
	{ CONF_CHECK_TCP, "", "connected" },
	{ CONF_CHECK_HTTP, "HTTP/1.1 200 OK\r\n\r\n", "status 200" },
	{ CONF_CHECK_WEBSOCKET, UPGRADE "Sec-WebSocket-Accept: {accept}\r\n\r\n", "status 101" },
};

static const struct {
	const char *alternatives;
	long to_s;
	bool verify;
	const char *why;	/* NULL: good */
} papers[] = {
	{ "IP:127.0.0.1", 3600, true, NULL },
	{ "IP:127.0.0.2", 3600, true, "TLS: certificate: IP address mismatch" },
	{ "IP:127.0.0.1", -3600, true, "TLS: certificate: certificate has expired" },
	{ "IP:127.0.0.2", -3600, false, NULL },
};

static void
look_over_tls(size_t check, size_t what, int version)
{
	struct paper leaf = paper_make(&ca, "x", papers[what].alternatives, papers[what].to_s);

	look_init(over_tls[check].check);
	look.cf.gateway_tls = true;
	look.cf.gateway_ca = ca_file;
	look.cf.gateway_verify = papers[what].verify;
	far.says = over_tls[check].says;
	far.ctx = paper_server(&leaf, version);
	look_begin();
	for (unsigned i = 0; i < 2; i++) {
		look_once();
		if (papers[what].why != NULL)
			assert_found(PROBE_BAD, papers[what].why);
		else
			assert_found(PROBE_GOOD, over_tls[check].why);
	}
	if (papers[what].why == NULL && over_tls[check].check == CONF_CHECK_WEBSOCKET)
		assert_closed();
	/* never resumed: each look sees the certificate */
	assert_int_equal(SSL_CTX_sess_hits(far.ctx), 0);
	look_end();
	SSL_CTX_free(far.ctx);
	paper_free(&leaf);
}

static void
test_over_tls(void **state)
{
	(void)state;
	for (size_t check = 0; check < COUNT(over_tls); check++)
		for (size_t what = 0; what < COUNT(papers); what++) {
			look_over_tls(check, what, TLS1_2_VERSION);
			look_over_tls(check, what, TLS1_3_VERSION);
		}
}

static void
test_no_tls(void **state)
{
	(void)state;
	look_init(CONF_CHECK_TCP);
	look.cf.gateway_tls = true;
	look.cf.check_timeout_ms = 50;
	look_begin();
	look_once();
	assert_found(PROBE_BAD, "TLS: no answer in 50 ms");
	look_end();
}

static int
set_up(void **state)
{
	int fd = mkstemp(ca_file);

	(void)state;
	close(fd);
	signal(SIGPIPE, SIG_IGN);	/* as stickyd does: OpenSSL writes to its sockets itself */
	base = event_base_new();
	ca = paper_make(NULL, "authority", NULL, 3600);
	paper_write(&ca, ca_file);
	return base == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	paper_free(&ca);
	unlink(ca_file);
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_request),
		cmocka_unit_test(test_http_answers),
		cmocka_unit_test(test_no_http),
		cmocka_unit_test(test_a_head_too_large),
		cmocka_unit_test(test_websocket),
		cmocka_unit_test(test_no_websocket),
		cmocka_unit_test(test_a_websocket_that_is_not_closed),
		cmocka_unit_test(test_no_answer_in_time),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ended_while_looking),
		cmocka_unit_test(test_over_tls),
		cmocka_unit_test(test_no_tls),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
