/* SPDX-License-Identifier: BSD-2-Clause */
/* A locked list: letters are rare, a handful in the life of a worker. */
#include "run/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

struct letter {
	struct list link;
	mailbox_fn *fn;
	void *arg;
	size_t number;
};

struct mailbox {
	int fd;
	pthread_mutex_t lock;
	struct list letters;
};

static struct letter *
mailbox_take(struct mailbox *m)
{
	struct letter *l = NULL;

	pthread_mutex_lock(&m->lock);
	if (!list_is_empty(&m->letters)) {
		l = LIST_ENTRY_OF(m->letters.next, struct letter, link);
		list_remove(&l->link);
	}
	pthread_mutex_unlock(&m->lock);
	return l;
}

int
mailbox_fd(const struct mailbox *m)
{
	return m->fd;
}

void
mailbox_deliver(struct mailbox *m)
{
	struct letter *l;
	uint64_t n;

	if (read(m->fd, &n, sizeof n) != sizeof n)
		return;
	while ((l = mailbox_take(m)) != NULL) {
		l->fn(l->arg, l->number);
		free(l);
	}
}

struct mailbox *
mailbox_new(void)
{
	struct mailbox *m;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd == -1)
		return NULL;
	m = mem_zalloc(sizeof *m);
	m->fd = fd;
	must(pthread_mutex_init(&m->lock, NULL) == 0);
	list_init(&m->letters);
	return m;
}

void
mailbox_free(struct mailbox *m)
{
	struct letter *l;

	if (m == NULL)
		return;
	while ((l = mailbox_take(m)) != NULL)
		free(l);
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void
mailbox_post(struct mailbox *m, mailbox_fn *fn, void *arg, size_t number)
{
	struct letter *l = mem_zalloc(sizeof *l);
	uint64_t one = 1;

	*l = (struct letter){ .fn = fn, .arg = arg, .number = number };
	pthread_mutex_lock(&m->lock);
	list_add_tail(&m->letters, &l->link);
	pthread_mutex_unlock(&m->lock);
	must(write(m->fd, &one, sizeof one) == sizeof one);	/* fails at 2^64 - 1 letters unread */
}
