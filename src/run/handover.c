/* SPDX-License-Identifier: BSD-2-Clause */
/* Two bytes and descriptors in a packet. */
#include "run/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDOVER_VERSION 1

union handover_control {
	struct cmsghdr align;
	char room[CMSG_SPACE(HANDOVER_DESCRIPTORS * sizeof(int))];
};

bool
handover_send(int socket, enum handover_word word, const int *fd, size_t fds)
{
	unsigned char text[2] = { HANDOVER_VERSION, (unsigned char)word };
	struct iovec io = { text, sizeof text };
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1 };
	union handover_control control;

	must(fds <= HANDOVER_DESCRIPTORS);
	if (fds != 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		h.msg_control = control.room;
		h.msg_controllen = CMSG_SPACE(fds * sizeof *fd);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof *fd);
		memcpy(CMSG_DATA(c), fd, fds * sizeof *fd);
	}
	return sendmsg(socket, &h, MSG_NOSIGNAL) == (ssize_t)sizeof text;
}

static void
take_descriptors(struct msghdr *h, struct handover_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		m->fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof *m->fd;
		memcpy(m->fd, CMSG_DATA(c), m->fds * sizeof *m->fd);
	}
}

bool
handover_receive(int socket, struct handover_message *m)
{
	unsigned char text[2];
	union handover_control control;
	struct iovec io = { text, sizeof text };
	struct msghdr h = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room,
	};
	ssize_t n;

	m->fds = 0;
	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		errno = n == 0 ? 0 : errno;
		return false;
	}
	take_descriptors(&h, m);
	if (n == (ssize_t)sizeof text && text[0] == HANDOVER_VERSION && text[1] < HANDOVER_WORDS &&
	    (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
		m->word = (enum handover_word)text[1];
		return true;
	}
	handover_message_fini(m);
	errno = EPROTO;
	return false;
}

void
handover_message_fini(struct handover_message *m)
{
	for (size_t i = 0; i < m->fds; i++)
		if (m->fd[i] != -1)
			close(m->fd[i]);
	m->fds = 0;
}
