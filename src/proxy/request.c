/* SPDX-License-Identifier: BSD-2-Clause */
/* Which gateway, by which link, what if it cannot be reached, and the body behind the head. */
#include "proxy/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/forward.h"
#include "proxy/placement.h"
#include "proxy/response.h"

/* Chunked uploads are read in pieces of this size, into memory of their own: what follows them must be kept. */
#define CHUNKED_ROOM LOOP_SCRATCH

/* Anew for each gateway that is tried: nothing has been sent then. */
void
request_init_flow(struct exchange *x)
{
	flow_init(&x->up, &x->client->stream, x->link != NULL ? &x->link->stream : NULL, x->head.framing,
	    x->head.content_length, x->head.framing, x->trailer_up);
}

/* A request that may have been acted on already must not be sent twice (RFC 9110, 9.2.2). */
static bool
request_is_repeatable(const struct exchange *x)
{
	return head_is_idempotent(x->head.method) && x->head.framing == FRAMING_NONE && !x->upgrade;
}

/* The socket of an idle link is asked whether the gateway has closed it, or said anything: a server's parting 408, or
 * the body of an answer to HEAD, whose event comes behind our client's in the same turn, would be taken for the
 * answer to this request. That leaves only the time that a packet takes. Upgrades get links of their own, which live
 * as long as they. */
static struct link *
request_idle_link(struct exchange *x)
{
	struct link *k;

	if (x->fresh || x->upgrade)
		return NULL;
	while ((k = link_take_idle(x->proxy->links, x->choice.gateway, exchange_gateway_ready, x)) != NULL) {
		if (stream_is_quiet(&k->stream))
			return k;
		link_close(k);
	}
	return NULL;
}

/* An idle link turned out to be dead: the same gateway again, by a new connection. */
bool
request_reconnect(struct exchange *x, bool nothing_sent)
{
	if (x->link->uses == 1 || x->fresh || !(nothing_sent || request_is_repeatable(x)))
		return false;
	link_close(x->link);
	x->link = NULL;
	x->fresh = true;
	x->state = EXCHANGE_HEAD;
	request_connect(x);
	return true;
}

/* What a step of one of the flows means for the whole. */
static void
request_flowed(struct exchange *x, enum flow_result r)
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

/* Chunked uploads are read into memory of their own, since what follows their end is the next request. The head's
 * slices point into the old memory, which therefore stays. */
static bool
request_body_room(struct exchange *x)
{
	if (x->body_in == NULL)
		x->body_in = malloc(CHUNKED_ROOM);
	return x->body_in != NULL;
}

void
request_pump(struct exchange *x)
{
	uint64_t before = x->up.bytes;
	struct slice rest = SLICE_NONE;
	enum flow_result r;

	if (x->up.done || x->up_dead)
		return;
	if (x->up.reader.framing == FRAMING_CHUNKED) {
		if (!request_body_room(x)) {
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
	request_flowed(x, r);
}

/* What was fed is still in x->rest, to be fed to another: to an answer of ours, too, the body is one that has not
 * been read. */
static void
request_send_failed(struct exchange *x, bool sent)
{
	request_init_flow(x);
	if (request_reconnect(x, !sent))
		return;
	if (sent)
		exchange_fail(x, END_GATEWAY_RESET);
	else
		placement_connect_failed(x, END_GATEWAY_CONNECT);
}

/* The request goes out: its head, and in the same write what has come of its body. */
void
request_send(struct exchange *x)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	struct slice in = x->rest;
	enum flow_result r;

	if (!forward_request(x, &b)) {
		exchange_fail(x, END_HEAD_TOO_LARGE);
		return;
	}
	request_init_flow(x);
	r = flow_feed(&x->up, &in, &b);
	if (r == FLOW_SINK_FAILED) {
		request_send_failed(x, x->up.sent);
		return;
	}
	gateway_note_connected(x->choice.gateway);
	gateway_note_request(x->choice.gateway);
	x->rest = in;
	x->connected_us = clock_exact_us();
	x->moved_ms = loop_now_ms(x->proxy->loop);
	x->state = EXCHANGE_WAITING;
	response_expect(x);
	request_flowed(x, r);
	if (r == FLOW_WAIT)
		request_pump(x);	/* what came meanwhile: the edge is past */
}

/* No descriptor, memory or port was to be had for a connection. */
static bool
is_our_own_want(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL;
}

/* The gateway was never asked. It is not to blame, and a client that belongs to it must not lose its session for a
 * want of ours: so no other is tried. */
static void
request_found_us_wanting(struct exchange *x, int error)
{
	log_warn("pool %s: gateway %s: cannot connect: %s (request %.*s)", x->service->conf->name,
	    gateway_name(x->choice.gateway), strerror(error), SLICE_FMT(x->request_id));
	exchange_fail(x, END_EXHAUSTED);
}

void
request_connect(struct exchange *x)
{
	x->state = EXCHANGE_CONNECTING;
	x->link = request_idle_link(x);
	if (x->link != NULL) {
		request_send(x);
		return;
	}
	x->link = link_open(x->proxy->links, x->choice.gateway, x->service->pool->tls, exchange_gateway_ready, x);
	if (x->link == NULL) {
		if (is_our_own_want(errno))
			request_found_us_wanting(x, errno);
		else
			placement_connect_failed(x, END_GATEWAY_CONNECT);
		return;
	}
	x->connect_by_ms = loop_now_ms(x->proxy->loop) + x->service->conf->connect_timeout_ms;
	exchange_next_timer(x);
}
