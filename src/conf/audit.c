/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References, contradictions and what is missing. A key whose value was wrong has been told already; what would
 * follow from that alone is not told again.
 */
#include "conf/audit.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "conf/nearest.h"
#include "conf/value.h"

struct audit {
	struct conf *conf;
	const struct sections *all;
	struct mistakes *mistakes;
};

#define WRONG(a, s, place, ...) section_wrong(s, (a)->conf, (a)->mistakes, place, __VA_ARGS__)

static bool
is_bad(const struct section *s, const char *key)
{
	return section_key_named(s, key)->is_bad;
}

static bool
is_given(const struct section *s, const char *key)
{
	return section_key_named(s, key)->place.file != NULL;
}

/* name, if it is set, must be a pool's. */
static void
audit_pool_reference(struct audit *a, const struct section *s, const char *name)
{
	char hint[NEAREST_HINT];
	struct nearest n;

	if (name == NULL || conf_pool_find(a->conf, name) != NULL)
		return;
	nearest_init(&n, slice_of(name));
	for (size_t i = 0; i < a->conf->pools; i++)
		nearest_try(&n, a->conf->pool[i].name);
	WRONG(a, s, section_place_of(s, "pool"), "pool", "there is no [pool %s]%s", name, nearest_hint(&n, hint));
}

static bool
is_for_listener(const struct conf_route *r, const char *listener)
{
	for (size_t i = 0; i < r->listener.n; i++)
		if (strcmp(r->listener.item[i], listener) == 0)
			return true;
	return r->listener.n == 0;
}

static bool
has_route(const struct conf *c, const char *listener)
{
	for (size_t i = 0; i < c->routes; i++)
		if (is_for_listener(&c->route[i], listener))
			return true;
	return false;
}

static void
audit_listener_pool(struct audit *a, const struct section *s, const struct conf_listener *l)
{
	const struct conf *c = a->conf;

	audit_pool_reference(a, s, l->pool);
	if (l->pool != NULL || is_bad(s, "pool") || has_route(c, l->name))
		return;
	if (c->pools == 1)
		WRONG(a, s, section_place_of(s, "pool"), "pool",
		    "is missing, and no [route] is for this listener; add 'pool = %s'", c->pool[0].name);
	else
		WRONG(a, s, section_place_of(s, "pool"), "pool",
		    "is missing, and no [route] is for this listener; allowed: "
		    "the name of a [pool NAME] section");
}

static void
audit_listener_tls(struct audit *a, const struct section *s, const struct conf_listener *l)
{
	if (is_bad(s, "tls") || is_bad(s, "certificate"))
		return;
	if (l->tls && l->certificates == 0)
		WRONG(a, s, section_place_of(s, "tls"), "tls", "is yes, but there is no certificate; add "
		    "'certificate = CERTIFICATE KEY'");
	if (!l->tls && l->certificates != 0)
		WRONG(a, s, section_place_of(s, "certificate"), "certificate",
		    "is given, but tls is no; add 'tls = yes'");
}

static struct value_address
bind_address(const char *text)
{
	struct value_address a;
	bool is_bind = value_bind(slice_of(text), &a);

	must(is_bind);		/* only such are kept */
	return a;
}

/* The listener that binds this address, among those up to this one and its own first `binds`. NULL: none does. */
static const struct conf_listener *
bind_owner(const struct conf *c, const struct conf_listener *upto, size_t binds, const struct value_address *wanted)
{
	for (const struct conf_listener *l = c->listener; l <= upto; l++) {
		size_t n = l == upto ? binds : l->bind.n;

		for (size_t i = 0; i < n; i++) {
			struct value_address a = bind_address(l->bind.item[i]);

			if (value_address_eq(&a, wanted))
				return l;
		}
	}
	return NULL;
}

static void
audit_listener_bind(struct audit *a, const struct section *s, const struct conf_listener *l)
{
	if (!is_given(s, "bind"))
		WRONG(a, s, s->place, "bind", "is missing; allowed: ADDRESS:PORT, as 0.0.0.0:443");
	for (size_t i = 0; i < l->bind.n; i++) {
		struct value_address at = bind_address(l->bind.item[i]);
		const struct conf_listener *owner = at.port != 0 ? bind_owner(a->conf, l, i, &at) : NULL;

		if (owner != NULL)
			WRONG(a, s, section_place_of(s, "bind"), "bind",
			    "'%s' is bound by [listener %s] already; allowed: each address once", l->bind.item[i],
			    owner->name);
	}
}

static void
audit_listener(struct audit *a, const struct section *s)
{
	const struct conf_listener *l = &a->conf->listener[s->index];

	audit_listener_bind(a, s, l);
	audit_listener_pool(a, s, l);
	audit_listener_tls(a, s, l);
	if (l->proxy_protocol == CONF_PROXY_REQUIRED && l->trusted_proxies.n == 0 && !is_bad(s, "trusted_proxies"))
		WRONG(a, s, section_place_of(s, "proxy_protocol"), "proxy_protocol",
		    "is required, but nobody is trusted to "
		    "send the header; add 'trusted_proxies = NETWORK'");
}

static void
audit_route_listener(struct audit *a, const struct section *s, const char *name)
{
	char hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, slice_of(name));
	for (size_t i = 0; i < a->conf->listeners; i++) {
		if (strcmp(a->conf->listener[i].name, name) == 0)
			return;
		nearest_try(&n, a->conf->listener[i].name);
	}
	WRONG(a, s, section_place_of(s, "listener"), "listener", "there is no [listener %s]%s", name,
	    nearest_hint(&n, hint));
}

static void
audit_route(struct audit *a, const struct section *s)
{
	const struct conf_route *r = &a->conf->route[s->index];

	for (size_t i = 0; i < r->listener.n; i++)
		audit_route_listener(a, s, r->listener.item[i]);
	audit_pool_reference(a, s, r->pool);
	if (is_bad(s, "pool") || is_bad(s, "redirect"))
		return;
	if (r->pool == NULL && r->redirect.target == NULL)
		WRONG(a, s, s->place, NULL,
		    "has neither pool nor redirect; add 'pool = NAME' or 'redirect = TARGET STATUS'");
	if (r->pool != NULL && r->redirect.target != NULL)
		WRONG(a, s, section_place_of(s, "redirect"), "redirect",
		    "pool is given too; allowed: one of the two");
}

/* The i-th against those before it, whose addresses are known. */
static void
audit_gateway(struct audit *a, const struct section *s, const struct conf_pool *p,
    const struct value_address *address, size_t i)
{
	const struct conf_gateway *g = &p->gateway[i];

	for (size_t j = 0; j < i; j++) {
		const struct conf_gateway *other = &p->gateway[j];

		if (strcmp(other->name, g->name) == 0)
			WRONG(a, s, g->place, "gateway",
			    "the name '%s' is taken by the gateway at %s; allowed: each name once", g->name,
			    other->address);
		if (value_address_eq(&address[j], &address[i]))
			WRONG(a, s, g->place, "gateway",
			    "'%s' is the address of %s already; allowed: each address once", g->address, other->name);
	}
}

static void
audit_gateways(struct audit *a, const struct section *s, const struct conf_pool *p)
{
	struct value_address *address = mem_zalloc((p->gateways + 1) * sizeof *address);

	for (size_t i = 0; i < p->gateways; i++) {
		bool is_address = value_host_port(slice_of(p->gateway[i].address), &address[i]);

		must(is_address);		/* only such are kept */
		audit_gateway(a, s, p, address, i);
	}
	free(address);
}

/* RFC 6265bis, 4.1.3: browsers drop cookies that break what these names promise. */
static void
audit_cookie_prefix(struct audit *a, const struct section *s, const struct conf_cookie *k)
{
	bool is_host = k->name != NULL && strncasecmp(k->name, "__Host-", 7) == 0;
	bool is_secure = k->name != NULL && strncasecmp(k->name, "__Secure-", 9) == 0;
	struct conf_place place = section_place_of(s, "cookie_name");

	if ((is_host || is_secure) && k->secure == CONF_NO)
		WRONG(a, s, place, "cookie_name",
		    "browsers take '%s' only with Secure; set cookie_secure to yes or auto", k->name);
	if (is_host && (k->domain != NULL || (k->path != NULL && strcmp(k->path, "/") != 0)))
		WRONG(a, s, place, "cookie_name",
		    "browsers take '%s' only without cookie_domain and with 'cookie_path = /'", k->name);
}

static void
audit_cookie(struct audit *a, const struct section *s, const struct conf_cookie *k)
{
	audit_cookie_prefix(a, s, k);
	if (is_bad(s, "cookie_secure") || k->secure != CONF_NO)
		return;
	if (k->samesite == CONF_SAMESITE_NONE)
		WRONG(a, s, section_place_of(s, "cookie_samesite"), "cookie_samesite",
		    "browsers take none only with Secure; set "
		    "cookie_secure to yes or auto");
	if (k->partitioned)
		WRONG(a, s, section_place_of(s, "cookie_partitioned"), "cookie_partitioned",
		    "browsers take yes only with Secure; "
		    "set cookie_secure to yes or auto");
}

static void
audit_pool(struct audit *a, const struct section *s)
{
	const struct conf_pool *p = &a->conf->pool[s->index];

	if (!is_given(s, "gateway"))
		WRONG(a, s, s->place, "gateway", "is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000");
	audit_gateways(a, s, p);
	audit_cookie(a, s, &p->cookie);
}

void
audit_conf(struct conf *c, const struct sections *all, const char *file, struct mistakes *m)
{
	struct audit a = { c, all, m };

	if (c->listeners == 0)
		mistakes_add(m, (struct conf_place){ file, 0 },
		    mem_strdup("there is no [listener NAME] section; add at least one"));
	for (size_t i = 0; i < all->n; i++) {
		const struct section *s = &all->item[i];

		if (s->kind == SCHEMA_LISTENER)
			audit_listener(&a, s);
		else if (s->kind == SCHEMA_ROUTE)
			audit_route(&a, s);
		else if (s->kind == SCHEMA_POOL)
			audit_pool(&a, s);
	}
}
