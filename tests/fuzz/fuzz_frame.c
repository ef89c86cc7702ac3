/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of frames. The first byte is the length of the pieces. A follower ends up the same whether it got all bytes
 * at once, or in pieces, or stopped at every boundary, or had payloads skipped; and a close frame put in at a
 * boundary is seen as one.
 */
#include "ws/frame.h"

#include "base/check.h"
#include "fuzz.h"

static struct frame_follower
follow_pieces(struct slice bytes, size_t step)
{
	struct frame_follower f;

	frame_follower_init(&f);
	for (size_t at = 0; at < bytes.n; at += step)
		frame_follow(&f, slice_head(slice_skip(bytes, at), step));
	return f;
}

static struct frame_follower
follow_boundaries(struct slice bytes)
{
	struct frame_follower f;
	char frame[FRAME_CONTROL_MAX];

	frame_follower_init(&f);
	while (bytes.n != 0) {
		size_t n = frame_follow_to_boundary(&f, bytes);
		struct frame_follower closed = f;

		must(n != 0 && n <= bytes.n && (n == bytes.n || frame_is_between(&f)));
		bytes = slice_skip(bytes, n);
		if (!frame_is_between(&f))
			continue;
		frame_follow(&closed, slice_make(frame, frame_write_close(frame, NULL, 1001, SLICE_LIT("bye"))));
		must(closed.close_code == 1001 && !frame_is_between(&closed) && !closed.lost);
	}
	return f;
}

static struct frame_follower
follow_runs(struct slice bytes, size_t step)
{
	struct frame_follower f;

	frame_follower_init(&f);
	while (bytes.n != 0) {
		size_t n = bytes.n < step ? bytes.n : step;

		if (frame_run(&f) == 0) {
			n = 1;
			frame_follow(&f, slice_head(bytes, 1));
		} else {
			n = frame_run(&f) < n ? (size_t)frame_run(&f) : n;
			frame_skip(&f, n);
		}
		bytes = slice_skip(bytes, n);
	}
	return f;
}

static void
must_agree(const struct frame_follower *a, struct frame_follower b)
{
	must(a->messages == b.messages && a->close_code == b.close_code && a->lost == b.lost);
	must(a->lost || (a->left == b.left && a->in_payload == b.in_payload && a->have == b.have));
	must(frame_is_between(a) == frame_is_between(&b) && frame_run(a) == frame_run(&b));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_follower whole;
	struct slice bytes;
	size_t step;

	if (size == 0)
		return 0;
	bytes = slice_make((const char *)data + 1, size - 1);
	step = (size_t)data[0] + 1;
	frame_follower_init(&whole);
	frame_follow(&whole, bytes);
	must_agree(&whole, follow_pieces(bytes, 1));
	must_agree(&whole, follow_pieces(bytes, step));
	must_agree(&whole, follow_boundaries(bytes));
	must_agree(&whole, follow_runs(bytes, step));
	return 0;
}
