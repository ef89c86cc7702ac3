/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies from one socket to another: every framing into every other, cut at every byte, against a sink that stops. */
#include "proxy/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

#define NEXT "GET /next" /* what stands behind the body: not ours to pass on */

struct world {
	struct loop *loop;
	struct stream from, to;
	int source, sink; /* the far ends */
	struct wire_got got;
	struct flow flow;
	char *trailer, *buffer;
	enum flow_result r;
	struct slice rest;
};

static void
world_pump(struct world *w)
{
	if (w->r == FLOW_WAIT)
		w->r = flow_pump(&w->flow, w->buffer, LOOP_SCRATCH, &w->rest);
}

static void
on_from(struct stream *s, unsigned what)
{
	if (what & STREAM_CAN_READ)
		world_pump(s->owner);
}

static void
on_to(struct stream *s, unsigned what)
{
	if (what & STREAM_DRAINED)
		world_pump(s->owner);
}

static int
setup(void **state)
{
	struct world *w = mem_zalloc(sizeof *w);
	int fd[2];

	w->loop = loop_new();
	wire_tcp(fd);
	w->source = fd[0];
	assert_true(stream_init(&w->from, w->loop, fd[1], NULL, on_from, w));
	wire_tcp(fd);
	w->sink = fd[0];
	assert_true(stream_init(&w->to, w->loop, fd[1], NULL, on_to, w));
	w->r = FLOW_DONE; /* nothing under way */
	wire_turns(w->loop, 2);
	w->trailer = mem_zalloc(BODY_TRAILER_MAX);
	w->buffer = mem_zalloc(LOOP_SCRATCH);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	stream_close(&w->from);
	stream_close(&w->to);
	close(w->source);
	close(w->sink);
	wire_got_free(&w->got);
	loop_free(w->loop);
	free(w->trailer);
	free(w->buffer);
	free(w);
	return 0;
}

static void
world_start(struct world *w, enum head_framing in, uint64_t length, enum head_framing out, bool trailers)
{
	w->got.n = 0;
	w->rest = SLICE_NONE;
	w->r = FLOW_WAIT;
	flow_init(&w->flow, &w->from, &w->to, in, length, out, trailers ? w->trailer : NULL);
}

/* The head in the same buffer, and the first bytes of the body with it. */
static void
world_feed(struct world *w, struct slice first)
{
	struct buf b = buf_of(w->loop->out, LOOP_SCRATCH_OUT);

	buf_lit(&b, "HEAD ");
	w->r = flow_feed(&w->flow, &first, &b);
	if (w->r == FLOW_DONE)
		w->rest = first;
	world_pump(w);
}

static void
world_settle(struct world *w)
{
	for (unsigned i = 0; i < 6; i++) {
		wire_turn(w->loop);
		wire_take(w->sink, &w->got, SIZE_MAX);
	}
}

/* The data of what came in chunks; its trailers go behind. Checks that it is well-framed. */
static void
unchunk(struct wire_got *got, size_t at, char *data, size_t *n, char *trailers, size_t *trailers_n)
{
	static char trailer[BODY_TRAILER_MAX];
	struct body_reader r;
	struct slice in = slice_make(got->p + at, got->n - at), piece, kept;
	enum body_result result;

	*n = 0;
	body_reader_init(&r, FRAMING_CHUNKED, 0, trailer);
	while ((result = body_read(&r, &in, &piece)) == BODY_DATA) {
		memcpy(data + *n, piece.p, piece.n);
		*n += piece.n;
	}
	assert_int_equal(result, BODY_DONE);
	assert_int_equal(in.n, 0);
	kept = body_trailers(&r);
	memcpy(trailers, kept.p, kept.n);
	*trailers_n = kept.n;
}

struct body_case {
	enum head_framing in;
	uint64_t length;
	struct slice wire; /* without what follows it */
	struct slice data;
	struct slice trailers;
};

static const struct body_case bodies[] = {
	{ FRAMING_NONE, 0, SLICE_LIT(""), SLICE_LIT(""), SLICE_LIT("") },
	{ FRAMING_LENGTH, 0, SLICE_LIT(""), SLICE_LIT(""), SLICE_LIT("") },
	{ FRAMING_LENGTH, 11, SLICE_LIT("hello world"), SLICE_LIT("hello world"), SLICE_LIT("") },
	{ FRAMING_CHUNKED, 0, SLICE_LIT("0\r\n\r\n"), SLICE_LIT(""), SLICE_LIT("") },
	{ FRAMING_CHUNKED, 0, SLICE_LIT("5\r\nhello\r\n006;x=y\r\n world\r\n0\r\n\r\n"), SLICE_LIT("hello world"),
	    SLICE_LIT("") },
	{ FRAMING_CHUNKED, 0, SLICE_LIT("1\r\na\r\n1\r\nb\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n"),
	    SLICE_LIT("ab"), SLICE_LIT("X-Sum: 7\r\n") },
	{ FRAMING_CLOSE, 0, SLICE_LIT("hello world"), SLICE_LIT("hello world"), SLICE_LIT("") },
};

static void
assert_came(struct world *w, const struct body_case *c, enum head_framing out, bool trailers)
{
	char data[256], tail[256];
	size_t n, tail_n;

	assert_memory_equal(w->got.p, "HEAD ", 5);
	if (out != FRAMING_CHUNKED) {
		assert_int_equal(w->got.n, 5 + c->data.n);
		assert_memory_equal(w->got.p + 5, c->data.p, c->data.n);
		return;
	}
	unchunk(&w->got, 5, data, &n, tail, &tail_n);
	assert_int_equal(n, c->data.n);
	assert_memory_equal(data, c->data.p, n);
	assert_int_equal(tail_n, trailers ? c->trailers.n : 0);
	assert_memory_equal(tail, c->trailers.p, tail_n);
}

/* Framing by framing, cut anywhere: the first part comes along with the head, the rest by the socket. */
static void
every_framing_cut_anywhere(void **state)
{
	static const enum head_framing outs[] = { FRAMING_CHUNKED, FRAMING_CLOSE };

	(void)state;
	for (unsigned i = 0; i < COUNT(bodies) * COUNT(outs) * 2; i++) {
		const struct body_case *c = &bodies[i % COUNT(bodies)];
		enum head_framing out = outs[i / COUNT(bodies) % COUNT(outs)];
		bool trailers = i / COUNT(bodies) / COUNT(outs) == 0;

		if (c->in == FRAMING_NONE)
			out = FRAMING_NONE; /* there is nothing to frame */
		if (c->in == FRAMING_LENGTH)
			out = FRAMING_LENGTH;
		for (size_t cut = 0; cut <= c->wire.n; cut++) {
			struct world *w;
			void *own = NULL;

			setup(&own);
			w = own;
			world_start(w, c->in, c->length, out, trailers);
			world_feed(w, slice_head(c->wire, cut));
			world_settle(w);
			assert_int_equal(w->flow.done, c->in != FRAMING_CLOSE && cut == c->wire.n);
			assert_true(w->got.n >= 5); /* the head does not wait for the body */
			wire_write(w->source, c->wire.p + cut, c->wire.n - cut);
			if (c->in == FRAMING_CLOSE)
				shutdown(w->source, SHUT_WR);
			WIRE_UNTIL(w->loop, w->r != FLOW_WAIT);
			assert_int_equal(w->r, FLOW_DONE);
			world_settle(w);
			assert_came(w, c, out, trailers);
			assert_int_equal(w->flow.bytes, c->data.n);
			teardown(&own);
		}
	}
}

/* What stands behind the body, in the same read or the same piece, is left. */
static void
what_follows_is_left(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(bodies); i++) {
		const struct body_case *c = &bodies[i];
		char all[256];
		struct buf b = buf_of(all, sizeof all);

		if (c->in == FRAMING_CLOSE)
			continue;
		buf_add(&b, c->wire);
		buf_lit(&b, NEXT);
		for (size_t cut = 0; cut <= b.n; cut++) {
			struct world *w;
			void *own = NULL;
			char left[64];
			struct slice more;
			size_t n;

			setup(&own);
			w = own;
			world_start(w, c->in, c->length, c->in, true);
			world_feed(w, slice_head(buf_slice(&b), cut));
			n = w->rest.n;
			memcpy(left, w->rest.p != NULL ? w->rest.p : "", n);
			wire_write(w->source, all + cut, b.n - cut);
			WIRE_UNTIL(w->loop, w->r != FLOW_WAIT);
			assert_int_equal(w->r, FLOW_DONE);
			if (cut < c->wire.n) {
				n = w->rest.n;
				memcpy(left, w->rest.p != NULL ? w->rest.p : "", n);
			}
			/* the remainder is still in the socket */
			while (n < sizeof NEXT - 1) {
				if (stream_read(&w->from, left + n, sizeof left - n, &more) == STREAM_OK)
					n += more.n;
				else
					wire_turn(w->loop);
			}
			assert_int_equal(n, sizeof NEXT - 1);
			assert_memory_equal(left, NEXT, n);
			world_settle(w);
			assert_came(w, c, c->in, true);
			teardown(&own);
		}
	}
}

/* What comes in small pieces is copied; but the first ones say nothing of the rest. */
static void
much_behind_little_is_moved(void **state)
{
	struct world *w = *state;
	size_t all = 100 + 200000, sent = 100;
	char *bytes = mem_zalloc(all);

	free(w->buffer);
	w->buffer = NULL;
	world_start(w, FRAMING_LENGTH, 2 * all, FRAMING_LENGTH, false);
	wire_write(w->source, bytes, sent);
	world_feed(w, SLICE_NONE);
	WIRE_UNTIL_DOING(w->loop, wire_take(w->sink, &w->got, SIZE_MAX), w->got.n == 5 + sent);
	assert_false(w->flow.bulk);
	while (sent < all) {
		ssize_t n = send(w->source, bytes + sent, all - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
	}
	WIRE_UNTIL_DOING(w->loop, wire_take(w->sink, &w->got, SIZE_MAX), w->got.n == 5 + all);
	assert_int_equal(w->flow.bytes, all);
	assert_int_equal(w->loop->pipes.made, 1);
	assert_true(w->flow.bulk);
	free(bytes);
}

/* Moved without being copied, or copied when there is no pipe. */
static void
much_through_a_slow_sink(struct world *w, bool spliced)
{
	size_t all = 4 * 1024 * 1024, sent = 0, most = 0;
	static char piece[30000];
	uint64_t end = clock_exact_us() + WIRE_LIMIT_MS * 1000;
	char *expected = mem_zalloc(all);

	for (size_t i = 0; i < all; i++)
		expected[i] = (char)(i * 13 + (i >> 9));
	setsockopt(w->to.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 16384 }, sizeof(int));
	free(w->buffer);
	w->buffer = NULL;
	w->loop->pipes.made = spliced ? 0 : PIPES_MOST;
	world_start(w, FRAMING_LENGTH, all, FRAMING_LENGTH, false);
	world_feed(w, SLICE_NONE);
	while (w->got.n < 5 + all) {
		size_t n = all - sent < sizeof piece ? all - sent : sizeof piece;
		ssize_t took = n != 0 ? send(w->source, expected + sent, n, MSG_NOSIGNAL) : 0;

		sent += took > 0 ? (size_t)took : 0;
		wire_turn(w->loop);
		most = w->loop->chunks.live > most ? w->loop->chunks.live : most;
		if (stream_is_blocked(&w->to) || sent == all)
			wire_take(w->sink, &w->got, 70000);
		assert_true(clock_exact_us() < end);
	}
	assert_int_equal(w->r, FLOW_DONE);
	assert_memory_equal(w->got.p + 5, expected, all);
	assert_int_equal(w->flow.bytes, all);
	assert_true(most != 0 && most <= LOOP_SCRATCH / 16384 + 2);
	assert_int_equal(w->loop->pipes.made, spliced ? 1 : PIPES_MOST);
	w->loop->pipes.made = spliced ? 1 : 0;
	free(expected);
}

static void
much_is_moved(void **state)
{
	much_through_a_slow_sink(*state, true);
}

static void
much_is_copied(void **state)
{
	much_through_a_slow_sink(*state, false);
}

/* A chunk for every byte, with all the bytes that one read can hold, and behind a head as large as heads can be. */
static void
finely_chunked_behind_a_large_head(void **state)
{
	struct world *w = *state;
	char *wire = mem_zalloc(LOOP_SCRATCH), *data = mem_zalloc(2 * LOOP_SCRATCH_OUT), tail[16];
	struct buf b = buf_of(wire, LOOP_SCRATCH), head = buf_of(w->loop->out, LOOP_SCRATCH_OUT);
	size_t heads = LOOP_SCRATCH_OUT - 10, chunks = 0, n, tail_n;
	struct slice in;

	while (b.n + 6 + 5 <= b.room) {
		buf_lit(&b, "1\r\nx\r\n");
		chunks++;
	}
	buf_lit(&b, "0\r\n\r\n");
	memset(head.p, 'h', heads);
	head.n = heads;
	world_start(w, FRAMING_CHUNKED, 0, FRAMING_CHUNKED, false);
	in = buf_slice(&b);
	w->r = flow_feed(&w->flow, &in, &head);
	assert_int_equal(w->r, FLOW_DONE);
	WIRE_UNTIL_DOING(w->loop, wire_take(w->sink, &w->got, SIZE_MAX), w->got.n == heads + b.n);
	unchunk(&w->got, heads, data, &n, tail, &tail_n);
	assert_int_equal(n, chunks);
	free(wire);
	free(data);
}

static void
broken_and_cut_short(void **state)
{
	static const struct {
		enum head_framing in;
		uint64_t length;
		const char *wire;
		enum flow_result r;
	} cases[] = {
		{ FRAMING_LENGTH, 10, "nine byte", FLOW_CUT },
		{ FRAMING_LENGTH, 10, "", FLOW_CUT },
		{ FRAMING_CHUNKED, 0, "5\r\nhel", FLOW_CUT },
		{ FRAMING_CHUNKED, 0, "5\r\nhello\r\n", FLOW_CUT },
		{ FRAMING_CHUNKED, 0, "5\r\nhello\r\n0\r\n", FLOW_CUT },
		{ FRAMING_CHUNKED, 0, "5\r\nhello!", FLOW_BAD },
		{ FRAMING_CHUNKED, 0, "g\r\n", FLOW_BAD },
		{ FRAMING_CHUNKED, 0, "-1\r\n", FLOW_BAD },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		for (unsigned reset = 0; reset < 2; reset++) {
			struct world *w;
			void *own = NULL;

			setup(&own);
			w = own;
			world_start(w, cases[i].in, cases[i].length, FRAMING_CHUNKED, false);
			world_feed(w, SLICE_NONE);
			wire_say(w->source, cases[i].wire);
			wire_turns(w->loop, 3);
			if (reset != 0) {
				wire_reset(w->source);
				w->source = dup(w->sink);
			} else {
				shutdown(w->source, SHUT_WR);
			}
			WIRE_UNTIL(w->loop, w->r != FLOW_WAIT);
			assert_int_equal(
			    w->r, reset != 0 && cases[i].r == FLOW_CUT ? FLOW_SOURCE_FAILED : cases[i].r);
			teardown(&own);
		}
	}
}

/* What is broken in the first bytes is not passed on at all, not even its head. */
static void
broken_at_once(void **state)
{
	struct world *w = *state;

	world_start(w, FRAMING_CHUNKED, 0, FRAMING_CHUNKED, false);
	world_feed(w, SLICE_LIT("5\r\nhello\r\nzz\r\n"));
	assert_int_equal(w->r, FLOW_BAD);
	assert_non_null(w->flow.reader.why);
	assert_false(w->flow.sent);
	world_settle(w);
	assert_int_equal(w->got.n, 0);
}

static void
the_sink_fails(void **state)
{
	struct world *w = *state;
	struct slice in = SLICE_LIT("hello world");
	struct buf b = buf_of(w->loop->out, LOOP_SCRATCH_OUT);

	wire_reset(w->sink);
	w->sink = dup(w->source);
	WIRE_UNTIL(w->loop, stream_is_reset(&w->to));
	world_start(w, FRAMING_LENGTH, 11, FRAMING_LENGTH, false);
	assert_int_equal(flow_feed(&w->flow, &in, &b), FLOW_SINK_FAILED);
	assert_false(w->flow.sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_framing_cut_anywhere),
		cmocka_unit_test(what_follows_is_left),
		cmocka_unit_test_setup_teardown(much_behind_little_is_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(much_is_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(much_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(finely_chunked_behind_a_large_head, setup, teardown),
		cmocka_unit_test(broken_and_cut_short),
		cmocka_unit_test_setup_teardown(broken_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_sink_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
