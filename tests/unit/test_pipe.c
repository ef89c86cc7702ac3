/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes between real sockets: what goes in comes out, what is refused stays, what is lent comes back. */
#include "net/pipe.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "wire.h"

static void
moves_from_socket_to_socket(void **state)
{
	struct pipes ps = { .spare = NULL };
	struct pipe *p = pipe_get(&ps);
	struct wire_got got = { .p = NULL };
	int from[2], to[2];

	(void)state;
	wire_tcp(from);
	wire_tcp(to);
	assert_int_equal(pipe_fill(p, from[1], 100), -1);
	assert_int_equal(errno, EAGAIN);
	wire_say(from[0], "hello, there");
	assert_int_equal(pipe_fill(p, from[1], 5), 5);
	assert_int_equal(p->n, 5);
	assert_true(pipe_drain(p, to[1]));
	assert_int_equal(p->n, 0);
	assert_int_equal(pipe_fill(p, from[1], 100), 7);
	assert_true(pipe_drain(p, to[1]));
	WIRE_UNTIL((struct loop *)*state, (wire_take(to[0], &got, SIZE_MAX), got.n == 12));
	assert_memory_equal(got.p, "hello, there", 12);
	shutdown(from[0], SHUT_WR);
	assert_int_equal(pipe_fill(p, from[1], 100), 0);
	pipe_put(&ps, p);
	pipes_fini(&ps);
	wire_got_free(&got);
	for (unsigned i = 0; i < 2; i++) {
		close(from[i]);
		close(to[i]);
	}
}

static void
what_is_refused_stays(void **state)
{
	struct pipes ps = { .spare = NULL };
	struct pipe *p = pipe_get(&ps);
	struct wire_got got = { .p = NULL };
	int from[2], to[2];
	size_t filled, held;

	(void)state;
	wire_tcp(from);
	wire_tcp(to);
	wire_say(from[0], "the last words");
	filled = wire_fill(to[1]);
	assert_int_equal(pipe_fill(p, from[1], 100), 14);
	assert_false(pipe_drain(p, to[1]));
	assert_int_equal(errno, EAGAIN);
	held = p->n;
	assert_int_not_equal(held, 0);
	WIRE_UNTIL((struct loop *)*state, (wire_take(to[0], &got, SIZE_MAX), pipe_drain(p, to[1])));
	WIRE_UNTIL((struct loop *)*state, (wire_take(to[0], &got, SIZE_MAX), got.n == filled + 14));
	assert_memory_equal(got.p + filled, "the last words", 14);
	wire_reset(to[0]);
	wire_say(from[0], "x");
	WIRE_UNTIL((struct loop *)*state, p->n != 0 || pipe_fill(p, from[1], 100) == 1);
	assert_false(pipe_drain(p, to[1]));
	assert_int_not_equal(errno, EAGAIN);
	pipe_put(&ps, p);
	assert_int_equal(ps.made, 0); /* with what is in it nobody else may have it */
	pipes_fini(&ps);
	wire_got_free(&got);
	close(to[1]);
	close(from[0]);
	close(from[1]);
}

static void
there_are_not_more_than_that(void **state)
{
	struct pipes ps = { .spare = NULL };
	struct pipe *p[PIPES_MOST], *again;

	(void)state;
	for (unsigned i = 0; i < PIPES_MOST; i++) {
		p[i] = pipe_get(&ps);
		assert_non_null(p[i]);
	}
	again = pipe_get(&ps);
	assert_null(again);
	pipe_put(&ps, p[3]);
	again = pipe_get(&ps);
	assert_ptr_equal(again, p[3]);
	for (unsigned i = 0; i < PIPES_MOST; i++)
		pipe_put(&ps, p[i]);
	pipe_put(&ps, NULL);
	assert_int_equal(ps.made, PIPES_SPARE); /* a peak leaves no descriptors behind */
	pipes_fini(&ps);
	assert_null(pipe_get(&(struct pipes){ .made = PIPES_MOST }));
}

static int
setup(void **state)
{
	signal(SIGPIPE, SIG_IGN); /* splice(2) knows no MSG_NOSIGNAL */
	*state = loop_new();
	return *state == NULL;
}

static int
teardown(void **state)
{
	loop_free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_from_socket_to_socket),
		cmocka_unit_test(what_is_refused_stays),
		cmocka_unit_test(there_are_not_more_than_that),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
