/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads, interim ones first, then the body or the session that the last one announces. */
#include "proxy/response.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/forward.h"
#include "proxy/placement.h"
#include "proxy/request.h"
#include "proxy/session.h"
#include "ws/handshake.h"

/* A gateway's head: what servers send is small; this is nginx's and HAProxy's order of magnitude. */
#define RESPONSE_HEAD_MAX 65536
/* Reads in a row for it before others have their turn. */
#define RESPONSE_READS 16

void
response_expect(struct exchange *x)
{
	h1_init(&x->response_h1, H1_RESPONSE, RESPONSE_HEAD_MAX);
	x->response_h1.to_head = x->head.method == METHOD_HEAD;
	x->response_n = 0;
}

static void
response_flowed(struct exchange *x, enum flow_result r, struct slice rest)
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

void
response_pump(struct exchange *x)
{
	uint64_t before = x->down.bytes;
	struct slice rest;
	enum flow_result r = flow_pump(&x->down, NULL, 0, &rest);

	if (x->down.bytes != before)
		x->moved_ms = loop_now_ms(x->proxy->loop);
	response_flowed(x, r, rest);
}

/* How the client gets the body: as it came where it can be told from what follows, else in chunks, else by
 * closing. */
static enum head_framing
response_framing(const struct exchange *x, const struct head *h)
{
	if (h->framing == FRAMING_NONE || h->framing == FRAMING_LENGTH)
		return h->framing;
	return x->head.minor >= 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
}

static void
response_pass(struct exchange *x, const struct head *h, struct slice rest)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	enum head_framing out = response_framing(x, h);
	enum flow_result r;

	placement_settle(x, h);
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
	flow_init(&x->down, &x->link->stream, &x->client->stream, h->framing, h->content_length, out,
	    x->trailer_down);
	x->down.is_last = !x->keep_client;
	r = flow_feed(&x->down, &rest, &b);
	if (r != FLOW_BAD || x->down.sent)
		x->state = EXCHANGE_RESPONDING;		/* else it can still be refused */
	if (r == FLOW_WAIT)
		response_pump(x);
	else
		response_flowed(x, r, rest);
}

/* The gateway's time has come while it thought about the handshake: the session would be closed at once, so it goes
 * elsewhere as long as its client knows nothing. False: it may begin. */
static bool
response_is_too_late(struct exchange *x)
{
	enum gateway_state state = gateway_state(x->choice.gateway);

	if (state != GATEWAY_LEAVING && state != GATEWAY_GONE)
		return false;
	if (!placement_try_another(x, 503))
		exchange_fail(x, state == GATEWAY_GONE ? END_GATEWAY_GONE : END_DRAINED);
	return true;
}

static void
response_upgrade(struct exchange *x, const struct head *h, struct slice rest)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);
	const char *why = "not asked for";

	if (!x->upgrade || !handshake_response_ok(&x->head, h, &why)) {
		log_warn("pool %s: gateway %s: its 101 is refused: %s (request %.*s)", x->service->conf->name,
		    gateway_name(x->choice.gateway), why, SLICE_FMT(x->request_id));
		exchange_fail(x, END_GATEWAY_HANDSHAKE);
		return;
	}
	if (response_is_too_late(x))
		return;
	gateway_note_ok(x->choice.gateway);
	gateway_note_session(x->choice.gateway);
	placement_settle(x, h);
	if (!x->choice.issue)
		placement_know_client(x, SLICE_NONE);
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
	else {
		exchange_count(x, clock_exact_us(), END_DONE);
		exchange_drop(x);
	}
}

/* False: dealt with, the head is not to be followed by another. */
static bool
response_interim(struct exchange *x, const struct head *h)
{
	struct buf b = buf_of(x->proxy->loop->out, LOOP_SCRATCH_OUT);

	if (h->status == 100 && x->head.expect_continue) {
		x->head.expect_continue = false;	/* from now on it is the client who lets us wait */
		x->moved_ms = loop_now_ms(x->proxy->loop);
	}
	if (x->head.minor == 0)
		return true;		/* HTTP/1.0 knows none (RFC 9110, 15.2) */
	if (!forward_interim(x, h, &b)) {
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
response_keep(struct exchange *x, struct slice bytes)
{
	if (x->response_in == NULL) {
		x->response_in = malloc(RESPONSE_HEAD_MAX);
		if (x->response_in == NULL)
			return false;
	}
	must(bytes.n < RESPONSE_HEAD_MAX);	/* with all of it the parser has an answer */
	memmove(x->response_in, bytes.p, bytes.n);
	x->response_n = bytes.n;
	return true;
}

/* All bytes of the response so far, from the first that no head has used up. */
static void
response_parse(struct exchange *x, struct slice bytes)
{
	struct head *h = x->proxy->response;

	while (bytes.n != 0) {
		switch (h1_parse(&x->response_h1, bytes, h)) {
		case H1_MORE:
			if (!response_keep(x, bytes))
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
			response_upgrade(x, h, bytes);
			return;
		}
		if (h->status >= 200) {
			if (h->status < 500 || !x->upgrade || !placement_try_another(x, h->status))
				response_pass(x, h, bytes);
			return;
		}
		if (!response_interim(x, h))
			return;
		response_expect(x);
	}
}

/* Before its head was whole. An idle link may have been dead already; and who wants a session has lost nothing yet,
 * unless he was told something in between. */
static void
response_broke_off(struct exchange *x, enum end_reason why)
{
	if (x->response_n == 0 && request_reconnect(x, false))
		return;
	if (!x->upgrade || !placement_try_another(x, 0))
		exchange_fail(x, why);
}

/* Interim responses are passed on as long as the client takes them, and not without end in one turn. */
void
response_read(struct exchange *x)
{
	unsigned budget = RESPONSE_READS;

	while (x->state == EXCHANGE_WAITING && !stream_is_blocked(&x->client->stream)) {
		struct stream *s = &x->link->stream;
		struct slice got;
		enum stream_result r;

		if (budget-- == 0) {
			stream_again(s);
			return;
		}
		if (x->response_n != 0)
			r = stream_read(s, x->response_in + x->response_n, RESPONSE_HEAD_MAX - x->response_n, &got);
		else
			r = stream_read(s, NULL, LOOP_SCRATCH, &got);
		if (r == STREAM_WAIT)
			return;
		if (r != STREAM_OK) {
			response_broke_off(x, r == STREAM_END ? END_GATEWAY_CLOSED : END_GATEWAY_RESET);
			return;
		}
		if (x->response_n != 0)
			got = slice_make(x->response_in, x->response_n += got.n);
		response_parse(x, got);
	}
}
