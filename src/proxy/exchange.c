/* SPDX-License-Identifier: BSD-2-Clause */
/* An exchange's beginning and end, its events and its time. The way out is request.c's, the way back response.c's. */
#include "proxy/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/placement.h"
#include "proxy/reply.h"
#include "proxy/request.h"
#include "proxy/response.h"
#include "proxy/trusted.h"
#include "ws/handshake.h"

#define EXCHANGE_MAGIC 0xe8c4a49e

/* Said where trying again helps: about as long as a check needs to see a gateway come back. */
#define RETRY_AFTER_S 5

/* ---- beginning and end ---- */

struct exchange *
exchange_new(struct client *c, struct slice rest)
{
	struct exchange *x = slab_get_raw(&client_proxy(c)->exchanges);

	if (x == NULL)
		return NULL;
	memset(x, 0, offsetof(struct exchange, intake));	/* the rest is filled before it is read */
	x->magic = EXCHANGE_MAGIC;
	x->client = c;
	x->proxy = client_proxy(c);
	if (!intake_init(&x->intake, c->door->listener->conf->max_header_bytes, rest)) {
		slab_put(&x->proxy->exchanges, x);
		return NULL;
	}
	x->addr = c->peer;
	list_init(&x->wait.link);
	return x;
}

static void
exchange_free(struct reap *r)
{
	struct exchange *x = CONTAINER(r, struct exchange, reap);

	if (x->scene != NULL)
		scene_leave(x->scene);
	intake_fini(&x->intake);
	affinity_client_fini(&x->known);
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

struct link *
exchange_take_link(struct exchange *x)
{
	struct link *k = x->link;

	x->link = NULL;
	gateway_unref(x->choice.gateway);	/* the link has a reference of its own; the place goes along */
	x->choice.gateway = NULL;
	return k;
}

static struct slice
exchange_field(const struct exchange *x, enum field_id id)
{
	const struct field *f = head_find(&x->head, id);

	return f != NULL ? f->value : SLICE_NONE;
}

static uint64_t
exchange_bytes_in(const struct exchange *x)
{
	return x->head_in_bytes != 0 ? x->head_in_bytes + x->up.bytes : x->intake.n;
}

static uint64_t
exchange_bytes_out(const struct exchange *x)
{
	return x->head_out_bytes + x->down.bytes;
}

void
exchange_describe(const struct exchange *x, uint64_t now_us, struct record *r)
{
	*r = (struct record){
		.kind = RECORD_REQUEST, .client = x->addr, .peer = x->client->peer,
		.pool = "-", .gateway = "-", .how = "-", .because = "",
	};
	r->total_us = x->begun_us != 0 ? now_us - x->begun_us : 0;
	r->at_us = clock_wall_us() - r->total_us;
	r->listener = x->client->door->name;
	r->tls = x->client->stream.ssl != NULL;
	r->status = x->status;
	r->retries = x->retries;
	r->request_id = x->request_id;
	r->bytes_in = exchange_bytes_in(x);
	r->bytes_out = exchange_bytes_out(x);
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
	if (x->chosen) {
		r->how = affinity_how(&x->choice);
		r->because = x->choice.because;
	}
	if (x->choice.gateway != NULL)
		r->gateway = gateway_name(x->choice.gateway);
	else if (x->choice.home != NULL)
		r->gateway = gateway_name(x->choice.home);
	else if (x->tried.n != 0)
		r->gateway = gateway_name(x->tried.gateway[x->tried.n - 1]);
	if (x->connected_us != 0)
		r->queue_us = x->connected_us - x->begun_us;
	if (x->responded_us != 0)
		r->response_us = x->responded_us - x->connected_us;
}

void
exchange_count(const struct exchange *x, uint64_t now_us, enum end_reason why)
{
	struct tally *t;

	counter_add(&x->proxy->counts.request_ends[why], 1);
	meter_note(x->client->door->meter, x->status, exchange_bytes_in(x), exchange_bytes_out(x));
	if (x->service == NULL)
		return;
	t = x->scene->tally[x->service->index].tally;
	histogram_note(&t->requests, histogram_of_requests, now_us - x->begun_us);
	if (x->connected_us != 0)
		histogram_note(&t->connects, histogram_of_connects, x->connected_us - x->begun_us);
}

/* The record goes out, everything but the client goes back. */
static void
exchange_over(struct exchange *x, enum end_reason why)
{
	uint64_t now_us = clock_exact_us();

	must(x->state != EXCHANGE_OVER);
	queue_leave(x);
	store_cancel(&x->ask);
	placement_note_end(x, why);
	exchange_count(x, now_us, why);
	if (x->proxy->on_record != NULL) {
		struct record r;

		exchange_describe(x, now_us, &r);
		r.why = why;
		r.whose = end_info(why)->whose;
		x->proxy->on_record(x->proxy->arg, &r);
	}
	if (why == END_DONE && x->keep_link && x->up.done && !x->proxy->stopping && !x->proxy->leaving)
		link_keep(x->link, x->service->conf->idle_connections);
	else
		link_close(x->link);
	x->link = NULL;
	affinity_release(&x->choice);
	x->client->exchange = NULL;
	exchange_drop(x);
}

/* No request may follow on this connection: it should go to another process, or its listener is no more. */
static bool
exchange_is_last(const struct exchange *x)
{
	return x->proxy->leaving || x->proxy->stopping || x->client->door->retired;
}

/* Both bodies are through. */
void
exchange_finish(struct exchange *x)
{
	struct slice rest = x->rest;
	struct client *c = x->client;
	bool last = exchange_is_last(x);	/* perhaps only since the client was told that it may go on */
	bool keep = x->keep_client && x->up.done && !last, linger = !x->up.done || rest.n != 0 || last;

	exchange_over(x, END_DONE);
	client_served(c, END_DONE, keep, linger, rest);
}

/* May the connection go on after an answer of ours? Only when we know where the next request begins. */
bool
exchange_can_keep(const struct exchange *x)
{
	return x->head_in_bytes != 0 && x->head.keep_alive && x->up.done && !exchange_is_last(x);
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
		what = x->intake.h1.why != NULL ? x->intake.h1.why : "not a valid upgrade";
	else if (why == END_BAD_BODY)
		what = x->up.reader.why;
	else if (why == END_GATEWAY_BAD)
		what = x->response_h1.why;
	else if (why == END_GATEWAY_BODY)
		what = x->down.reader.why;
	else if (k != NULL && stream_has_failed(&k->stream))
		what = stream_why(&k->stream, detail, sizeof detail);
	log_info("client %s: %s%s%s (pool %s, gateway %s, request %.*s)", client_text(x->client, text),
	    end_info(why)->word, what != NULL && *what != '\0' ? ": " : "", what != NULL ? what : "",
	    x->service != NULL ? x->service->conf->name : "-",
	    x->choice.gateway != NULL ? gateway_name(x->choice.gateway) : "-", SLICE_FMT(x->request_id));
}

static void
exchange_make_id(struct exchange *x)
{
	proxy_request_id(x->proxy, x->id);
	x->request_id = slice_make(x->id, sizeof x->id);
}

/* A gateway that dies is one whose sessions end, in handshake or later: who wants one is to come again. */
static unsigned
exchange_status(const struct exchange *x, enum end_reason why)
{
	if (x->upgrade && (why == END_GATEWAY_CONNECT || why == END_GATEWAY_CLOSED || why == END_GATEWAY_RESET))
		return 503;
	return end_info(why)->http;
}

void
exchange_fail(struct exchange *x, enum end_reason why)
{
	struct client *c = x->client;
	unsigned status = exchange_status(x, why);

	ALIVE(x, EXCHANGE_MAGIC);
	if (x->begun_us == 0)
		x->begun_us = clock_exact_us();
	if (x->request_id.n == 0)
		exchange_make_id(x);
	exchange_say(x, why);
	if (status != 0 && x->state != EXCHANGE_RESPONDING) {
		exchange_reply(x, why, status, SLICE_NONE,
		    end_info(why)->whose != END_BY_CLIENT && exchange_can_keep(x));
		return;
	}
	exchange_over(x, why);
	if (end_info(why)->whose == END_BY_CLIENT)
		client_end(c, why);
	else
		client_served(c, why, false, true, SLICE_NONE);		/* what came before is still delivered */
}

void
exchange_stop(struct exchange *x)
{
	ALIVE(x, EXCHANGE_MAGIC);
	if (x->upgrade && x->state != EXCHANGE_RESPONDING && x->state != EXCHANGE_OVER)
		exchange_fail(x, END_STOPPING);
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

enum intake_result
exchange_read_head(struct exchange *x, enum end_reason *why)
{
	enum intake_result r;

	ALIVE(x, EXCHANGE_MAGIC);
	r = intake_read(&x->intake, &x->client->stream, &x->head, why);
	if (x->begun_ms == 0 && x->intake.n != 0)
		x->begun_ms = loop_now_ms(x->proxy->loop);
	if (r == INTAKE_DONE) {
		x->head_in_bytes = x->intake.h1.head_bytes;
		x->rest = intake_rest(&x->intake);
	}
	return r;
}

/* ---- who asks, and where it goes ---- */

static void
exchange_identify(struct exchange *x)
{
	if (x->client->trusted) {
		trusted_client(&x->head, x->client->door->listener, &x->addr);
		x->request_id = trusted_request_id(&x->head);
	}
	if (x->request_id.n == 0)
		exchange_make_id(x);
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

void
exchange_begin(struct exchange *x)
{
	const struct route *route;
	const char *why = NULL;
	bool made = true;

	ALIVE(x, EXCHANGE_MAGIC);
	x->scene = x->client->door->scene;	/* whose routes these are: a retired door keeps its own */
	scene_enter(x->scene);
	x->begun_us = clock_exact_us();
	x->moved_ms = loop_now_ms(x->proxy->loop);
	counter_add(&x->proxy->counts.requests, 1);
	exchange_identify(x);
	if (x->head.framing == FRAMING_CHUNKED)
		made = (x->trailer_up = malloc(BODY_TRAILER_MAX)) != NULL;
	request_init_flow(x);
	if (!made || x->client->limited) {
		exchange_fail(x, !made ? END_NO_MEMORY : END_CLIENT_LIMIT);
		return;
	}
	if (x->head.method == METHOD_CONNECT) {
		exchange_fail(x, END_METHOD);
		return;
	}
	switch (handshake_request(&x->head, &why)) {
	case HANDSHAKE_BAD:
		x->intake.h1.why = why;
		exchange_fail(x, END_BAD_REQUEST);
		return;
	case HANDSHAKE_WANTED:
		x->upgrade = true;
		break;
	case HANDSHAKE_NONE:
		break;
	}
	if (x->upgrade && x->proxy->stopping) {		/* it would be closed at once; other requests are finished */
		exchange_fail(x, END_STOPPING);
		return;
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
	placement_find(x);
}

/* ---- events ---- */

void
exchange_gateway_ready(struct stream *s, unsigned what)
{
	struct exchange *x = s->owner;

	ALIVE(x, EXCHANGE_MAGIC);
	if (x->state == EXCHANGE_CONNECTING) {
		if (what & STREAM_CONNECTED)
			request_send(x);
		else if (stream_has_failed(s))
			placement_connect_failed(x, END_GATEWAY_CONNECT);
		if (x->state != EXCHANGE_WAITING || s != &x->link->stream)
			return;
	}
	if (what & STREAM_DRAINED)
		request_pump(x);
	if (!(what & STREAM_CAN_READ))
		return;
	if (x->state == EXCHANGE_WAITING)
		response_read(x);
	else if (x->state == EXCHANGE_RESPONDING)
		response_pump(x);
}

void
exchange_client_ready(struct exchange *x, unsigned what)
{
	ALIVE(x, EXCHANGE_MAGIC);
	if (what & STREAM_CAN_READ) {
		if (x->state >= EXCHANGE_WAITING && !x->up.done && !x->up_dead &&
		    !stream_has_failed(&x->client->stream))
			request_pump(x);
		else if (stream_is_reset(&x->client->stream))
			exchange_fail(x, END_CLIENT_RESET);
	}
	if (what & STREAM_DRAINED && x->state == EXCHANGE_RESPONDING)
		response_pump(x);
	else if (what & STREAM_DRAINED && x->state == EXCHANGE_WAITING)
		response_read(x);	/* its client was held up by what came before */
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

	if (x->state == EXCHANGE_ASKING || x->state == EXCHANGE_QUEUED) {
		*why = END_NONE;		/* the store and the queue have timers of their own */
		return UINT64_MAX;
	}
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

void
exchange_next_timer(struct exchange *x)
{
	enum end_reason why;

	uint64_t due_ms = exchange_due_ms(x, &why);

	if (due_ms != UINT64_MAX)
		client_timer_by(x->client, due_ms);
}

/* Slow, but reading: the client its answer, or the gateway what is uploaded, of which megabytes may wait in the
 * kernel. */
static bool
exchange_progresses(struct exchange *x, enum end_reason why)
{
	if (why == END_CLIENT_STALLED)
		return stream_progresses(&x->client->stream);
	return why == END_RESPONSE_TIMEOUT && x->state == EXCHANGE_WAITING && stream_progresses(&x->link->stream);
}

void
exchange_timer(struct exchange *x, uint64_t now_ms)
{
	enum end_reason why;

	ALIVE(x, EXCHANGE_MAGIC);
	if (now_ms >= exchange_due_ms(x, &why) && exchange_progresses(x, why))
		x->moved_ms = now_ms;
	if (now_ms < exchange_due_ms(x, &why))
		exchange_next_timer(x);
	else if (x->state == EXCHANGE_CONNECTING)
		placement_connect_failed(x, why);
	else
		exchange_fail(x, why);
}
