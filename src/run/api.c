/* SPDX-License-Identifier: BSD-2-Clause */
/* The table is at the end; what it names stands before it, in the same order. */
#include "run/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/nearest.h"
#include "http/uri.h"
#include "run/metrics.h"
#include "run/view.h"

enum param { PARAM_KEY, PARAM_POOL, PARAM_GATEWAY, PARAM_TEXT };
#define PARAMS (PARAM_TEXT + 1)

static const char *const param_names[PARAMS] = {
	[PARAM_KEY] = "key", [PARAM_POOL] = "pool", [PARAM_GATEWAY] = "gateway", [PARAM_TEXT] = "text",
};

struct api {
	struct daemon *daemon;
	struct sealer *sealer;
};

/* A call that has been found good. */
struct call {
	struct api *api;
	struct daemon *daemon;
	struct slice param[PARAMS];	/* decoded; p == NULL: not given */
	uint64_t now_s;
	struct api_answer *answer;
};

struct api *
api_new(struct daemon *d)
{
	struct api *a = mem_zalloc(sizeof *a);

	a->daemon = d;
	a->sealer = sealer_new(d->ring);
	if (a->sealer != NULL)
		return a;
	api_free(a);
	return NULL;
}

void
api_free(struct api *a)
{
	if (a == NULL)
		return;
	sealer_free(a->sealer);
	free(a);
}

/* ---- answers ---- */

/* Takes over the value. */
static void
answer_json(struct api_answer *answer, unsigned status, json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;

	must(text != NULL);	/* it is ours, and there is memory (mem.h) */
	json_decref(value);
	api_answer_fini(answer);
	answer->status = status;
	answer->type = "application/json";
	answer->body = mem_printf("%s\n", text);
	answer->bytes = strlen(answer->body);
	free(text);
}

void
api_refuse(struct api_answer *answer, unsigned status, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = mem_vprintf(fmt, args);
	va_end(args);
	answer_json(answer, status, json_pack("{s:s}", "error", text));
	free(text);
}

void
api_answer_fini(struct api_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}

/* ---- whom a call means ---- */

static bool
call_has(const struct call *c, enum param p)
{
	return c->param[p].p != NULL;
}

static bool
call_means_pool(const struct call *c, size_t pool)
{
	return !call_has(c, PARAM_POOL) || slice_eq(c->param[PARAM_POOL], slice_of(c->daemon->pool[pool]->name));
}

/* False: refused. */
static bool
call_check_pool(struct call *c)
{
	char hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, c->param[PARAM_POOL]);
	for (size_t i = 0; i < c->daemon->pools; i++) {
		if (call_means_pool(c, i))
			return true;
		nearest_try(&n, c->daemon->pool[i]->name);
	}
	api_refuse(c->answer, 404, "there is no such pool%s", nearest_hint(&n, hint));
	return false;
}

static bool
call_check_key(struct call *c)
{
	if (c->param[PARAM_KEY].n == 0 || c->param[PARAM_KEY].n > SELECTOR_KEY_MAX) {
		api_refuse(c->answer, 400, "a key has 1 to %d bytes", SELECTOR_KEY_MAX);
		return false;
	}
	return call_check_pool(c);
}

static bool
pool_has_keys(const struct conf_pool *cf)
{
	for (size_t i = 0; i < cf->selectors; i++)
		if (selector_has_key(&cf->selector[i]))
			return true;
	return false;
}

/* Keys of a pool that hashes are this process's own affair. */
static bool
pool_has_store(const struct daemon *d, size_t pool)
{
	return d->store != NULL && d->pool[pool]->conf->assign == CONF_ASSIGN_TABLE &&
	    pool_has_keys(d->pool[pool]->conf);
}

static struct slice
pool_name(const struct daemon *d, size_t pool)
{
	return slice_of(d->pool[pool]->name);
}

static struct table_key
call_table_key(const struct call *c, size_t pool)
{
	return table_key(c->daemon->shared.table, pool_name(c->daemon, pool), c->param[PARAM_KEY]);
}

/* What a shared store says of a key in this pool; NULL: it is not to be asked. */
static json_t *
call_ask_store(const struct call *c, size_t pool, struct slice key, bool *is_bound)
{
	char name[256] = "";
	const char *why = NULL;
	bool heard;

	if (!pool_has_store(c->daemon, pool))
		return NULL;
	heard = store_shared_look(c->daemon->store, pool_name(c->daemon, pool), key, name, &why);
	*is_bound = heard && name[0] != '\0';
	return view_stored(heard ? name : NULL, why);
}

/* ---- status, gateways ---- */

static void
get_status(struct call *c)
{
	answer_json(c->answer, 200, view_status(c->daemon, c->now_s));
}

static void
get_gateways(struct call *c)
{
	answer_json(c->answer, 200, view_gateways(c->daemon));
}

static void
get_metrics(struct call *c)
{
	FILE *to = open_memstream(&c->answer->body, &c->answer->bytes);

	must(to != NULL);
	metrics_print(c->daemon, to);
	must(fclose(to) == 0);
	c->answer->status = 200;
	c->answer->type = METRICS_TYPE;
}

/* ---- the table ---- */

static void
get_count(struct call *c)
{
	answer_json(c->answer, 200, view_table(c->daemon));
}

/* NULL: neither the table nor the store has it. */
static json_t *
call_look_up(const struct call *c, size_t pool)
{
	struct table_key k = call_table_key(c, pool);
	struct table_binding b;
	bool here = table_peek(c->daemon->shared.table, &k, (uint32_t)c->now_s, &b), there = false;
	json_t *stored = call_ask_store(c, pool, c->param[PARAM_KEY], &there);

	if (here || there)
		return view_binding(c->daemon->pool[pool], here ? &b : NULL, stored, c->now_s);
	json_decref(stored);
	return NULL;
}

static void
get_binding(struct call *c)
{
	json_t *list;

	if (!call_check_key(c))
		return;
	list = json_array();
	for (size_t i = 0; i < c->daemon->pools; i++) {
		json_t *binding = call_means_pool(c, i) ? call_look_up(c, i) : NULL;

		if (binding != NULL)
			json_array_append_new(list, binding);
	}
	if (json_array_size(list) != 0) {
		answer_json(c->answer, 200, json_pack("{s:o}", "bindings", list));
		return;
	}
	json_decref(list);
	api_refuse(c->answer, 404, "the key is not bound");
}

/* A gateway's name, or POOL/NAME; alone it must stand in one pool only. NULL: refused. */
static struct gateway *
call_find_gateway(struct call *c, size_t *pool)
{
	struct slice name = c->param[PARAM_GATEWAY], before = slice_cut(&name, '/');
	struct gateway *found = NULL;
	char hint[NEAREST_HINT];
	struct nearest n;
	unsigned many = 0;

	if (name.p == NULL) {
		name = before;
		before = SLICE_NONE;
	}
	nearest_init(&n, name);
	for (size_t i = 0; i < c->daemon->pools; i++) {
		struct pool *p = c->daemon->pool[i];
		struct gateway *g = pool_find_name(p, name);

		if (!call_means_pool(c, i) || (before.p != NULL && !slice_eq(before, slice_of(p->name))))
			continue;
		for (unsigned k = 0; k < p->gateways; k++)
			nearest_try(&n, p->gateway[k]->name);
		if (g == NULL)
			continue;
		found = g;
		*pool = i;
		many++;
	}
	if (many == 1)
		return found;
	if (many == 0)
		api_refuse(c->answer, 404, "there is no such gateway%s", nearest_hint(&n, hint));
	else
		api_refuse(c->answer, 409, "%u pools have a gateway of that name: say POOL/NAME", many);
	return NULL;
}

/* From where the table had it before. */
static void
call_bind(const struct call *c, size_t pool, const struct gateway *g)
{
	struct table_key k = call_table_key(c, pool);
	struct history_move m = { .key = k, .to = g->tag, .at_s = c->now_s, .why = "operator" };

	if (table_bind(c->daemon->shared.table, &k, g->tag, (uint32_t)c->now_s, pool_has_store(c->daemon, pool),
		&m.from) == TABLE_MOVED)
		history_add(c->daemon->shared.history, &m);
	log_notice("pool %s: an operator has bound a key to gateway %s", c->daemon->pool[pool]->name, g->name);
}

static void
put_binding(struct call *c)
{
	const char *why = NULL;
	struct gateway *g;
	json_t *binding;
	size_t pool = 0;

	if (!call_check_key(c))
		return;
	g = call_find_gateway(c, &pool);
	if (g == NULL)
		return;
	if (!pool_has_keys(c->daemon->pool[pool]->conf)) {
		api_refuse(c->answer, 409, "pool %s has no selector that finds a key", c->daemon->pool[pool]->name);
		return;
	}
	if (pool_has_store(c->daemon, pool) &&
	    !store_shared_set(c->daemon->store, pool_name(c->daemon, pool), c->param[PARAM_KEY], g->name, &why)) {
		api_refuse(c->answer, 503, "the store: %s; nothing was changed", why);
		return;
	}
	call_bind(c, pool, g);
	binding = call_look_up(c, pool);
	answer_json(c->answer, 200, json_pack("{s:[o]}", "bindings", binding));
}

/* False: refused. */
static bool
call_unbind(struct call *c, size_t pool, unsigned *n)
{
	struct table_key k = call_table_key(c, pool);
	const char *why = NULL;
	bool there = false;

	json_decref(call_ask_store(c, pool, c->param[PARAM_KEY], &there));
	if (pool_has_store(c->daemon, pool) &&
	    !store_shared_set(c->daemon->store, pool_name(c->daemon, pool), c->param[PARAM_KEY], NULL, &why)) {
		api_refuse(c->answer, 503, "the store: %s; nothing was changed", why);
		return false;
	}
	if (!table_forget(c->daemon->shared.table, &k) && !there)
		return true;
	log_notice("pool %s: an operator has deleted a key's binding", c->daemon->pool[pool]->name);
	(*n)++;
	return true;
}

static void
delete_binding(struct call *c)
{
	unsigned n = 0;

	if (!call_check_key(c))
		return;
	for (size_t i = 0; i < c->daemon->pools; i++)
		if (call_means_pool(c, i) && !call_unbind(c, i, &n))
			return;
	if (n != 0)
		answer_json(c->answer, 200, json_pack("{s:i}", "deleted", (int)n));
	else
		api_refuse(c->answer, 404, "the key is not bound");
}

/* ---- explain ---- */

static struct explain_source
call_source(const struct call *c, size_t pool)
{
	struct daemon *d = c->daemon;

	return (struct explain_source){
		.conf = d->pool[pool]->conf, .pool = d->pool[pool], .shared = &d->shared, .sealer = c->api->sealer,
		.signature = affinity_signature(d->service[pool].affinity),
	};
}

/* A pool that knows nothing is left out where another knows something: a cookie is one pool's. */
static json_t *
call_explain(const struct call *c, bool only_known)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->daemon->pools; i++) {
		struct explain_source src = call_source(c, i);
		json_t *stored = NULL;
		struct explain e;
		bool there = false;

		if (!call_means_pool(c, i))
			continue;
		explain_text(&src, c->param[PARAM_TEXT], c->now_s, &e);
		if (e.kind == EXPLAIN_KEY)
			stored = call_ask_store(c, i, explain_key(&e), &there);
		if (!only_known || e.home == EXPLAIN_BOUND || e.home == EXPLAIN_GONE || there)
			json_array_append_new(list, view_explain(&src, &e, stored, c->now_s));
		else
			json_decref(stored);
	}
	return list;
}

static void
get_explanation(struct call *c)
{
	json_t *list;

	if (!call_check_pool(c))
		return;
	list = call_explain(c, true);
	if (json_array_size(list) == 0) {
		json_decref(list);
		list = call_explain(c, false);
	}
	answer_json(c->answer, 200, json_pack("{s:o}", "pools", list));
}

/* ---- the table of calls ---- */

static const struct api_route {
	const char *method, *path;
	unsigned needs, takes;		/* parameters: must be given, may be given */
	bool changes;
	void (*fn)(struct call *c);
} routes[] = {
	{ "GET", "/metrics", 0, 0, false, get_metrics },
	{ "GET", "/v1/status", 0, 0, false, get_status },
	{ "GET", "/v1/gateways", 0, 0, false, get_gateways },
	{ "GET", "/v1/table/count", 0, 0, false, get_count },
	{ "GET", "/v1/table", BIT(PARAM_KEY), BIT(PARAM_POOL), false, get_binding },
	{ "PUT", "/v1/table", BIT(PARAM_KEY) | BIT(PARAM_GATEWAY), BIT(PARAM_POOL), true, put_binding },
	{ "DELETE", "/v1/table", BIT(PARAM_KEY), BIT(PARAM_POOL), true, delete_binding },
	{ "GET", "/v1/explain", BIT(PARAM_TEXT), BIT(PARAM_POOL), false, get_explanation },
};

/* NULL: refused, with 404 or 405. */
static const struct api_route *
route_find_for(struct slice method, struct slice path, struct api_answer *answer)
{
	char methods[sizeof answer->allow] = "";
	struct buf allow = buf_of(methods, sizeof methods - 1);

	for (unsigned i = 0; i < COUNT(routes); i++) {
		if (!slice_eq(path, slice_of(routes[i].path)))
			continue;
		if (slice_eq(method, slice_of(routes[i].method)))
			return &routes[i];
		if (allow.n != 0)
			buf_lit(&allow, ", ");
		buf_add(&allow, slice_of(routes[i].method));
	}
	if (allow.n == 0) {
		api_refuse(answer, 404, "there is nothing at this path");
		return NULL;
	}
	must(!allow.full);
	memcpy(answer->allow, methods, sizeof methods);
	api_refuse(answer, 405, "this path takes %s", answer->allow);
	return NULL;
}

/* False: refused. */
static bool
call_take_param(struct call *c, struct slice name, struct slice value, unsigned known)
{
	unsigned i = 0;

	while (i < PARAMS && !slice_eq(name, slice_of(param_names[i])))
		i++;
	if (i == PARAMS || (known & BIT(i)) == 0) {
		api_refuse(c->answer, 400, "a parameter that this call does not take");
		return false;
	}
	if (call_has(c, i)) {
		api_refuse(c->answer, 400, "%s: given twice", param_names[i]);
		return false;
	}
	c->param[i] = value;
	return true;
}

/* What is encoded is decoded into room, which has the query's length. False: refused. */
static bool
call_take_query(struct call *c, const struct api_route *r, struct slice query, struct buf *room)
{
	while (query.n != 0) {
		struct slice value = slice_cut(&query, '&'), name = slice_cut(&value, '=');

		must(uri_decode(value, URI_FORM, room, &value));
		if (!call_take_param(c, name, value, r->needs | r->takes))
			return false;
	}
	for (unsigned i = 0; i < PARAMS; i++) {
		if ((r->needs & BIT(i)) == 0 || call_has(c, i))
			continue;
		api_refuse(c->answer, 400, "%s: must be given", param_names[i]);
		return false;
	}
	return true;
}

static void
route_run(struct api *a, const struct api_route *r, struct slice query, struct api_answer *answer)
{
	struct call c = {
		.api = a, .daemon = a->daemon, .now_s = clock_wall_us() / 1000000, .answer = answer,
	};
	char *decoded = mem_zalloc(query.n + 1);
	struct buf room = buf_of(decoded, query.n);

	if (call_take_query(&c, r, query, &room))
		r->fn(&c);
	free(decoded);
}

static void
refuse_rights(const struct daemon *d, struct api_answer *answer)
{
	if (d->conf->admin.token_file != NULL)
		api_refuse(answer, 401, "this needs the token: Authorization: Bearer TOKEN");
	else
		api_refuse(answer, 403, "changes come by the admin socket; by TCP they need [admin] token_file");
}

void
api_serve(struct api *a, const struct api_call *call, struct api_answer *answer)
{
	struct slice query = call->target, path = slice_cut(&query, '?');
	const struct api_route *r;

	*answer = (struct api_answer){ .status = 0 };
	if (call->rights == API_NOTHING) {
		refuse_rights(a->daemon, answer);
		return;
	}
	r = route_find_for(call->method, path, answer);
	if (r == NULL)
		return;
	if (r->changes && call->rights != API_CHANGE)
		refuse_rights(a->daemon, answer);
	else
		route_run(a, r, query, answer);
}
