/* SPDX-License-Identifier: BSD-2-Clause */
/* Words and descriptors through a socket pair, and what is no word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/handover.h"

static int
make_pair(void **state)
{
	static int pair[2];

	*state = pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int
close_pair(void **state)
{
	int *pair = *state;

	close(pair[0]);
	if (pair[1] != -1)
		close(pair[1]);
	return 0;
}

static void
words_arrive_one_by_one(void **state)
{
	int *pair = *state;
	struct handover_message m;

	assert_true(handover_send(pair[0], HANDOVER_PREPARED, NULL, 0));
	assert_true(handover_send(pair[0], HANDOVER_READY, NULL, 0));
	assert_true(handover_receive(pair[1], &m));
	assert_int_equal(m.word, HANDOVER_PREPARED);
	assert_int_equal(m.fds, 0);
	assert_true(handover_receive(pair[1], &m));
	assert_int_equal(m.word, HANDOVER_READY);
}

static void
descriptors_come_along(void **state)
{
	int *pair = *state, ends[2];
	struct handover_message m;
	char got = 0;

	assert_int_equal(pipe(ends), 0);
	assert_true(handover_send(pair[0], HANDOVER_STATE, ends, 2));
	close(ends[1]);
	assert_true(handover_receive(pair[1], &m));
	assert_int_equal(m.fds, 2);
	assert_int_equal(write(m.fd[1], "x", 1), 1);
	assert_int_equal(read(ends[0], &got, 1), 1);
	assert_int_equal(got, 'x');
	handover_message_fini(&m);
	assert_int_equal(read(ends[0], &got, 1), 0);	/* they are closed */
	close(ends[0]);
}

static void
the_end_is_told_from_nonsense(void **state)
{
	static const char *const nonsense[] = { "", "\1", "\1\7", "\2\0", "\1\0\0" };
	static const size_t length[] = { 1, 1, 2, 2, 3 };
	int *pair = *state;
	struct handover_message m;

	for (unsigned i = 0; i < COUNT(nonsense); i++) {
		assert_int_equal(send(pair[0], nonsense[i], length[i], 0), length[i]);
		assert_false(handover_receive(pair[1], &m));
		assert_int_equal(errno, EPROTO);
	}
	close(pair[0]);
	assert_false(handover_receive(pair[1], &m));
	assert_int_equal(errno, 0);
	pair[0] = pair[1];
	pair[1] = -1;
	assert_false(handover_send(pair[0], HANDOVER_READY, NULL, 0));	/* and no signal */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_arrive_one_by_one, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(descriptors_come_along, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(the_end_is_told_from_nonsense, make_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
