/* SPDX-License-Identifier: BSD-2-Clause */
/* A socket's file outlives who made it, so one that is there may be nobody's. */
#include "net/unixsock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define MODE 0660

_Static_assert(UNIXSOCK_PATH_MAX == sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, "as the kernel has it");

bool
unixsock_path_fits(const char *path)
{
	return strlen(path) <= UNIXSOCK_PATH_MAX;
}

static int
unixsock_open(const char *path, int flags, struct sockaddr_un *sa)
{
	if (!unixsock_path_fits(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sa->sun_path, path, strlen(path));
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static int
unixsock_give_up(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int
unixsock_try(const char *path, int flags)
{
	struct sockaddr_un sa;
	int fd = unixsock_open(path, flags, &sa);

	if (fd == -1 || connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	return unixsock_give_up(fd);
}

int
unixsock_connect(const char *path)
{
	return unixsock_try(path, 0);
}

int
unixsock_start(const char *path)
{
	return unixsock_try(path, SOCK_NONBLOCK);
}

/* Makes the name free, if nobody has it. False with errno. */
static bool
unixsock_clear(const char *path)
{
	struct stat st;
	int fd;			/* non-blocking: EAGAIN tells of a long queue, so somebody is there */

	if (lstat(path, &st) == -1)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return false;
	}
	fd = unixsock_start(path);
	if (fd != -1)
		close(fd);
	if (fd != -1 || errno == EAGAIN) {
		errno = EADDRINUSE;
		return false;
	}
	return errno == ECONNREFUSED && unlink(path) == 0;
}

int
unixsock_listen(const char *path)
{
	struct sockaddr_un sa;
	int fd = unixsock_open(path, SOCK_NONBLOCK, &sa);

	if (fd == -1)
		return -1;
	if (!unixsock_clear(path))
		return unixsock_give_up(fd);
	/* The file gets the socket's own mode, less what umask takes, which is the whole process's. */
	if (fchmod(fd, MODE) == 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && chmod(path, MODE) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	return unixsock_give_up(fd);
}
