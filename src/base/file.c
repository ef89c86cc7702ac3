/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ssize_t
file_read(int fd, void *to, size_t room)
{
	size_t n = 0;

	while (n < room) {
		ssize_t got = read(fd, (char *)to + n, room - n);

		if (got == 0)
			break;
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)n;
}

bool
file_write(int fd, const void *bytes, size_t n)
{
	const char *from = bytes;

	while (n != 0) {
		ssize_t wrote = write(fd, from, n);

		if (wrote == -1 && errno != EINTR)
			return false;
		if (wrote > 0) {
			from += wrote;
			n -= (size_t)wrote;
		}
	}
	return true;
}

bool
file_sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd != -1 && fsync(fd) == 0;
	int saved = errno;

	if (fd != -1)
		close(fd);
	errno = saved;
	return good;
}
