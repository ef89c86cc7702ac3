/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies, piece by piece. */
#include "proxy/flow.h"

/* Reads in a row before others have their turn: one MiB, or four of what is moved. */
#define FLOW_READS 16
/* Below this, putting bytes behind a head costs less than a system call of their own. */
#define FLOW_COPY 16384
/* From that many bytes on, moving them costs less than copying. */
#define FLOW_MOVE 16384

void
flow_init(struct flow *f, struct stream *from, struct stream *to, enum head_framing in, uint64_t length,
    enum head_framing out, char *trailer)
{
	*f = (struct flow){ .from = from, .to = to, .out = out, .bulk = true, .trailers = trailer != NULL };
	body_reader_init(&f->reader, in, length, trailer);
	f->done = body_is_done(&f->reader);
}

/* What does not fit behind the bytes before it makes these leave on their own. */
static bool
flow_make_room(struct flow *f, struct buf *b, size_t n)
{
	if (n <= b->room - b->n)
		return true;
	if (stream_write_more(f->to, buf_slice(b)) != STREAM_OK)
		return false;
	f->sent = true;
	b->n = 0;
	return true;
}

static void
flow_add_chunk(struct buf *b, struct slice data)
{
	char head[BODY_CHUNK_HEAD];

	buf_add(b, slice_make(head, body_chunk_head(head, data.n)));
	buf_add(b, data);
	buf_lit(b, "\r\n");
}

/* False: the sink failed. */
static bool
flow_put(struct flow *f, struct slice data, struct buf *b)
{
	f->bytes += data.n;
	if (f->out == FRAMING_CHUNKED) {
		if (!flow_make_room(f, b, data.n + BODY_CHUNK_HEAD + 2))
			return false;
		flow_add_chunk(b, data);
		return true;
	}
	if (data.n <= FLOW_COPY && data.n <= b->room - b->n) {
		buf_add(b, data);
		return true;
	}
	if (!flow_make_room(f, b, b->room) || stream_write(f->to, data) != STREAM_OK)
		return false;
	f->sent = true;
	return true;
}

/* False: the sink failed. */
static bool
flow_finish(struct flow *f, struct buf *b)
{
	f->done = true;
	if (f->out != FRAMING_CHUNKED)
		return true;
	if (!flow_make_room(f, b, BODY_TRAILER_MAX + sizeof "0\r\n\r\n"))
		return false;
	buf_lit(b, "0\r\n");
	if (f->trailers && f->reader.framing == FRAMING_CHUNKED)
		buf_add(b, body_trailers(&f->reader));
	buf_lit(b, "\r\n");
	return true;
}

/* A sink that is shut or closed next sends its end in the segment of the last bytes, which spares both sides a
 * packet. */
static enum stream_result
flow_write(struct flow *f, struct slice bytes)
{
	return f->done && f->is_last ? stream_write_more(f->to, bytes) : stream_write(f->to, bytes);
}

enum flow_result
flow_feed(struct flow *f, struct slice *in, struct buf *before)
{
	enum body_result r = BODY_MORE;
	struct slice data;

	while (!f->done && (r = body_read(&f->reader, in, &data)) == BODY_DATA)
		if (!flow_put(f, data, before))
			return FLOW_SINK_FAILED;
	if (r == BODY_BAD)
		return FLOW_BAD;
	if ((r == BODY_DONE && !flow_finish(f, before)) || flow_write(f, buf_slice(before)) != STREAM_OK)
		return FLOW_SINK_FAILED;
	f->sent = true;
	before->n = 0;
	return f->done ? FLOW_DONE : FLOW_WAIT;
}

static enum flow_result
flow_ended(struct flow *f)
{
	struct buf b = buf_of(f->to->loop->out, LOOP_SCRATCH_OUT);

	if (!body_is_complete_at_end(&f->reader))
		return FLOW_CUT;
	return flow_finish(f, &b) && stream_write(f->to, buf_slice(&b)) == STREAM_OK ? FLOW_DONE : FLOW_SINK_FAILED;
}

/* Not more than the body where its end is known: what follows is the next message's. */
static enum stream_result
flow_read(struct flow *f, char *buffer, size_t room, struct slice *got)
{
	size_t most = buffer != NULL ? room : LOOP_SCRATCH;
	enum stream_result r;

	if (f->reader.framing == FRAMING_LENGTH && f->reader.left < most)
		most = (size_t)f->reader.left;
	r = stream_read(f->from, buffer, most, got);
	f->bulk |= r == STREAM_OK && got->n >= 2 * FLOW_MOVE;
	return r;
}

/* What comes in small pieces costs less by copying; as long as it does. */
static bool
flow_may_move(const struct flow *f)
{
	return f->bulk && f->out != FRAMING_CHUNKED && body_run(&f->reader) >= FLOW_MOVE &&
	    stream_can_move(f->from, f->to);
}

static enum stream_result
flow_move(struct flow *f)
{
	uint64_t run = body_run(&f->reader);
	enum stream_result r;
	size_t n = 0;

	r = stream_move(f->from, f->to, run < SIZE_MAX ? (size_t)run : SIZE_MAX, &n);
	if (r == STREAM_OK)
		f->bulk = n >= FLOW_MOVE;
	f->bytes += n;
	body_skip(&f->reader, n);
	return r;
}

enum flow_result
flow_pump(struct flow *f, char *buffer, size_t room, struct slice *rest)
{
	enum flow_result r = f->done ? FLOW_DONE : FLOW_WAIT;

	*rest = SLICE_NONE;
	for (unsigned budget = FLOW_READS; r == FLOW_WAIT && !stream_is_blocked(f->to); budget--) {
		struct buf b = buf_of(f->to->loop->out, LOOP_SCRATCH_OUT);

		if (budget == 0) {
			stream_again(f->from);
			break;
		}
		switch (flow_may_move(f) ? flow_move(f) : flow_read(f, buffer, room, rest)) {
		case STREAM_OK:
			r = flow_feed(f, rest, &b);
			break;
		case STREAM_WAIT:
			return FLOW_WAIT;
		case STREAM_END:
			return flow_ended(f);
		case STREAM_FAILED:
			return FLOW_SOURCE_FAILED;
		}
	}
	return r;
}
