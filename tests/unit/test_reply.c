/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of our own, read back by our own parser. */
#include "proxy/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/h1.h"

#define AT "Sun, 06 Nov 1994 08:49:37 GMT"

static struct head head;

/* Parses it; returns the body. */
static struct slice
parsed(const struct buf *b, bool to_head)
{
	struct h1 p;

	h1_init(&p, H1_RESPONSE, 65536);
	p.to_head = to_head;
	assert_int_equal(h1_parse(&p, buf_slice(b), &head), H1_HEAD);
	return slice_skip(buf_slice(b), p.head_bytes);
}

static bool
has(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static void
pages(void **state)
{
	static const unsigned statuses[] = { 400, 408, 413, 414, 421, 429, 431, 501, 502, 503, 504, 505 };

	(void)state;
	for (unsigned i = 0; i < COUNT(statuses); i++) {
		char bytes[4096];
		struct buf b = buf_of(bytes, sizeof bytes);
		struct reply r = { .status = statuses[i],
			.request_id = SLICE_LIT("abc-1"),
			.date = SLICE_LIT(AT),
			.retry_after_s = statuses[i] == 503 ? 5 : 0 };
		struct slice body;

		assert_true(reply_write(&r, &b));
		body = parsed(&b, false);
		assert_int_equal(head.status, statuses[i]);
		assert_int_equal(head.framing, FRAMING_LENGTH);
		assert_int_equal(head.content_length, body.n);
		assert_false(head.keep_alive);
		assert_non_null(memmem(body.p, body.n, "abc-1", 5));
		assert_true(has(&b, "\r\nX-Request-Id: abc-1\r\n"));
		assert_true(has(&b, "\r\nDate: " AT "\r\n"));
		assert_true(has(&b, "\r\nCache-Control: no-store\r\n"));
		assert_int_equal(has(&b, "\r\nRetry-After: 5\r\n"), statuses[i] == 503);
	}
}

static void
a_redirect(void **state)
{
	char bytes[4096];
	struct buf b = buf_of(bytes, sizeof bytes);
	struct reply r = { .status = 301,
		.request_id = SLICE_LIT("1"),
		.date = SLICE_LIT(AT),
		.location = SLICE_LIT("https://h/p?q"),
		.keep_alive = true };

	(void)state;
	assert_true(reply_write(&r, &b));
	(void)parsed(&b, false);
	assert_true(head.keep_alive);
	assert_true(has(&b, "\r\nLocation: https://h/p?q\r\n"));
	assert_false(has(&b, "no-store"));
	assert_false(has(&b, "Connection:"));
	b.n = 0;
	r.minor_0 = true;
	assert_true(reply_write(&r, &b));
	assert_true(has(&b, "\r\nConnection: keep-alive\r\n"));
}

/* To a HEAD: the same head, no body (RFC 9110, 9.3.2). */
static void
to_a_head(void **state)
{
	char bytes[4096];
	struct buf b = buf_of(bytes, sizeof bytes);
	struct reply r = { .status = 502, .request_id = SLICE_LIT("1"), .date = SLICE_LIT(AT), .no_body = true };

	(void)state;
	assert_true(reply_write(&r, &b));
	assert_int_equal(parsed(&b, true).n, 0);
	assert_true(has(&b, "\r\nContent-Length: "));
	assert_false(has(&b, "\r\nContent-Length: 0\r\n"));
}

/* The longest id that is let in, and any room. */
static void
no_room(void **state)
{
	char id[128], bytes[4096];
	struct buf b = buf_of(bytes, sizeof bytes);
	struct reply r = { .status = 431, .request_id = slice_make(id, sizeof id), .date = SLICE_LIT(AT) };
	size_t whole;

	(void)state;
	memset(id, 'i', sizeof id);
	assert_true(reply_write(&r, &b));
	whole = b.n;
	for (size_t room = 0; room < whole; room++) {
		char *exact = malloc(room + 1);

		b = buf_of(exact, room);
		assert_false(reply_write(&r, &b));
		free(exact);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages),
		cmocka_unit_test(a_redirect),
		cmocka_unit_test(to_a_head),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
