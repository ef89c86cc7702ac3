/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose the name is: nobody's, a dead one's, a living one's, a file's. */
#include "net/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/stickyd-unixsock-XXXXXX";
static char path[64];

static int
begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/s", directory);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void
test_listen_and_connect(void **state)
{
	mode_t mask = umask(0);
	int fd = unixsock_listen(path), client, accepted;
	struct stat st;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	client = unixsock_connect(path);
	assert_int_not_equal(client, -1);
	accepted = accept(fd, NULL, NULL);
	assert_int_not_equal(accepted, -1);
	close(client);
	close(accepted);
	assert_int_equal(unixsock_listen(path), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
}

/* With its queue full, too, somebody is there; and asking does not wait. */
static void
test_a_busy_one_is_alive(void **state)
{
	int fd = unixsock_listen(path), client[512], n = 0;

	(void)state;
	assert_int_not_equal(fd, -1);
	for (; n < 512; n++) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };

		strcpy(sa.sun_path, path);
		client[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(client[n], (struct sockaddr *)&sa, sizeof sa) == -1)
			break;
	}
	assert_in_range(n, 1, 511);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(unixsock_listen(path), -1);
	assert_int_equal(errno, EADDRINUSE);
	for (; n >= 0; n--)
		close(client[n]);
	close(fd);
}

static void
test_a_stale_one_is_replaced(void **state)
{
	int fd = unixsock_listen(path);

	(void)state;
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(unixsock_connect(path), -1);
	assert_int_equal(errno, ECONNREFUSED);
	fd = unixsock_listen(path);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void
test_a_file_stays(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(unixsock_listen(path), -1);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(access(path, F_OK), 0);
}

static void
test_a_path_that_is_too_long(void **state)
{
	char longer[UNIXSOCK_PATH_MAX + 2];

	(void)state;
	memset(longer, 'x', sizeof longer);
	longer[UNIXSOCK_PATH_MAX + 1] = '\0';
	assert_false(unixsock_path_fits(longer));
	assert_int_equal(unixsock_listen(longer), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	longer[UNIXSOCK_PATH_MAX] = '\0';
	assert_true(unixsock_path_fits(longer));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_and_connect),
		cmocka_unit_test(test_a_stale_one_is_replaced),
		cmocka_unit_test(test_a_busy_one_is_alive),
		cmocka_unit_test(test_a_stale_one_is_replaced),
		cmocka_unit_test(test_a_file_stays),
		cmocka_unit_test(test_a_path_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
