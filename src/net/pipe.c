/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipe is as large as the kernel lets it be: one that can't grow moves less at a time. */
#include "net/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pipe *
pipe_new(void)
{
	struct pipe *p = calloc(1, sizeof *p);
	int fd[2];

	if (p == NULL || pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(p);
		return NULL;
	}
	p->out = fd[0];
	p->in = fd[1];
	(void)fcntl(p->in, F_SETPIPE_SZ, PIPE_BYTES);
	return p;
}

static void
pipe_free(struct pipe *p)
{
	close(p->in);
	close(p->out);
	free(p);
}

struct pipe *
pipe_get(struct pipes *ps)
{
	struct pipe *p = ps->spare;

	if (p != NULL) {
		ps->spare = p->next;
		return p;
	}
	if (ps->made == PIPES_MOST)
		return NULL;
	p = pipe_new();
	if (p != NULL)
		ps->made++;
	return p;
}

void
pipe_put(struct pipes *ps, struct pipe *p)
{
	if (p == NULL)
		return;
	if (p->n != 0) {
		ps->made--;
		pipe_free(p);
		return;
	}
	p->next = ps->spare;
	ps->spare = p;
}

void
pipes_fini(struct pipes *ps)
{
	while (ps->spare != NULL) {
		struct pipe *p = ps->spare;

		ps->spare = p->next;
		ps->made--;
		pipe_free(p);
	}
	must(ps->made == 0);
}

ssize_t
pipe_fill(struct pipe *p, int fd, size_t most)
{
	ssize_t n;

	do
		n = splice(fd, NULL, p->in, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		p->n += (size_t)n;
	return n;
}

/* A socket that was refused once tells when it has room again, one that took less than all might not. */
bool
pipe_drain(struct pipe *p, int fd)
{
	ssize_t n;

	while (p->n != 0) {
		n = splice(p->out, NULL, fd, NULL, p->n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n == -1 && errno != EINTR)
			return false;
		must(n != 0);
		if (n > 0)
			p->n -= (size_t)n;
	}
	return true;
}
