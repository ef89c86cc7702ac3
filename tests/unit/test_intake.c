/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads gathered from a socket: cut at every byte, behind another request, larger than the intake or than allowed. */
#include "proxy/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

#define REQUEST "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define BEHIND "POST /b"
#define MOST 16384

struct world {
	struct loop *loop;
	struct stream stream;
	int client;
	struct intake intake;
	struct head head;
	enum end_reason why;
};

static void
on_ready(struct stream *s, unsigned what)
{
	(void)s;
	(void)what;
}

static int
setup(void **state)
{
	struct world *w = mem_zalloc(sizeof *w);
	int fd[2];

	w->loop = loop_new();
	wire_pair(fd);
	w->client = fd[0];
	assert_true(stream_init(&w->stream, w->loop, fd[1], NULL, on_ready, w));
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	stream_close(&w->stream);
	if (w->client != -1)
		close(w->client);
	wire_turns(w->loop, 2);
	loop_free(w->loop);
	free(w);
	return 0;
}

static enum intake_result
read_on(struct world *w)
{
	wire_turns(w->loop, 2);
	return intake_read(&w->intake, &w->stream, &w->head, &w->why);
}

static void
any_cut(void **state)
{
	struct world *w = *state;

	for (size_t cut = 0; cut <= strlen(REQUEST); cut++) {
		assert_true(intake_init(&w->intake, MOST, SLICE_NONE));
		wire_write(w->client, REQUEST, cut);
		assert_int_equal(read_on(w), cut == strlen(REQUEST) ? INTAKE_DONE : INTAKE_WAIT);
		assert_int_equal(w->intake.n, cut);
		if (cut != strlen(REQUEST)) {
			wire_say(w->client, &REQUEST BEHIND[cut]);
			assert_int_equal(read_on(w), INTAKE_DONE);
			assert_true(slice_eq(intake_rest(&w->intake), SLICE_LIT(BEHIND)));
		}
		assert_true(slice_eq(w->head.path, SLICE_LIT("/a")));
		intake_fini(&w->intake);
	}
}

/* What the request before left is looked at without a byte more. */
static void
left_over(void **state)
{
	struct world *w = *state;

	assert_true(intake_init(&w->intake, MOST, SLICE_LIT(REQUEST BEHIND)));
	assert_int_equal(read_on(w), INTAKE_DONE);
	assert_true(slice_eq(intake_rest(&w->intake), SLICE_LIT(BEHIND)));
	intake_fini(&w->intake);

	assert_true(intake_init(&w->intake, MOST, SLICE_LIT("GET /a HTTP/1.1\r\n")));
	assert_int_equal(read_on(w), INTAKE_WAIT);
	wire_say(w->client, "Host: h\r\n\r\n");
	assert_int_equal(read_on(w), INTAKE_DONE);
	intake_fini(&w->intake);
}

/* More than the intake itself holds: it moves, and grows no further than the limit. */
static void
sizes(void **state)
{
	static const size_t heads[] = { INTAKE_FIRST - 1, INTAKE_FIRST, INTAKE_FIRST + 1, 3 * INTAKE_FIRST,
		MOST - 1, MOST, MOST + 1 };
	static char text[MOST + 2];
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(heads); i++)
		for (size_t begun = 0; begun <= 2 * INTAKE_FIRST; begun += INTAKE_FIRST) {
			size_t n = heads[i], left = begun < n ? begun : n - 1;
			int used = snprintf(text, sizeof text, "GET /a HTTP/1.1\r\nHost: h\r\nX: ");
			struct slice rest;

			memset(text + used, 'x', n - (size_t)used - 4);
			memcpy(text + n - 4, "\r\n\r\n", 4);
			assert_true(intake_init(&w->intake, MOST, slice_make(text, left)));
			wire_write(w->client, text + left, n - left);
			assert_int_equal(read_on(w), n <= MOST ? INTAKE_DONE : INTAKE_REFUSED);
			if (n <= MOST)
				assert_int_equal(w->intake.h1.head_bytes, n);
			else
				assert_int_equal(w->why, END_HEAD_TOO_LARGE);
			assert_true(w->intake.room <= MOST);
			while (stream_read(&w->stream, NULL, LOOP_SCRATCH, &rest) == STREAM_OK)
				;	/* what was refused unread */
			intake_fini(&w->intake);
		}
}

static void
refused(void **state)
{
	static const struct {
		const char *text;
		enum end_reason why;
	} cases[] = {
		{ "GET  / HTTP/1.1\r\n", END_BAD_REQUEST },
		{ "GET / HTTP/2.0\r\n", END_BAD_VERSION },
		{ "GET / HTTP/1.1\r\nHost : h\r\n", END_BAD_REQUEST },
	};
	struct world *w = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(intake_init(&w->intake, MOST, SLICE_NONE));
		wire_say(w->client, cases[i].text);
		assert_int_equal(read_on(w), INTAKE_REFUSED);
		assert_int_equal(w->why, cases[i].why);
		intake_fini(&w->intake);
	}
}

static void
ends(void **state)
{
	struct world *w = *state;

	assert_true(intake_init(&w->intake, MOST, SLICE_NONE));
	wire_say(w->client, "GET /");
	close(w->client);
	w->client = -1;
	assert_int_equal(read_on(w), INTAKE_END);
	assert_int_equal(w->intake.n, 5);
	intake_fini(&w->intake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(left_over, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
