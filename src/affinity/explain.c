/* SPDX-License-Identifier: BSD-2-Clause */
/* First what the text is, then whom it names, then what follows from that. */
#include "affinity/explain.h"

#include <string.h>

#include "affinity/legacy.h"
#include "affinity/moved.h"
#include "pool/rendezvous.h"
#include "store/table.h"

/* ---- what it is ---- */

static bool
is_named(const char *cookie, struct slice name)
{
	return cookie != NULL && slice_eq(slice_of(cookie), name);
}

static bool
selector_is_sealed(const struct conf_selector *s)
{
	return !selector_has_key(s);
}

/* May a sealed value stand in a cookie of this name? An empty name stands for any. */
static bool
selector_has_seal_in(const struct conf_selector *s, const struct conf_cookie *cf, struct slice name)
{
	if (!selector_is_sealed(s))
		return false;
	if (name.n == 0)
		return true;
	if (s->kind == CONF_SELECTOR_COOKIE)
		return is_named(cf->name, name) || is_named(cf->cors_twin, name);
	return is_named(s->name, name);
}

static bool
selector_has_key_in(const struct conf_selector *s, struct slice name)
{
	if (!selector_has_key(s))
		return false;
	if (name.n == 0)
		return true;
	return (s->kind == CONF_SELECTOR_COOKIE_KEY || s->kind == CONF_SELECTOR_LEARN_COOKIE) &&
	    is_named(s->name, name);
}

static bool
any_seal_in(const struct conf_pool *cf, struct slice name)
{
	for (size_t i = 0; i < cf->selectors; i++)
		if (selector_has_seal_in(&cf->selector[i], &cf->cookie, name))
			return true;
	return false;
}

static bool
any_key_in(const struct conf_pool *cf, struct slice name)
{
	for (size_t i = 0; i < cf->selectors; i++)
		if (selector_has_key_in(&cf->selector[i], name))
			return true;
	return false;
}

static bool
has_legacy_in(const struct conf_pool *cf, struct slice name)
{
	return cf->cookie.legacy != NULL && (name.n == 0 || is_named(cf->cookie.legacy, name));
}

/* NAME=VALUE, with what stands behind it in a Set-Cookie field, if the pool knows a cookie of that name: a key may
 * have a "=" in it too. Returns the value. */
static struct slice
explain_take_name(const struct conf_pool *cf, struct slice text, struct slice *name)
{
	struct slice value = text, before = slice_cut(&value, '=');

	*name = SLICE_NONE;
	if (value.p == NULL || before.n == 0)
		return text;
	if (!any_seal_in(cf, before) && !any_key_in(cf, before) && !has_legacy_in(cf, before))
		return text;
	*name = before;
	value = slice_trim(slice_cut(&value, ';'));
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		value = slice_make(value.p + 1, value.n - 2);
	return value;
}

/* ---- whom it names ---- */

static void
explain_set_tag(const struct explain_source *src, uint64_t tag, struct explain *e)
{
	e->gateway = pool_find_tag(src->pool, tag);
	e->home = e->gateway != NULL ? EXPLAIN_BOUND : EXPLAIN_GONE;
}

static void
explain_moves_from(const struct explain_source *src, uint64_t tag, struct explain *e)
{
	e->moves = history_find(src->shared->history, NULL, tag, e->move, EXPLAIN_MOVES);
}

/* Its client was moved away from where it says. */
static void
explain_follow_move(const struct explain_source *src, struct slice seal, uint64_t now_s, struct explain *e)
{
	const struct affinity_shared *shared = src->shared;
	uint64_t tag = moved_to(shared->moved, shared->table, slice_of(src->pool->name), seal, now_s);

	if (tag == 0 || pool_find_tag(src->pool, tag) == NULL)
		return;
	explain_set_tag(src, tag, e);
	e->is_moved = true;
}

/* False: it is no seal at all. */
static bool
explain_seal(const struct explain_source *src, struct slice value, uint64_t now_s, struct explain *e)
{
	struct slice rest = value, seal = slice_cut(&rest, '~');	/* of prefix: then the gateway's own */
	struct seal_binding b = { .tag = 0 };
	const char *why = selector_open(src->sealer, slice_of(src->pool->name), &src->conf->cookie, seal, now_s, &b);

	e->kind = EXPLAIN_SEAL;
	e->why = why != NULL ? why : "";
	if (strcmp(e->why, "malformed") == 0)
		return false;
	if (strcmp(e->why, "forged") == 0)
		return true;
	e->born_s = b.born_s;
	e->seen_s = b.seen_s;
	explain_set_tag(src, b.tag, e);
	explain_moves_from(src, b.tag, e);
	explain_follow_move(src, seal, now_s, e);
	return true;
}

static const struct gateway *
legacy_gateway(const struct pool *p, const struct legacy *l)
{
	for (unsigned i = 0; i < p->gateways; i++) {
		const struct addr *addr = gateway_address(p->gateway[i]);
		unsigned char digest[LEGACY_DIGEST];

		if (legacy_digest(addr, digest) && memcmp(digest, l->digest, sizeof digest) == 0)
			return p->gateway[i];
	}
	return NULL;
}

/* False: it is none. */
static bool
explain_legacy(const struct explain_source *src, struct slice value, uint64_t now_s, struct explain *e)
{
	struct seal_binding times;
	struct legacy l;
	const char *why;

	if (!legacy_parse(value, &l))
		return false;
	e->kind = EXPLAIN_LEGACY;
	e->born_s = times.born_s = l.first_s;
	e->seen_s = times.seen_s = l.last_s;
	why = selector_times_refused(&times, &src->conf->cookie, now_s);
	e->why = why != NULL ? why : "";
	e->gateway = legacy_gateway(src->pool, &l);
	if (e->gateway == NULL) {
		e->why = "unknown";
		return true;
	}
	e->home = EXPLAIN_BOUND;
	explain_moves_from(src, gateway_tag(e->gateway), e);
	return true;
}

struct slice
explain_key(const struct explain *e)
{
	return e->network[0] != '\0' ? slice_of(e->network) : e->text;
}

/* Where it is bound, if it is. */
static bool
explain_look_up(const struct explain_source *src, uint64_t now_s, struct explain *e)
{
	struct table_key k = table_key(src->shared->table, slice_of(src->pool->name), explain_key(e));
	struct table_binding b;

	e->moves = history_find(src->shared->history, &k, 0, e->move, EXPLAIN_MOVES);
	if (!table_peek(src->shared->table, &k, (uint32_t)now_s, &b))
		return false;
	e->born_s = b.born_s;
	e->seen_s = b.seen_s;
	e->confirmed_s = b.confirmed_s;
	explain_set_tag(src, b.tag, e);
	return true;
}

/* An address is a key as the network that `source` makes of it. False: it is none, or nobody looks for it. */
static bool
explain_take_network(const struct explain_source *src, struct explain *e)
{
	const struct conf_pool *cf = src->conf;
	struct addr_net net;
	struct addr a;
	size_t i = 0;

	while (i < cf->selectors && cf->selector[i].kind != CONF_SELECTOR_SOURCE)
		i++;
	if (i == cf->selectors || e->name.n != 0 || !addr_parse_host(e->text, &a))
		return false;
	net = addr_net_of(&a, cf->selector[i].bits_v4, cf->selector[i].bits_v6);
	e->network[addr_net_text(&net, e->network)] = '\0';
	return true;
}

/* An operator asks for a key, and has no signatures at hand: only a wrong one speaks against it. */
static void
explain_as_key(const struct explain_source *src, struct slice value, uint64_t now_s, struct explain *e)
{
	const char *why = NULL;
	bool is_bound;

	e->kind = EXPLAIN_KEY;
	e->text = value;
	if (src->signature != NULL)
		why = signature_check(src->signature, value, &e->text);
	if (why != NULL)
		e->text = value;
	if (why != NULL && strcmp(why, "unsigned") != 0)
		e->why = why;
	is_bound = explain_look_up(src, now_s, e);
	if (!is_bound && explain_take_network(src, e)) {
		e->why = "";		/* nobody signs his address */
		is_bound = explain_look_up(src, now_s, e);
	}
	if (src->conf->assign == CONF_ASSIGN_HASH)
		e->owner = pool_owner(src->pool, rendezvous_hash(explain_key(e)));
	if (!is_bound && e->owner != NULL) {
		e->gateway = e->owner;
		e->home = EXPLAIN_HASHED;
	}
}

/* ---- what follows ---- */

static void
explain_newcomer(const struct explain_source *src, enum explain_fate fate, struct explain *e)
{
	e->fate = pool_has_room(src->pool) ? fate : EXPLAIN_REFUSED;
}

static void
explain_future(const struct explain_source *src, struct explain *e)
{
	static const enum explain_fate fates[] = {
		[AFFINITY_KEEPS] = EXPLAIN_KEPT,
		[AFFINITY_IS_REASSIGNED] = EXPLAIN_REASSIGNED,
		[AFFINITY_IS_REFUSED] = EXPLAIN_REFUSED,
		[AFFINITY_HAS_TO_WAIT] = EXPLAIN_WAITS,
	};
	enum affinity_prospect prospect;

	if (e->why[0] != '\0' || e->home == EXPLAIN_NOWHERE) {
		explain_newcomer(src, EXPLAIN_NEW, e);
		return;
	}
	if (e->home == EXPLAIN_GONE) {
		e->because = "gone";
		explain_newcomer(src, EXPLAIN_REASSIGNED, e);
		return;
	}
	prospect = affinity_prospect(src->conf, e->gateway, true, &e->because);
	if (prospect == AFFINITY_IS_REASSIGNED) {
		explain_newcomer(src, EXPLAIN_REASSIGNED, e);
	} else if (prospect == AFFINITY_KEEPS && e->is_moved) {
		e->fate = EXPLAIN_REASSIGNED;
		e->because = "rebalanced";
	} else {
		e->fate = fates[prospect];
	}
}

/* A text without a name is taken for a cookie where it is one, and for a key where the pool has keys. */
static void
explain_look(const struct explain_source *src, struct slice value, uint64_t now_s, struct explain *e)
{
	bool has_seal = any_seal_in(src->conf, e->name);

	if (has_seal && explain_seal(src, value, now_s, e))
		return;
	if (has_legacy_in(src->conf, e->name) && explain_legacy(src, value, now_s, e))
		return;
	if (any_key_in(src->conf, e->name)) {
		e->why = "";
		explain_as_key(src, value, now_s, e);
	} else if (has_legacy_in(src->conf, e->name) && !has_seal) {
		e->kind = EXPLAIN_LEGACY;
		e->why = "malformed";
	}
}

void
explain_text(const struct explain_source *src, struct slice text, uint64_t now_s, struct explain *e)
{
	struct slice value;

	*e = (struct explain){ .kind = EXPLAIN_NOTHING, .why = "", .because = "" };
	value = explain_take_name(src->conf, text, &e->name);
	explain_look(src, value, now_s, e);
	explain_future(src, e);
}

bool
explain_concerns(const struct explain_source *src, const struct explain *e, const struct conf_selector *s)
{
	switch (e->kind) {
	case EXPLAIN_NOTHING:
		break;
	case EXPLAIN_SEAL:
		return selector_has_seal_in(s, &src->conf->cookie, e->name);
	case EXPLAIN_LEGACY:
		return s->kind == CONF_SELECTOR_COOKIE;
	case EXPLAIN_KEY:
		return selector_has_key_in(s, e->name);
	}
	return false;
}

const char *
explain_kind_name(enum explain_kind kind)
{
	static const char *const names[] = {
		[EXPLAIN_NOTHING] = "nothing",
		[EXPLAIN_SEAL] = "cookie",
		[EXPLAIN_LEGACY] = "legacy-cookie",
		[EXPLAIN_KEY] = "key",
	};

	must((unsigned)kind < COUNT(names));
	return names[kind];
}

const char *
explain_fate_name(enum explain_fate fate)
{
	static const char *const names[] = {
		[EXPLAIN_NEW] = "new",
		[EXPLAIN_KEPT] = "kept",
		[EXPLAIN_REASSIGNED] = "reassigned",
		[EXPLAIN_WAITS] = "waits",
		[EXPLAIN_REFUSED] = "refused",
	};

	must((unsigned)fate < COUNT(names));
	return names[fate];
}
