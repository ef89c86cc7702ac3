/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay. In steady state a message is one read, a glance at its frame's header, and one write.
 *
 * Where frames are long and come faster than in small pieces, only their headers are read: what a header announces is
 * moved (stream_move). That is two system calls more for each frame, and costs less from some 16 KB on.
 */
#include "proxy/tunnel.h"

#include <openssl/rand.h>

#define TUNNEL_MAGIC 0x7a11e110

/* Reads in a row before others have their turn: one MiB, or four of what is moved. */
#define TUNNEL_READS 16
/* A payload's bytes that are worth being moved, and what is read to see the next header. */
#define TUNNEL_MOVE 16384
#define TUNNEL_GLANCE 1024

static enum tunnel_side
other(enum tunnel_side side)
{
	return side == TUNNEL_CLIENT ? TUNNEL_GATEWAY : TUNNEL_CLIENT;
}

static struct loop *
tunnel_loop(const struct tunnel *t)
{
	return t->end[TUNNEL_CLIENT].stream->loop;
}

static void
tunnel_over(struct tunnel *t)
{
	if (t->over)
		return;
	t->over = true;
	timer_cancel(&t->timer);
	t->on_end(t);
}

/* The first reason is the true one. */
static void
tunnel_because(struct tunnel *t, enum end_reason why)
{
	if (t->why == END_NONE)
		t->why = why;
}

static void
tunnel_leave_by(struct tunnel *t, uint64_t by_ms)
{
	if (t->over)
		return;			/* by a write that failed just now */
	t->end_by_ms = by_ms;
	loop_timer_by(tunnel_loop(t), &t->timer, by_ms);
}

/* On its way out from now on, if it is not already. */
static void
tunnel_leave(struct tunnel *t)
{
	if (t->end_by_ms == 0)
		tunnel_leave_by(t, loop_now_ms(tunnel_loop(t)) + TUNNEL_CLOSE_MS);
}

static void
tunnel_note_close(struct tunnel *t, enum tunnel_side from)
{
	if (t->close_code != 0) {
		/* Both have now: the gateway is the one to hang up (RFC 6455, 7.1.1), and need not take long. */
		if (t->end[other(from)].sent.close_code != 0)
			tunnel_leave(t);
		return;
	}
	t->close_code = t->end[from].sent.close_code;
	tunnel_because(t, from == TUNNEL_CLIENT ? END_CLIENT_CLOSED : END_GATEWAY_CLOSED);
}

/* Nothing more can or need be sent to this side. */
static bool
tunnel_is_flushed(const struct tunnel_end *e)
{
	return !stream_is_blocked(e->stream) || stream_has_failed(e->stream);
}

static void tunnel_broke(struct tunnel *t, enum tunnel_side side);

static void
tunnel_count(struct tunnel *t, enum tunnel_side from, size_t n)
{
	t->end[from].bytes += n;
	if (LIKELY(t->passed != NULL))
		counter_add(&t->passed[from], n);
}

static void
tunnel_write(struct tunnel *t, enum tunnel_side to, struct slice bytes)
{
	if (stream_write(t->end[to].stream, bytes) != STREAM_OK)
		tunnel_broke(t, to);
}

/* The close frame goes to this side now; nothing may follow it (RFC 6455, 5.5.1). */
static void
tunnel_put_close(struct tunnel *t, enum tunnel_side to)
{
	struct slice reason = slice_of(end_info(t->our_why)->word);
	char frame[FRAME_CONTROL_MAX];
	uint8_t mask[4];
	size_t n;

	t->end[to].wants_close = false;
	must(RAND_bytes(mask, sizeof mask) == 1);
	n = frame_write_close(frame, to == TUNNEL_GATEWAY ? mask : NULL, t->our_code, reason);
	tunnel_write(t, to, slice_make(frame, n));
	t->end[to].deaf = true;
}

/* The gateway has died without a close frame: its client gets one of ours. False: it stands within a frame, or has
 * said goodbye itself, and is told by the end alone. */
static bool
tunnel_tell_death(struct tunnel *t)
{
	struct tunnel_end *c = &t->end[TUNNEL_CLIENT];

	if (!frame_is_between(&t->end[TUNNEL_GATEWAY].sent) || c->sent.close_code != 0 || c->ended ||
	    stream_has_failed(c->stream))
		return false;
	t->our_why = t->why;
	t->our_code = t->died_close;
	t->close_code = t->died_close;
	tunnel_put_close(t, TUNNEL_CLIENT);
	return true;
}

/* What this side had to say was its last word: the other side is told. */
static void
tunnel_tell_end(struct tunnel *t, enum tunnel_side from)
{
	struct tunnel_end *to = &t->end[other(from)];

	if (from == TUNNEL_GATEWAY && !to->deaf && tunnel_tell_death(t))
		return;
	stream_shut(to->stream);
	to->deaf = true;
}

/* This side breaks off: nothing of it can be read, nothing written to it. The other still gets what is on its way. */
static void
tunnel_broke(struct tunnel *t, enum tunnel_side side)
{
	struct tunnel_end *to = &t->end[other(side)];

	tunnel_because(t, side == TUNNEL_CLIENT ? END_CLIENT_RESET : END_GATEWAY_RESET);
	t->end[side].ended = t->end[side].deaf = true;
	if (stream_has_failed(to->stream) || (to->ended && tunnel_is_flushed(to))) {
		tunnel_over(t);
		return;
	}
	tunnel_tell_end(t, side);
	tunnel_leave(t);
}

/* The rest of the frame that was under way when we wanted to close, then our close frame. */
static void
tunnel_pass_last(struct tunnel *t, enum tunnel_side from, struct slice got)
{
	enum tunnel_side to = other(from);
	size_t n = frame_follow_to_boundary(&t->end[from].sent, got);

	tunnel_count(t, from, n);
	tunnel_write(t, to, slice_head(got, n));
	if (!t->end[to].deaf && frame_is_between(&t->end[from].sent)) {
		tunnel_put_close(t, to);
		tunnel_leave_by(t, loop_now_ms(tunnel_loop(t)) + TUNNEL_CLOSE_MS);
	} else if (frame_is_closed(&t->end[from].sent)) {
		t->end[to].deaf = true;		/* that frame was a close */
	}
	frame_follow(&t->end[from].sent, slice_skip(got, n));
}

/* Behind the last bytes of one that has closed comes the end, at once: they go together. */
static void
tunnel_relay(struct tunnel *t, enum tunnel_side from, struct slice got)
{
	struct stream *to = t->end[other(from)].stream;
	bool last = UNLIKELY(t->end[from].stream->hup);

	if ((last ? stream_write_more(to, got) : stream_write(to, got)) != STREAM_OK)
		tunnel_broke(t, other(from));
}

static void
tunnel_pass(struct tunnel *t, enum tunnel_side from, struct slice got)
{
	enum tunnel_side to = other(from);

	t->moved_ms = loop_now_ms(tunnel_loop(t));
	if (UNLIKELY(t->end[to].wants_close && !t->end[to].deaf)) {
		tunnel_pass_last(t, from, got);
		return;
	}
	frame_follow(&t->end[from].sent, got);
	if (UNLIKELY(t->end[from].sent.close_code != 0))
		tunnel_note_close(t, from);
	if (UNLIKELY(t->end[to].deaf))
		return;			/* we have said goodbye: read only for its answer */
	tunnel_count(t, from, got.n);
	tunnel_relay(t, from, got);
}

/* This side has nothing more to say: it has closed its half, or sent its close frame. */
static bool
tunnel_has_left(const struct tunnel_end *e)
{
	return e->ended || frame_is_closed(&e->sent);
}

/* Everybody has said what there was to say, and somebody has hung up: a side, or we both. */
static bool
tunnel_is_finished(const struct tunnel *t)
{
	const struct tunnel_end *c = &t->end[TUNNEL_CLIENT], *g = &t->end[TUNNEL_GATEWAY];

	return tunnel_is_flushed(c) && tunnel_is_flushed(g) && tunnel_has_left(c) && tunnel_has_left(g) &&
	       (c->ended || g->ended || (c->deaf && g->deaf));
}

/* A close frame has said it already, or else: a client may close its half, a gateway that does has died. */
static enum end_reason
end_of(enum tunnel_side from)
{
	return from == TUNNEL_CLIENT ? END_CLIENT_CLOSED : END_GATEWAY_DIED;
}

/* The end is when both have come. */
static void
tunnel_half_closed(struct tunnel *t, enum tunnel_side from)
{
	const struct tunnel_end *to = &t->end[other(from)];

	if (t->end[from].ended)
		return;
	t->end[from].ended = true;
	tunnel_because(t, end_of(from));
	if (tunnel_is_finished(t)) {
		tunnel_over(t);		/* a close of the sockets tells it as well as a shutdown would */
		return;
	}
	tunnel_tell_end(t, from);
	/* After both ends, a close frame and one, or a death, only what is pending can still go out. */
	if (to->ended || t->close_code != 0 || from == TUNNEL_GATEWAY)
		tunnel_leave(t);
}

/* Must this side wait until the other has taken what it was sent? Not when nothing more goes there. */
static bool
tunnel_is_held(const struct tunnel *t, enum tunnel_side from)
{
	const struct tunnel_end *to = &t->end[other(from)];

	return stream_is_blocked(to->stream) && !to->deaf;
}

/* Is it still in bulk, or from now on, n bytes having come of those asked for? Where more was read than a glance, the
 * frames in it were long in the mean; else the next one is long, or nothing is known of it, since nothing has come of
 * it. A glance that is full and ends between frames has seen short ones only. */
static bool
tunnel_is_bulk(const struct tunnel_end *e, size_t n, size_t asked, uint64_t messages)
{
	if (n >= TUNNEL_MOVE * 2)
		return (messages + 1) * TUNNEL_MOVE <= n;
	return e->bulk && (frame_run(&e->sent) >= TUNNEL_MOVE || (n < asked && frame_is_between(&e->sent)));
}

/* In bulk, what can't be moved is a frame's end and the next one's header. */
static size_t
tunnel_appetite(const struct tunnel_end *e)
{
	uint64_t run = frame_run(&e->sent);

	return e->bulk && run < TUNNEL_MOVE ? (size_t)run + TUNNEL_GLANCE : LOOP_SCRATCH;
}

static enum stream_result
tunnel_copy(struct tunnel *t, enum tunnel_side from)
{
	struct tunnel_end *e = &t->end[from];
	uint64_t before = e->sent.messages;
	size_t asked = tunnel_appetite(e);
	enum stream_result r;
	struct slice got;

	r = stream_read(e->stream, NULL, asked, &got);
	if (r != STREAM_OK)
		return r;
	tunnel_pass(t, from, got);
	e->bulk = tunnel_is_bulk(e, got.n, asked, e->sent.messages - before) &&
	    stream_can_ever_move(e->stream, t->end[other(from)].stream);
	return STREAM_OK;
}

static bool
tunnel_may_move(const struct tunnel *t, enum tunnel_side from)
{
	const struct tunnel_end *e = &t->end[from], *to = &t->end[other(from)];

	return frame_run(&e->sent) >= TUNNEL_MOVE && !to->deaf && !to->wants_close &&
	    stream_can_move(e->stream, to->stream);
}

static enum stream_result
tunnel_move(struct tunnel *t, enum tunnel_side from)
{
	struct tunnel_end *e = &t->end[from], *to = &t->end[other(from)];
	enum stream_result r;
	size_t n;

	r = stream_move(e->stream, to->stream, (size_t)frame_run(&e->sent), &n);
	if (r != STREAM_OK)
		return r;
	e->bulk = n >= TUNNEL_MOVE;		/* what comes in small pieces costs less by copying */
	t->moved_ms = loop_now_ms(tunnel_loop(t));
	frame_skip(&e->sent, n);
	tunnel_count(t, from, n);
	if (stream_has_failed(to->stream))
		tunnel_broke(t, other(from));
	return STREAM_OK;
}

/* `from` is readable, or the other side has drained. */
static void
tunnel_pump(struct tunnel *t, enum tunnel_side from)
{
	struct stream *s = t->end[from].stream;
	enum stream_result r = STREAM_OK;

	for (unsigned budget = TUNNEL_READS; !t->over && !t->end[from].ended && !tunnel_is_held(t, from); budget--) {
		if (budget == 0) {
			stream_again(s);	/* others first, then on */
			break;
		}
		r = t->end[from].bulk && tunnel_may_move(t, from) ? tunnel_move(t, from) : tunnel_copy(t, from);
		if (r != STREAM_OK)
			break;
	}
	if (r == STREAM_END)
		tunnel_half_closed(t, from);
	else if (r == STREAM_FAILED && !t->end[from].ended)
		tunnel_broke(t, from);
}

static void
tunnel_ready(struct tunnel *t, enum tunnel_side side, unsigned what)
{
	ALIVE(t, TUNNEL_MAGIC);
	if (t->over)
		return;
	if (what & STREAM_CAN_READ) {
		/* Nobody reads from a side that is held or has ended; that it broke off must be noticed all the same.
		 * But what a gateway said before, its last message and its close, is still the client's, slow as it
		 * is. */
		if (stream_has_failed(t->end[side].stream) ||
		    (((tunnel_is_held(t, side) && side == TUNNEL_CLIENT) || t->end[side].ended) &&
			stream_is_reset(t->end[side].stream)))
			tunnel_broke(t, side);
		else
			tunnel_pump(t, side);
	}
	if (what & STREAM_DRAINED && !t->over)
		tunnel_pump(t, other(side));
	if (!t->over && UNLIKELY(t->why != END_NONE) && tunnel_is_finished(t))
		tunnel_over(t);
}

static void
on_client_ready(struct stream *s, unsigned what)
{
	tunnel_ready(s->owner, TUNNEL_CLIENT, what);
}

static void
on_gateway_ready(struct stream *s, unsigned what)
{
	tunnel_ready(s->owner, TUNNEL_GATEWAY, what);
}

/* A ping to each side that stands between frames; their pongs, which pass on unasked (RFC 6455, 5.5.3), show that
 * they live, and a ping that is not acknowledged runs into the socket's own time-out. */
static void
tunnel_ping(struct tunnel *t)
{
	char frame[FRAME_CONTROL_MAX];
	uint8_t mask[4];

	must(RAND_bytes(mask, sizeof mask) == 1);
	for (enum tunnel_side to = TUNNEL_CLIENT; to < TUNNEL_SIDES && !t->over; to++) {
		if (t->end[to].deaf || stream_is_blocked(t->end[to].stream) ||
		    !frame_is_between(&t->end[other(to)].sent))
			continue;
		tunnel_write(t, to, slice_make(frame, frame_write_ping(frame, to == TUNNEL_GATEWAY ? mask : NULL)));
	}
}

static uint64_t
tunnel_due_ms(const struct tunnel *t)
{
	uint64_t due = UINT64_MAX, quiet_ms;

	if (t->end_by_ms != 0)
		return t->end_by_ms;
	if (t->idle_ms != 0)
		due = t->moved_ms + t->idle_ms;
	quiet_ms = t->moved_ms > t->pinged_ms ? t->moved_ms : t->pinged_ms;
	if (t->ping_ms != 0 && quiet_ms + t->ping_ms < due)
		due = quiet_ms + t->ping_ms;
	return due;
}

static void
on_tunnel_timer(struct timer *timer, uint64_t now_ms)
{
	struct tunnel *t = CONTAINER(timer, struct tunnel, timer);

	ALIVE(t, TUNNEL_MAGIC);
	if (t->end_by_ms != 0 && now_ms >= t->end_by_ms) {
		tunnel_over(t);
		return;
	}
	if (t->end_by_ms == 0 && now_ms >= tunnel_due_ms(t)) {
		if (t->idle_ms != 0 && now_ms >= t->moved_ms + t->idle_ms) {
			tunnel_close(t, END_TUNNEL_IDLE, now_ms);
		} else {
			t->pinged_ms = now_ms;
			tunnel_ping(t);
		}
	}
	if (!t->over && tunnel_due_ms(t) != UINT64_MAX)
		loop_timer_by(tunnel_loop(t), timer, tunnel_due_ms(t));
}

static uint32_t
time_of(uint64_t ms)
{
	return ms < TUNNEL_TIME_MAX_MS ? (uint32_t)ms : TUNNEL_TIME_MAX_MS;
}

void
tunnel_start(struct tunnel *t, const struct tunnel_setup *setup)
{
	*t = (struct tunnel){
		.magic = TUNNEL_MAGIC, .on_end = setup->on_end, .died_close = (uint16_t)setup->died_close,
		.idle_ms = time_of(setup->idle_ms), .ping_ms = time_of(setup->ping_ms), .passed = setup->passed,
	};
	t->end[TUNNEL_CLIENT].stream = setup->client;
	t->end[TUNNEL_GATEWAY].stream = setup->gateway;
	frame_follower_init(&t->end[TUNNEL_CLIENT].sent);
	frame_follower_init(&t->end[TUNNEL_GATEWAY].sent);
	t->moved_ms = loop_now_ms(tunnel_loop(t));
	timer_init(&t->timer, on_tunnel_timer);
	stream_hand_over(setup->client, on_client_ready, t);
	stream_hand_over(setup->gateway, on_gateway_ready, t);
	if (tunnel_due_ms(t) != UINT64_MAX)
		loop_timer_by(tunnel_loop(t), &t->timer, tunnel_due_ms(t));
	if (setup->from_gateway.n != 0)
		tunnel_pass(t, TUNNEL_GATEWAY, setup->from_gateway);
	if (setup->from_client.n != 0 && !t->over)
		tunnel_pass(t, TUNNEL_CLIENT, setup->from_client);
	if (t->over)
		return;
	/* What came while nobody read: the edges are past. */
	stream_again(setup->client);
	stream_again(setup->gateway);
}

void
tunnel_close(struct tunnel *t, enum end_reason why, uint64_t by_ms)
{
	bool waits = false;

	ALIVE(t, TUNNEL_MAGIC);
	if (t->over || t->end_by_ms != 0)
		return;
	tunnel_because(t, why);
	t->our_why = why;
	t->our_code = (uint16_t)end_info(why)->ws;
	tunnel_leave(t);
	for (enum tunnel_side to = TUNNEL_CLIENT; to < TUNNEL_SIDES && !t->over; to++) {
		const struct frame_follower *sent = &t->end[other(to)].sent;

		if (t->end[to].deaf || frame_is_closed(sent))
			t->end[to].deaf = true;		/* it got its close frame from the other side */
		else if (frame_is_between(sent))
			tunnel_put_close(t, to);
		else
			waits = t->end[to].wants_close = true;
	}
	if (!t->over && waits && by_ms > t->end_by_ms)
		tunnel_leave_by(t, by_ms);
	if (!t->over && t->close_code == 0)
		t->close_code = t->our_code;
}

void
tunnel_abort(struct tunnel *t, enum end_reason why)
{
	ALIVE(t, TUNNEL_MAGIC);
	tunnel_because(t, why);
	tunnel_over(t);
}
