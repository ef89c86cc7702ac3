/* SPDX-License-Identifier: BSD-2-Clause */
/* A tunnel between real sockets: what passes, what is put in between frames and nowhere else, every way to end. */
#include "proxy/tunnel.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/buf.h"
#include "wire.h"

#define X20  "xxxxxxxxxxxxxxxxxxxx"
#define X125 X20 X20 X20 X20 X20 X20 "xxxxx"
#define MASK "\x11\x22\x33\x44"
#define MUCH (3 * 1024 * 1024)

/* As a session has it: freed when the turn in which it ended is over, so that a sanitizer sees who comes too late. */
struct world {
	struct loop *loop;
	struct pair *pair; /* NULL: gone */
	int fd[TUNNEL_SIDES]; /* the far ends; -1: closed */
	struct wire_got got[TUNNEL_SIDES]; /* what came out there */
	unsigned ends;
	enum end_reason why;
	unsigned close_code;
	uint64_t messages[TUNNEL_SIDES], bytes[TUNNEL_SIDES];
};

struct pair {
	struct world *world;
	struct stream stream[TUNNEL_SIDES];
	struct tunnel tunnel;
	struct reap reap;
};

static void
pair_free(struct reap *r)
{
	free(CONTAINER(r, struct pair, reap));
}

static void
on_end(struct tunnel *t)
{
	struct pair *p = CONTAINER(t, struct pair, tunnel);
	struct world *w = p->world;

	w->ends++;
	w->why = t->why;
	w->close_code = t->close_code;
	for (unsigned side = 0; side < TUNNEL_SIDES; side++) {
		w->messages[side] = t->end[side].sent.messages;
		w->bytes[side] = t->end[side].bytes;
		stream_close(&p->stream[side]);
	}
	w->pair = NULL;
	loop_reap(w->loop, &p->reap, pair_free);
}

static void
on_nobody(struct stream *s, unsigned what)
{
	(void)s;
	(void)what;
}

static void
world_open(struct world *w, bool tcp)
{
	struct loop *l = loop_new();

	assert_non_null(l);
	*w = (struct world){ .loop = l, .pair = mem_zalloc(sizeof *w->pair) };
	w->pair->world = w;
	for (unsigned side = 0; side < TUNNEL_SIDES; side++) {
		int fd[2];

		if (tcp)
			wire_tcp(fd);
		else
			wire_pair(fd);
		w->fd[side] = fd[0];
		/* so that back-pressure begins early */
		setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &(int){ 16384 }, sizeof(int));
		assert_true(stream_init(&w->pair->stream[side], l, fd[1], NULL, on_nobody, NULL));
	}
	wire_turns(l, 2);
}

static void
world_start(struct world *w, uint64_t idle_ms, uint64_t ping_ms, struct slice from_client, struct slice from_gateway)
{
	struct pair *p = w->pair;

	tunnel_start(&p->tunnel, &(struct tunnel_setup){
		.client = &p->stream[TUNNEL_CLIENT], .gateway = &p->stream[TUNNEL_GATEWAY],
		.idle_ms = idle_ms, .ping_ms = ping_ms, .died_close = 1014,
		.from_client = from_client, .from_gateway = from_gateway, .on_end = on_end,
	});
}

static void
world_init(struct world *w, bool tcp)
{
	world_open(w, tcp);
	world_start(w, 0, 0, SLICE_NONE, SLICE_NONE);
	wire_turns(w->loop, 2);
}

static void
world_fini(struct world *w)
{
	if (w->pair != NULL)
		tunnel_abort(&w->pair->tunnel, END_STOPPING);
	wire_turn(w->loop);
	assert_int_equal(w->ends, 1);
	assert_int_equal(w->loop->chunks.live, 0);
	for (unsigned side = 0; side < TUNNEL_SIDES; side++) {
		if (w->fd[side] != -1)
			close(w->fd[side]);
		wire_got_free(&w->got[side]);
	}
	loop_free(w->loop);
}

static void
world_take(struct world *w)
{
	for (unsigned side = 0; side < TUNNEL_SIDES; side++)
		if (w->fd[side] != -1)
			wire_take(w->fd[side], &w->got[side], SIZE_MAX);
}

static void
world_settle(struct world *w)
{
	for (unsigned i = 0; i < 6; i++) {
		wire_turn(w->loop);
		world_take(w);
	}
}

static void
world_shut(struct world *w, enum tunnel_side side)
{
	shutdown(w->fd[side], SHUT_WR);
}

static void
world_reset(struct world *w, enum tunnel_side side)
{
	wire_reset(w->fd[side]);
	w->fd[side] = -1;
}

static enum tunnel_side
other(enum tunnel_side side)
{
	return side == TUNNEL_CLIENT ? TUNNEL_GATEWAY : TUNNEL_CLIENT;
}

static void
say(struct world *w, enum tunnel_side side, struct slice s)
{
	if (s.n != 0)
		wire_write(w->fd[side], s.p, s.n);
}

static void
assert_got(const struct world *w, enum tunnel_side side, struct slice wanted)
{
	assert_int_equal(w->got[side].n, wanted.n);
	if (wanted.n != 0)
		assert_memory_equal(w->got[side].p, wanted.p, wanted.n);
}

/* `wanted`, then our close frame with this code (masked towards the gateway), then nothing. */
/* The reason that goes with a code is the log's word. */
static bool
is_reason(unsigned code, const char *text, size_t n)
{
	for (enum end_reason why = END_NONE; why < END_REASONS_N; why++)
		if (end_info(why)->ws == code && slice_eq(slice_of(end_info(why)->word), slice_make(text, n)))
			return true;
	return false;
}

static void
assert_got_and_close(const struct world *w, enum tunnel_side side, struct slice wanted, unsigned code)
{
	const unsigned char *f = (const unsigned char *)w->got[side].p + wanted.n;
	size_t n = w->got[side].n - wanted.n, head = side == TUNNEL_GATEWAY ? 6 : 2;
	unsigned char payload[125];

	assert_true(w->got[side].n >= wanted.n);
	if (wanted.n != 0)
		assert_memory_equal(w->got[side].p, wanted.p, wanted.n);
	assert_in_range(n, head + 2, head + sizeof payload);
	assert_int_equal(f[0], 0x88);
	assert_int_equal(f[1], (side == TUNNEL_GATEWAY ? 0x80 : 0) | (n - head));
	for (size_t i = 0; i < n - head; i++)
		payload[i] = f[head + i] ^ (side == TUNNEL_GATEWAY ? f[2 + i % 4] : 0);
	assert_int_equal(payload[0] << 8 | payload[1], code);
	assert_true(is_reason(code, (const char *)payload + 2, n - head - 2));
}

static size_t
say_chunk(int fd)
{
	static char bytes[16384];
	ssize_t n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);

	return n > 0 ? (size_t)n : 0;
}

/* Bytes that the far kernel has not taken yet. */
static int
unsent(int fd)
{
	int n;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &n), 0);
	return n;
}

/* Far enough that all that can be due is. */
static void
later(struct world *w, uint64_t ms)
{
	wheel_advance(&w->loop->wheel, clock_coarse_ms() + ms);
	wire_turn(w->loop);
	world_take(w);
}

static const struct slice spoken[TUNNEL_SIDES] = {
	[TUNNEL_CLIENT] = SLICE_LIT("\x81\x85" MASK "hello"
				    "\x01\x81" MASK "a"
				    "\x89\x80" MASK "\x80\x81" MASK "b"
				    "\x82\xfe\x00\x7e" MASK X125 "x"
				    "\x82\x80" MASK),
	[TUNNEL_GATEWAY] = SLICE_LIT("\x81\x05hello"
				     "\x01\x01"
				     "a"
				     "\x89\x00"
				     "\x80\x01"
				     "b"
				     "\x82\x7e\x00\x7e" X125 "x"
				     "\x82\x00"),
};

/* The ends of the frames in it. */
static size_t
frame_end_behind(struct slice s, size_t cut)
{
	struct frame_follower f;
	size_t at = 0;

	frame_follower_init(&f);
	while (at < cut) {
		frame_follow(&f, slice_make(s.p + at, 1));
		at++;
	}
	while (at < s.n && !frame_is_between(&f) && !frame_is_closed(&f)) {
		frame_follow(&f, slice_make(s.p + at, 1));
		at++;
	}
	return at;
}

/* ---- what passes ---- */

static void
passes_however_it_is_cut(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		for (size_t cut = 0; cut <= spoken[from].n; cut++) {
			struct world w;

			world_init(&w, false);
			say(&w, from, slice_head(spoken[from], cut));
			world_settle(&w);
			assert_got(&w, other(from), slice_head(spoken[from], cut)); /* nothing is held back */
			say(&w, from, slice_skip(spoken[from], cut));
			world_settle(&w);
			assert_got(&w, other(from), spoken[from]);
			assert_got(&w, from, SLICE_NONE);
			world_shut(&w, TUNNEL_CLIENT);
			world_shut(&w, TUNNEL_GATEWAY);
			WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
			assert_int_equal(w.messages[from], 4);
			assert_int_equal(w.bytes[from], spoken[from].n);
			assert_int_equal(w.close_code, 0);
			world_fini(&w);
		}
	}
}

/* What is no WebSocket is theirs to judge. */
static void
passes_broken_frames(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x89\x7e\x00\x01?" X125));
	world_settle(&w);
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x89\x7e\x00\x01?" X125));
	/* nothing may be put in; the other direction is whole */
	tunnel_close(&w.pair->tunnel, END_STOPPING, 0);
	world_settle(&w);
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x89\x7e\x00\x01?" X125));
	assert_got_and_close(&w, TUNNEL_GATEWAY, SLICE_NONE, 1001);
	later(&w, TUNNEL_CLOSE_MS + 100);
	assert_int_equal(w.ends, 1);
	world_fini(&w);
}

static void
early_bytes_go_first(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, false);
	say(&w, TUNNEL_CLIENT, SLICE_LIT("\x81\x82" MASK "de"));
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x02yz"));
	wire_turns(w.loop, 3); /* the edges are past */
	world_start(&w, 0, 0, SLICE_LIT("\x81\x83" MASK "abc"), SLICE_LIT("\x81\x01x"));
	world_settle(&w);
	assert_got(&w, TUNNEL_GATEWAY,
	    SLICE_LIT("\x81\x83" MASK "abc"
		      "\x81\x82" MASK "de"));
	assert_got(&w, TUNNEL_CLIENT,
	    SLICE_LIT("\x81\x01x"
		      "\x81\x02yz"));
	world_fini(&w);
}

/* Both have gone before it begins: it ends while it starts, and nothing of it is touched later. */
static void
ends_while_it_starts(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, true);
	world_reset(&w, TUNNEL_CLIENT);
	world_reset(&w, TUNNEL_GATEWAY);
	WIRE_UNTIL(w.loop,
	    stream_is_reset(&w.pair->stream[TUNNEL_CLIENT]) && stream_is_reset(&w.pair->stream[TUNNEL_GATEWAY]));
	world_start(&w, 0, 0, SLICE_LIT("\x81\x83" MASK "abc"), SLICE_LIT("\x81\x01x"));
	assert_int_equal(w.ends, 1);
	loop_reap_all(w.loop);		/* as where it starts in the last part of a turn */
	wire_turns(w.loop, 3);
	world_fini(&w);
}

/* From a fast side to a slow one: it waits, keeps little, loses nothing. */
static void
back_pressure(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		struct world w;
		size_t at = 0, most_kept = 0;
		char *bytes = mem_zalloc(MUCH);
		uint64_t end = clock_exact_us() + WIRE_LIMIT_MS * 1000;

		for (size_t i = 0; i < MUCH; i++)
			bytes[i] = (char)(i * 7 + (i >> 8));
		/* one frame of that size */
		memcpy(bytes, "\x82\x7f\x00\x00\x00\x00\x00\x2f\xff\xf6", 10);
		world_init(&w, true);
		while (at < MUCH || w.got[other(from)].n < MUCH) {
			ssize_t n = at < MUCH ? send(w.fd[from], bytes + at, MUCH - at, MSG_NOSIGNAL) : 0;

			at += n > 0 ? (size_t)n : 0;
			wire_turn(w.loop);
			most_kept = w.loop->chunks.live > most_kept ? w.loop->chunks.live : most_kept;
			if (stream_is_blocked(&w.pair->stream[other(from)]) || at == MUCH)
				wire_take(w.fd[other(from)], &w.got[other(from)], 100000);
			assert_true(clock_exact_us() < end);
		}
		assert_int_equal(w.got[other(from)].n, MUCH);
		assert_memory_equal(w.got[other(from)].p, bytes, MUCH);
		assert_true(most_kept != 0 && most_kept <= LOOP_SCRATCH / 16384 + 1);
		assert_int_equal(w.pair->tunnel.end[from].sent.messages, 1);
		free(bytes);
		world_fini(&w);
	}
}

/* Frames of this size, with a short one and a ping behind each; returns their bytes, of which each tells its place. */
static char *
long_frames(enum tunnel_side from, size_t payload, unsigned frames, size_t *n)
{
	struct buf b = buf_of(mem_zalloc(frames * (payload + 64)), frames * (payload + 64));

	for (unsigned i = 0; i < frames; i++) {
		unsigned char head[10] = { 0x82, from == TUNNEL_CLIENT ? 0xff : 0x7f };

		for (unsigned at = 0; at < 8; at++)
			head[2 + at] = (unsigned char)((uint64_t)payload >> (56 - 8 * at));
		buf_add(&b, slice_make((char *)head, sizeof head));
		if (from == TUNNEL_CLIENT)
			buf_lit(&b, MASK);
		for (size_t at = 0; at < payload; at++, b.n++)
			b.p[b.n] = (char)(b.n * 7 + (b.n >> 8) + i);
		if (from == TUNNEL_CLIENT)
			buf_lit(&b, "\x81\x82" MASK "ab\x89\x80" MASK);
		else
			buf_lit(&b, "\x81\x02" "ab\x89\x00");
	}
	*n = b.n;
	return b.p;
}

/* They arrive as they were, at one that reads slowly too, and were not copied; or were, when there is no pipe. */
static void
long_frames_are_moved(void **state)
{
	static const size_t payload[] = { 65536, 70000, 1024 * 1024 };

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		enum tunnel_side from = i % 2 == 0 ? TUNNEL_CLIENT : TUNNEL_GATEWAY;
		unsigned frames = i / 4 == 2 ? 4 : 30;
		bool spliced = i / 2 % 2 == 0;
		size_t all, at = 0;
		char *bytes = long_frames(from, payload[i / 4], frames, &all);
		struct world w;

		world_init(&w, true);
		if (!spliced)
			w.loop->pipes.made = PIPES_MOST;
		WIRE_UNTIL_DOING(
		    w.loop,
		    {
			    ssize_t n = at < all ? send(w.fd[from], bytes + at, all - at, MSG_NOSIGNAL) : 0;

			    at += n > 0 ? (size_t)n : 0;
			    wire_take(w.fd[other(from)], &w.got[other(from)], 100000);
		    },
		    w.got[other(from)].n == all);
		assert_memory_equal(w.got[other(from)].p, bytes, all);
		assert_int_equal(w.pair->tunnel.end[from].bytes, all);
		assert_int_equal(w.pair->tunnel.end[from].sent.messages, 2 * frames);
		assert_true(frame_is_between(&w.pair->tunnel.end[from].sent));
		assert_int_equal(w.loop->pipes.made, spliced ? 1 : PIPES_MOST);
		w.loop->pipes.made = spliced ? 1 : 0;
		free(bytes);
		world_fini(&w);
	}
}

/* They may fill what is read of them to the last byte, and the next might be a long one. */
static void
short_frames_behind_a_long_one_are_copied(void **state)
{
	enum { SHORT = 64, ALL = 16384 };
	size_t all;
	char *bytes = long_frames(TUNNEL_GATEWAY, 65536, 4, &all), *many = mem_zalloc(ALL);
	struct world w;

	(void)state;
	for (size_t at = 0; at < ALL; at += SHORT)
		memcpy(many + at, "\x82\x3e", 2);
	world_init(&w, true);
	wire_write(w.fd[TUNNEL_GATEWAY], bytes, all);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n == all);
	assert_true(w.pair->tunnel.end[TUNNEL_GATEWAY].bulk);
	wire_write(w.fd[TUNNEL_GATEWAY], many, ALL);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n == all + ALL);
	assert_false(w.pair->tunnel.end[TUNNEL_GATEWAY].bulk);
	free(bytes);
	free(many);
	world_fini(&w);
}

/* One breaks off while a pipe holds bytes for the other, or for him. */
static void
breaks_off_while_bytes_are_moved(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		enum tunnel_side from = i % 2 == 0 ? TUNNEL_CLIENT : TUNNEL_GATEWAY;
		enum tunnel_side goes = i / 2 == 0 ? from : other(from);
		size_t all, at = 0;
		char *bytes = long_frames(from, 4 * 1024 * 1024, 1, &all);
		struct world w;

		world_init(&w, true);
		WIRE_UNTIL_DOING(
		    w.loop,
		    {
			    ssize_t n = send(w.fd[from], bytes + at, all - at, MSG_NOSIGNAL);

			    at += n > 0 ? (size_t)n : 0;
		    },
		    stream_is_blocked(&w.pair->stream[other(from)]) && w.loop->pipes.made != 0 &&
			w.loop->pipes.spare == NULL);
		world_reset(&w, goes);
		WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[other(goes)].ended);
		world_shut(&w, other(goes));
		WIRE_UNTIL(w.loop, w.ends == 1);
		assert_int_equal(w.why, goes == TUNNEL_CLIENT ? END_CLIENT_RESET : END_GATEWAY_RESET);
		free(bytes);
		world_fini(&w);
	}
}

/* ---- closing ---- */

/* Wherever a frame is cut when we want to close: the frame's rest passes, then our close frame, then nothing. */
static void
closes_between_frames_only(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		for (size_t cut = 0; cut <= spoken[from].n; cut++) {
			struct slice whole = slice_head(spoken[from], frame_end_behind(spoken[from], cut));
			struct world w;

			world_init(&w, false);
			say(&w, from, slice_head(spoken[from], cut));
			world_settle(&w);
			tunnel_close(&w.pair->tunnel, END_STOPPING, 0);
			world_settle(&w);
			assert_got_and_close(&w, from, SLICE_NONE, 1001); /* the other direction was between frames */
			if (whole.n == cut)
				assert_got_and_close(&w, other(from), whole, 1001);
			else
				assert_got(&w, other(from), slice_head(spoken[from], cut));
			say(&w, from, slice_skip(spoken[from], cut));
			world_settle(&w);
			assert_got_and_close(&w, other(from), whole, 1001);
			assert_int_equal(w.ends, 0);
			/* their answers end it */
			say(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x82" MASK "\x12\xcb"));
			world_settle(&w);
			assert_int_equal(w.ends, 0);
			say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x88\x02\x03\xe9"));
			WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
			assert_got_and_close(&w, other(from), whole, 1001);
			assert_got_and_close(&w, from, SLICE_NONE, 1001);
			assert_int_equal(w.why, END_STOPPING);
			assert_int_equal(w.close_code, 1001);
			world_fini(&w);
		}
	}
}

/* One side's close frame is on its way, cut anywhere, when we want to close: it passes whole and stays the only one. */
static void
a_close_of_theirs_is_enough(void **state)
{
	static const struct slice theirs[TUNNEL_SIDES] = {
		[TUNNEL_CLIENT] = SLICE_LIT("\x81\x81" MASK "z"
					    "\x88\x8b" MASK "\x12\xca"
					    "good day!"),
		[TUNNEL_GATEWAY] = SLICE_LIT("\x81\x01z"
					     "\x88\x0b\x03\xe8"
					     "good day!"),
	};

	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		size_t before = from == TUNNEL_CLIENT ? 7 : 3;

		for (size_t cut = before + 1; cut <= theirs[from].n; cut++) {
			for (unsigned more = 0; more < 2; more++) {
				struct world w;

				world_init(&w, false);
				say(&w, from, slice_head(theirs[from], cut));
				world_settle(&w);
				tunnel_close(&w.pair->tunnel, END_STOPPING, 0);
				world_settle(&w);
				say(&w, from, slice_skip(theirs[from], cut));
				if (more != 0 && cut < theirs[from].n) {
					world_settle(&w);
					say(&w, from, SLICE_LIT("\x81\x01?")); /* nothing may follow a close */
				}
				world_settle(&w);
				assert_got(&w, other(from), theirs[from]);
				assert_got_and_close(&w, from, SLICE_NONE, 1001);
				later(&w, TUNNEL_CLOSE_MS + 100);
				assert_int_equal(w.ends, 1);
				world_fini(&w);
			}
		}
	}
}

/* The usual end: a close each, and the server hangs up (RFC 6455, 7.1.1). */
static void
they_close(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	say(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x82" MASK "\x12\xca"));
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_GATEWAY].n == 8);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x88\x02\x03\xe8"));
	world_shut(&w, TUNNEL_GATEWAY);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].ended && w.ends == 1);
	assert_got(&w, TUNNEL_GATEWAY, SLICE_LIT("\x88\x82" MASK "\x12\xca"));
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x02\x03\xe8"));
	assert_int_equal(w.why, END_CLIENT_CLOSED);
	assert_int_equal(w.close_code, 1000);
	world_fini(&w);
}

/* A close, an end, and a peer that never goes: it is not waited for without end. */
static void
a_peer_that_stays(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x88\x02\x03\xe8"));
	world_shut(&w, TUNNEL_GATEWAY);
	world_settle(&w);
	assert_int_equal(w.ends, 0);
	later(&w, TUNNEL_CLOSE_MS - 1000);
	assert_int_equal(w.ends, 0);
	later(&w, TUNNEL_CLOSE_MS + 100);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.why, END_GATEWAY_CLOSED);
	world_fini(&w);
}

/* A client's half-close alone ends nothing. */
static void
half_closed(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	say(&w, TUNNEL_CLIENT, slice_head(spoken[TUNNEL_CLIENT], 11));
	world_shut(&w, TUNNEL_CLIENT);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_GATEWAY].ended);
	assert_got(&w, TUNNEL_GATEWAY, slice_head(spoken[TUNNEL_CLIENT], 11));
	later(&w, 10 * TUNNEL_CLOSE_MS);
	say(&w, TUNNEL_GATEWAY, spoken[TUNNEL_GATEWAY]);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n == spoken[TUNNEL_GATEWAY].n);
	world_shut(&w, TUNNEL_GATEWAY);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
	assert_int_equal(w.why, END_CLIENT_CLOSED);
	assert_got(&w, TUNNEL_CLIENT, spoken[TUNNEL_GATEWAY]);
	world_fini(&w);
}

/* It has said its last and breaks off: the gateway is told, and need not find out by writing. */
static void
half_closed_then_reset(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	world_shut(&w, TUNNEL_CLIENT);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_GATEWAY].ended);
	world_reset(&w, TUNNEL_CLIENT);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1 || w.pair->tunnel.end_by_ms != 0);
	world_shut(&w, TUNNEL_GATEWAY);
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
	world_fini(&w);
}

static void
world_die(struct world *w, bool by_reset)
{
	if (by_reset)
		world_reset(w, TUNNEL_GATEWAY);
	else
		world_shut(w, TUNNEL_GATEWAY);
	WIRE_UNTIL_DOING(w->loop, world_take(w), w->ends == 1 || w->pair->tunnel.end_by_ms != 0);
	world_settle(w);
}

/* Its client is told by a close frame between frames, and by the end alone within one. */
static void
a_gateway_that_dies(void **state)
{
	struct slice all = spoken[TUNNEL_GATEWAY];

	(void)state;
	for (unsigned by_reset = 0; by_reset < 2; by_reset++) {
		for (size_t cut = 0; cut <= all.n; cut++) {
			bool whole = frame_end_behind(all, cut) == cut;
			struct world w;

			world_init(&w, true);
			say(&w, TUNNEL_GATEWAY, slice_head(all, cut));
			WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n == cut);
			world_die(&w, by_reset);
			if (whole)
				assert_got_and_close(&w, TUNNEL_CLIENT, slice_head(all, cut), 1014);
			else
				assert_got(&w, TUNNEL_CLIENT, slice_head(all, cut));
			assert_int_equal(w.got[TUNNEL_CLIENT].ended, !whole);
			assert_int_equal(w.ends, 0);
			if (whole)
				say(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x82" MASK "\x12\xc4"));
			else
				world_shut(&w, TUNNEL_CLIENT);
			WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
			assert_int_equal(w.why, by_reset ? END_GATEWAY_RESET : END_GATEWAY_DIED);
			assert_int_equal(w.close_code, whole ? 1014 : 0);
			world_fini(&w);
		}
	}
}

/* A gateway that has closed but its half hears its client's last words; a client that has none is not waited for. */
static void
last_words_to_a_dead_gateway(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	world_die(&w, false);
	assert_got_and_close(&w, TUNNEL_CLIENT, SLICE_NONE, 1014);
	say(&w, TUNNEL_CLIENT, SLICE_LIT("\x81\x82" MASK "de"));
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_GATEWAY].n == 8);
	assert_got(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x82" MASK "de"));
	later(&w, TUNNEL_CLOSE_MS - 1000);
	assert_int_equal(w.ends, 0);
	later(&w, TUNNEL_CLOSE_MS + 100);
	assert_int_equal(w.ends, 1);
	world_fini(&w);
}

/* Who has said goodbye gets no other code. */
static void
a_gateway_dies_after_a_close(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		struct slice said = from == TUNNEL_CLIENT ? SLICE_LIT("\x88\x82" MASK "\x12\xca")
							  : SLICE_LIT("\x88\x02\x03\xe8");
		struct world w;

		world_init(&w, true);
		say(&w, from, said);
		WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[other(from)].n == said.n);
		world_die(&w, false);
		assert_got(&w, TUNNEL_CLIENT, from == TUNNEL_GATEWAY ? said : SLICE_NONE);
		assert_true(w.got[TUNNEL_CLIENT].ended);
		world_shut(&w, TUNNEL_CLIENT);
		WIRE_UNTIL_DOING(w.loop, world_take(&w), w.ends == 1);
		assert_int_equal(w.why, from == TUNNEL_CLIENT ? END_CLIENT_CLOSED : END_GATEWAY_CLOSED);
		assert_int_equal(w.close_code, 1000);
		world_fini(&w);
	}
}

/* died_close: for clients that don't know 1014. */
static void
a_death_by_another_code(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, true);
	w.pair->tunnel.died_close = 1001;
	world_die(&w, false);
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x0e\x03\xe9gateway-died"));
	assert_int_equal(w.pair->tunnel.close_code, 1001);
	world_fini(&w);
}

/* One side breaks off while the other is slow: that one still gets all that was on its way, and then the end. */
static void
reset_while_the_other_is_blocked(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		for (unsigned shuts = 0; shuts < 2; shuts++) {
			struct world w;
			size_t sent = 0;

			world_init(&w, true);
			WIRE_UNTIL_DOING(
			    w.loop, sent += say_chunk(w.fd[from]), stream_is_blocked(&w.pair->stream[other(from)]));
			WIRE_UNTIL(w.loop, unsent(w.fd[from]) == 0); /* a reset would take it away */
			if (shuts != 0)
				world_shut(&w, from);
			wire_turns(w.loop, 3);
			world_reset(&w, from);
			wire_turns(w.loop, 6); /* what can still be read comes before the reset */
			assert_int_equal(w.ends, 0);
			WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[other(from)].ended);
			assert_int_equal(w.got[other(from)].error, 0);
			if (from == TUNNEL_GATEWAY)	/* zeros are frames without payload: behind them stands our close */
				assert_int_equal(w.got[other(from)].n,
				    sent + 4 + strlen(shuts ? "gateway-died" : "gateway-reset"));
			else
				assert_true(w.got[other(from)].n >= 16384 && w.got[other(from)].n <= sent);
			if (w.ends == 0)
				world_shut(&w, other(from));
			WIRE_UNTIL(w.loop, w.ends == 1);
			if (shuts == 0)
				assert_int_equal(w.why, from == TUNNEL_CLIENT ? END_CLIENT_RESET : END_GATEWAY_RESET);
			world_fini(&w);
		}
	}
}

/* And the slow one breaks off. */
static void
the_blocked_side_breaks_off(void **state)
{
	(void)state;
	for (enum tunnel_side from = 0; from < TUNNEL_SIDES; from++) {
		struct world w;

		world_init(&w, true);
		WIRE_UNTIL_DOING(w.loop, wire_fill(w.fd[from]), stream_is_blocked(&w.pair->stream[other(from)]));
		world_reset(&w, other(from));
		WIRE_UNTIL_DOING(w.loop, wire_take(w.fd[from], &w.got[from], SIZE_MAX), w.got[from].ended);
		assert_int_equal(w.got[from].error, 0); /* it is told by an end, not by a reset */
		close(w.fd[from]);
		w.fd[from] = -1;
		WIRE_UNTIL(w.loop, w.ends == 1);
		assert_int_equal(w.why, from == TUNNEL_CLIENT ? END_GATEWAY_RESET : END_CLIENT_RESET);
		world_fini(&w);
	}
}

/* We want to close and one side takes nothing: the other's answer is heard, and the slow one gets its close frame in
 * its turn. */
static void
closes_a_blocked_side(void **state)
{
	static const char frames[] = "\x82\x7e\x3f\xfc"; /* of 16384 bytes each with its header */
	static char frame[16384];
	struct world w;
	size_t at = 0;
	const unsigned char *end;

	(void)state;
	memcpy(frame, frames, 4);
	world_init(&w, true);
	/* whole frames until it is held up */
	WIRE_UNTIL_DOING(
	    w.loop,
	    {
		    ssize_t n = send(w.fd[TUNNEL_GATEWAY], frame + at, sizeof frame - at, MSG_NOSIGNAL);
		    at += n > 0 ? (size_t)n : 0;
		    at %= sizeof frame;
	    },
	    stream_is_blocked(&w.pair->stream[TUNNEL_CLIENT]));
	tunnel_close(&w.pair->tunnel, END_STOPPING, 0);
	assert_true(stream_is_blocked(&w.pair->stream[TUNNEL_CLIENT]));
	WIRE_UNTIL_DOING(
	    w.loop, { wire_take(w.fd[TUNNEL_GATEWAY], &w.got[TUNNEL_GATEWAY], 100); }, w.got[TUNNEL_GATEWAY].n == 8 + strlen("stopping"));
	assert_got_and_close(&w, TUNNEL_GATEWAY, SLICE_NONE, 1001);
	/* now the client reads, and the gateway's frame that was under way ends */
	WIRE_UNTIL_DOING(
	    w.loop,
	    {
		    world_take(&w);
		    if (at != 0) {
			    ssize_t n = send(w.fd[TUNNEL_GATEWAY], frame + at, sizeof frame - at, MSG_NOSIGNAL);
			    at += n > 0 ? (size_t)n : 0;
			    at %= sizeof frame;
		    }
	    },
	    w.pair->tunnel.end[TUNNEL_CLIENT].deaf && !stream_is_blocked(&w.pair->stream[TUNNEL_CLIENT]));
	WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n % sizeof frame == 12);
	end = (const unsigned char *)w.got[TUNNEL_CLIENT].p + w.got[TUNNEL_CLIENT].n - 12;
	assert_memory_equal(end, "\x88\x0a\x03\xe9stopping", 12);
	say(&w, TUNNEL_CLIENT, SLICE_LIT("\x88\x82" MASK "\x12\xcb"));
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x88\x02\x03\xe9"));
	WIRE_UNTIL(w.loop, w.ends == 1);
	world_fini(&w);
}

/* We want to close, and a side's answer is to break off. */
static void
closing_and_a_reset(void **state)
{
	(void)state;
	for (enum tunnel_side side = 0; side < TUNNEL_SIDES; side++) {
		struct world w;

		world_init(&w, true);
		say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x05he"));
		WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[TUNNEL_CLIENT].n == 4);
		tunnel_close(&w.pair->tunnel, END_STOPPING, clock_coarse_ms() + 60000);
		world_reset(&w, side);
		WIRE_UNTIL_DOING(w.loop, world_take(&w), w.got[other(side)].ended);
		world_shut(&w, other(side));
		WIRE_UNTIL(w.loop, w.ends == 1);
		assert_int_equal(w.why, END_STOPPING);
		world_fini(&w);
	}
}

/* A frame that is under way when we close may take its time; behind it the usual wait begins. */
static void
a_long_frame_may_end(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x05he"));
	world_settle(&w);
	tunnel_close(&w.pair->tunnel, END_STOPPING, clock_coarse_ms() + 20000);
	later(&w, TUNNEL_CLOSE_MS + 1000);
	assert_int_equal(w.ends, 0);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("llo"));
	world_settle(&w);
	assert_got_and_close(&w, TUNNEL_CLIENT, SLICE_LIT("\x81\x05hello"), 1001);
	later(&w, TUNNEL_CLOSE_MS + 2000);
	assert_int_equal(w.ends, 1);
	world_fini(&w);
}

static void
abort_ends_at_once(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, false);
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x05he"));
	world_settle(&w);
	tunnel_abort(&w.pair->tunnel, END_STOPPING);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.why, END_STOPPING);
	world_take(&w);
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x81\x05he"));
	assert_true(w.got[TUNNEL_CLIENT].ended);
	world_fini(&w);
}

/* ---- time ---- */

static void
idle(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, false);
	world_start(&w, 60000, 0, SLICE_NONE, SLICE_NONE);
	world_settle(&w);
	later(&w, 59000);
	assert_int_equal(w.pair->tunnel.end_by_ms, 0);
	later(&w, 61000);
	assert_got_and_close(&w, TUNNEL_CLIENT, SLICE_NONE, 1001);
	assert_got_and_close(&w, TUNNEL_GATEWAY, SLICE_NONE, 1001);
	later(&w, 61000 + TUNNEL_CLOSE_MS);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.why, END_TUNNEL_IDLE);
	world_fini(&w);
}

/* To both sides, masked to the gateway, between frames only. */
static void
pings(void **state)
{
	struct world w;
	const unsigned char *f;

	(void)state;
	world_open(&w, false);
	world_start(&w, 60000, 20000, SLICE_NONE, SLICE_NONE);
	world_settle(&w);
	later(&w, 19000);
	assert_got(&w, TUNNEL_CLIENT, SLICE_NONE);
	later(&w, 20100);
	assert_got(&w, TUNNEL_CLIENT, SLICE_LIT("\x89\x00"));
	f = (const unsigned char *)w.got[TUNNEL_GATEWAY].p;
	assert_int_equal(w.got[TUNNEL_GATEWAY].n, 6);
	assert_int_equal(f[0], 0x89);
	assert_int_equal(f[1], 0x80);
	later(&w, 20200);
	assert_int_equal(w.got[TUNNEL_GATEWAY].n, 6);
	/* the gateway is in the middle of a frame: only it gets one */
	say(&w, TUNNEL_GATEWAY, SLICE_LIT("\x81\x05he"));
	world_settle(&w);
	later(&w, 40300);
	assert_got(&w, TUNNEL_CLIENT,
	    SLICE_LIT("\x89\x00"
		      "\x81\x05he"));
	assert_int_equal(w.got[TUNNEL_GATEWAY].n, 12);
	/* nobody answers: pings alone are no life */
	later(&w, 60200);
	assert_int_equal(w.ends, 1);
	assert_int_equal(w.why, END_TUNNEL_IDLE);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_however_it_is_cut),
		cmocka_unit_test(passes_broken_frames),
		cmocka_unit_test(early_bytes_go_first),
		cmocka_unit_test(ends_while_it_starts),
		cmocka_unit_test(back_pressure),
		cmocka_unit_test(long_frames_are_moved),
		cmocka_unit_test(short_frames_behind_a_long_one_are_copied),
		cmocka_unit_test(breaks_off_while_bytes_are_moved),
		cmocka_unit_test(closes_between_frames_only),
		cmocka_unit_test(a_close_of_theirs_is_enough),
		cmocka_unit_test(they_close),
		cmocka_unit_test(a_peer_that_stays),
		cmocka_unit_test(half_closed),
		cmocka_unit_test(half_closed_then_reset),
		cmocka_unit_test(a_gateway_that_dies),
		cmocka_unit_test(last_words_to_a_dead_gateway),
		cmocka_unit_test(a_gateway_dies_after_a_close),
		cmocka_unit_test(a_death_by_another_code),
		cmocka_unit_test(reset_while_the_other_is_blocked),
		cmocka_unit_test(the_blocked_side_breaks_off),
		cmocka_unit_test(closes_a_blocked_side),
		cmocka_unit_test(closing_and_a_reset),
		cmocka_unit_test(a_long_frame_may_end),
		cmocka_unit_test(abort_ends_at_once),
		cmocka_unit_test(idle),
		cmocka_unit_test(pings),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
