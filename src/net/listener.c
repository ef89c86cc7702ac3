/* SPDX-License-Identifier: BSD-2-Clause */
/* Its parts put together, and the lists of networks. Sockets are port.c's, accepting is acceptor.c's. */
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define LISTENER_MAGIC 0x11575e4e
#define LISTENER_TEXT 160

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

/* ---- guests ---- */

static struct listener_guests *
guests_new(const struct conf_listener *cf, unsigned workers)
{
	struct listener_guests *g = mem_zalloc(sizeof *g);

	atomic_init(&g->refs, 1);
	g->iplimit = iplimit_new(cf->max_connections_per_ip, cf->new_connections_per_ip);
	g->handshakes = mem_zalloc(workers * sizeof *g->handshakes);
	g->workers = workers;
	return g;
}

static void
guests_unref(struct listener_guests *g)
{
	if (atomic_fetch_sub(&g->refs, 1) != 1)
		return;
	iplimit_free(g->iplimit);
	free(g->handshakes);
	free(g);
}

/* ---- from nothing ---- */

static void
listener_take_port(struct listener *l, struct port *p)
{
	l->port[l->ports++] = p;
	if (!p->listens)
		port_set_vanish(p, l->vanish_ms);
}

static bool
listener_find_ports(struct listener *l, unsigned workers, struct port_source *ports, bool check_only,
    conf_report_fn *report, void *arg)
{
	const struct conf_listener *cf = l->conf;
	char what[LISTENER_TEXT];
	bool good = true;

	snprintf(what, sizeof what, "listener %s", cf->name);
	l->port = mem_zalloc(cf->bind.n * sizeof(struct port *));
	for (size_t i = 0; i < cf->bind.n; i++) {
		struct addr at;
		struct port *p;

		must(addr_parse(slice_of(cf->bind.item[i]), &at));
		p = port_new(ports, &at, workers, cf->mptcp, what);
		if (p != NULL) {
			listener_take_port(l, p);
		} else if (!check_only || errno != EADDRINUSE) {
			conf_complain(report, arg, cf->bind_place, "[listener %s] bind: '%s': %s", cf->name,
			    cf->bind.item[i], strerror(errno));
			good = false;
		}
	}
	return good;
}

struct listener *
listener_new(const struct conf_listener *cf, unsigned workers, uint64_t vanish_ms, struct port_source *ports,
    bool check_only, conf_report_fn *report, void *arg)
{
	struct listener *l = mem_zalloc(sizeof *l);
	bool good = true;

	workers = port_source_workers(ports, workers);
	l->magic = LISTENER_MAGIC;
	l->conf = cf;
	l->vanish_ms = vanish_ms;
	l->guests = guests_new(cf, workers);
	l->trusted = nets_new(&cf->trusted_proxies);
	l->allow = nets_new(&cf->allow);
	l->deny = nets_new(&cf->deny);
	if (cf->tls) {
		l->tls = tls_set_new(cf, report, arg);
		good = l->tls != NULL;
	}
	good = listener_find_ports(l, workers, ports, check_only, report, arg) && good;
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
	for (size_t i = 0; i < l->ports; i++)
		port_unref(l->port[i]);
	free(l->port);
	free(l->trusted.net);
	free(l->allow.net);
	free(l->deny.net);
	guests_unref(l->guests);
	tls_set_free(l->tls);
	free(l);
}

static bool
listener_listen_at(const struct listener *l, struct port *p, conf_report_fn *report, void *arg)
{
	char text[ADDR_TEXT];
	bool was_there = p->listens;

	addr_text(&p->addr, text);
	if (!port_listen(p)) {
		conf_complain(report, arg, l->conf->bind_place, "[listener %s] bind: '%s': %s", l->conf->name, text,
		    strerror(errno));
		return false;
	}
	if (!was_there)
		log_notice("listener %s: listening on %s%s", l->conf->name, text, l->tls != NULL ? " (TLS)" : "");
	return true;
}

bool
listener_listen(struct listener *l, conf_report_fn *report, void *arg)
{
	bool good = true;

	for (size_t i = 0; i < l->ports; i++)
		good = listener_listen_at(l, l->port[i], report, arg) && good;
	return good;
}

/* ---- a reload ---- */

static void
listener_adopt_guests(struct listener *l, struct listener_guests *g)
{
	atomic_fetch_add(&g->refs, 1);
	guests_unref(l->guests);
	l->guests = g;
	iplimit_set(g->iplimit, l->conf->max_connections_per_ip, l->conf->new_connections_per_ip);
}

void
listener_adopt(struct listener *l, const struct listener *old)
{
	for (size_t i = 0; i < l->ports; i++)
		port_set_vanish(l->port[i], l->vanish_ms);
	if (old == NULL)
		return;
	listener_adopt_guests(l, old->guests);
	if (l->tls != NULL && old->tls != NULL)
		l->tls = tls_set_adopt(l->tls, old->tls);
}

void
listener_offer_ports(const struct listener *l, struct port_source *to)
{
	for (size_t i = 0; i < l->ports; i++)
		port_source_add(to, l->port[i]);
}

/* ---- TLS ---- */

struct tls_context *
listener_tls_context(const struct listener *l, unsigned worker, struct tls_context *before)
{
	if (l->tls == NULL)
		return NULL;
	if (before != NULL && tls_context_is_of(before, l->tls))
		return tls_context_ref(before);
	return tls_context_new(l->tls, &l->guests->handshakes[worker]);
}

struct tls_totals
listener_handshakes(const struct listener *l)
{
	struct tls_totals t = { .full = 0 };

	for (unsigned i = 0; i < l->guests->workers; i++) {
		t.full += counter_read(&l->guests->handshakes[i].full);
		t.resumed += counter_read(&l->guests->handshakes[i].resumed);
		t.failed += counter_read(&l->guests->handshakes[i].failed);
	}
	return t;
}

/* ---- who may come ---- */

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
