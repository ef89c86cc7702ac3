/* SPDX-License-Identifier: BSD-2-Clause */
/* Binding, and the lists of networks. Accepting is acceptor.c's. */
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/sock.h"

#define LISTENER_MAGIC 0x11575e4e

/* The kernel cuts it to net.core.somaxconn. A deploy brings everyone back in one second. */
#define LISTENER_BACKLOG 65535

static struct listener_nets
nets_new(const struct conf_strings *texts)
{
	struct listener_nets nets = { mem_zalloc((texts->n + 1) * sizeof *nets.net), texts->n };

	for (size_t i = 0; i < texts->n; i++)
		must(addr_net_parse(slice_of(texts->item[i]), &nets.net[i]));	/* conf has checked it */
	return nets;
}

static bool
nets_have(const struct listener_nets *nets, const struct addr *a)
{
	for (size_t i = 0; i < nets->n; i++)
		if (addr_is_in(a, &nets->net[i]))
			return true;
	return false;
}

/* SO_REUSEPORT would let two daemons of one user share a port without a word. */
static bool
bind_is_free(const struct addr *a)
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

static bool
listener_bind_one(struct listener *l, struct listener_bind *b, uint64_t vanish_ms)
{
	for (unsigned i = 0; i < l->workers; i++) {
		bool fell_back;
		socklen_t len = sizeof b->addr.sa;

		b->fd[i] = sock_bind(&b->addr, true, l->conf->mptcp, &fell_back);
		if (b->fd[i] == -1)
			return false;
		if (fell_back && i == 0)
			log_warn("listener %s: mptcp: this kernel has no Multipath TCP, listening with plain TCP",
			    l->conf->name);
		sock_set_nodelay(b->fd[i]);
		sock_set_vanish(b->fd[i], vanish_ms);
		if (getsockname(b->fd[i], &b->addr.sa.any, &len) == -1)
			return false;
	}
	return true;
}

static bool
listener_bind_all(struct listener *l, uint64_t vanish_ms, bool check_only, conf_report_fn *report, void *arg)
{
	bool good = true;

	l->bind = mem_zalloc(l->conf->bind.n * sizeof *l->bind);
	for (size_t i = 0; i < l->conf->bind.n; i++) {
		struct listener_bind *b = &l->bind[l->binds++];

		must(addr_parse(slice_of(l->conf->bind.item[i]), &b->addr));
		b->fd = mem_zalloc(l->workers * sizeof *b->fd);
		memset(b->fd, -1, l->workers * sizeof *b->fd);
		if ((check_only || bind_is_free(&b->addr)) && listener_bind_one(l, b, vanish_ms))
			continue;
		if (check_only && errno == EADDRINUSE)
			continue;
		conf_complain(report, arg, l->conf->bind_place, "[listener %s] bind: '%s': %s", l->conf->name,
		    l->conf->bind.item[i], strerror(errno));
		good = false;
	}
	return good;
}

struct listener *
listener_new(const struct conf_listener *cf, unsigned workers, uint64_t vanish_ms, bool check_only,
    conf_report_fn *report, void *arg)
{
	struct listener *l = mem_zalloc(sizeof *l);
	bool good = true;

	l->magic = LISTENER_MAGIC;
	l->conf = cf;
	l->workers = workers;
	l->trusted = nets_new(&cf->trusted_proxies);
	l->allow = nets_new(&cf->allow);
	l->deny = nets_new(&cf->deny);
	l->iplimit = iplimit_new(cf->max_connections_per_ip, cf->new_connections_per_ip);
	if (cf->tls) {
		l->tls = tls_set_new(cf, report, arg);
		good = l->tls != NULL;
	}
	good = listener_bind_all(l, vanish_ms, check_only, report, arg) && good;
	if (good)
		return l;
	listener_free(l);
	return NULL;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->binds; i++) {
		for (unsigned w = 0; w < l->workers; w++)
			if (l->bind[i].fd[w] != -1)
				close(l->bind[i].fd[w]);
		free(l->bind[i].fd);
	}
	free(l->bind);
	free(l->trusted.net);
	free(l->allow.net);
	free(l->deny.net);
	iplimit_free(l->iplimit);
	tls_set_free(l->tls);
	free(l);
}

bool
listener_listen(struct listener *l)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < l->binds; i++) {
		for (unsigned w = 0; w < l->workers; w++) {
			if (listen(l->bind[i].fd[w], LISTENER_BACKLOG) == 0)
				continue;
			log_error("listener %s: cannot listen on %s: %s", l->conf->name,
			    addr_text(&l->bind[i].addr, text), strerror(errno));
			return false;
		}
		log_notice("listener %s: listening on %s%s", l->conf->name, addr_text(&l->bind[i].addr, text),
		    l->tls != NULL ? " (TLS)" : "");
	}
	return true;
}

bool
listener_admits(const struct listener *l, const struct addr *a)
{
	return nets_have(&l->allow, a) && !nets_have(&l->deny, a);
}

bool
listener_trusts(const struct listener *l, const struct addr *peer)
{
	return l->trusted.n != 0 && nets_have(&l->trusted, peer);
}
