/* SPDX-License-Identifier: BSD-2-Clause */
/* From accept to close. What a state may lead to stands in one table, and one function changes it. */
#include "proxy/client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "net/proxyproto.h"
#include "proxy/exchange.h"

#define CLIENT_MAGIC 0xc11e4701

/* Requests of one client in a row before others have their turn. */
#define CLIENT_REQUESTS 16
/* How long a client may take to read our last words while it still sends its own. */
#define CLIENT_LINGER_MS 2000
/* When stopping, or when the listener is no more: who has connected just now has its first request on the way. */
#define CLIENT_LAST_WORD_MS 1000

static const struct {
	const char *doing;
	unsigned next;
} client_states[] = {
	[CLIENT_GREETING] = { "sending a PROXY header", BIT(CLIENT_READING) | BIT(CLIENT_ENDING) },
	[CLIENT_READING] = { "sending a request", BIT(CLIENT_SERVING) | BIT(CLIENT_CLOSING) | BIT(CLIENT_ENDING) },
	[CLIENT_SERVING] = { "being served",
	    BIT(CLIENT_READING) | BIT(CLIENT_TUNNEL) | BIT(CLIENT_CLOSING) | BIT(CLIENT_ENDING) },
	[CLIENT_TUNNEL] = { "in a session", BIT(CLIENT_ENDING) },
	[CLIENT_CLOSING] = { "being closed", BIT(CLIENT_ENDING) },
	[CLIENT_ENDING] = { "ended", 0 },
};

static void
client_set_state(struct client *c, enum client_state to)
{
	must(client_states[c->state].next & BIT(to));
	c->state = to;
	c->since_ms = loop_now_ms(client_proxy(c)->loop);
}

const char *
client_text(const struct client *c, char text[CLIENT_TEXT])
{
	char peer[ADDR_TEXT];

	snprintf(text, CLIENT_TEXT, "%s (listener %.48s) while %s", addr_text(&c->peer, peer),
	    c->door->name, client_states[c->state].doing);
	return text;
}

/* ---- the end ---- */

static void
client_free(struct reap *r)
{
	struct client *c = CONTAINER(r, struct client, reap);
	struct proxy *p = client_proxy(c);

	door_leave(c->door);
	c->magic = 0;
	slab_put(&p->clients, c);
}

void
client_end(struct client *c, enum end_reason why)
{
	struct listener *l;

	ALIVE(c, CLIENT_MAGIC);
	if (c->state == CLIENT_ENDING)
		return;			/* the first reason is the true one */
	c->why = why;
	exchange_drop(c->exchange);
	c->exchange = NULL;
	client_set_state(c, CLIENT_ENDING);
	l = c->door->listener;
	timer_cancel(&c->timer);
	stream_close(&c->stream);
	list_remove(&c->link);
	if (c->counted)
		iplimit_leave(l->guests->iplimit, &c->peer);
	listener_note_gone(l);
	loop_reap(client_proxy(c)->loop, &c->reap, client_free);
}

static void
client_say_end(struct client *c, enum end_reason why, const char *what)
{
	char text[CLIENT_TEXT];

	log_info("client %s: %s%s%s", client_text(c, text), end_info(why)->word, *what != '\0' ? ": " : "", what);
	client_end(c, why);
}

/* It has not taken the last answer yet. Its next request waits until then: of a pipeline whose answers nobody reads,
 * all would have to be kept. */
static bool
client_is_held(const struct client *c)
{
	return stream_is_blocked(&c->stream) && !stream_has_failed(&c->stream);
}

/* ---- closing, with all that was said still arriving ---- */

/* Nothing that it has said is left unread, which would make our close a reset: it is silent, or has closed its
 * half. */
static bool
client_is_read_out(struct client *c)
{
	struct slice unread;
	char byte;

	return !stream_peek(&c->stream, &byte, 1, &unread) || unread.n == 0;
}

static void
client_closing(struct client *c)
{
	struct slice got;
	enum stream_result r = STREAM_OK;

	if (client_is_held(c))
		return;
	if (!c->linger && !client_is_read_out(c))
		c->linger = true;	/* an empty line behind a body, as old clients send */
	if (!c->linger) {
		client_end(c, c->why);
		return;
	}
	if (!c->stream.shut_wanted) {
		stream_shut(&c->stream);
		c->since_ms = loop_now_ms(client_proxy(c)->loop);
		client_timer_by(c, c->since_ms + CLIENT_LINGER_MS);
	}
	for (unsigned budget = CLIENT_REQUESTS; budget != 0 && r == STREAM_OK; budget--)
		r = stream_read(&c->stream, NULL, LOOP_SCRATCH, &got);
	if (r == STREAM_OK)
		stream_again(&c->stream);
	else if (r != STREAM_WAIT)
		client_end(c, c->why);
}

static uint64_t
client_closing_due(const struct client *c)
{
	uint64_t most = stream_is_blocked(&c->stream) ? c->door->listener->conf->body_timeout_ms : CLIENT_LINGER_MS;

	return c->since_ms + most;
}

static void
client_close_soon(struct client *c, enum end_reason why, bool linger)
{
	c->why = why;
	c->linger = linger;
	client_set_state(c, CLIENT_CLOSING);
	client_closing(c);
	if (c->state == CLIENT_CLOSING)
		client_timer_by(c, client_closing_due(c));
}

/* ---- reading ---- */

void
client_timer_by(struct client *c, uint64_t due_ms)
{
	loop_timer_by(client_proxy(c)->loop, &c->timer, due_ms);
}

/* Nobody comes after it by its door. */
static bool
client_is_last(const struct client *c)
{
	return client_proxy(c)->stopping || c->door->retired;
}

/* The first head must have come header_timeout after the connection, a later one after its own first byte. */
static uint64_t
client_reading_due(const struct client *c)
{
	const struct conf_listener *l = c->door->listener->conf;

	if (client_is_held(c))
		return c->since_ms + l->body_timeout_ms;
	if (c->requests == 0)
		return c->since_ms + (client_is_last(c) ? CLIENT_LAST_WORD_MS : l->header_timeout_ms);
	if (c->exchange == NULL)
		return c->since_ms + l->keepalive_timeout_ms;
	return c->exchange->begun_ms + l->header_timeout_ms;
}

/* Some of a request has come. */
static bool
client_has_begun(const struct client *c)
{
	return c->exchange != NULL && c->exchange->intake.n != 0;
}

/* The peer is gone, or has closed its half, before a whole head. */
static void
client_left(struct client *c, bool failed)
{
	char detail[128];

	if (!stream_is_established(&c->stream)) {
		client_say_end(c, END_CLIENT_TLS,
		    failed ? stream_why(&c->stream, detail, sizeof detail) : "closed in its handshake");
		return;
	}
	if (!client_has_begun(c)) {
		client_end(c, failed ? END_CLIENT_RESET : END_CLIENT_CLOSED);
		return;
	}
	client_say_end(c, failed ? END_CLIENT_RESET : END_CLIENT_CLOSED, "in the middle of a head");
}

/* One head; false when no more can be done now. */
static bool
client_read_one(struct client *c)
{
	enum end_reason why = END_NONE;
	struct exchange *x = c->exchange;
	enum intake_result r;

	if (x == NULL) {
		x = c->exchange = exchange_new(c, SLICE_NONE);
		if (x == NULL) {
			client_say_end(c, END_NO_MEMORY, "");
			return false;
		}
	}
	r = exchange_read_head(x, &why);
	switch (r) {
	case INTAKE_WAIT:
		if (x->intake.n == 0) {
			c->exchange = NULL;
			exchange_drop(x);
		}
		client_timer_by(c, client_reading_due(c));
		return false;
	case INTAKE_END:
	case INTAKE_FAILED:
		client_left(c, r == INTAKE_FAILED);
		return false;
	case INTAKE_REFUSED:
		counter_add(&client_proxy(c)->counts.bad_requests, 1);
		client_set_state(c, CLIENT_SERVING);
		exchange_fail(x, why);
		return false;
	case INTAKE_DONE:
		break;
	}
	c->requests++;
	client_set_state(c, CLIENT_SERVING);
	exchange_begin(x);
	return true;
}

static void
client_read(struct client *c)
{
	unsigned budget = CLIENT_REQUESTS;

	while (c->state == CLIENT_READING && !client_is_held(c) && budget-- != 0)
		if (!client_read_one(c))
			return;
	if (c->state == CLIENT_READING && !client_is_held(c))
		stream_again(&c->stream);
}

/* The last answer is all with the kernel: from now on it is the client who lets us wait. */
static void
client_drained(struct client *c)
{
	c->since_ms = loop_now_ms(client_proxy(c)->loop);
	if (c->exchange != NULL)
		c->exchange->begun_ms = c->since_ms;
	client_read(c);
}

void
client_served(struct client *c, enum end_reason why, bool keep, bool linger, struct slice rest)
{
	ALIVE(c, CLIENT_MAGIC);
	c->exchange = NULL;
	if (!keep) {
		client_close_soon(c, why, linger);
		return;
	}
	client_set_state(c, CLIENT_READING);
	if (rest.n != 0) {
		c->exchange = exchange_new(c, rest);
		if (c->exchange == NULL) {
			client_say_end(c, END_NO_MEMORY, "");
			return;
		}
		c->exchange->begun_ms = c->since_ms;
	}
	/* More may have come while nobody read: a pipeline, or the end. Not from here, so that a pipeline makes no
	 * recursion. */
	if (rest.n != 0 || stream_may_have_more(&c->stream))
		stream_again(&c->stream);
	client_timer_by(c, client_reading_due(c));
}

void
client_becomes_tunnel(struct client *c)
{
	ALIVE(c, CLIENT_MAGIC);
	c->exchange = NULL;
	timer_cancel(&c->timer);
	client_set_state(c, CLIENT_TUNNEL);
}

/* ---- who it is ---- */

/* Its address is known now, from the socket or from the PROXY header. False: it may not come in, and is ended. */
static bool
client_enter(struct client *c)
{
	struct listener *l = c->door->listener;

	if (!listener_admits(l, &c->peer)) {
		client_say_end(c, END_CLIENT_DENIED, "by allow and deny");
		return false;
	}
	c->trusted = listener_trusts(l, &c->peer);
	c->limited = !iplimit_enter(l->guests->iplimit, &c->peer, c->since_ms, &c->counted);
	return true;
}

/* ---- the PROXY header ---- */

/* Reads no byte beyond the header: what follows may be TLS, which wants to begin at its beginning. */
static void
client_greet(struct client *c)
{
	char bytes[PROXYPROTO_MAX];
	struct slice seen;
	struct addr named;
	size_t used = 0;
	enum proxyproto_result r;
	SSL *ssl = NULL;

	if (!stream_peek(&c->stream, bytes, sizeof bytes, &seen)) {
		client_say_end(c, END_CLIENT_CLOSED, "before its PROXY header");
		return;
	}
	r = proxyproto_parse(seen, &used, &named);
	if (r == PROXYPROTO_MORE && seen.n < sizeof bytes)
		return;
	if (r != PROXYPROTO_DONE || stream_read(&c->stream, bytes, used, &seen) != STREAM_OK || seen.n != used) {
		client_say_end(c, END_CLIENT_PROXY, "not a PROXY header");
		return;
	}
	if (named.len != 0)
		c->peer = named;
	if (!client_enter(c))
		return;
	if (c->door->tls != NULL) {
		ssl = tls_accept(c->door->tls);
		if (ssl == NULL) {
			client_say_end(c, END_NO_MEMORY, "");
			return;
		}
		stream_set_tls(&c->stream, ssl);
	}
	client_set_state(c, CLIENT_READING);
	client_read(c);
}

/* ---- events ---- */

static void
on_client_ready(struct stream *s, unsigned what)
{
	struct client *c = s->owner;

	ALIVE(c, CLIENT_MAGIC);
	switch (c->state) {
	case CLIENT_GREETING:
		client_greet(c);
		break;
	case CLIENT_READING:
		if (what & STREAM_DRAINED)
			client_drained(c);
		else if (what & STREAM_CAN_READ)
			client_read(c);
		break;
	case CLIENT_SERVING:
		exchange_client_ready(c->exchange, what);
		break;
	case CLIENT_CLOSING:
		client_closing(c);
		break;
	case CLIENT_TUNNEL:		/* the stream is the tunnel's */
	case CLIENT_ENDING:
		break;
	}
}

static void
client_reading_timeout(struct client *c)
{
	enum end_reason why = c->requests == 0 || c->exchange != NULL ? END_HEADER_TIMEOUT : END_CLIENT_IDLE;

	if (client_is_held(c)) {
		client_end(c, END_CLIENT_STALLED);
		return;
	}
	if (!client_has_begun(c)) {
		/* Not a byte of a request: an answer could be taken for one to the next. */
		if (why == END_CLIENT_IDLE)
			client_end(c, why);
		else
			client_say_end(c, why, "nothing came");
		return;
	}
	client_set_state(c, CLIENT_SERVING);
	exchange_fail(c->exchange, why);
}

static uint64_t
client_due(const struct client *c)
{
	return c->state == CLIENT_CLOSING ? client_closing_due(c) : client_reading_due(c);
}

/* Who has not taken our last words, but is reading them, has as long again. */
static uint64_t
client_due_still(struct client *c, uint64_t now_ms)
{
	if (now_ms >= client_due(c) && client_is_held(c) && stream_progresses(&c->stream))
		c->since_ms = now_ms;
	return client_due(c);
}

static void
on_client_timer(struct timer *t, uint64_t now_ms)
{
	struct client *c = CONTAINER(t, struct client, timer);
	uint64_t due = 0;

	ALIVE(c, CLIENT_MAGIC);
	switch (c->state) {
	case CLIENT_SERVING:
		exchange_timer(c->exchange, now_ms);
		return;
	case CLIENT_READING:
	case CLIENT_GREETING:
	case CLIENT_CLOSING:
		due = client_due_still(c, now_ms);
		break;
	case CLIENT_TUNNEL:
	case CLIENT_ENDING:
		return;
	}
	if (now_ms < due)
		client_timer_by(c, due);
	else if (c->state == CLIENT_READING)
		client_reading_timeout(c);
	else if (c->state == CLIENT_GREETING)
		client_say_end(c, END_HEADER_TIMEOUT, "no PROXY header");
	else
		client_end(c, c->why);
}

void
client_stop(struct client *c)
{
	ALIVE(c, CLIENT_MAGIC);
	if (c->state == CLIENT_SERVING)
		exchange_stop(c->exchange);
	if (c->state != CLIENT_GREETING && (c->state != CLIENT_READING || client_has_begun(c)))
		return;
	if (client_is_held(c))
		client_close_soon(c, END_STOPPING, true);
	else if (c->requests == 0)
		client_timer_by(c, client_reading_due(c));
	else
		client_end(c, END_STOPPING);
}

/* ---- accept ---- */

/* The descriptor is the client's afterwards. NULL: still the caller's. */
static struct client *
client_new(struct door *door, int fd, const struct addr *peer)
{
	struct proxy *p = door->proxy;
	bool greets = door->listener->conf->proxy_protocol == CONF_PROXY_REQUIRED;
	struct client *c = slab_get(&p->clients);
	SSL *ssl = NULL;

	if (c == NULL)
		return NULL;
	if (door->tls != NULL && !greets && (ssl = tls_accept(door->tls)) == NULL)
		goto fail;
	if (!stream_init(&c->stream, p->loop, fd, ssl, on_client_ready, c))
		goto fail;
	c->magic = CLIENT_MAGIC;
	c->door = door;
	c->peer = *peer;
	c->state = greets ? CLIENT_GREETING : CLIENT_READING;
	c->since_ms = loop_now_ms(p->loop);
	timer_init(&c->timer, on_client_timer);
	list_init(&c->link);
	list_add_tail(&p->client_list, &c->link);
	door_enter(door);
	return c;
fail:
	SSL_free(ssl);
	slab_put(&p->clients, c);
	return NULL;
}

void
proxy_accept(void *arg, struct listener *l, int fd, const struct addr *peer)
{
	struct door *door = arg;
	struct client *c;

	counter_add(&door->proxy->counts.connections, 1);
	counter_add(&door->meter->connections, 1);
	c = client_new(door, fd, peer);
	if (c == NULL) {
		listener_note_gone(l);
		close(fd);
		return;
	}
	if (c->state == CLIENT_GREETING && !listener_trusts(l, peer)) {
		client_say_end(c, END_CLIENT_DENIED, "its PROXY header would not be believed (trusted_proxies)");
		return;
	}
	if (c->state == CLIENT_GREETING || client_enter(c))
		client_timer_by(c, c->since_ms + l->conf->header_timeout_ms);
}
