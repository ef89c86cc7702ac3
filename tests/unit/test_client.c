/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's share of the proxy between real sockets: clients who send what they should not, gateways that answer
 * what they should not, and what is left of a request when it is over, which is nothing.
 */
#include "proxy/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "affinity/moved.h"
#include "base/log.h"
#include "net/acceptor.h"
#include "proxy/closing.h"
#include "proxy/exchange.h"
#include "proxy/session.h"
#include "wire.h"

#define GATEWAYS 2
#define KEY      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define GET      "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define UPGRADE \
	"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SWITCHING \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

/* A connection of a gateway's, or of a client's, as the test holds it. */
struct peer {
	int fd; /* -1: none */
	struct wire_got got;
};

struct world {
	struct loop *loop;
	struct conf *conf;
	struct pool *pool;
	struct affinity_shared shared;
	struct affinity *affinity;
	struct service service;
	struct routes *routes;
	struct listener *listener;
	struct acceptor *acceptor;
	struct seal_ring *ring;
	struct proxy *proxy;
	struct scene *scene;
	bool scene_is_over;
	struct sockaddr_in at; /* the listener */
	int gateway[GATEWAYS]; /* listening; -1: closed */
	struct peer client, link;
	unsigned records, notices;
	enum end_reason why; /* of the last record */
	unsigned status;
};

static void
on_record(void *arg, const struct record *r)
{
	struct world *w = arg;

	w->records++;
	w->why = r->why;
	w->status = r->status;
}

static void
on_notice(void *arg)
{
	((struct world *)arg)->notices++;
}

static void
on_scene_over(void *arg, struct scene *s)
{
	(void)s;
	((struct world *)arg)->scene_is_over = true;
}

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void
no_log(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static void
world_configure(struct world *w, const char *of_listener, const char *of_pool)
{
	struct sockaddr_in at[GATEWAYS];
	char *text;

	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateway[i] = wire_listen(&at[i]);
	text = mem_printf(
	    "[listener l]\nbind = 127.0.0.1:0\npool = p\n%s\n[pool p]\nbalance = roundrobin\ncheck = none\n"
	    "gateway = gw1 127.0.0.1:%u\ngateway = gw2 127.0.0.1:%u\n%s\n",
	    of_listener, ntohs(at[0].sin_port), ntohs(at[1].sin_port), of_pool);
	w->conf = conf_load_bytes(text, strlen(text), "test.ini", no_report, NULL);
	free(text);
	assert_non_null(w->conf);
}

static void
world_init(struct world *w, const char *of_listener, const char *of_pool)
{
	struct proxy_setup setup = { .number = 0 };
	struct scene_setup shows = {
		.service = &w->service, .services = 1, .listener = &w->listener, .routes = &w->routes, .listeners = 1,
	};
	const char *why;
	unsigned line;

	*w = (struct world){ .loop = loop_new(), .client.fd = -1, .link.fd = -1 };
	log_to(no_log);
	world_configure(w, of_listener, of_pool);
	w->pool = pool_new(&w->conf->pool[0], no_report, NULL);
	w->shared.table = table_new(100, 3600);
	w->shared.history = history_new();
	w->shared.moved = moved_new();
	w->affinity = affinity_new(&w->conf->pool[0], w->pool, &w->shared, no_report, NULL);
	w->service = (struct service){ .conf = &w->conf->pool[0], .pool = w->pool, .affinity = w->affinity };
	w->routes = routes_new(w->conf, &w->conf->listener[0], &w->service);
	w->listener = listener_new(&w->conf->listener[0], 1, 30000, NULL, false, no_report, NULL);
	assert_true(listener_listen(w->listener, no_report, NULL));
	w->at = w->listener->port[0]->addr.sa.v4;
	w->ring = seal_ring_parse(SLICE_LIT(KEY "\n"), &line, &why);
	assert_non_null(w->ring);
	shows.ring = w->ring;
	w->proxy = proxy_new(w->loop, &setup);
	w->proxy->on_record = on_record;
	w->proxy->on_failed_connects = on_notice;
	w->proxy->on_scene_over = on_scene_over;
	w->proxy->arg = w;
	w->scene = scene_new(w->proxy, &shows, NULL);
	assert_non_null(w->scene);
	proxy_show(w->proxy, w->scene);
	w->acceptor = acceptor_new(w->loop, w->listener->port[0], 0, w->listener, proxy_accept, w->scene->door[0]);
}

static void
peer_fini(struct peer *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	wire_got_free(&p->got);
}

/* All that was reserved and counted has been given back. */
static void
world_fini(struct world *w)
{
	peer_fini(&w->client);
	peer_fini(&w->link);
	WIRE_UNTIL(w->loop, list_is_empty(&w->proxy->client_list));
	for (unsigned i = 0; i < GATEWAYS; i++) {
		assert_int_equal(gateway_load(w->pool->gateway[i]), 0);
		assert_int_equal(w->pool->gateway[i]->sessions, 0);
	}
	assert_int_equal(listener_connections(w->listener), 0);
	acceptor_free(w->acceptor);
	proxy_stop(w->proxy, 0);
	proxy_abort(w->proxy);
	loop_reap_all(w->loop);
	assert_int_equal(w->loop->chunks.live, 0);
	proxy_show(w->proxy, NULL);
	assert_true(w->scene_is_over);
	scene_free(w->scene);
	proxy_free(w->proxy);
	loop_free(w->loop);
	routes_free(w->routes);
	listener_free(w->listener);
	affinity_free(w->affinity);
	history_free(w->shared.history);
	moved_free(w->shared.moved);
	table_free(w->shared.table);
	for (unsigned i = 0; i < GATEWAYS; i++) {
		assert_int_equal(w->pool->gateway[i]->refs, 1);
		if (w->gateway[i] != -1)
			close(w->gateway[i]);
	}
	pool_free(w->pool);
	seal_ring_free(w->ring);
	conf_free(w->conf);
	log_to(NULL);
}

static void
world_connect(struct world *w)
{
	peer_fini(&w->client);
	w->client.fd = wire_connect(&w->at);
}

/* A gateway takes a connection. */
static bool
world_took(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		int fd = w->gateway[i] != -1 ? accept4(w->gateway[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;

		if (fd == -1)
			continue;
		peer_fini(&w->link);
		w->link.fd = fd;
		return true;
	}
	return false;
}

static bool
has(struct peer *p, const char *text)
{
	if (p->fd == -1)
		return false;
	wire_take(p->fd, &p->got, SIZE_MAX);
	return p->got.n != 0 && memmem(p->got.p, p->got.n, text, strlen(text)) != NULL;
}

static unsigned
count(struct peer *p, const char *text)
{
	unsigned n = 0;

	(void)has(p, text);
	for (size_t at = 0; at + strlen(text) <= p->got.n; at++)
		n += memcmp(p->got.p + at, text, strlen(text)) == 0;
	return n;
}

static bool
is_closed(struct peer *p)
{
	wire_take(p->fd, &p->got, SIZE_MAX);
	return p->got.ended;
}

/* The request's head has come to a gateway, by a new connection or by the one there is. */
static void
world_asked(struct world *w)
{
	WIRE_UNTIL(w->loop, (world_took(w) || w->link.fd != -1) && has(&w->link, "\r\n\r\n"));
}

/* ---- ordinary ---- */

static void
one_after_another(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "", "");
	world_connect(&w);
	wire_say(w.client.fd, GET);
	world_asked(&w);
	assert_true(has(&w.link, "X-Forwarded-For: 127.0.0.1\r\n"));
	wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nab"));
	assert_true(has(&w.client, "Set-Cookie: STICKYD="));
	assert_int_equal(w.records, 1);
	assert_int_equal(w.why, END_DONE);
	/* the next goes by a link that was kept, or by a new one to the other gateway */
	for (unsigned i = 0; i < 2; i++) {
		w.client.got.n = 0;
		w.link.got.n = 0;
		wire_say(w.client.fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
		WIRE_UNTIL(w.loop, has(&w.link, "\r\n\r\n") || world_took(&w));
		WIRE_UNTIL(w.loop, has(&w.link, "\r\n\r\n"));
		wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
		WIRE_UNTIL(w.loop, w.records == 2 + i);
	}
	WIRE_UNTIL(w.loop, has(&w.client, "Content-Length: 20000\r\n"));
	world_fini(&w);
}

/* All of a pipeline is answered, in order, however it is cut. */
static void
a_pipeline(void **state)
{
	static const char all[] =
	    "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
	    "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET"
	    "POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n"
	    "GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof all; cut += 3) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		wire_write(w.client.fd, all, cut);
		wire_turns(w.loop, 3);
		wire_write(w.client.fd, all + cut, sizeof all - 1 - cut);
		for (unsigned i = 1; i <= 4; i++) {
			char line[32], answer[64];

			snprintf(line, sizeof line, " /%u HTTP/1.1\r\n", i);
			WIRE_UNTIL_DOING(
			    w.loop, (void)world_took(&w), has(&w.link, line) && has(&w.link, "\r\n\r\n"));
			if (i == 3)
				WIRE_UNTIL(w.loop, has(&w.link, "0\r\n\r\n"));
			if (i == 2)
				WIRE_UNTIL(w.loop, has(&w.link, "\r\n\r\nGET"));
			w.link.got.n = 0;
			snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanswer %u", i);
			wire_say(w.link.fd, answer);
			WIRE_UNTIL(w.loop, w.records == i);
		}
		WIRE_UNTIL(w.loop, is_closed(&w.client));
		assert_int_equal(count(&w.client, "answer "), 4);
		assert_true(has(&w.client, "answer 4"));
		world_fini(&w);
	}
}

/* ---- clients ---- */

/* No gateway can be reached: what stands behind the head is a body still, and not a request. */
static void
a_body_is_no_request(void **state)
{
	static const char *const requests[] = {
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 27\r\n\r\n" GET,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n" GET "\r\n0\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n" GET,
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(requests); i++) {
		struct world w;

		world_init(&w, "", "");
		for (unsigned g = 0; g < GATEWAYS; g++) {
			close(w.gateway[g]);
			w.gateway[g] = -1;
		}
		world_connect(&w);
		wire_say(w.client.fd, requests[i]);
		WIRE_UNTIL(w.loop, is_closed(&w.client));
		assert_int_equal(count(&w.client, "HTTP/1.1 "), 1);
		assert_true(has(&w.client, "HTTP/1.1 502 "));
		assert_int_equal(w.records, 1);
		world_fini(&w);
	}
}

/* One gateway is away: the request goes to the other, whole, at no cost to the client. */
static void
the_next_is_tried(void **state)
{
	(void)state;
	for (unsigned away = 0; away < GATEWAYS; away++) {
		struct world w;

		world_init(&w, "", "");
		close(w.gateway[away]);
		w.gateway[away] = -1;
		for (unsigned i = 1; i <= 3; i++) {
			world_connect(&w);
			peer_fini(&w.link);
			wire_say(w.client.fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
			WIRE_UNTIL(w.loop, (w.link.fd != -1 || world_took(&w)) && has(&w.link, "\r\n\r\nbody"));
			wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
			WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nok"));
		}
		assert_int_equal(w.records, 3);
		world_fini(&w);
	}
}

/* Requests without end by a client who takes no answer: what we keep for it does not grow with them. */
static void
a_pipeline_that_nobody_reads(void **state)
{
	struct world w;
	static char answer[10000];
	static const char request[] = GET;
	size_t head, most = 0, sent = 0, n = sizeof request - 1;
	unsigned asked = 0;

	(void)state;
	memset(answer, 'x', sizeof answer);
	head = (size_t)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %05zu\r\n\r\n",
	    sizeof answer - strlen("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"));
	answer[head] = 'x';
	world_init(&w, "", "");
	world_connect(&w);
	for (unsigned turn = 0; turn < 4000; turn++) {
		ssize_t took = send(w.client.fd, &request[sent % n], n - sent % n, MSG_NOSIGNAL);

		sent += took > 0 ? (size_t)took : 0;
		(void)world_took(&w);
		if (has(&w.link, "\r\n\r\n")) {
			w.link.got.n = 0;
			asked++;
			wire_write(w.link.fd, answer, sizeof answer);
		}
		wire_turn(w.loop);
		most = w.loop->chunks.live > most ? w.loop->chunks.live : most;
	}
	assert_true(most > 0 && most <= 5);
	assert_true(asked < 1500);
	/* and it goes on when it does read */
	most = asked + 20;
	WIRE_UNTIL_DOING(
	    w.loop,
	    {
		    (void)world_took(&w);
		    if (has(&w.link, "\r\n\r\n")) {
			    w.link.got.n = 0;
			    asked++;
			    wire_write(w.link.fd, answer, sizeof answer);
		    }
		    wire_take(w.client.fd, &w.client.got, SIZE_MAX);
	    },
	    asked == most);
	/* it goes, with requests unanswered: the first answer finds that out */
	close(w.client.fd);
	w.client.fd = -1;
	WIRE_UNTIL_DOING(
	    w.loop,
	    {
		    (void)world_took(&w);
		    if (has(&w.link, "\r\n\r\n")) {
			    w.link.got.n = 0;
			    wire_write(w.link.fd, answer, sizeof answer);
		    }
	    },
	    list_is_empty(&w.proxy->client_list));
	world_fini(&w);
}

/* The same with answers of our own, for which no gateway is waited. */
static void
redirects_that_nobody_reads(void **state)
{
	static const char request[] = "GET /r HTTP/1.1\r\nHost: h\r\n\r\n";
	struct world w;
	size_t sent = 0, n = sizeof request - 1, most = 0;
	unsigned idle = 0;

	(void)state;
	world_init(&w, "[route r]\npath = /r\nredirect = http://{host}{uri} 302", "");
	world_connect(&w);
	while (idle < 200) {
		ssize_t took = send(w.client.fd, &request[sent % n], n - sent % n, MSG_NOSIGNAL);

		sent += took > 0 ? (size_t)took : 0;
		idle = took > 0 ? 0 : idle + 1;		/* until nobody takes anything any more */
		if (took <= 0 || sent % 1000 < n)
			wire_turn(w.loop);
		most = w.loop->chunks.live > most ? w.loop->chunks.live : most;
	}
	assert_int_equal(most, 1);
	/* and it goes on when it does read */
	most = w.records + 100;
	WIRE_UNTIL_DOING(w.loop, wire_take(w.client.fd, &w.client.got, SIZE_MAX), w.records >= most);
	world_fini(&w);
}

/* It vanishes at any moment of a request. */
static void
a_client_goes(void **state)
{
	static const char request[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234";

	(void)state;
	for (size_t cut = 0; cut < sizeof request; cut++) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		wire_write(w.client.fd, request, cut);
		wire_turns(w.loop, 4);
		if (cut % 2 == 0)
			wire_reset(w.client.fd);
		else
			close(w.client.fd);
		w.client.fd = -1;
		WIRE_UNTIL(w.loop, list_is_empty(&w.proxy->client_list));
		world_fini(&w);
	}
}

/* ---- gateways ---- */

/* It answers before it was asked, together with the connection's beginning. */
static void
a_gateway_that_speaks_first(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "", "");
	world_connect(&w);
	wire_say(w.client.fd, GET);
	/* the connection is made, and its answer sent, before the proxy hears of either */
	for (unsigned i = 0; i < 1000 && !world_took(&w); i++)
		wire_turn(w.loop);
	assert_int_not_equal(w.link.fd, -1);
	wire_say(w.link.fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nbusy"));
	world_fini(&w);
}

/* What it says beyond its answer is nobody's: not the next client's. */
static void
more_than_was_announced(void **state)
{
	for (unsigned later = 0; later < 3; later++) {
		struct world w;

		(void)state;
		world_init(&w, "", "");
		world_connect(&w);
		wire_say(w.client.fd, GET);
		world_asked(&w);
		if (later == 0) {
			wire_say(w.link.fd,
			    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: "
			    "4\r\n\r\nevil");
		} else {
			wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
			WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\n"));
			wire_say(w.link.fd, "goodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
		}
		if (later == 2)
			wire_say(w.client.fd, GET);
		WIRE_UNTIL(w.loop, has(&w.client, "good"));
		/* the link is closed, not kept */
		WIRE_UNTIL(w.loop, is_closed(&w.link));
		for (unsigned i = 0; i < 2; i++) {
			if (later != 2 || i != 0)
				wire_say(w.client.fd, GET);
			WIRE_UNTIL(w.loop, world_took(&w));
			WIRE_UNTIL(w.loop, has(&w.link, "\r\n\r\n"));
			wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmine");
			WIRE_UNTIL(w.loop, count(&w.client, "mine") == i + 1);
		}
		assert_false(has(&w.client, "evil"));
		world_fini(&w);
	}
}

/* Broken from its beginning: nothing has gone to the client yet, who gets a 502. */
static void
a_broken_answer(void **state)
{
	static const char *const answers[] = {
		"garbage\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(answers); i++) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		wire_say(w.client.fd, GET);
		world_asked(&w);
		wire_say(w.link.fd, answers[i]);
		WIRE_UNTIL(w.loop, has(&w.client, "HTTP/1.1 502 "));
		WIRE_UNTIL(w.loop, is_closed(&w.link));
		assert_int_equal(w.status, 502);
		world_fini(&w);
	}
}

/* It goes away in the middle of its answer, cut anywhere. */
static void
a_gateway_goes(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof answer - 1; cut++) {
		struct world w;
		bool began = cut >= (size_t)(strstr(answer, "\r\n\r\n") + 4 - answer);

		world_init(&w, "", "");
		world_connect(&w);
		wire_say(w.client.fd, GET);
		world_asked(&w);
		wire_write(w.link.fd, answer, cut);
		wire_turns(w.loop, 3);
		close(w.link.fd);
		w.link.fd = -1;
		WIRE_UNTIL(w.loop, w.records == 1);
		assert_int_equal(w.why, END_GATEWAY_CLOSED);
		assert_int_equal(w.status, began ? 200 : 502);
		if (began)
			WIRE_UNTIL(w.loop, is_closed(&w.client));
		else
			WIRE_UNTIL(w.loop, has(&w.client, "HTTP/1.1 502 "));
		assert_false(has(&w.client, "0\r\n\r\n")); /* it does not look whole */
		world_fini(&w);
	}
}

/* Interim answers without end, to a client that takes none. */
static void
interim_without_end(void **state)
{
	struct world w;
	size_t most = 0, sent = 0;
	static const char hint[] = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

	(void)state;
	world_init(&w, "", "");
	world_connect(&w);
	wire_say(w.client.fd, GET);
	world_asked(&w);
	for (unsigned turn = 0; turn < 3000; turn++) {
		for (unsigned i = 0; i < 50; i++) {
			ssize_t n = send(w.link.fd, hint + sent % (sizeof hint - 1),
			    sizeof hint - 1 - sent % (sizeof hint - 1), MSG_NOSIGNAL);

			sent += n > 0 ? (size_t)n : 0;
		}
		wire_turn(w.loop);
		most = w.loop->chunks.live > most ? w.loop->chunks.live : most;
	}
	assert_true(most > 0 && most <= 6);
	/* the rest of the last one, then the true answer */
	WIRE_UNTIL_DOING(
	    w.loop,
	    {
		    size_t at = sent % (sizeof hint - 1);
		    ssize_t n = at != 0 ? send(w.link.fd, hint + at, sizeof hint - 1 - at, MSG_NOSIGNAL) : 0;

		    sent += n > 0 ? (size_t)n : 0;
		    wire_take(w.client.fd, &w.client.got, SIZE_MAX);
	    },
	    sent % (sizeof hint - 1) == 0 && w.client.got.n == sent);
	wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nok"));
	world_fini(&w);
}

/* ---- sessions ---- */

static void
a_session(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "", "");
	world_connect(&w);
	wire_say(w.client.fd, UPGRADE "\x81\x82....hi"); /* a frame right behind it */
	world_asked(&w);
	wire_turns(w.loop, 5);
	assert_false(has(&w.link, "\x81\x82")); /* which waits for the 101 */
	wire_say(w.link.fd, SWITCHING "\x81\x02yo");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\n\x81\x02yo"));
	WIRE_UNTIL(w.loop, has(&w.link, "\r\n\r\n\x81\x82....hi"));
	assert_int_equal(w.proxy->sessions.live, 1);
	assert_true(has(&w.client, "Set-Cookie: STICKYD="));
	close(w.link.fd);
	w.link.fd = -1;
	WIRE_UNTIL(w.loop, is_closed(&w.client));
	close(w.client.fd);
	w.client.fd = -1;
	WIRE_UNTIL(w.loop, w.records == 1);
	assert_int_equal(w.why, END_GATEWAY_DIED);
	assert_int_equal(w.status, 101);
	world_fini(&w);
}

static void
world_open_session(struct world *w)
{
	world_connect(w);
	wire_say(w->client.fd, UPGRADE);
	world_asked(w);
	wire_say(w->link.fd, SWITCHING "\x81\x02yo");
	WIRE_UNTIL(w->loop, has(&w->client, "\r\n\r\n\x81\x02yo"));
}

/* The only gateway that has one. */
static struct gateway *
world_home(const struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		if (gateway_sessions(w->pool->gateway[i]) == 1)
			return w->pool->gateway[i];
	fail_msg("no gateway has a session");
	return NULL;
}

static void
on_listed(struct session_query *q)
{
	(void)q;
}

/* What an operator is told of it, whatever is logged. */
static void
a_session_is_listed(void **state)
{
	const struct session_row *row;
	struct session_query *q = session_query_new(1);
	struct table_key nobodys = { 1, 2 };
	struct world w;

	(void)state;
	world_init(&w, "", "");
	w.proxy->on_record = NULL;
	world_open_session(&w);
	q->limit = 10;
	q->done = on_listed;
	proxy_list_sessions(w.proxy, q);
	assert_int_equal(q->share[0].rows, 1);
	assert_int_equal(q->share[0].matching, 1);
	row = &q->share[0].row[0];
	assert_string_equal(row->pool, "p");
	assert_string_equal(row->gateway, gateway_name(world_home(&w)));
	assert_string_equal(row->listener, "l");
	assert_string_equal(row->how, "new");
	assert_string_equal(row->host, "h");
	assert_string_equal(row->target, "/ws");
	assert_int_equal(strlen(row->request_id), PROXY_REQUEST_ID);
	assert_int_equal(addr_order(&row->client, &row->client), 0);
	assert_int_equal(row->bytes_out, 4);
	assert_int_equal(row->messages_out, 1);
	session_query_free(q);

	q = session_query_new(1);
	q->done = on_listed;
	q->key = &nobodys;
	q->keys = 1;
	q->limit = 10;
	proxy_list_sessions(w.proxy, q);
	assert_int_equal(q->share[0].matching, 0);
	session_query_free(q);
	world_fini(&w);
}

/* An order closes it, once, and takes its client elsewhere if it says so. */
static void
a_session_is_closed_by_order(void **state)
{
	(void)state;
	for (unsigned moves = 0; moves < 2; moves++) {
		struct closing_order *o;
		struct gateway *from, *to;
		struct world w;

		world_init(&w, "", "");
		world_open_session(&w);
		from = world_home(&w);
		to = w.pool->gateway[from == w.pool->gateway[0] ? 1 : 0];
		o = closing_new(to, NULL, END_DRAINED, 5, UINT64_MAX);
		proxy_close_at(w.proxy, closing_ref(o));
		assert_int_equal(closing_left(o), 5);		/* it is not there */
		closing_unref(o);
		o = closing_new(from, NULL, END_DRAINED, 5, 1);
		proxy_close_at(w.proxy, closing_ref(o));
		assert_int_equal(closing_left(o), 5);		/* too late */
		closing_unref(o);
		o = closing_new(from, moves ? to : NULL, moves ? END_REBALANCED : END_DRAINED, 5, UINT64_MAX);
		proxy_close_at(w.proxy, closing_ref(o));
		proxy_close_at(w.proxy, closing_ref(o));
		assert_true(closing_is_done(o));
		assert_int_equal(closing_left(o), 4);
		closing_unref(o);
		WIRE_UNTIL(w.loop, has(&w.client, moves ? "\x88\x0c\x03\xf4rebalanced" : "\x88\x09\x03\xf4" "drained"));
		assert_int_equal(table_counts(w.shared.table).keys, moves);
		wire_say(w.client.fd, "\x88\x80....");
		wire_say(w.link.fd, "\x88\x02\x03\xf4");
		WIRE_UNTIL(w.loop, w.records == 1);
		assert_int_equal(w.why, moves ? END_REBALANCED : END_DRAINED);
		world_fini(&w);
	}
}

/* A handshake under way is refused when the process stops, and when its gateway's time is over and there is no other. */
static void
a_handshake_that_comes_too_late(void **state)
{
	(void)state;
	for (unsigned stops = 0; stops < 2; stops++) {
		struct world w;

		world_init(&w, "", "retries = 0");
		world_connect(&w);
		wire_say(w.client.fd, UPGRADE);
		world_asked(&w);
		if (stops) {
			proxy_stop(w.proxy, UINT64_MAX);
		} else {
			gateway_remove(world_home(&w), 0);
			wire_say(w.link.fd, SWITCHING);
		}
		WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\n<!doctype html>"));
		assert_true(has(&w.client, "HTTP/1.1 503 "));
		assert_true(has(&w.client, "Retry-After: "));
		assert_int_equal(w.why, stops ? END_STOPPING : END_GATEWAY_GONE);
		world_fini(&w);
	}
}

/* The client is gone when its 101 comes, with bytes behind it. */
static void
a_session_of_nobody(void **state)
{
	(void)state;
	for (unsigned both = 0; both < 2; both++) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		wire_say(w.client.fd, UPGRADE "\x81\x82....hi");
		world_asked(&w);
		wire_say(w.link.fd, SWITCHING "\x81\x02yo");
		if (both != 0) {
			wire_reset(w.link.fd);
			w.link.fd = -1;
		}
		wire_reset(w.client.fd);
		w.client.fd = -1;
		WIRE_UNTIL(w.loop, w.records == 1);
		world_fini(&w);
	}
}

/* A refusal is an ordinary answer; the frames behind the request are then no request. */
static void
an_upgrade_refused(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "", "");
	world_connect(&w);
	wire_say(w.client.fd, UPGRADE);
	world_asked(&w);
	wire_say(w.link.fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nno"));
	peer_fini(&w.link);
	wire_say(w.client.fd, GET);
	world_asked(&w);
	wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
	WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nyes"));
	world_fini(&w);
}

/* ---- stopping ---- */

/* A request that is under way gets its answer, and its client does not hold up the end. */
static void
stops_behind_the_answer(void **state)
{
	(void)state;
	for (unsigned begun = 0; begun < 2; begun++) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		wire_say(w.client.fd, GET);
		world_asked(&w);
		if (begun != 0) {
			wire_say(w.link.fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
			WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\n"));
		}
		proxy_stop(w.proxy, clock_coarse_ms() + 30000);
		wire_turns(w.loop, 3);
		wire_say(w.link.fd, begun != 0 ? "ok" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		WIRE_UNTIL(w.loop, has(&w.client, "\r\n\r\nok") && is_closed(&w.client));
		close(w.client.fd);
		w.client.fd = -1;
		WIRE_UNTIL(w.loop, list_is_empty(&w.proxy->client_list));
		world_fini(&w);
	}
}

/* Everything at once, in every state. */
static void
aborts(void **state)
{
	static const char *const said[] = { "", "GET /", GET, UPGRADE, GET GET, "bad\r\n\r\n" };

	(void)state;
	for (unsigned i = 0; i < COUNT(said) * 2; i++) {
		struct world w;

		world_init(&w, "", "");
		world_connect(&w);
		if (*said[i / 2] != '\0')
			wire_say(w.client.fd, said[i / 2]);
		wire_turns(w.loop, 4);
		if (world_took(&w) && i % 2 != 0) {
			wire_turns(w.loop, 3);
			wire_say(w.link.fd, i / 2 == 3 ? SWITCHING : "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
			wire_turns(w.loop, 3);
		}
		proxy_stop(w.proxy, 0);
		proxy_abort(w.proxy);
		assert_true(list_is_empty(&w.proxy->client_list));
		wire_turns(w.loop, 2);
		world_fini(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_another),
		cmocka_unit_test(a_pipeline),
		cmocka_unit_test(a_body_is_no_request),
		cmocka_unit_test(the_next_is_tried),
		cmocka_unit_test(a_pipeline_that_nobody_reads),
		cmocka_unit_test(redirects_that_nobody_reads),
		cmocka_unit_test(a_client_goes),
		cmocka_unit_test(a_gateway_that_speaks_first),
		cmocka_unit_test(more_than_was_announced),
		cmocka_unit_test(a_broken_answer),
		cmocka_unit_test(a_gateway_goes),
		cmocka_unit_test(interim_without_end),
		cmocka_unit_test(a_session),
		cmocka_unit_test(a_session_is_listed),
		cmocka_unit_test(a_session_is_closed_by_order),
		cmocka_unit_test(a_handshake_that_comes_too_late),
		cmocka_unit_test(a_session_of_nobody),
		cmocka_unit_test(an_upgrade_refused),
		cmocka_unit_test(stops_behind_the_answer),
		cmocka_unit_test(aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
