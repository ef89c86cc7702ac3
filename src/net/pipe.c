/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipe is as large as the kernel lets it be. Beyond a user's quota (pipe(7), pipe-user-pages-soft) a new one has
 * two pages and can't grow: that is worse than copying. */
#include "net/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPE_LEAST (64 * 1024)
#define PIPES_BARREN 1000

static void
pipe_free(struct pipe *p)
{
	close(p->in);
	close(p->out);
	free(p);
}

static bool
pipe_is_roomy(const struct pipe *p)
{
	return fcntl(p->in, F_SETPIPE_SZ, PIPE_BYTES) != -1 || fcntl(p->in, F_GETPIPE_SZ) >= PIPE_LEAST;
}

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
	if (pipe_is_roomy(p))
		return p;
	pipe_free(p);
	return NULL;
}

struct pipe *
pipe_get(struct pipes *ps)
{
	struct pipe *p = ps->spare;

	if (p != NULL) {
		ps->spare = p->next;
		ps->spares--;
		return p;
	}
	if (ps->made == PIPES_MOST)
		return NULL;
	if (ps->barren != 0) {
		ps->barren--;
		return NULL;
	}
	p = pipe_new();
	if (p != NULL)
		ps->made++;
	else
		ps->barren = PIPES_BARREN;
	return p;
}

void
pipe_put(struct pipes *ps, struct pipe *p)
{
	if (p == NULL)
		return;
	if (p->n != 0 || ps->spares == PIPES_SPARE) {
		ps->made--;
		pipe_free(p);
		return;
	}
	p->next = ps->spare;
	ps->spare = p;
	ps->spares++;
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

bool
pipe_is_unfit(int error)
{
	return error == EINVAL || error == ENOSYS || error == EPERM || error == ENOMEM;
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
