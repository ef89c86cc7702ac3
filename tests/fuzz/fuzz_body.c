/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies. The first byte chooses the framing, the second the length of the pieces. Data, trailers, the end and the
 * refusal are the same for all bytes at once and for pieces, whether data is read or skipped; and what was read as
 * chunks is read the same when it is written as chunks again.
 */
#include "http/body.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

#define ROOM 8192

struct outcome {
	enum body_result result;
	bool complete;
	size_t used;
	char data[ROOM], trailers[BODY_TRAILER_MAX];
	size_t data_bytes, trailer_bytes;
};

static void
keep(struct outcome *o, struct slice data)
{
	must(data.n != 0 && data.n <= ROOM - o->data_bytes);
	memcpy(o->data + o->data_bytes, data.p, data.n);
	o->data_bytes += data.n;
}

/* Takes a run without showing it to the reader, where `skip` says so. */
static void
skip_run(struct body_reader *r, struct slice *in, struct outcome *o, bool skip)
{
	size_t n = skip && body_run(r) < in->n ? (size_t)body_run(r) : skip ? in->n : 0;

	if (n == 0 || body_run(r) == 0)
		return;
	keep(o, slice_head(*in, n));
	body_skip(r, n);
	*in = slice_skip(*in, n);
}

static void
read_cut(enum head_framing framing, uint64_t length, struct slice bytes, size_t step, bool skip, struct outcome *o)
{
	char trailer[BODY_TRAILER_MAX];
	struct body_reader r;
	struct slice data, kept;

	memset(o, 0, sizeof *o);
	body_reader_init(&r, framing, length, trailer);
	for (size_t at = 0; at <= bytes.n && o->result == BODY_MORE; at += step) {
		struct slice in = slice_head(slice_skip(bytes, at), step);

		skip_run(&r, &in, o, skip);
		while ((o->result = body_read(&r, &in, &data)) == BODY_DATA) {
			keep(o, data);
			skip_run(&r, &in, o, skip);
		}
		must(o->result != BODY_MORE || in.n == 0);
		o->used = (size_t)(in.p - bytes.p);
	}
	must(body_is_done(&r) == (o->result == BODY_DONE) && (r.why != NULL) == (o->result == BODY_BAD));
	o->complete = body_is_complete_at_end(&r);
	if (o->result != BODY_DONE)
		return;
	kept = body_trailers(&r);
	if (kept.n != 0)
		memcpy(o->trailers, kept.p, kept.n);
	o->trailer_bytes = kept.n;
}

static void
must_agree(const struct outcome *a, const struct outcome *b)
{
	must(a->result == b->result && a->complete == b->complete);
	must(a->data_bytes == b->data_bytes && memcmp(a->data, b->data, a->data_bytes) == 0);
	must(a->trailer_bytes == b->trailer_bytes && memcmp(a->trailers, b->trailers, a->trailer_bytes) == 0);
}

static void
write_anew(const struct outcome *o, struct buf *b)
{
	char head[BODY_CHUNK_HEAD];

	if (o->data_bytes != 0) {
		buf_add(b, slice_make(head, body_chunk_head(head, o->data_bytes)));
		buf_add(b, slice_make(o->data, o->data_bytes));
		buf_lit(b, "\r\n");
	}
	buf_lit(b, "0\r\n");
	buf_add(b, slice_make(o->trailers, o->trailer_bytes));
	buf_lit(b, "\r\n");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, other;
	static char text[2 * ROOM];
	struct buf b = buf_of(text, sizeof text);
	enum head_framing framing;
	struct slice bytes;
	size_t step;

	if (size < 2 || size > ROOM)
		return 0;
	framing = (enum head_framing)(data[0] & 3);
	step = (size_t)data[1] + 1;
	bytes = slice_make((const char *)data + 2, size - 2);
	read_cut(framing, data[0], bytes, bytes.n + 1, false, &whole);
	read_cut(framing, data[0], bytes, step, false, &other);
	must_agree(&whole, &other);
	must(whole.result != BODY_DONE || whole.used == other.used);
	read_cut(framing, data[0], bytes, step, true, &other);
	must_agree(&whole, &other);
	if (framing != FRAMING_CHUNKED || whole.result != BODY_DONE)
		return 0;
	write_anew(&whole, &b);
	must(!b.full);
	read_cut(framing, 0, buf_slice(&b), step, false, &other);
	must_agree(&whole, &other);
	must(other.used == b.n);
	return 0;
}
