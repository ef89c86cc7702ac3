/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a request: head, gateway, request out, response in. Bodies are flow.c's, rewriting is forward.c's. */
#include "proxy/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/forward.h"
#include "proxy/reply.h"
#include "proxy/session.h"
#include "ws/handshake.h"

#define EXCHANGE_MAGIC 0xe8c4a49e

/* A gateway's head: what servers send is small; this is nginx's and HAProxy's order of magnitude. */
#define RESPONSE_HEAD_MAX 65536
/* Reads in a row for it before others have their turn. */
#define RESPONSE_READS 16
/* Said where trying again helps: about as long as a check needs to see a gateway come back. */
#define RETRY_AFTER_S 5
/* What a trusted proxy may call a request. */
#define REQUEST_ID_MAX 128
/* Chunked uploads are read in pieces of this size, into memory of their own: what follows them must be kept. */
#define CHUNKED_ROOM LOOP_SCRATCH

static void exchange_connect(struct exchange *x);
static void exchange_gateway_ready(struct stream *s, unsigned what);
static void exchange_next_timer(struct exchange *x);

/* ---- beginning and end ---- */

struct exchange *
exchange_new(struct client *c, struct slice rest)
{
	struct exchange *x = slab_get_raw(&client_proxy(c)->exchanges);

	if (x == NULL)
		return NULL;
	memset(x, 0, offsetof(struct exchange, head));	/* the head and first[] are filled before they are read */
	x->magic = EXCHANGE_MAGIC;
	x->client = c;
	x->proxy = client_proxy(c);
	x->in = x->first;
	x->in_room = sizeof x->first;
	if (rest.n > x->in_room) {
		x->big = malloc(rest.n);
		if (x->big == NULL) {
			slab_put(&x->proxy->exchanges, x);
			return NULL;
		}
		x->in = x->big;
		x->in_room = rest.n;
	}
	if (rest.n != 0)
		memcpy(x->in, rest.p, rest.n);
	x->in_n = rest.n;
	h1_init(&x->h1, H1_REQUEST, c->door->listener->conf->max_header_bytes);
	x->addr = c->peer;
	return x;
}

static void
exchange_free(struct reap *r)
{
	struct exchange *x = CONTAINER(r, struct exchange, reap);

	free(x->big);
	free(x->body_in);
	free(x->trailer_up);
	free(x->trailer_down);
	free(x->response_in);
	x->magic = 0;
	slab_put(&x->proxy->exchanges, x);
}

void
exchange_drop(struct exchange *x)
{
	if (x == NULL)
		return;
	ALIVE(x, EXCHANGE_MAGIC);
	x->state = EXCHANGE_OVER;
	loop_reap(x->proxy->loop, &x->reap, exchange_free);
}

static void
exchange_release_gateway(struct exchange *x)
{
	if (x->choice.gateway == NULL)
		return;
	gateway_release(x->choice.gateway);
	gateway_unref(x->choice.gateway);
	x->choice.gateway = NULL;
}

struct link *
exchange_take_link(struct exchange *x)
{
	struct link *k = x->link;

	x->link = NULL;
	gateway_unref(x->choice.gateway);	/* the link has a reference of its own; the reservation goes along */
	x->choice.gateway = NULL;
	return k;
}

static struct slice
exchange_field(const struct exchange *x, enum field_id id)
{
	const struct field *f = head_find(&x->head, id);

	return f != NULL ? f->value : SLICE_NONE;
}

void
exchange_describe(const struct exchange *x, struct record *r)
{
	uint64_t now_us = clock_exact_us();

	*r = (struct record){ .kind = RECORD_REQUEST, .client = x->addr, .peer = x->client->peer, .pool = "-", .gateway = "-",
		.how = "-" };
	r->total_us = x->begun_us != 0 ? now_us - x->begun_us : 0;
	r->at_us = clock_wall_us() - r->total_us;
	r->listener = x->client->door->listener->conf->name;
	r->tls = x->client->stream.ssl != NULL;
	r->status = x->status;
	r->retries = x->retries;
	r->request_id = x->request_id;
	r->bytes_in = x->head_in_bytes != 0 ? x->head_in_bytes + x->up.bytes : x->in_n;
	r->bytes_out = x->head_out_bytes + x->down.bytes;
	if (x->head_in_bytes != 0) {		/* else the head was never understood */
		r->method = x->head.method_text;
		r->host = x->head.host;
		r->target = x->head.target;
		r->minor = x->head.minor;
		r->referer = exchange_field(x, FIELD_REFERER);
		r->user_agent = exchange_field(x, FIELD_USER_AGENT);
	}
	if (x->service != NULL)
		r->pool = x->service->conf->name;
	if (x->chosen)
		r->how = affinity_how(&x->choice);
	if (x->choice.gateway != NULL)
		r->gateway = x->choice.gateway->name;
	else if (x->tried.n != 0)
		r->gateway = x->tried.gateway[x->tried.n - 1]->name;
	if (x->connected_us != 0)
		r->queue_us = x->connected_us - x->begun_us;
	if (x->responded_us != 0)
		r->response_us = x->responded_us - x->connected_us;
}

/* The record goes out, everything but the client goes back. */
static void
exchange_over(struct exchange *x, enum end_reason why)
{
	must(x->state != EXCHANGE_OVER);
	if (x->proxy->on_record != NULL) {
		struct record r;

		exchange_describe(x, &r);
		r.why = why;
		r.whose = end_info(why)->whose;
		x->proxy->on_record(x->proxy->arg, &r);
	}
	if (why == END_DONE && x->keep_link && x->up.done && !x->proxy->stopping)
		link_keep(x->link, x->service->conf->idle_connections);
	else
		link_close(x->link);
	x->link = NULL;
	exchange_release_gateway(x);
	x->client->exchange = NULL;
	exchange_drop(x);
}

/* Both bodies are through. */
static void
exchange_finish(struct exchange *x)
{
	struct slice rest = x->rest;
	struct client *c = x->client;
	bool stopping = x->proxy->stopping;	/* which may have begun after the client was told that it may go on */
	bool keep = x->keep_client && x->up.done && !stopping, linger = !x->up.done || rest.n != 0 || stopping;

	exchange_over(x, END_DONE);
	client_served(c, END_DONE, keep, linger, rest);
}

/* May the connection go on after an answer of ours? Only when we know where the next request begins. */
static bool
exchange_can_keep(const struct exchange *x)
{
	return x->head_in_bytes != 0 && x->head.keep_alive && x->up.done && !x->proxy->stopping;
}

/* An answer of our own. The reason's log line carries the details. */
static void
exchange_reply(struct exchange *x, enum end_reason why, unsigned status, struct slice location, bool keep)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	struct client *c = x->client;
	struct slice rest = x->rest;
	bool known = x->head_in_bytes != 0;
	struct reply r = { .status = status, .request_id = x->request_id, .location = location, .keep_alive = keep };

	r.date = proxy_date(x->proxy);
	r.minor_0 = known && x->head.minor == 0;
	r.no_body = known && x->head.method == METHOD_HEAD;
	if (status == 503 || status == 429)
		r.retry_after_s = RETRY_AFTER_S;
	x->status = status;
	if (!reply_write(&r, &b) || stream_write(&c->stream, buf_slice(&b)) != STREAM_OK)
		why = END_CLIENT_RESET;
	else
		x->head_out_bytes = b.n;
	exchange_over(x, why);
	if (why == END_CLIENT_RESET)
		client_end(c, why);
	else
		client_served(c, why, keep, true, rest);
}

static void
exchange_say(const struct exchange *x, enum end_reason why)
{
	const struct link *k = x->link;
	char text[CLIENT_TEXT], detail[128];
	const char *what = "";

	if (!log_is_on(LOG_LEVEL_INFO))
		return;
	if (why == END_BAD_REQUEST || why == END_BAD_VERSION)
		what = x->h1.why != NULL ? x->h1.why : "not a valid upgrade";
	else if (why == END_BAD_BODY)
		what = x->up.reader.why;
	else if (why == END_GATEWAY_BAD)
		what = x->response_h1.why;
	else if (why == END_GATEWAY_BODY)
		what = x->down.reader.why;
	else if (k != NULL && stream_has_failed(&k->stream))
		what = stream_why(&k->stream, detail, sizeof detail);
	log_info("client %s: %s%s%s (pool %s, gateway %s, request %.*s)", client_text(x->client, text), end_info(why)->word,
	    what != NULL && *what != '\0' ? ": " : "", what != NULL ? what : "",
	    x->service != NULL ? x->service->conf->name : "-", x->choice.gateway != NULL ? x->choice.gateway->name : "-",
	    SLICE_FMT(x->request_id));
}

void
exchange_fail(struct exchange *x, enum end_reason why)
{
	struct client *c = x->client;
	unsigned status = end_info(why)->http;

	ALIVE(x, EXCHANGE_MAGIC);
	if (x->begun_us == 0)
		x->begun_us = clock_exact_us();
	if (x->request_id.n == 0) {
		proxy_request_id(x->proxy, x->id);
		x->request_id = slice_make(x->id, sizeof x->id);
	}
	exchange_say(x, why);
	if (status != 0 && x->state != EXCHANGE_RESPONDING) {
		exchange_reply(x, why, status, SLICE_NONE, end_info(why)->whose != END_BY_CLIENT && exchange_can_keep(x));
		return;
	}
	exchange_over(x, why);
	if (end_info(why)->whose == END_BY_CLIENT)
		client_end(c, why);
	else
		client_served(c, why, false, true, SLICE_NONE);		/* what came before the break is still delivered */
}

void
exchange_abort(struct exchange *x, enum end_reason why)
{
	struct client *c = x->client;

	ALIVE(x, EXCHANGE_MAGIC);
	exchange_over(x, why);
	client_end(c, why);
}

/* ---- the request's head ---- */

static bool
exchange_grow(struct exchange *x, size_t room)
{
	char *big;

	if (room <= x->in_room)
		return false;
	big = realloc(x->big, room);
	if (big == NULL)
		return false;
	if (x->big == NULL)
		memcpy(big, x->first, x->in_n);
	x->in = x->big = big;
	x->in_room = room;
	return true;
}

static enum exchange_head
exchange_parse_head(struct exchange *x, enum end_reason *why)
{
	size_t most = x->client->door->listener->conf->max_header_bytes;

	switch (h1_parse(&x->h1, slice_make(x->in, x->in_n), &x->head)) {
	case H1_MORE:
		/* One byte more than is allowed, so that the parser sees that it is too much. */
		if (x->in_n == x->in_room && !exchange_grow(x, x->in_room * 4 < most + 1 ? x->in_room * 4 : most + 1)) {
			*why = END_NO_MEMORY;
			return EXCHANGE_HEAD_REFUSED;
		}
		return EXCHANGE_HEAD_WAIT;
	case H1_HEAD:
		x->head_in_bytes = x->h1.head_bytes;
		x->rest = slice_skip(slice_make(x->in, x->in_n), x->head_in_bytes);
		return EXCHANGE_HEAD_DONE;
	case H1_TOO_LARGE:
		*why = END_HEAD_TOO_LARGE;
		return EXCHANGE_HEAD_REFUSED;
	case H1_URI_TOO_LONG:
		*why = END_URI_TOO_LONG;
		return EXCHANGE_HEAD_REFUSED;
	case H1_VERSION:
		*why = END_BAD_VERSION;
		return EXCHANGE_HEAD_REFUSED;
	case H1_BAD:
		break;
	}
	*why = END_BAD_REQUEST;
	return EXCHANGE_HEAD_REFUSED;
}

enum exchange_head
exchange_read_head(struct exchange *x, enum end_reason *why)
{
	enum exchange_head r = EXCHANGE_HEAD_WAIT;

	ALIVE(x, EXCHANGE_MAGIC);
	if (x->in_n != 0 && x->h1.seen == 0)	/* left by the request before */
		r = exchange_parse_head(x, why);
	while (r == EXCHANGE_HEAD_WAIT) {
		struct slice got;
		enum stream_result s = stream_read(&x->client->stream, x->in + x->in_n, x->in_room - x->in_n, &got);

		if (s != STREAM_OK)
			return s == STREAM_WAIT ? EXCHANGE_HEAD_WAIT : s == STREAM_END ? EXCHANGE_HEAD_END : EXCHANGE_HEAD_FAILED;
		if (x->begun_ms == 0)
			x->begun_ms = loop_now_ms(x->proxy->loop);
		x->in_n += got.n;
		r = exchange_parse_head(x, why);
	}
	return r;
}

/* ---- who asks, and where it goes ---- */

/* The client whom a trusted proxy forwards for: the last address of X-Forwarded-For that is not a trusted proxy's itself, since
 * what stands before that could have been made up by the client. */
static void
exchange_believe(struct exchange *x)
{
	const struct listener *l = x->client->door->listener;

	for (unsigned i = x->head.fields; i-- > 0;) {
		struct slice rest = x->head.field[i].value;

		if (x->head.field[i].id != FIELD_X_FORWARDED_FOR)
			continue;
		while (rest.n != 0) {
			size_t comma = rest.n;
			struct addr a;

			while (comma > 0 && rest.p[comma - 1] != ',')
				comma--;
			if (!addr_parse_host(slice_trim(slice_skip(rest, comma)), &a))
				return;
			x->addr = a;
			if (!listener_trusts(l, &a))
				return;
			rest.n = comma > 0 ? comma - 1 : 0;
		}
	}
}

static bool
is_request_id(struct slice s)
{
	if (s.n == 0 || s.n > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>&\"", s.p[i]) != NULL)
			return false;
	return true;
}

static void
exchange_identify(struct exchange *x)
{
	if (x->client->trusted) {
		exchange_believe(x);
		x->request_id = exchange_field(x, FIELD_X_REQUEST_ID);
		if (is_request_id(x->request_id))
			return;
	}
	proxy_request_id(x->proxy, x->id);
	x->request_id = slice_make(x->id, sizeof x->id);
}

static void
exchange_redirect(struct exchange *x, const struct route *route)
{
	char text[8192];
	struct buf location = buf_of(text, sizeof text);

	if (!route_location(route, head_host_name(&x->head), x->head.target, &location)) {
		exchange_fail(x, END_URI_TOO_LONG);
		return;
	}
	exchange_reply(x, END_REDIRECT, route->redirect->status, buf_slice(&location), exchange_can_keep(x));
}

/* False: it has failed. */
static bool
exchange_choose(struct exchange *x)
{
	char text[ADDR_TEXT];

	affinity_choose(x->service->affinity, x->proxy->sealer, &x->head, &x->addr, &x->tried, clock_wall_us() / 1000000,
	    &x->choice);
	x->chosen = true;
	x->proxy->counts.affinity[x->choice.outcome]++;
	if (x->choice.outcome == AFFINITY_INVALID)
		log_info("pool %s: a cookie of %s is not believed: %s (request %.*s)", x->service->conf->name,
		    addr_text(&x->addr, text), x->choice.why, SLICE_FMT(x->request_id));
	if (x->choice.gateway != NULL)
		return true;
	exchange_fail(x, x->tried.n != 0 ? END_GATEWAY_CONNECT : END_NO_GATEWAY);
	return false;
}

/* Anew for each gateway that is tried: nothing has been sent then. */
static void
exchange_init_up(struct exchange *x)
{
	flow_init(&x->up, &x->client->stream, x->link != NULL ? &x->link->stream : NULL, x->head.framing,
	    x->head.content_length, x->head.framing, x->trailer_up);
}

void
exchange_begin(struct exchange *x)
{
	const struct route *route;
	const char *why = NULL;
	bool made = true;

	ALIVE(x, EXCHANGE_MAGIC);
	x->begun_us = clock_exact_us();
	x->moved_ms = loop_now_ms(x->proxy->loop);
	x->proxy->counts.requests++;
	exchange_identify(x);
	if (x->head.framing == FRAMING_CHUNKED)
		made = (x->trailer_up = malloc(BODY_TRAILER_MAX)) != NULL;
	exchange_init_up(x);
	if (!made || x->proxy->stopping || x->client->limited) {
		exchange_fail(x, !made ? END_NO_MEMORY : x->client->limited ? END_CLIENT_LIMIT : END_STOPPING);
		return;
	}
	if (x->head.method == METHOD_CONNECT) {
		exchange_fail(x, END_METHOD);
		return;
	}
	switch (handshake_request(&x->head, &why)) {
	case HANDSHAKE_BAD:
		x->h1.why = why;
		exchange_fail(x, END_BAD_REQUEST);
		return;
	case HANDSHAKE_WANTED:
		x->upgrade = true;
		break;
	case HANDSHAKE_NONE:
		break;
	}
	route = routes_find(x->client->door->routes, head_host_name(&x->head), x->head.path);
	if (route == NULL) {
		exchange_fail(x, END_MISDIRECTED);
		return;
	}
	if (route->redirect != NULL) {
		exchange_redirect(x, route);
		return;
	}
	x->service = route->service;
	if (exchange_choose(x))
		exchange_connect(x);
}

/* ---- the gateway ---- */

/* A request that may have been acted on already must not be sent twice (RFC 9110, 9.2.2). */
static bool
exchange_is_repeatable(const struct exchange *x)
{
	return head_is_idempotent(x->head.method) && x->head.framing == FRAMING_NONE && !x->upgrade;
}

/* An idle link may just have been closed by the gateway. Who can be repeated finds out; for the others the socket is asked, which
 * leaves only the time that a packet takes. Upgrades get links of their own, which live as long as they. */
static struct link *
exchange_idle_link(struct exchange *x)
{
	struct link *k;

	if (x->fresh || x->upgrade)
		return NULL;
	while ((k = link_take_idle(x->proxy->links, x->choice.gateway, exchange_gateway_ready, x)) != NULL) {
		if (exchange_is_repeatable(x) || stream_is_quiet(&k->stream))
			return k;
		link_close(k);
	}
	return NULL;
}

/* It was never asked: we had no descriptor or memory for it. */
static bool
is_our_own_want(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* Nothing of the request has reached a gateway: the next one is tried, at no cost to the client. */
static void
exchange_connect_failed(struct exchange *x, enum end_reason why)
{
	struct gateway *g = x->choice.gateway;
	bool blameless = x->link == NULL && is_our_own_want(errno);
	char detail[128];

	log_info("pool %s: gateway %s: connect failed: %s (request %.*s)", x->service->conf->name, g->name,
	    why == END_GATEWAY_TIMEOUT ? "no answer in time"
	    : x->link != NULL          ? stream_why(&x->link->stream, detail, sizeof detail)
	                               : strerror(errno),
	    SLICE_FMT(x->request_id));
	if (!blameless && gateway_connect_failed(g))
		x->proxy->on_failed_connects(x->proxy->arg);
	if (x->retries == x->service->conf->retries || x->tried.n == COUNT(x->tried.gateway)) {
		exchange_fail(x, why);
		return;
	}
	link_close(x->link);
	x->link = NULL;
	x->tried.gateway[x->tried.n++] = g;	/* the pool keeps it alive */
	exchange_release_gateway(x);
	if (!exchange_choose(x))
		return;
	x->retries++;
	exchange_connect(x);
}

/* An idle link turned out to be dead: the same gateway again, by a new connection. */
static bool
exchange_reconnect(struct exchange *x, bool nothing_sent)
{
	if (x->link->uses == 1 || x->fresh || !(nothing_sent || exchange_is_repeatable(x)))
		return false;
	link_close(x->link);
	x->link = NULL;
	x->fresh = true;
	x->state = EXCHANGE_HEAD;
	exchange_connect(x);
	return true;
}

/* What a step of one of the flows means for the whole. */
static void
exchange_flowed_up(struct exchange *x, enum flow_result r)
{
	switch (r) {
	case FLOW_WAIT:
	case FLOW_DONE:
		exchange_next_timer(x);		/* who is waited for may be another now */
		break;
	case FLOW_BAD:
		exchange_fail(x, END_BAD_BODY);
		break;
	case FLOW_CUT:
		exchange_fail(x, END_CLIENT_CLOSED);
		break;
	case FLOW_SOURCE_FAILED:
		exchange_fail(x, END_CLIENT_RESET);
		break;
	case FLOW_SINK_FAILED:
		x->up_dead = true;	/* it may have said why before it closed: read that first */
		x->keep_client = x->keep_link = false;
		stream_again(&x->link->stream);
		break;
	}
}

/* Chunked uploads are read into memory of their own, since what follows their end is the next request. The head's slices point
 * into the old memory, which therefore stays. */
static bool
exchange_body_room(struct exchange *x)
{
	if (x->body_in == NULL)
		x->body_in = malloc(CHUNKED_ROOM);
	return x->body_in != NULL;
}

static void
exchange_pump_up(struct exchange *x)
{
	uint64_t before = x->up.bytes;
	struct slice rest = SLICE_NONE;
	enum flow_result r;

	if (x->up.done || x->up_dead)
		return;
	if (x->up.reader.framing == FRAMING_CHUNKED) {
		if (!exchange_body_room(x)) {
			exchange_fail(x, END_NO_MEMORY);
			return;
		}
		r = flow_pump(&x->up, x->body_in, CHUNKED_ROOM, &rest);
		if (x->up.done)
			x->rest = rest;
	} else {
		r = flow_pump(&x->up, NULL, 0, &rest);
	}
	if (x->up.bytes != before)
		x->moved_ms = loop_now_ms(x->proxy->loop);
	exchange_flowed_up(x, r);
}

/* What was fed is still in x->rest, to be fed to another: to an answer of ours, too, the body is one that has not been read. */
static void
exchange_send_failed(struct exchange *x, bool sent)
{
	exchange_init_up(x);
	if (exchange_reconnect(x, !sent))
		return;
	if (sent)
		exchange_fail(x, END_GATEWAY_RESET);
	else
		exchange_connect_failed(x, END_GATEWAY_CONNECT);
}

/* The request goes out: its head, and in the same write what has come of its body. */
static void
exchange_send(struct exchange *x)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	struct slice in = x->rest;
	enum flow_result r;

	if (!forward_request(x, &b)) {
		exchange_fail(x, END_HEAD_TOO_LARGE);
		return;
	}
	exchange_init_up(x);
	r = flow_feed(&x->up, &in, &b);
	if (r == FLOW_SINK_FAILED) {
		exchange_send_failed(x, x->up.sent);
		return;
	}
	gateway_connect_ok(x->choice.gateway);
	x->rest = in;
	x->connected_us = clock_exact_us();
	x->moved_ms = loop_now_ms(x->proxy->loop);
	x->state = EXCHANGE_WAITING;
	h1_init(&x->response_h1, H1_RESPONSE, RESPONSE_HEAD_MAX);
	x->response_h1.to_head = x->head.method == METHOD_HEAD;
	exchange_flowed_up(x, r);
	if (r == FLOW_WAIT)
		exchange_pump_up(x);	/* what came meanwhile: the edge is past */
}

static void
exchange_connect(struct exchange *x)
{
	x->state = EXCHANGE_CONNECTING;
	x->link = exchange_idle_link(x);
	if (x->link != NULL) {
		exchange_send(x);
		return;
	}
	x->link = link_open(x->proxy->links, x->choice.gateway, exchange_gateway_ready, x);
	if (x->link == NULL) {
		exchange_connect_failed(x, END_GATEWAY_CONNECT);
		return;
	}
	x->connect_by_ms = loop_now_ms(x->proxy->loop) + x->service->conf->connect_timeout_ms;
	exchange_next_timer(x);
}

/* ---- the response ---- */

static void
exchange_flowed_down(struct exchange *x, enum flow_result r, struct slice rest)
{
	switch (r) {
	case FLOW_WAIT:
		exchange_next_timer(x);
		break;
	case FLOW_DONE:
		if (rest.n != 0)
			x->keep_link = false;	/* more than it announced: nothing that it says next can be trusted */
		exchange_finish(x);
		break;
	case FLOW_BAD:
		exchange_fail(x, END_GATEWAY_BODY);
		break;
	case FLOW_CUT:
		exchange_fail(x, END_GATEWAY_CLOSED);
		break;
	case FLOW_SOURCE_FAILED:
		exchange_fail(x, END_GATEWAY_RESET);
		break;
	case FLOW_SINK_FAILED:
		exchange_fail(x, END_CLIENT_RESET);
		break;
	}
}

static void
exchange_pump_down(struct exchange *x)
{
	uint64_t before = x->down.bytes;
	struct slice rest;
	enum flow_result r = flow_pump(&x->down, NULL, 0, &rest);

	if (x->down.bytes != before)
		x->moved_ms = loop_now_ms(x->proxy->loop);
	exchange_flowed_down(x, r, rest);
}

/* How the client gets the body: as it came where it can be told from what follows, else in chunks, else by closing. */
static enum head_framing
exchange_framing_down(const struct exchange *x, const struct head *h)
{
	if (h->framing == FRAMING_NONE || h->framing == FRAMING_LENGTH)
		return h->framing;
	return x->head.minor >= 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
}

static void
exchange_respond(struct exchange *x, const struct head *h, struct slice rest)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	enum head_framing out = exchange_framing_down(x, h);
	enum flow_result r;

	x->keep_client = exchange_can_keep(x) && out != FRAMING_CLOSE;
	x->keep_link = h->keep_alive && h->framing != FRAMING_CLOSE && !x->up_dead;
	if (h->framing == FRAMING_CHUNKED) {
		x->trailer_down = malloc(BODY_TRAILER_MAX);
		if (x->trailer_down == NULL) {
			exchange_fail(x, END_NO_MEMORY);
			return;
		}
	}
	if (!forward_response(x, h, out, &b)) {
		x->response_h1.why = "head too large to pass on";
		exchange_fail(x, END_GATEWAY_BAD);
		return;
	}
	x->status = h->status;
	x->head_out_bytes = b.n;
	x->responded_us = clock_exact_us();
	x->moved_ms = loop_now_ms(x->proxy->loop);
	flow_init(&x->down, &x->link->stream, &x->client->stream, h->framing, h->content_length, out, x->trailer_down);
	r = flow_feed(&x->down, &rest, &b);
	if (r != FLOW_BAD || x->down.sent)
		x->state = EXCHANGE_RESPONDING;		/* else it can still be refused */
	if (r == FLOW_WAIT)
		exchange_pump_down(x);
	else
		exchange_flowed_down(x, r, rest);
}

static void
exchange_upgrade(struct exchange *x, const struct head *h, struct slice rest)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	const char *why = "not asked for";

	if (!x->upgrade || !handshake_response_ok(&x->head, h, &why)) {
		log_warn("pool %s: gateway %s: its 101 is refused: %s (request %.*s)", x->service->conf->name,
		    x->choice.gateway->name, why, SLICE_FMT(x->request_id));
		exchange_fail(x, END_GATEWAY_HANDSHAKE);
		return;
	}
	x->responded_us = clock_exact_us();
	x->status = 101;
	if (!forward_response(x, h, FRAMING_NONE, &b)) {
		x->response_h1.why = "head too large to pass on";
		exchange_fail(x, END_GATEWAY_BAD);
		return;
	}
	x->state = EXCHANGE_RESPONDING;
	x->head_out_bytes = b.n;
	if (stream_write(&x->client->stream, buf_slice(&b)) != STREAM_OK)
		exchange_fail(x, END_CLIENT_RESET);
	else if (!session_start(x, x->rest, rest))
		exchange_fail(x, END_NO_MEMORY);
	else
		exchange_drop(x);
}

/* False: dealt with, the head is not to be followed by another. */
static bool
exchange_interim(struct exchange *x, const struct head *h)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);

	if (x->head.minor == 0)
		return true;		/* HTTP/1.0 knows none (RFC 9110, 15.2) */
	if (!forward_interim(h, &b)) {
		x->response_h1.why = "head too large to pass on";
		exchange_fail(x, END_GATEWAY_BAD);
		return false;
	}
	if (stream_write(&x->client->stream, buf_slice(&b)) == STREAM_OK)
		return true;
	exchange_fail(x, END_CLIENT_RESET);
	return false;
}

/* Bytes that end within a head are kept until the rest is there. */
static bool
exchange_keep_response(struct exchange *x, struct slice bytes)
{
	if (x->response_in == NULL) {
		x->response_in = malloc(RESPONSE_HEAD_MAX + 1);
		if (x->response_in == NULL)
			return false;
	}
	if (bytes.n > RESPONSE_HEAD_MAX + 1)
		return false;
	memmove(x->response_in, bytes.p, bytes.n);
	x->response_n = bytes.n;
	return true;
}

/* All bytes of the response so far, from the first that no head has used up. */
static void
exchange_parse_response(struct exchange *x, struct slice bytes)
{
	struct head *h = x->proxy->response;

	while (bytes.n != 0) {
		switch (h1_parse(&x->response_h1, bytes, h)) {
		case H1_MORE:
			if (!exchange_keep_response(x, bytes))
				exchange_fail(x, END_NO_MEMORY);
			return;
		case H1_HEAD:
			break;
		default:
			exchange_fail(x, END_GATEWAY_BAD);
			return;
		}
		bytes = slice_skip(bytes, x->response_h1.head_bytes);
		if (h->status == 101) {
			exchange_upgrade(x, h, bytes);
			return;
		}
		if (h->status >= 200) {
			exchange_respond(x, h, bytes);
			return;
		}
		if (!exchange_interim(x, h))
			return;
		h1_init(&x->response_h1, H1_RESPONSE, RESPONSE_HEAD_MAX);
		x->response_h1.to_head = x->head.method == METHOD_HEAD;
		x->response_n = 0;
	}
}

/* Interim responses are passed on as long as the client takes them, and not without end in one turn. */
static void
exchange_read_response(struct exchange *x)
{
	for (unsigned budget = RESPONSE_READS; x->state == EXCHANGE_WAITING && !stream_is_blocked(&x->client->stream); budget--) {
		struct stream *s = &x->link->stream;
		struct slice got;
		enum stream_result r;

		if (budget == 0) {
			stream_again(s);
			return;
		}
		if (x->response_n != 0)
			r = stream_read(s, x->response_in + x->response_n, RESPONSE_HEAD_MAX + 1 - x->response_n, &got);
		else
			r = stream_read(s, NULL, LOOP_SCRATCH, &got);
		if (r == STREAM_WAIT)
			return;
		if (r != STREAM_OK) {
			if (x->response_n != 0 || !exchange_reconnect(x, false))
				exchange_fail(x, r == STREAM_END ? END_GATEWAY_CLOSED : END_GATEWAY_RESET);
			return;
		}
		if (x->response_n != 0)
			got = slice_make(x->response_in, x->response_n += got.n);
		exchange_parse_response(x, got);
	}
}

/* ---- events ---- */

static void
exchange_gateway_ready(struct stream *s, unsigned what)
{
	struct exchange *x = s->owner;

	ALIVE(x, EXCHANGE_MAGIC);
	if (x->state == EXCHANGE_CONNECTING) {
		if (what & STREAM_CONNECTED)
			exchange_send(x);
		else if (stream_has_failed(s))
			exchange_connect_failed(x, END_GATEWAY_CONNECT);
		if (x->state != EXCHANGE_WAITING || s != &x->link->stream)
			return;
	}
	if (what & STREAM_DRAINED)
		exchange_pump_up(x);
	if (!(what & STREAM_CAN_READ))
		return;
	if (x->state == EXCHANGE_WAITING)
		exchange_read_response(x);
	else if (x->state == EXCHANGE_RESPONDING)
		exchange_pump_down(x);
}

void
exchange_client_ready(struct exchange *x, unsigned what)
{
	ALIVE(x, EXCHANGE_MAGIC);
	if (what & STREAM_CAN_READ) {
		if (x->state >= EXCHANGE_WAITING && !x->up.done && !x->up_dead && !stream_has_failed(&x->client->stream))
			exchange_pump_up(x);
		else if (stream_is_reset(&x->client->stream))
			exchange_fail(x, END_CLIENT_RESET);
	}
	if (what & STREAM_DRAINED && x->state == EXCHANGE_RESPONDING)
		exchange_pump_down(x);
	else if (what & STREAM_DRAINED && x->state == EXCHANGE_WAITING)
		exchange_read_response(x);	/* its client was held up by what came before */
}

/* ---- time ---- */

/* The rest of its body is the client's to send; one that asked for a 100 first waits for the gateway, as we do. */
static bool
exchange_waits_for_client(const struct exchange *x)
{
	return !x->up.done && !x->up_dead && !stream_is_blocked(&x->link->stream) &&
	       !(x->head.expect_continue && x->up.bytes == 0);
}

/* When something has to have happened, and what it is called if it has not. */
static uint64_t
exchange_due_ms(const struct exchange *x, enum end_reason *why)
{
	const struct conf_listener *l = x->client->door->listener->conf;
	const struct conf_pool *p = x->service->conf;

	if (x->state == EXCHANGE_CONNECTING) {
		*why = END_GATEWAY_TIMEOUT;
		return x->connect_by_ms;
	}
	if (stream_is_blocked(&x->client->stream)) {
		*why = END_CLIENT_STALLED;
		return x->moved_ms + l->body_timeout_ms;
	}
	if (x->state == EXCHANGE_WAITING && exchange_waits_for_client(x)) {
		*why = END_BODY_TIMEOUT;
		return x->moved_ms + l->body_timeout_ms;
	}
	*why = END_RESPONSE_TIMEOUT;
	return x->moved_ms + (x->state == EXCHANGE_WAITING ? p->response_timeout_ms : p->tunnel_idle_ms);
}

static void
exchange_next_timer(struct exchange *x)
{
	enum end_reason why;

	client_timer_by(x->client, exchange_due_ms(x, &why));
}

void
exchange_timer(struct exchange *x, uint64_t now_ms)
{
	enum end_reason why;

	ALIVE(x, EXCHANGE_MAGIC);
	if (now_ms < exchange_due_ms(x, &why))
		exchange_next_timer(x);
	else if (x->state == EXCHANGE_CONNECTING)
		exchange_connect_failed(x, why);
	else
		exchange_fail(x, why);
}
