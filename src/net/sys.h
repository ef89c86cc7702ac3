/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sys.h - the three system calls that a relayed message takes, as they are.
 *
 * The C library's are cancellation points, which in a process with threads costs each call four atomic operations:
 * beside a relay's other work some 3 % of a message. No thread here is ever cancelled. Under the sanitizers they are
 * the library's, so that these can see what is read and written.
 */
#ifndef NET_SYS_H
#define NET_SYS_H

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SYS_BY_LIBRARY
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SYS_BY_LIBRARY
#endif

#ifdef SYS_BY_LIBRARY
#define sys_recv(fd, to, most, flags) recv(fd, to, most, flags)
#define sys_send(fd, from, n, flags) send(fd, from, n, flags)
#define sys_epoll_wait(fd, events, most, patience_ms) epoll_wait(fd, events, most, patience_ms)
#else
static inline ssize_t
sys_recv(int fd, void *to, size_t most, int flags)
{
	return syscall(SYS_recvfrom, fd, to, most, flags, NULL, NULL);
}

static inline ssize_t
sys_send(int fd, const void *from, size_t n, int flags)
{
	return syscall(SYS_sendto, fd, from, n, flags, NULL, 0);
}

static inline int
sys_epoll_wait(int fd, struct epoll_event *events, int most, int patience_ms)
{
	return (int)syscall(SYS_epoll_pwait, fd, events, most, patience_ms, NULL, 8);
}
#endif

#endif
