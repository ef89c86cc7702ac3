/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams of frames, cut in every way, and what may be put between them. */
#include "ws/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#define MASK "\x11\x22\x33\x44"

struct stream_case {
	struct slice bytes;
	unsigned messages, close_code;
	bool between, lost;
};

#define X25 "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X125 X25 X25 X25 X25 X25

static const struct stream_case streams[] = {
	{ SLICE_LIT(""), 0, 0, true, false },
	{ SLICE_LIT("\x81"), 0, 0, false, false },
	{ SLICE_LIT("\x81\x05"), 0, 0, false, false },
	{ SLICE_LIT("\x81\x05hell"), 0, 0, false, false },
	{ SLICE_LIT("\x81\x05hello"), 1, 0, true, false },
	{ SLICE_LIT("\x81\x85" MASK "hello"), 1, 0, true, false },
	{ SLICE_LIT("\x81\x85" MASK "hell"), 0, 0, false, false },
	{ SLICE_LIT("\x81\x80\x11\x22"), 0, 0, false, false },
	{ SLICE_LIT("\x82\x00"), 1, 0, true, false },
	{ SLICE_LIT("\x82\x80" MASK), 1, 0, true, false },
	{ SLICE_LIT("\x82\x7d" X125), 1, 0, true, false },
	{ SLICE_LIT("\x82\x7e\x00\x7e" X125 "x\x82"), 1, 0, false, false },
	{ SLICE_LIT("\x82\xfe\x00\x7e" MASK X125 "x"), 1, 0, true, false },
	{ SLICE_LIT("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" X125), 0, 0, false, false },
	{ SLICE_LIT("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" X125), 0, 0, false, false },
	{ SLICE_LIT("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" MASK X125), 0, 0, false, false },
	/* a message in three frames with a ping inside, then another one */
	{ SLICE_LIT("\x01\x01" "a\x00\x01" "b\x89\x02pp\x80\x01" "c\x81\x01" "d"), 2, 0, true, false },
	{ SLICE_LIT("\x01\x01" "a\x89\x00\x8a\x00"), 0, 0, true, false },
	/* reserved bits and opcodes are the extensions' */
	{ SLICE_LIT("\xf1\x01" "a\x83\x01" "b\x8b\x00"), 2, 0, true, false },
	{ SLICE_LIT("\x88\x00"), 0, 1005, false, false },
	{ SLICE_LIT("\x88\x01x"), 0, 1005, false, false },
	{ SLICE_LIT("\x88\x02\x03"), 0, 0, false, false },
	{ SLICE_LIT("\x88\x02\x03\xe9"), 0, 1001, false, false },
	{ SLICE_LIT("\x88\x08\x03\xe8reason"), 0, 1000, false, false },
	{ SLICE_LIT("\x88\x08\x03\xe8rea"), 0, 1000, false, false },
	{ SLICE_LIT("\x88\x88" MASK "\x12\xde" "reason"), 0, 1020, false, false },
	{ SLICE_LIT("\x88\x80" MASK), 0, 1005, false, false },
	{ SLICE_LIT("\x81\x01" "a\x88\x02\x03\xe8\x81\x01" "b\x88\x02\x03\xe9"), 1, 1000, false, false },
	/* the framing itself is broken */
	{ SLICE_LIT("\x82\x7e\x00\x7d" X125), 0, 0, false, true },
	{ SLICE_LIT("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff" X125), 0, 0, false, true },
	{ SLICE_LIT("\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00" X125), 0, 0, false, true },
	{ SLICE_LIT("\x09\x00\x81\x00"), 0, 0, false, true },
	{ SLICE_LIT("\x08\x02\x03\xe8\x81\x00"), 0, 0, false, true },
	{ SLICE_LIT("\x81\x00\x89\x7e\x00\x80" X125 "xxx\x81\x00"), 1, 0, false, true },
	{ SLICE_LIT("\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00" X125), 0, 0, false, true },
};

static void
assert_stream(const struct stream_case *c, const struct frame_follower *f, size_t cut)
{
	if (f->messages == c->messages && f->close_code == c->close_code && f->lost == c->lost &&
	    frame_is_between(f) == c->between)
		return;
	fail_msg("case %zu cut at %zu: %llu messages, code %u, %s, %s", (size_t)(c - streams), cut,
	    (unsigned long long)f->messages, f->close_code, f->lost ? "lost" : "followed",
	    frame_is_between(f) ? "between" : "within");
}

static void
test_streams(void **state)
{
	(void)state;
	for (const struct stream_case *c = streams; c < streams + COUNT(streams); c++) {
		struct frame_follower f;

		for (size_t cut = 0; cut <= c->bytes.n; cut++) {
			frame_follower_init(&f);
			frame_follow(&f, slice_head(c->bytes, cut));
			frame_follow(&f, slice_skip(c->bytes, cut));
			assert_stream(c, &f, cut);
		}
		frame_follower_init(&f);
		for (size_t i = 0; i < c->bytes.n; i++)
			frame_follow(&f, slice_make(c->bytes.p + i, 1));
		assert_stream(c, &f, 1);
	}
}

/* Boundaries are found at the same places by skipping runs of payload. */
static void
test_runs(void **state)
{
	(void)state;
	for (const struct stream_case *c = streams; c < streams + COUNT(streams); c++) {
		struct frame_follower f;
		size_t at = 0;

		frame_follower_init(&f);
		while (at < c->bytes.n) {
			uint64_t run = frame_run(&f);
			size_t left = c->bytes.n - at;

			if (run == 0) {
				frame_follow(&f, slice_make(c->bytes.p + at++, 1));
				continue;
			}
			run = run < left ? run : left;
			frame_skip(&f, run);
			at += (size_t)run;
		}
		assert_stream(c, &f, c->bytes.n);
	}
}

static void
test_boundaries(void **state)
{
	static const struct slice bytes = SLICE_LIT("\x01\x03" "abc\x89\x00\x80\x81" MASK "d\x88\x02\x03\xe8more");
	static const size_t steps[] = { 5, 2, 7, 8 };
	struct frame_follower f;
	size_t at = 0;

	(void)state;
	frame_follower_init(&f);
	for (size_t i = 0; i < COUNT(steps); i++) {
		assert_int_equal(frame_follow_to_boundary(&f, slice_skip(bytes, at)), steps[i]);
		at += steps[i];
	}
	assert_int_equal(at, bytes.n);
	assert_int_equal(f.messages, 1);
	assert_int_equal(f.close_code, 1000);
	assert_int_equal(frame_follow_to_boundary(&f, SLICE_NONE), 0);

	frame_follower_init(&f);
	frame_follow(&f, SLICE_LIT("\x81\x04" "ab"));
	assert_int_equal(frame_follow_to_boundary(&f, SLICE_LIT("c")), 1);
	assert_int_equal(frame_run(&f), 1);
	assert_int_equal(frame_follow_to_boundary(&f, SLICE_LIT("d\x81\x00")), 1);
	assert_true(frame_is_between(&f));
	assert_int_equal(frame_run(&f), 0);
}

/* A long frame is passed in a few steps, whatever its length. */
static void
test_long_frame(void **state)
{
	struct frame_follower f;

	(void)state;
	frame_follower_init(&f);
	frame_follow(&f, SLICE_LIT("\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00"));
	assert_true(frame_run(&f) == UINT64_C(1) << 40);
	frame_skip(&f, (UINT64_C(1) << 40) - 1);
	assert_false(frame_is_between(&f));
	frame_skip(&f, 0);
	frame_skip(&f, 1);
	assert_true(frame_is_between(&f));
	assert_int_equal(f.messages, 1);
}

static void
assert_close(const uint8_t *mask, unsigned code, struct slice reason, struct slice expected)
{
	char to[FRAME_CONTROL_MAX];
	size_t n = frame_write_close(to, mask, code, reason);

	assert_true(slice_eq(slice_make(to, n), expected));
}

static void
test_writing(void **state)
{
	static const uint8_t mask[] = { 0x11, 0x22, 0x33, 0x44 };
	char to[FRAME_CONTROL_MAX];

	(void)state;
	assert_close(NULL, 1001, SLICE_NONE, SLICE_LIT("\x88\x02\x03\xe9"));
	assert_close(NULL, 1012, SLICE_LIT("bye"), SLICE_LIT("\x88\x05\x03\xf4" "bye"));
	assert_close(mask, 1001, SLICE_LIT("abc"), SLICE_LIT("\x88\x85" MASK "\x12\xcb\x52\x26\x72"));
	assert_close(NULL, FRAME_NO_CODE, SLICE_LIT("bye"), SLICE_LIT("\x88\x00"));
	assert_close(mask, 0, SLICE_NONE, SLICE_LIT("\x88\x80" MASK));
	assert_int_equal(frame_write_ping(to, NULL), 2);
	assert_memory_equal(to, "\x89\x00", 2);
	assert_int_equal(frame_write_ping(to, mask), 6);
	assert_memory_equal(to, "\x89\x80" MASK, 6);
}

static void
test_long_reasons(void **state)
{
	static const uint8_t mask[] = { 1, 2, 3, 4 };
	char text[200], to[FRAME_CONTROL_MAX];
	struct frame_follower f;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(frame_write_close(to, NULL, 1001, slice_make(text, 123)), 127);
	assert_int_equal(frame_write_close(to, mask, 1001, slice_make(text, 200)), FRAME_CONTROL_MAX);
	frame_follower_init(&f);
	frame_follow(&f, slice_make(to, FRAME_CONTROL_MAX));
	assert_int_equal(f.close_code, 1001);
	assert_false(f.in_payload);
	/* a character of three bytes that would end beyond the 123rd */
	memcpy(text + 121, "\xe2\x82\xac", 3);
	assert_int_equal(frame_write_close(to, NULL, 1001, slice_make(text, 200)), 4 + 121);
	memcpy(text + 120, "\xe2\x82\xacx", 4);
	assert_int_equal(frame_write_close(to, NULL, 1001, slice_make(text, 200)), 4 + 123);
	memset(text, '\x80', sizeof text);
	assert_int_equal(frame_write_close(to, NULL, 1001, slice_make(text, 200)), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),	   cmocka_unit_test(test_runs),	   cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_long_frame), cmocka_unit_test(test_writing), cmocka_unit_test(test_long_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
