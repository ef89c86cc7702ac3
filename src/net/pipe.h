/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipe.h - a pipe of the kernel's, by which bytes go from one socket to another without being copied (splice(2)).
 *
 * What is put in are the very pages that the one socket received, and what is taken out is queued on the other. A
 * pipe that is empty serves anybody, so a loop keeps a few (struct pipes) and lends them; one that is not is held by
 * the stream whose socket would not take the rest (stream.h). One worker's. SIGPIPE must be ignored: splice(2) knows
 * no MSG_NOSIGNAL.
 */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/check.h"

/* Lent at the same time, each two descriptors and at most PIPE_BYTES. Beyond that, bytes are copied. */
#define PIPES_MOST 64
#define PIPE_BYTES (256 * 1024)
/* Kept for the next one; the others are closed when they come back. */
#define PIPES_SPARE 4

struct pipe {
	struct pipe *next;
	int in, out;
	size_t n;			/* bytes in it */
};

struct pipes {
	struct pipe *spare;
	unsigned made, spares;
	unsigned barren;		/* a pipe could not be had: so many who ask get none, unasked the kernel */
};

/* Empty; NULL: there are enough, or no more descriptors, or the kernel gives only such small ones that they don't
 * pay. */
struct pipe *pipe_get(struct pipes *ps) MUST_CHECK;
/* With bytes in it, which are lost, it is closed. NULL is fine. */
void pipe_put(struct pipes *ps, struct pipe *p);
void pipes_fini(struct pipes *ps);		/* all must have come back */
/* From a socket: -1 with errno, EAGAIN when nothing has come; 0 at its end, or before urgent data, which splice(2)
 * never passes, so a read must tell which. */
ssize_t pipe_fill(struct pipe *p, int fd, size_t most) MUST_CHECK;
/* Says this error of pipe_fill that the kernel will not have it at all (a filter of system calls, or of another
 * make)? Nothing was taken then. */
bool pipe_is_unfit(int error);
/* To a socket, until the pipe is empty. False with errno, EAGAIN when the socket takes no more. */
bool pipe_drain(struct pipe *p, int fd) MUST_CHECK;

#endif
