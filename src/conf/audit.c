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

static struct value_address
bind_address(const char *text)
{
	struct value_address a;
	bool is_bind = value_bind(slice_of(text), &a);

	must(is_bind);		/* only such are kept */
	return a;
}

/* ---- [admin] ---- */

static bool
is_loopback(const struct value_address *a)
{
	static const unsigned char v6[16] = { [15] = 1 };

	return a->family == VALUE_IPV4 ? a->ip[0] == 127 : memcmp(a->ip, v6, sizeof v6) == 0;
}

static void
audit_admin(struct audit *a, const struct section *s)
{
	const struct conf_admin *admin = &a->conf->admin;
	struct value_address at;

	if (admin->listen == NULL || admin->token_file != NULL || is_bad(s, "token_file"))
		return;
	at = bind_address(admin->listen);
	if (!is_loopback(&at))
		WRONG(a, s, section_place_of(s, "listen"), "listen",
		    "'%s' is not on loopback, and there is no token; add 'token_file = FILE'", admin->listen);
}

/* ---- listeners ---- */

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

/* ---- routes ---- */

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

/* ---- pools ---- */

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
audit_cookie_prefix(struct audit *a, const struct section *s, const struct conf_cookie *k, const char *key,
    const char *name, bool is_secure)
{
	bool is_host = name != NULL && strncasecmp(name, "__Host-", 7) == 0;
	bool needs_secure = is_host || (name != NULL && strncasecmp(name, "__Secure-", 9) == 0);
	struct conf_place place = section_place_of(s, key);

	if (needs_secure && !is_secure)
		WRONG(a, s, place, key,
		    "browsers take '%s' only with Secure; set cookie_secure to yes or auto", name);
	if (is_host && (k->domain != NULL || (k->path != NULL && strcmp(k->path, "/") != 0)))
		WRONG(a, s, place, key, "browsers take '%s' only without cookie_domain and with 'cookie_path = /'",
		    name);
}

static void
audit_cookie(struct audit *a, const struct section *s, const struct conf_cookie *k)
{
	audit_cookie_prefix(a, s, k, "cookie_name", k->name, k->secure != CONF_NO);
	audit_cookie_prefix(a, s, k, "cookie_cors_twin", k->cors_twin, true);
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

static bool
is_kind(const struct conf_selector *sel, unsigned kinds)
{
	return BIT(sel->kind) & kinds;
}

/* Whether the pool has a selector of one of these kinds. */
static bool
has_selector(const struct conf_pool *p, unsigned kinds)
{
	for (size_t i = 0; i < p->selectors; i++)
		if (is_kind(&p->selector[i], kinds))
			return true;
	return false;
}

/* Whose value is ours, wholly or in part. */
#define SEALED_KINDS (BIT(CONF_SELECTOR_REWRITE) | BIT(CONF_SELECTOR_PREFIX))
#define COOKIE_KINDS (SEALED_KINDS | BIT(CONF_SELECTOR_COOKIE_KEY) | BIT(CONF_SELECTOR_LEARN_COOKIE))
/* What a client could make up, so that a signature can be asked for. */
#define SIGNED_KINDS (BIT(CONF_SELECTOR_HEADER) | BIT(CONF_SELECTOR_QUERY) | BIT(CONF_SELECTOR_PATH) | \
    BIT(CONF_SELECTOR_COOKIE_KEY) | BIT(CONF_SELECTOR_SUBPROTOCOL))
#define KEY_KINDS (SIGNED_KINDS | BIT(CONF_SELECTOR_SOURCE) | BIT(CONF_SELECTOR_LEARN_HEADER) | \
    BIT(CONF_SELECTOR_LEARN_COOKIE))

/* Keys that mean nothing without a selector they are about. */
static void
audit_needed_selectors(struct audit *a, const struct section *s, const struct conf_pool *p)
{
	const struct {
		const char *key;
		bool is_set;
		unsigned kinds;
		const char *what;
	} needs[] = {
		{ "assign", p->assign == CONF_ASSIGN_HASH, KEY_KINDS,
		  "is hash, but affinity has no key to go by; add one, as header:X-Player-Id" },
		{ "duplicate", p->duplicate == CONF_DUPLICATE_CLOSE_OLD, KEY_KINDS,
		  "is close-old, but affinity has no key to go by; add one, as header:X-Player-Id" },
		{ "key_secret_file", p->key_secret_file != NULL, SIGNED_KINDS,
		  "is given, but affinity has no key that can be signed; add one, as header:X-Player-Id" },
		{ "cookie_cors_twin", p->cookie.cors_twin != NULL, BIT(CONF_SELECTOR_COOKIE),
		  "is given, but 'cookie' is not in affinity; add it" },
		{ "cookie_legacy", p->cookie.legacy != NULL, BIT(CONF_SELECTOR_COOKIE),
		  "is given, but 'cookie' is not in affinity; add it" },
	};

	for (size_t i = 0; i < COUNT(needs); i++)
		if (needs[i].is_set && !has_selector(p, needs[i].kinds))
			WRONG(a, s, section_place_of(s, needs[i].key), needs[i].key, "%s", needs[i].what);
}

static bool
is_same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The key of the pool that has this name for a cookie; NULL: none. */
static const char *
cookie_key_named(const struct conf_cookie *k, const char *name)
{
	if (is_same_name(k->name, name))
		return "cookie_name";
	if (is_same_name(k->cors_twin, name))
		return "cookie_cors_twin";
	return is_same_name(k->legacy, name) ? "cookie_legacy" : NULL;
}

/* A selector's cookie against ours, and against those of selectors before it: what is sealed is nobody's key. */
static void
audit_selector_cookie(struct audit *a, const struct section *s, const struct conf_pool *p,
    const struct conf_selector *sel)
{
	const char *taken = cookie_key_named(&p->cookie, sel->name);
	struct conf_place place = section_place_of(s, "affinity");

	if (taken != NULL)
		WRONG(a, s, place, "affinity", "'%s' is the cookie of %s; allowed: each cookie in one use", sel->text,
		    taken);
	for (const struct conf_selector *other = p->selector; other < sel; other++)
		if (is_kind(other, COOKIE_KINDS) && is_same_name(other->name, sel->name) &&
		    (is_kind(other, SEALED_KINDS) || is_kind(sel, SEALED_KINDS)))
			WRONG(a, s, place, "affinity", "'%s' is the cookie of '%s'; allowed: each cookie in one use",
			    sel->text, other->text);
}

/* The legacy cookie may have our name: then it is replaced, else it is ended. */
static void
audit_cookie_names(struct audit *a, const struct section *s, const struct conf_pool *p)
{
	const struct conf_cookie *k = &p->cookie;

	if (is_same_name(k->cors_twin, k->name))
		WRONG(a, s, section_place_of(s, "cookie_cors_twin"), "cookie_cors_twin",
		    "'%s' is the cookie of cookie_name; allowed: each cookie in one use", k->cors_twin);
	if (is_same_name(k->legacy, k->cors_twin))
		WRONG(a, s, section_place_of(s, "cookie_legacy"), "cookie_legacy",
		    "'%s' is the cookie of cookie_cors_twin; allowed: each cookie in one use", k->legacy);
	for (size_t i = 0; i < p->selectors; i++)
		if (is_kind(&p->selector[i], COOKIE_KINDS))
			audit_selector_cookie(a, s, p, &p->selector[i]);
}

/* Whoever says whom to trust takes it that somebody is asked for a certificate. */
static void
audit_gateway_tls(struct audit *a, const struct section *s, const struct conf_pool *p)
{
	if (p->gateway_tls || is_bad(s, "gateway_tls"))
		return;
	if (p->gateway_ca != NULL)
		WRONG(a, s, section_place_of(s, "gateway_ca"), "gateway_ca",
		    "is given, but gateway_tls is no; add 'gateway_tls = yes'");
	if (p->gateway_sni != NULL)
		WRONG(a, s, section_place_of(s, "gateway_sni"), "gateway_sni",
		    "is given, but gateway_tls is no; add 'gateway_tls = yes'");
}

static void
audit_pool(struct audit *a, const struct section *s)
{
	const struct conf_pool *p = &a->conf->pool[s->index];

	if (!is_given(s, "gateway"))
		WRONG(a, s, s->place, "gateway", "is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000");
	audit_gateways(a, s, p);
	audit_gateway_tls(a, s, p);
	audit_cookie(a, s, &p->cookie);
	audit_cookie_names(a, s, p);
	if (!is_bad(s, "affinity"))
		audit_needed_selectors(a, s, p);
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

		if (s->kind == SCHEMA_ADMIN)
			audit_admin(&a, s);
		else if (s->kind == SCHEMA_LISTENER)
			audit_listener(&a, s);
		else if (s->kind == SCHEMA_ROUTE)
			audit_route(&a, s);
		else if (s->kind == SCHEMA_POOL)
			audit_pool(&a, s);
	}
}
