/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies of every framing, each cut in every way; and what is written before chunks. */
#include "http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#define ROOM 16384

/* What came of some bytes. */
struct outcome {
	enum body_result result;
	const char *why;
	size_t used;		/* with BODY_DONE */
	char data[ROOM];
	size_t data_bytes;
	char trailers[BODY_TRAILER_MAX];
	size_t trailer_bytes;
};

/* Feeds the bytes in pieces of `step` after a first one of `first`. */
static void
feed(enum head_framing framing, uint64_t length, struct slice bytes, size_t first, size_t step, struct outcome *o)
{
	char trailer[BODY_TRAILER_MAX];
	struct body_reader r;
	struct slice data;
	size_t piece = first;

	memset(o, 0, sizeof *o);
	body_reader_init(&r, framing, length, trailer);
	o->result = BODY_MORE;
	for (size_t at = 0; o->result == BODY_MORE && at <= bytes.n; at += piece, piece = step) {
		struct slice in = slice_head(slice_skip(bytes, at), piece);

		while ((o->result = body_read(&r, &in, &data)) == BODY_DATA) {
			assert_true(data.n != 0 && o->data_bytes + data.n <= ROOM);
			memcpy(o->data + o->data_bytes, data.p, data.n);
			o->data_bytes += data.n;
		}
		if (o->result == BODY_DONE)
			o->used = (size_t)(in.p - bytes.p);
		else if (o->result == BODY_MORE)
			assert_int_equal(in.n, 0);
		if (piece == 0)
			piece = step;
	}
	o->why = r.why;
	if (o->result == BODY_DONE) {
		struct slice t = body_trailers(&r);

		memcpy(o->trailers, trailer, t.n);
		o->trailer_bytes = t.n;
	}
	assert_int_equal(body_is_done(&r), o->result == BODY_DONE);
}

static void
feed_all_ways(enum head_framing framing, uint64_t length, struct slice bytes, struct outcome *o)
{
	struct outcome *other = mem_zalloc(sizeof *other);

	feed(framing, length, bytes, bytes.n + 1, bytes.n + 1, o);
	for (size_t first = 1; first <= bytes.n; first++) {
		feed(framing, length, bytes, first, first % 3 == 0 ? 1 : bytes.n + 1, other);
		if (memcmp(o, other, sizeof *o) != 0)
			fail_msg("%.*s: cut at %zu: %d (%s) and %d (%s)", SLICE_FMT(bytes), first, o->result, o->why,
			    other->result, other->why);
	}
	free(other);
}

struct body_case {
	struct slice bytes;
	enum body_result result;
	const char *data;
	const char *trailers;
	size_t behind;		/* bytes behind the end */
};

#define BAD(text) { SLICE_LIT(text), BODY_BAD, NULL, NULL, 0 }
#define MORE(text, data) { SLICE_LIT(text), BODY_MORE, data, NULL, 0 }
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct body_case chunked[] = {
	{ SLICE_LIT("0\r\n\r\n"), BODY_DONE, "", "", 0 },
	{ SLICE_LIT("5\r\nhello\r\n0\r\n\r\n"), BODY_DONE, "hello", "", 0 },
	{ SLICE_LIT("5\r\nhello\r\n0\r\n\r\nGET /"), BODY_DONE, "hello", "", 5 },
	{ SLICE_LIT("1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\n\r\n"), BODY_DONE, "a0123456789", "", 2 },
	{ SLICE_LIT("00000000000000aB\r\n" X64 X64 "0123456789012345678901234567890123456789012\r\n0\r\n\r\n"), BODY_DONE,
	    X64 X64 "0123456789012345678901234567890123456789012", "", 0 },
	{ SLICE_LIT("2\r\n\r\n\r\n0\r\n\r\n"), BODY_DONE, "\r\n", "", 0 },
	{ SLICE_LIT("1;a\r\nx\r\n0;b=c;d=\"e;\\\"\xe4\t\";f\r\n\r\n"), BODY_DONE, "x", "", 0 },
	{ SLICE_LIT("1;" X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n0\r\n\r\n"), BODY_DONE,
	    "x", "", 0 },
	{ SLICE_LIT("0\r\nA: b\r\nETag:\r\nx-: \t1\xe4\r\n\r\nX"), BODY_DONE, "", "A: b\r\nETag:\r\nx-: \t1\xe4\r\n", 1 },
	{ SLICE_LIT("0\r\nContent-Length: 5\r\nA: b\r\nHOST: x\r\nx-forwarded-FOO: 1\r\nB:c\r\nIf-X: y\r\nauthorization: z\r\n"
	    "Sec-WebSocket-X: y\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n"), BODY_DONE, "", "A: b\r\nB:c\r\n",
	    0 },
	MORE("", ""),
	MORE("5", ""),
	MORE("5\r", ""),
	MORE("5\r\n", ""),
	MORE("5\r\nhel", "hel"),
	MORE("5\r\nhello", "hello"),
	MORE("5\r\nhello\r", "hello"),
	MORE("5\r\nhello\r\n0\r\n", "hello"),
	MORE("0\r\nA: b\r\n", ""),
	MORE("0\r\n\r", ""),
	MORE("7fffffffffffffff\r\nabc", "abc"),
	BAD("\r\n"),
	BAD(" 5\r\nhello\r\n"),
	BAD("5 \r\nhello\r\n"),
	BAD("\t5\r\n"),
	BAD("+5\r\n"),
	BAD("-5\r\n"),
	BAD("0x5\r\n"),
	BAD("5h\r\n"),
	BAD("5\nhello\r\n"),
	BAD("5\rhello\r\n"),
	BAD("5\r\r\n"),
	BAD("5\0\r\n"),
	BAD(";a\r\n"),
	BAD("5,\r\n"),
	BAD("5_0\r\n"),
	BAD("\xb2\r\n"),
	BAD("8000000000000000\r\n"),
	BAD("ffffffffffffffff\r\n"),
	BAD("10000000000000000\r\n"),
	BAD("00000000000000005\r\nhello\r\n0\r\n\r\n"),
	BAD("5\r\nhello0\r\n\r\n"),
	BAD("5\r\nhello\n0\r\n\r\n"),
	BAD("5\r\nhello\r0\r\n\r\n"),
	BAD("5\r\nhello!\r\n0\r\n\r\n"),
	BAD("5\r\nhell\r\n0\r\n\r\n"),
	BAD("5;\r\n"),
	BAD("5;;a\r\n"),
	BAD("5; a\r\n"),
	BAD("5 ;a\r\n"),
	BAD("5;a =b\r\n"),
	BAD("5;a= b\r\n"),
	BAD("5;a=\r\n"),
	BAD("5;a=b=c\r\n"),
	BAD("5;=b\r\n"),
	BAD("5;a=\"b\r\n"),
	BAD("5;a=\"b\"c\r\n"),
	BAD("5;a=\"\\\r\n\"\r\n"),
	BAD("5;a=\"\n\"\r\n"),
	BAD("5;a\nx"),
	BAD("5;a\rx"),
	BAD("1;" X64 X64 X64 X64 "\r\nx\r\n0\r\n\r\n"),
	BAD("0\r\n: b\r\n\r\n"),
	BAD("0\r\nA : b\r\n\r\n"),
	BAD("0\r\n A: b\r\n\r\n"),
	BAD("0\r\nA: b\r\n c\r\n\r\n"),
	BAD("0\r\nA\r\n\r\n"),
	BAD("0\r\nA: b\n\r\n"),
	BAD("0\r\nA: b\rc\r\n\r\n"),
	BAD("0\r\nA: \0\r\n\r\n"),
	BAD("0\r\n\n"),
	BAD("0\r\n\rX"),
	BAD("0\n\n"),
	BAD("0\r\nGET / HTTP/1.1\r\n\r\n"),
};

static void
check_outcome(const struct body_case *c, const struct outcome *o)
{
	if (o->result != c->result)
		fail_msg("%.*s: %d (%s)", SLICE_FMT(c->bytes), o->result, o->why);
	assert_true((o->why != NULL) == (o->result == BODY_BAD));
	if (c->data != NULL)
		assert_true(slice_eq(slice_make(o->data, o->data_bytes), slice_of(c->data)));
	if (o->result != BODY_DONE)
		return;
	assert_int_equal(o->used, c->bytes.n - c->behind);
	assert_true(slice_eq(slice_make(o->trailers, o->trailer_bytes), slice_of(c->trailers)));
}

static void
test_chunked(void **state)
{
	struct outcome *o = mem_zalloc(sizeof *o);

	(void)state;
	for (size_t i = 0; i < COUNT(chunked); i++) {
		feed_all_ways(FRAMING_CHUNKED, 0, chunked[i].bytes, o);
		check_outcome(&chunked[i], o);
	}
	free(o);
}

/* One trailer line, so that the section has n bytes. */
static enum body_result
read_trailers_of(size_t n, char *keep)
{
	char text[BODY_TRAILER_MAX + 64];
	struct buf b = buf_of(text, sizeof text);
	struct body_reader r;
	struct slice in, data;

	buf_lit(&b, "0\r\nA:");
	while (b.n < n - 2 + sizeof "0\r\n" - 1)
		buf_byte(&b, 'x');
	buf_lit(&b, "\r\n\r\n");
	in = buf_slice(&b);
	body_reader_init(&r, FRAMING_CHUNKED, 0, keep);
	for (;;) {
		enum body_result result = body_read(&r, &in, &data);

		if (result == BODY_DONE)
			assert_int_equal(body_trailers(&r).n, keep != NULL ? n : 0);
		if (result == BODY_BAD)
			assert_int_equal(body_read(&r, &in, &data), BODY_BAD);	/* and stays so */
		return result;
	}
}

static void
test_trailer_limit(void **state)
{
	char keep[BODY_TRAILER_MAX];

	(void)state;
	assert_int_equal(read_trailers_of(BODY_TRAILER_MAX, keep), BODY_DONE);
	assert_int_equal(read_trailers_of(BODY_TRAILER_MAX + 1, keep), BODY_BAD);
	assert_int_equal(read_trailers_of(BODY_TRAILER_MAX, NULL), BODY_DONE);
	assert_int_equal(read_trailers_of(BODY_TRAILER_MAX + 1, NULL), BODY_BAD);
}

static void
test_length(void **state)
{
	static const struct body_case cases[] = {
		{ SLICE_LIT("hello"), BODY_DONE, "hello", "", 0 },
		{ SLICE_LIT("hello and more"), BODY_DONE, "hello", "", 9 },
		MORE("hell", "hell"),
		MORE("", ""),
	};
	struct outcome *o = mem_zalloc(sizeof *o);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		feed_all_ways(FRAMING_LENGTH, 5, cases[i].bytes, o);
		check_outcome(&cases[i], o);
	}
	feed_all_ways(FRAMING_LENGTH, 0, SLICE_LIT("x"), o);
	assert_int_equal(o->result, BODY_DONE);
	assert_int_equal(o->used, 0);
	feed_all_ways(FRAMING_NONE, 0, SLICE_LIT("x"), o);
	assert_int_equal(o->result, BODY_DONE);
	assert_int_equal(o->used, 0);
	free(o);
}

static void
test_close(void **state)
{
	struct outcome *o = mem_zalloc(sizeof *o);

	(void)state;
	feed_all_ways(FRAMING_CLOSE, 0, SLICE_LIT("all of it\0\r\n"), o);
	assert_int_equal(o->result, BODY_MORE);
	assert_int_equal(o->data_bytes, sizeof "all of it\0\r\n" - 1);
	free(o);
}

static void
test_complete_at_end(void **state)
{
	struct body_reader r;
	struct slice in = SLICE_LIT("1\r\na\r\n0\r\n\r\n"), data;

	(void)state;
	body_reader_init(&r, FRAMING_CLOSE, 0, NULL);
	assert_true(body_is_complete_at_end(&r));
	body_reader_init(&r, FRAMING_NONE, 0, NULL);
	assert_true(body_is_complete_at_end(&r));
	body_reader_init(&r, FRAMING_LENGTH, 1, NULL);
	assert_false(body_is_complete_at_end(&r));
	body_reader_init(&r, FRAMING_CHUNKED, 0, NULL);
	assert_false(body_is_complete_at_end(&r));
	assert_int_equal(body_read(&r, &in, &data), BODY_DATA);
	assert_false(body_is_complete_at_end(&r));
	assert_int_equal(body_read(&r, &in, &data), BODY_DONE);
	assert_true(body_is_complete_at_end(&r));
}

static void
test_runs(void **state)
{
	struct body_reader r;
	struct slice in = SLICE_LIT("100\r\n0123456789"), rest = SLICE_LIT("\r\n0\r\n\r\n"), data;

	(void)state;
	body_reader_init(&r, FRAMING_CHUNKED, 0, NULL);
	assert_int_equal(body_run(&r), 0);
	assert_int_equal(body_read(&r, &in, &data), BODY_DATA);
	assert_int_equal(body_run(&r), 0x100 - 10);
	body_skip(&r, 0);
	body_skip(&r, 0x100 - 11);
	assert_int_equal(body_run(&r), 1);
	body_skip(&r, 1);
	assert_int_equal(body_run(&r), 0);
	assert_int_equal(body_read(&r, &rest, &data), BODY_DONE);
	assert_int_equal(body_run(&r), 0);

	body_reader_init(&r, FRAMING_LENGTH, 10, NULL);
	assert_int_equal(body_run(&r), 10);
	body_skip(&r, 10);
	assert_true(body_is_done(&r));
	body_reader_init(&r, FRAMING_CLOSE, 0, NULL);
	body_skip(&r, 10);
	assert_true(body_run(&r) == UINT64_MAX);
	body_reader_init(&r, FRAMING_NONE, 0, NULL);
	assert_int_equal(body_run(&r), 0);
}

static void
test_chunk_heads(void **state)
{
	static const size_t sizes[] = { 1, 9, 10, 15, 16, 255, 256, 65535, 1 << 20, SIZE_MAX / 2 };
	char head[BODY_CHUNK_HEAD], expected[32];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct body_reader r;
		struct slice in = slice_make(head, body_chunk_head(head, sizes[i])), data;

		snprintf(expected, sizeof expected, "%zx\r\n", sizes[i]);
		assert_true(slice_eq(in, slice_of(expected)));
		body_reader_init(&r, FRAMING_CHUNKED, 0, NULL);
		assert_int_equal(body_read(&r, &in, &data), BODY_MORE);
		assert_true(body_run(&r) == sizes[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),		cmocka_unit_test(test_trailer_limit),
		cmocka_unit_test(test_length),		cmocka_unit_test(test_close),
		cmocka_unit_test(test_complete_at_end), cmocka_unit_test(test_runs),
		cmocka_unit_test(test_chunk_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
