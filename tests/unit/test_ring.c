/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring: order, contiguous room, bounds, and two threads. */
#include "base/ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool
put(struct ring *r, size_t max, const char *text)
{
	char *to = ring_reserve(r, max);

	if (to == NULL)
		return false;
	memset(to, '!', max);
	memcpy(to, text, strlen(text));
	ring_commit(r, strlen(text));
	return true;
}

/* All that is there, consumed. */
static const char *
take(struct ring *r, char text[64])
{
	struct slice piece[2];
	size_t n = ring_peek(r, piece);

	assert_int_equal(n, ring_used(r));
	assert_true(n < 64);
	snprintf(text, 64, "%.*s%.*s", SLICE_FMT(piece[0]), SLICE_FMT(piece[1]));
	ring_consume(r, n);
	assert_int_equal(ring_used(r), 0);
	return text;
}

static void
test_order(void **state)
{
	struct ring *r = ring_new(16);
	char text[64];

	(void)state;
	assert_string_equal(take(r, text), "");
	assert_true(put(r, 8, "abcd"));
	assert_true(put(r, 12, "efgh"));	/* up to the very end */
	assert_false(put(r, 9, "x"));
	assert_true(put(r, 8, "ijklmnop"));
	assert_false(put(r, 1, "x"));
	assert_string_equal(take(r, text), "abcdefghijklmnop");
	ring_free(r);
}

static void
test_wrap(void **state)
{
	struct ring *r = ring_new(16);
	struct slice piece[2];
	char text[64];

	(void)state;
	assert_true(put(r, 10, "0123456789"));
	assert_true(put(r, 4, "abcd"));
	ring_consume(r, 8);
	assert_true(put(r, 4, "AB"));		/* not behind abcd: two bytes only are left there */
	assert_false(put(r, 6, "x"));		/* write stays below read */
	assert_true(put(r, 5, "C"));
	assert_int_equal(ring_peek(r, piece), 9);
	assert_int_equal(piece[0].n, 6);
	assert_int_equal(piece[1].n, 3);
	ring_consume(r, 7);			/* into the second piece */
	assert_string_equal(take(r, text), "BC");
	ring_free(r);
}

static void
test_empty_starts_over(void **state)
{
	struct ring *r = ring_new(16);
	char *first = ring_reserve(r, 4), text[64];

	(void)state;
	memcpy(first, "abcd", 4);
	ring_commit(r, 4);
	assert_string_equal(take(r, text), "abcd");
	assert_ptr_equal(ring_reserve(r, 3), first + 4);	/* not yet: three bytes would be all the room */
	memcpy(first + 4, "efghij", 6);
	ring_commit(r, 6);
	assert_string_equal(take(r, text), "efghij");
	assert_ptr_equal(ring_reserve(r, 3), first);
	ring_commit(r, 0);					/* nothing said, nothing moved */
	assert_ptr_equal(ring_reserve(r, 4), first);
	assert_true(put(r, 3, "xyz"));
	assert_string_equal(take(r, text), "xyz");
	assert_null(ring_reserve(r, 17));
	ring_free(r);
}

/* Wherever it became empty, an empty ring takes at least half of its bytes before the consumer does anything. */
static void
test_room_when_empty(void **state)
{
	(void)state;
	for (size_t first = 1; first <= 16; first++) {
		struct ring *r = ring_new(16);
		unsigned taken = 0;

		assert_non_null(ring_reserve(r, first));
		ring_commit(r, first);
		ring_consume(r, first);
		for (; ring_reserve(r, 1) != NULL; taken++)
			ring_commit(r, 1);
		assert_in_range(taken, 8, 16);
		ring_free(r);
	}
}

#define LINES 200000

static void *
produce(void *arg)
{
	struct ring *r = arg;

	for (uint32_t i = 0; i < LINES;) {
		uint32_t n = 4 + i % 29;
		char *to = ring_reserve(r, 64);

		if (to == NULL)
			continue;
		memset(to, (char)i, n);
		memcpy(to, &i, sizeof i);
		ring_commit(r, n);
		i++;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct ring *r = ring_new(256);
	pthread_t producer;

	(void)state;
	assert_int_equal(pthread_create(&producer, NULL, produce, r), 0);
	for (uint32_t i = 0; i < LINES;) {
		struct slice piece[2], at;
		size_t n = ring_peek(r, piece);

		for (unsigned k = 0; k < 2; k++) {
			for (at = piece[k]; at.n != 0; i++) {
				size_t line = 4 + i % 29;
				uint32_t number;

				if (at.n < line)
					fail_msg("line %u is torn", i);
				memcpy(&number, at.p, sizeof number);
				if (number != i || (line > 4 && at.p[line - 1] != (char)i))
					fail_msg("line %u came as %u", i, number);
				at = slice_skip(at, line);
			}
		}
		ring_consume(r, n);
	}
	pthread_join(producer, NULL);
	ring_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_empty_starts_over),
		cmocka_unit_test(test_room_when_empty),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
