/* SPDX-License-Identifier: BSD-2-Clause */
/* unixsock.h - stream sockets that have a path in place of an address. */
#ifndef NET_UNIXSOCK_H
#define NET_UNIXSOCK_H

#include <stdbool.h>

#include "base/check.h"

/* Of the kernel's structure, without the NUL. */
#define UNIXSOCK_PATH_MAX 107

bool unixsock_path_fits(const char *path);
/* Listens, without blocking; for its owner and group alone from the first moment on. A stale socket is
 * replaced. -1 with errno: EADDRINUSE when somebody answers there, ENOTSOCK when something else has that name. Any
 * thread. */
int unixsock_listen(const char *path) MUST_CHECK;
/* Blocks. -1 with errno. */
int unixsock_connect(const char *path) MUST_CHECK;
/* Does not block, nor does the descriptor. -1 with errno: EAGAIN when its queue is full. */
int unixsock_start(const char *path) MUST_CHECK;

#endif
