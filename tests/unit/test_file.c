/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as a whole. */
#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
whole(void **state)
{
	static char out[200000], in[sizeof out + 1];
	char path[] = "/tmp/test_file.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	memset(out, 'x', sizeof out);
	assert_true(fd != -1);
	assert_true(file_write(fd, out, sizeof out));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read(fd, in, 10), 10);
	assert_int_equal(file_read(fd, in, sizeof in), sizeof out - 10);
	assert_int_equal(file_read(fd, in, sizeof in), 0);
	close(fd);
	unlink(path);
	assert_int_equal(file_read(-1, in, sizeof in), -1);
	assert_int_equal(errno, EBADF);
}

/* Of a pipe nothing comes in one piece. */
static void
pieces(void **state)
{
	char in[8];
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_true(file_write(fd[1], "abc", 3));
	assert_true(file_write(fd[1], "def", 3));
	close(fd[1]);
	assert_int_equal(file_read(fd[0], in, sizeof in), 6);
	assert_memory_equal(in, "abcdef", 6);
	close(fd[0]);
	assert_false(file_write(fd[0], "x", 1));
	assert_int_equal(errno, EBADF);
}

static void
directories(void **state)
{
	(void)state;
	assert_true(file_sync_directory("/tmp"));
	assert_false(file_sync_directory("/nowhere"));
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(pieces),
		cmocka_unit_test(directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
