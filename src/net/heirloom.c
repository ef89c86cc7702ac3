/* SPDX-License-Identifier: BSD-2-Clause */
/* What a descriptor is bound to is asked of itself, so that a list of numbers is all that has to be handed over. */
#include "net/heirloom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/sock.h"

#define LISTEN_FIRST 3		/* SD_LISTEN_FDS_START */

static int
option_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, level, option, &value, &len) == 0 ? value : -1;
}

/* An address is kept as the kernel has it: an IPv4 address in IPv6 would be another's. */
static void
heirloom_identify(struct heirloom *l)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage all;
	} at;
	socklen_t len = sizeof at;

	if (getsockname(l->fd, &at.any, &len) == -1)
		return;
	if (at.any.sa_family == AF_UNIX) {
		if (len > offsetof(struct sockaddr_un, sun_path) && at.un.sun_path[0] != '\0')
			l->path = mem_strdup(at.un.sun_path);
		return;
	}
	if (len > sizeof l->addr.sa)
		return;
	memcpy(&l->addr.sa, &at, len);
	l->addr.len = len;
	l->is_dual = at.any.sa_family == AF_INET6 && option_of(l->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
	l->is_mptcp = option_of(l->fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP;
}

static const char *
heirloom_text(const struct heirloom *l, char text[ADDR_TEXT])
{
	return l->path != NULL ? l->path : addr_text(&l->addr, text);
}

/* Of those that are not: a datagram socket, one that systemd accepts for us (Accept=yes), a file. */
static bool
takes_connections(int fd)
{
	return option_of(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM && option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
}

/* O_NONBLOCK is the open socket's, so its other holders see it too; none of them accepts by blocking. */
static void
heirloom_own(int fd)
{
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void
heirlooms_add(struct heirlooms *h, int fd, const char *name, bool is_lent)
{
	struct heirloom *l;

	if (!takes_connections(fd)) {
		log_warn("inherited descriptor %d%s%s is no socket that connections come to: closed", fd,
		    *name != '\0' ? " " : "", name);
		close(fd);
		return;
	}
	h->item = mem_realloc(h->item, (h->n + 1) * sizeof *h->item);
	l = &h->item[h->n++];
	*l = (struct heirloom){ .fd = fd, .name = mem_strdup(name), .is_lent = is_lent };
	heirloom_own(fd);
	heirloom_identify(l);
}

/* ---- the environment ---- */

/* -1: none, or not a number. */
static long
number_of(const char *text)
{
	char *end;
	long n;

	if (text == NULL || *text == '\0')
		return -1;
	n = strtol(text, &end, 10);
	return *end == '\0' && n >= 0 && n <= INT32_MAX ? n : -1;
}

/* Names are divided by colons, and may be fewer than descriptors. */
static void
heirlooms_take_lent(struct heirlooms *h)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct slice rest = slice_of(names != NULL ? names : "");
	long n = number_of(getenv("LISTEN_FDS"));

	if (number_of(getenv("LISTEN_PID")) != getpid())
		return;
	for (int fd = LISTEN_FIRST; fd - LISTEN_FIRST < n; fd++) {
		char *name = mem_slicedup(slice_cut(&rest, ':'));

		heirlooms_add(h, fd, name, true);
		free(name);
	}
}

static void
heirlooms_take_bequest(struct heirlooms *h)
{
	const char *text = getenv(BEQUEST_VARIABLE);
	char *end;

	for (; text != NULL && *text != '\0'; text = end) {
		long fd = strtol(text, &end, 10);
		bool is_lent = *end == 'l';

		if (end == text || fd < LISTEN_FIRST || fd > INT32_MAX)
			return;
		end += is_lent;
		heirlooms_add(h, (int)fd, "", is_lent);
	}
}

struct heirlooms *
heirlooms_new(void)
{
	struct heirlooms *h = mem_zalloc(sizeof *h);

	heirlooms_take_lent(h);
	heirlooms_take_bequest(h);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv(BEQUEST_VARIABLE);
	return h;
}

void
heirlooms_free(struct heirlooms *h)
{
	char text[ADDR_TEXT];

	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n; i++) {
		struct heirloom *l = &h->item[i];

		if (l->fd != -1) {
			log_warn("inherited socket %s%s%s is not asked for by the configuration: closed",
			    heirloom_text(l, text), *l->name != '\0' ? " " : "", l->name);
			close(l->fd);
		}
		free(l->name);
		free(l->path);
	}
	free(h->item);
	free(h);
}

/* ---- claims ---- */

static bool
is_any_v4(const struct addr *a)
{
	return a->sa.any.sa_family == AF_INET && a->sa.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* What "ListenStream=80" makes. */
static bool
heirloom_serves_any(const struct heirloom *l, unsigned port)
{
	return l->is_dual && IN6_IS_ADDR_UNSPECIFIED(&l->addr.sa.v6.sin6_addr) && addr_port(&l->addr) == port;
}

static bool
heirloom_is_at(const struct heirloom *l, const struct addr *at)
{
	if (l->fd == -1 || l->addr.len == 0)
		return false;
	return addr_eq(&l->addr, at) || (is_any_v4(at) && heirloom_serves_any(l, addr_port(at)));
}

bool
heirlooms_claim(struct heirlooms *h, const struct addr *at, struct heirloom *to)
{
	for (size_t i = 0; h != NULL && i < h->n; i++) {
		struct heirloom *l = &h->item[i];

		if (!heirloom_is_at(l, at))
			continue;
		*to = *l;
		l->fd = -1;
		return true;
	}
	return false;
}

int
heirlooms_claim_path(struct heirlooms *h, const char *path, bool *is_lent)
{
	for (size_t i = 0; h != NULL && i < h->n; i++) {
		struct heirloom *l = &h->item[i];
		int fd = l->fd;

		if (fd == -1 || l->path == NULL || strcmp(l->path, path) != 0)
			continue;
		*is_lent = l->is_lent;
		l->fd = -1;
		return fd;
	}
	return -1;
}

/* ---- what is left to others ---- */

void
bequest_add(struct bequest *b, int fd, bool is_lent)
{
	b->fd = mem_realloc(b->fd, (b->n + 1) * sizeof *b->fd);
	b->is_lent = mem_realloc(b->is_lent, (b->n + 1) * sizeof *b->is_lent);
	b->fd[b->n] = fd;
	b->is_lent[b->n++] = is_lent;
}

char *
bequest_text(const struct bequest *b)
{
	char *text = mem_strdup("");

	for (size_t i = 0; i < b->n; i++) {
		char *more = mem_printf("%s%s%d%s", text, i != 0 ? " " : "", b->fd[i], b->is_lent[i] ? "l" : "");

		free(text);
		text = more;
	}
	return text;
}

void
bequest_fini(struct bequest *b)
{
	free(b->fd);
	free(b->is_lent);
	*b = (struct bequest){ .n = 0 };
}
