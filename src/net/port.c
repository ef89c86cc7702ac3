/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding, binding and closing. Accepting is acceptor.c's. */
#include "net/port.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/sock.h"

/* The kernel cuts it to net.core.somaxconn. A deploy brings everyone back in one second. */
#define PORT_BACKLOG 65535

static struct port *
port_make(const struct addr *at, unsigned workers, bool mptcp)
{
	struct port *p = mem_zalloc(sizeof *p);

	atomic_init(&p->refs, 1);
	p->addr = *at;
	p->mptcp = mptcp;
	p->workers = workers;
	return p;
}

static void
port_add_socket(struct port *p, int fd)
{
	p->socket = mem_realloc(p->socket, (p->sockets + 1) * sizeof *p->socket);
	p->socket[p->sockets++].fd = fd;
	sock_set_nodelay(fd);
}

/* When all are there: as port_share_at() has it. */
static void
port_share_out(struct port *p)
{
	unsigned n = p->sockets;

	for (unsigned i = 0; i < n; i++)
		atomic_init(&p->socket[i].users, n < p->workers ? (p->workers - i + n - 1) / n : 1);
}

unsigned
port_share(const struct port *p, unsigned worker)
{
	must(worker < p->workers);
	return p->sockets < p->workers ? 1 : (p->sockets - worker + p->workers - 1) / p->workers;
}

unsigned
port_share_at(const struct port *p, unsigned worker, unsigned i)
{
	return p->sockets < p->workers ? worker % p->sockets : worker + i * p->workers;
}

bool
port_is_shared(const struct port *p)
{
	return p->sockets < p->workers;
}

struct port *
port_ref(struct port *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void
port_unref(struct port *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < p->sockets; i++)
		if (atomic_load(&p->socket[i].users) != 0)
			close(p->socket[i].fd);
	free(p->socket);
	free(p);
}

/* ---- where it comes from ---- */

void
port_source_add(struct port_source *s, struct port *p)
{
	s->port = mem_realloc(s->port, (s->ports + 1) * sizeof(struct port *));
	s->port[s->ports++] = port_ref(p);
}

void
port_source_fini(struct port_source *s)
{
	for (size_t i = 0; i < s->ports; i++)
		port_unref(s->port[i]);
	free(s->port);
	*s = (struct port_source){ .ports = 0 };
}

unsigned
port_source_workers(const struct port_source *s, unsigned wanted)
{
	return s != NULL && s->ports != 0 ? s->port[0]->workers : wanted;
}

/* Plain TCP and Multipath TCP are different sockets: one can't become the other. */
static struct port *
port_find(const struct port_source *s, const struct addr *at, bool mptcp)
{
	for (size_t i = 0; s != NULL && i < s->ports; i++)
		if (s->port[i]->mptcp == mptcp && addr_eq(&s->port[i]->addr, at))
			return port_ref(s->port[i]);
	return NULL;
}

static struct port *
port_inherit(struct port_source *s, const struct addr *at, unsigned workers, bool mptcp, const char *what)
{
	struct heirloom found;
	struct port *p;

	if (s == NULL || !heirlooms_claim(s->inherited, at, &found))
		return NULL;
	p = port_make(at, workers, mptcp);
	p->is_lent = found.is_lent;
	do
		port_add_socket(p, found.fd);
	while (heirlooms_claim(s->inherited, at, &found));
	port_share_out(p);
	if (found.is_mptcp != mptcp)
		log_warn("%s: mptcp: the inherited socket %s Multipath TCP, and stays as it is", what,
		    mptcp ? "has no" : "has");
	return p;
}

static bool
is_any(const struct addr *a)
{
	if (a->sa.any.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&a->sa.v6.sin6_addr);
	return a->sa.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static bool
overlaps(const struct addr *a, const struct addr *b)
{
	if (a->sa.any.sa_family != b->sa.any.sa_family || addr_port(a) != addr_port(b))
		return false;
	return is_any(a) || is_any(b) || addr_eq(a, b);
}

/* Then it is ours that is in the way: as when "127.0.0.1:80" becomes "*:80", or mptcp is turned on. */
static bool
is_beside_ours(const struct port_source *s, const struct addr *at)
{
	for (size_t i = 0; s != NULL && i < s->ports; i++)
		if (overlaps(&s->port[i]->addr, at))
			return true;
	return false;
}

/* SO_REUSEPORT would let two daemons of one user share a port without a word. */
static bool
is_free(const struct addr *a)
{
	bool fell_back;
	int fd = addr_port(a) != 0 ? sock_bind(a, false, false, &fell_back) : -1;

	if (fd == -1)
		return addr_port(a) == 0 || errno != EADDRINUSE;
	/* With SO_REUSEADDR alone, bind succeeds beside a bound socket that does not listen: only listening tells. */
	if (listen(fd, 1) == -1 && errno == EADDRINUSE) {
		close(fd);
		errno = EADDRINUSE;
		return false;
	}
	close(fd);
	return true;
}

/* The first socket finds the true port where 0 was asked for. */
static bool
port_bind_one(struct port *p, const char *what)
{
	socklen_t len = sizeof p->addr.sa;
	bool fell_back;
	int fd = sock_bind(&p->addr, true, p->mptcp, &fell_back);

	if (fd == -1)
		return false;
	if (fell_back && p->sockets == 0)
		log_warn("%s: mptcp: this kernel has no Multipath TCP, listening with plain TCP", what);
	port_add_socket(p, fd);
	return getsockname(fd, &p->addr.sa.any, &len) == 0;
}

static struct port *
port_bind(const struct addr *at, unsigned workers, bool mptcp, const char *what)
{
	struct port *p = port_make(at, workers, mptcp);
	bool good = true;
	int saved;

	while (good && p->sockets < workers)
		good = port_bind_one(p, what);
	saved = errno;
	port_share_out(p);
	if (good)
		return p;
	port_unref(p);
	errno = saved;
	return NULL;
}

struct port *
port_new(struct port_source *s, const struct addr *at, unsigned workers, bool mptcp, const char *what)
{
	struct port *p = port_find(s, at, mptcp);

	if (p == NULL)
		p = port_inherit(s, at, workers, mptcp, what);
	if (p != NULL)
		return p;
	return is_beside_ours(s, at) || is_free(at) ? port_bind(at, workers, mptcp, what) : NULL;
}

/* ---- in use ---- */

bool
port_listen(struct port *p)
{
	for (unsigned i = 0; i < p->sockets && !p->listens; i++)
		if (listen(p->socket[i].fd, PORT_BACKLOG) == -1)
			return false;
	p->listens = true;
	return true;
}

void
port_set_vanish(struct port *p, uint64_t timeout_ms)
{
	for (unsigned i = 0; i < p->sockets && p->vanish_ms != timeout_ms; i++)
		sock_set_vanish(p->socket[i].fd, timeout_ms);
	p->vanish_ms = timeout_ms;
}

void
port_bequeath(const struct port *p, struct bequest *to)
{
	for (unsigned i = 0; i < p->sockets; i++)
		if (atomic_load(&p->socket[i].users) != 0)
			bequest_add(to, p->socket[i].fd, p->is_lent);
}

/* ---- its end ---- */

bool
port_leave(struct port *p, unsigned socket)
{
	return atomic_fetch_sub(&p->socket[socket].users, 1) == 1;
}

/* A socket's filter sees what is meant for it from the TCP header on. Handshakes that are under way are completed,
 * since their last segment is no SYN. */
void
port_refuse_newcomers(struct port *p, unsigned socket)
{
	static struct sock_filter drop_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),		/* the flags (RFC 9293, 3.1) */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = { COUNT(drop_syn), drop_syn };

	(void)setsockopt(p->socket[socket].fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void
port_close(struct port *p, unsigned socket)
{
	close(p->socket[socket].fd);
}
