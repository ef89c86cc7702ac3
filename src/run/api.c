/* SPDX-License-Identifier: BSD-2-Clause */
/* The table is at the end; what it names stands before it, in the same order. */
#include "run/api.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/nearest.h"
#include "conf/value.h"
#include "http/uri.h"
#include "run/drainer.h"
#include "run/events.h"
#include "run/metrics.h"
#include "run/reload.h"
#include "run/trend.h"
#include "run/view.h"

/* Sessions told by one answer. */
#define SESSIONS_DEFAULT 1000
#define SESSIONS_MOST 20000
/* A worker that has not told of its sessions by then hangs, or has ended. */
#define PATIENCE_S 5

enum param {
	PARAM_KEY, PARAM_POOL, PARAM_GATEWAY, PARAM_TEXT, PARAM_DEADLINE, PARAM_WEIGHT, PARAM_RATE, PARAM_LIMIT,
	PARAM_AFTER,
};
#define PARAMS (PARAM_AFTER + 1)

static const char *const param_names[PARAMS] = {
	[PARAM_KEY] = "key", [PARAM_POOL] = "pool", [PARAM_GATEWAY] = "gateway", [PARAM_TEXT] = "text",
	[PARAM_DEADLINE] = "deadline", [PARAM_WEIGHT] = "weight", [PARAM_RATE] = "rate", [PARAM_LIMIT] = "limit",
	[PARAM_AFTER] = "after",
};

struct api {
	struct event_base *base;
	struct daemon *daemon;
	struct trend *trend;
	struct list waits;
};

/* A call that has been found good. */
struct call {
	struct api *api;
	struct daemon *daemon;
	const struct api_call *asked;
	struct slice param[PARAMS];	/* decoded; p == NULL: not given */
	uint64_t now_s;
	struct api_answer *answer;
	bool is_later;			/* a wait has taken it over */
};

/* A call whose answer is others' to make. It stays until they have, also when nobody wants to hear it any more. */
struct api_wait {
	struct list list;
	struct api *api;
	api_answer_fn *fn;		/* NULL: nobody waits */
	void *arg;
	struct event deadline;
	struct session_query *query;	/* NULL: it is about something else */
	struct gateway *gateway;	/* which the query names, referenced; NULL: none */
	char *pool;			/* likewise */
	struct table_key *key;		/* likewise, the key in each pool */
};

struct api *
api_new(struct event_base *base, struct daemon *d)
{
	struct api *a = mem_zalloc(sizeof *a);

	a->base = base;
	a->daemon = d;
	a->trend = trend_new(base, d);
	list_init(&a->waits);
	return a;
}

/* ---- waits ---- */

static void
wait_free(struct api_wait *w)
{
	event_del(&w->deadline);
	list_remove(&w->list);
	session_query_free(w->query);
	gateway_unref(w->gateway);
	free(w->pool);
	free(w->key);
	free(w);
}

/* The answer is freed. */
static void
wait_answer(struct api_wait *w, struct api_answer *answer)
{
	if (w->fn != NULL)
		w->fn(w->arg, answer);
	w->fn = NULL;
	api_answer_fini(answer);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct api_answer answer = { .status = 0 };

	(void)fd;
	(void)what;
	api_refuse(&answer, 503, "not all workers have answered in %d seconds", PATIENCE_S);
	wait_answer(arg, &answer);
}

static struct api_wait *
call_wait(struct call *c)
{
	struct api_wait *w = mem_zalloc(sizeof *w);

	w->api = c->api;
	w->fn = c->asked->on_answer;
	w->arg = c->asked->arg;
	must(event_assign(&w->deadline, c->api->base, -1, 0, on_deadline, w) == 0);
	list_add_tail(&c->api->waits, &w->list);
	c->is_later = true;
	return w;
}

void
api_forget(struct api *a, const void *arg)
{
	LIST_EACH (at, after, &a->waits) {
		struct api_wait *w = LIST_ENTRY_OF(at, struct api_wait, list);

		if (w->arg == arg)
			w->fn = NULL;
	}
}

void
api_free(struct api *a)
{
	if (a == NULL)
		return;
	LIST_EACH (at, after, &a->waits)
		wait_free(LIST_ENTRY_OF(at, struct api_wait, list));
	trend_free(a->trend);
	free(a);
}

/* ---- answers ---- */

/* Takes over the value. */
static void
answer_json(struct api_answer *answer, unsigned status, json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;

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

static void
answer_text(struct api_answer *answer, unsigned status, char *text)
{
	api_answer_fini(answer);
	answer->status = status;
	answer->type = "text/plain; charset=utf-8";
	answer->body = text;
	answer->bytes = strlen(text);
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
	return !call_has(c, PARAM_POOL) ||
	    slice_eq(c->param[PARAM_POOL], slice_of(c->daemon->edition->pool[pool]->name));
}

/* False: refused. */
static bool
call_check_pool(struct call *c)
{
	char hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, c->param[PARAM_POOL]);
	for (size_t i = 0; i < c->daemon->edition->pools; i++) {
		if (call_means_pool(c, i))
			return true;
		nearest_try(&n, c->daemon->edition->pool[i]->name);
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
	return d->edition->store != NULL && d->edition->pool[pool]->conf->assign == CONF_ASSIGN_TABLE &&
	    pool_has_keys(d->edition->pool[pool]->conf);
}

static struct slice
pool_name(const struct daemon *d, size_t pool)
{
	return slice_of(d->edition->pool[pool]->name);
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
	heard = store_shared_look(c->daemon->edition->store, pool_name(c->daemon, pool), key, name, &why);
	*is_bound = heard && name[0] != '\0';
	return view_stored(heard ? name : NULL, why);
}

/* ---- what is looked at ---- */

static void
get_status(struct call *c)
{
	struct trend_rates rates = trend_rates(c->api->trend);

	answer_json(c->answer, 200, view_status(c->daemon, &rates, c->now_s));
}

static void
get_gateways(struct call *c)
{
	answer_json(c->answer, 200, view_gateways(c->daemon, c->now_s));
}

/* Of what writes itself. */
static FILE *
answer_open(struct api_answer *answer, const char *type)
{
	FILE *to = open_memstream(&answer->body, &answer->bytes);

	must(to != NULL);
	answer->status = 200;
	answer->type = type;
	return to;
}

static void
get_metrics(struct call *c)
{
	FILE *to = answer_open(c->answer, METRICS_TYPE);

	metrics_print(c->daemon, to);
	must(fclose(to) == 0);
}

static void
get_trend(struct call *c)
{
	FILE *to = answer_open(c->answer, "application/json");

	trend_print(c->api->trend, to);
	must(fclose(to) == 0);
}

static void
get_events(struct call *c)
{
	uint64_t after = 0;

	if (call_has(c, PARAM_AFTER) && !slice_to_u64(c->param[PARAM_AFTER], INT64_MAX, &after))
		api_refuse(c->answer, 400, "after: a number of an event");
	else
		answer_json(c->answer, 200, view_events(after));
}

/* ---- probes ---- */

static void
get_health(struct call *c)
{
	answer_text(c->answer, 200, mem_strdup("ok\n"));
}

static bool
pool_is_up(const struct pool *p)
{
	for (unsigned i = 0; i < p->gateways; i++)
		if (gateway_state(p->gateway[i]) == GATEWAY_UP)
			return true;
	return false;
}

/* To be freed; NULL: it is ready for clients. */
static char *
why_not_ready(const struct daemon *d)
{
	if (d->phase == DAEMON_STARTING || d->phase == DAEMON_STOPPING)
		return mem_strdup(view_phase(d));
	for (size_t i = 0; i < d->edition->pools; i++)
		if (!pool_is_up(d->edition->pool[i]))
			return mem_printf("pool %s has no gateway that is up", d->edition->pool[i]->name);
	return NULL;
}

static void
get_readiness(struct call *c)
{
	char *why = why_not_ready(c->daemon);

	if (why == NULL)
		answer_text(c->answer, 200, mem_strdup("ready\n"));
	else
		answer_text(c->answer, 503, mem_printf("not ready: %s\n", why));
	free(why);
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
		return view_binding(c->daemon->edition->pool[pool], here ? &b : NULL, stored, c->now_s);
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
	for (size_t i = 0; i < c->daemon->edition->pools; i++) {
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
	for (size_t i = 0; i < c->daemon->edition->pools; i++) {
		struct pool *p = c->daemon->edition->pool[i];
		struct gateway *g = pool_find_name(p, name);

		if (!call_means_pool(c, i) || (before.p != NULL && !slice_eq(before, slice_of(p->name))))
			continue;
		for (unsigned k = 0; k < p->gateways; k++)
			nearest_try(&n, gateway_name(p->gateway[k]));
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
	struct history_move m = { .key = k, .to = gateway_tag(g), .at_s = c->now_s, .why = "operator" };

	if (table_bind(c->daemon->shared.table, &k, m.to, (uint32_t)c->now_s, pool_has_store(c->daemon, pool),
		&m.from) == TABLE_MOVED)
		history_add(c->daemon->shared.history, &m);
	log_notice("pool %s: an operator has bound a key to gateway %s", c->daemon->edition->pool[pool]->name,
	    gateway_name(g));
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
	if (!pool_has_keys(c->daemon->edition->pool[pool]->conf)) {
		api_refuse(c->answer, 409, "pool %s has no selector that finds a key",
		    c->daemon->edition->pool[pool]->name);
		return;
	}
	if (pool_has_store(c->daemon, pool) &&
	    !store_shared_set(c->daemon->edition->store, pool_name(c->daemon, pool), c->param[PARAM_KEY],
	    gateway_name(g), &why)) {
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
	    !store_shared_set(c->daemon->edition->store, pool_name(c->daemon, pool), c->param[PARAM_KEY], NULL,
		&why)) {
		api_refuse(c->answer, 503, "the store: %s; nothing was changed", why);
		return false;
	}
	if (!table_forget(c->daemon->shared.table, &k) && !there)
		return true;
	log_notice("pool %s: an operator has deleted a key's binding", c->daemon->edition->pool[pool]->name);
	(*n)++;
	return true;
}

static void
delete_binding(struct call *c)
{
	unsigned n = 0;

	if (!call_check_key(c))
		return;
	for (size_t i = 0; i < c->daemon->edition->pools; i++)
		if (call_means_pool(c, i) && !call_unbind(c, i, &n))
			return;
	if (n != 0)
		answer_json(c->answer, 200, json_pack("{s:i}", "deleted", (int)n));
	else
		api_refuse(c->answer, 404, "the key is not bound");
}

/* ---- explain ---- */

static struct explain_source
call_source(const struct call *c, size_t pool, struct sealer *sealer)
{
	struct daemon *d = c->daemon;

	return (struct explain_source){
		.conf = d->edition->pool[pool]->conf, .pool = d->edition->pool[pool], .shared = &d->shared,
		.sealer = sealer, .signature = affinity_signature(d->edition->service[pool].affinity),
	};
}

/* A pool that knows nothing is left out where another knows something: a cookie is one pool's. */
static json_t *
call_explain(const struct call *c, bool only_known)
{
	struct sealer *sealer = sealer_new(c->daemon->edition->ring);
	json_t *list = json_array();

	must(sealer != NULL);
	for (size_t i = 0; i < c->daemon->edition->pools; i++) {
		struct explain_source src = call_source(c, i, sealer);
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
	sealer_free(sealer);
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

/* ---- sessions ---- */

/* Each worker has told. */
static void
on_listed(void *arg, size_t number)
{
	struct api_wait *w = arg;
	struct api_answer answer = { .status = 0 };

	(void)number;
	answer_json(&answer, 200, view_sessions(w->query, clock_wall_us() / 1000000));
	wait_answer(w, &answer);
	wait_free(w);
}

/* On the last worker's thread. */
static void
on_last_listed(struct session_query *q)
{
	struct api_wait *w = q->arg;

	mailbox_post(w->api->daemon->main, on_listed, w, 0);
}

/* A key is another one in each pool. */
static struct table_key *
call_keys(const struct call *c, size_t *n)
{
	struct table_key *key = mem_zalloc((c->daemon->edition->pools + 1) * sizeof *key);

	*n = 0;
	for (size_t i = 0; i < c->daemon->edition->pools; i++)
		if (call_means_pool(c, i))
			key[(*n)++] = call_table_key(c, i);
	return key;
}

/* What is asked for may go while the workers look for it: the wait keeps it. */
static struct session_query *
call_query(const struct call *c, struct gateway *g, size_t limit, struct api_wait *w)
{
	struct session_query *q = session_query_new(c->daemon->workers);

	w->query = q;
	w->gateway = g != NULL ? gateway_ref(g) : NULL;
	q->gateway = g;
	if (call_has(c, PARAM_POOL))
		q->pool = w->pool = mem_slicedup(c->param[PARAM_POOL]);
	if (call_has(c, PARAM_KEY))
		q->key = w->key = call_keys(c, &q->keys);
	q->limit = limit;
	q->done = on_last_listed;
	q->arg = w;
	return q;
}

static void
get_sessions(struct call *c)
{
	static const struct timeval patience = { .tv_sec = PATIENCE_S };
	uint64_t limit = SESSIONS_DEFAULT;
	struct gateway *g = NULL;
	struct session_query *q;
	struct api_wait *w;
	size_t pool;

	if (call_has(c, PARAM_LIMIT) && !slice_to_u64(c->param[PARAM_LIMIT], SESSIONS_MOST, &limit)) {
		api_refuse(c->answer, 400, "limit: a number up to %d", SESSIONS_MOST);
		return;
	}
	if ((call_has(c, PARAM_KEY) && !call_check_key(c)) || (call_has(c, PARAM_POOL) && !call_check_pool(c)) ||
	    (call_has(c, PARAM_GATEWAY) && (g = call_find_gateway(c, &pool)) == NULL))
		return;
	w = call_wait(c);
	must(event_add(&w->deadline, &patience) == 0);
	q = call_query(c, g, limit, w);
	for (unsigned i = 0; i < c->daemon->workers; i++)
		worker_list_sessions(c->daemon->worker[i], q);
	if (c->daemon->workers == 0)
		on_listed(w, 0);
}

/* ---- changes to gateways ---- */

static void
call_show_gateway(struct call *c, size_t pool, const struct gateway *g)
{
	drainer_look(c->daemon->drainer);
	answer_json(c->answer, 200, json_pack("{s:o}", "gateway",
	    view_gateway(c->daemon, c->daemon->edition->pool[pool], g, c->now_s)));
}

/* As the pool has it where the call says nothing. False: refused. */
static bool
call_take_deadline(struct call *c, size_t pool, uint64_t *deadline_ms)
{
	*deadline_ms = c->daemon->edition->pool[pool]->conf->drain_deadline_ms;
	if (call_has(c, PARAM_DEADLINE) && !value_time(c->param[PARAM_DEADLINE], deadline_ms)) {
		api_refuse(c->answer, 400, "deadline: a time, such as 30s, 10m or 2h; 0 for none");
		return false;
	}
	if (*deadline_ms != 0)
		*deadline_ms += clock_coarse_ms();
	return true;
}

static void
post_drain(struct call *c)
{
	uint64_t deadline_ms;
	size_t pool = 0;
	struct gateway *g = call_find_gateway(c, &pool);

	if (g == NULL || !call_take_deadline(c, pool, &deadline_ms))
		return;
	gateway_drain(g, deadline_ms, false);
	call_show_gateway(c, pool, g);
}

static void
post_ready(struct call *c)
{
	size_t pool = 0;
	struct gateway *g = call_find_gateway(c, &pool);

	if (g == NULL)
		return;
	gateway_ready(g);
	call_show_gateway(c, pool, g);
}

static void
post_down(struct call *c)
{
	size_t pool = 0;
	struct gateway *g = call_find_gateway(c, &pool);

	if (g == NULL)
		return;
	gateway_take_down(g);
	call_show_gateway(c, pool, g);
}

static void
post_weight(struct call *c)
{
	uint64_t weight;
	size_t pool = 0;
	struct gateway *g = call_find_gateway(c, &pool);

	if (g == NULL)
		return;
	if (!slice_to_u64(c->param[PARAM_WEIGHT], CONF_WEIGHT_MOST, &weight)) {
		api_refuse(c->answer, 400, "weight: a number up to %d", CONF_WEIGHT_MOST);
		return;
	}
	gateway_set_weight(g, (unsigned)weight);
	call_show_gateway(c, pool, g);
}

static void
post_rebalance(struct call *c)
{
	struct conf_rate rate = { .count = 0 };
	const char *why;
	struct pool *p;
	size_t pool = 0, moving;

	if (!call_check_pool(c))
		return;
	if (call_has(c, PARAM_RATE) && (!value_rate(c->param[PARAM_RATE], &rate) || rate.count == 0)) {
		api_refuse(c->answer, 400, "rate: sessions in a time, such as 50/s");
		return;
	}
	while (!call_means_pool(c, pool))
		pool++;
	p = c->daemon->edition->pool[pool];
	if (!call_has(c, PARAM_RATE))
		rate = p->conf->drain_rate;
	if (drainer_rebalance(c->daemon->drainer, p, &rate, &moving, &why))
		answer_json(c->answer, 200,
		    json_pack("{s:s,s:I}", "pool", p->name, "moving", (json_int_t)moving));
	else
		api_refuse(c->answer, 409, "%s", why);
}

/* ---- the process ---- */

static void
post_reopen(struct call *c)
{
	log_notice("an operator has the logs reopened");
	writer_reopen(c->daemon->writer);
	answer_json(c->answer, 200, json_pack("{s:b}", "reopened", 1));
}

static void
on_reloaded(void *arg, const struct reload_outcome *outcome)
{
	struct api_wait *w = arg;
	struct api_answer answer = { .status = 0 };

	answer_json(&answer, outcome->good ? 200 : 422, view_outcome(outcome));
	wait_answer(w, &answer);
	wait_free(w);
}

static void
post_reload(struct call *c)
{
	reload_request(c->daemon->reload, on_reloaded, call_wait(c));
}

/* ---- the table of calls ---- */

static const struct api_route {
	const char *method, *path;
	unsigned needs, takes;		/* parameters: must be given, may be given */
	enum api_rights rights;		/* who may */
	void (*fn)(struct call *c);
} routes[] = {
	{ "GET", "/healthz", 0, 0, API_READ, get_health },
	{ "GET", "/readyz", 0, 0, API_READ, get_readiness },
	{ "GET", "/metrics", 0, 0, API_READ, get_metrics },
	{ "GET", "/v1/status", 0, 0, API_READ, get_status },
	{ "GET", "/v1/events", 0, BIT(PARAM_AFTER), API_READ, get_events },
	{ "GET", "/v1/trend", 0, 0, API_READ, get_trend },
	{ "GET", "/v1/gateways", 0, 0, API_READ, get_gateways },
	{ "POST", "/v1/drain", BIT(PARAM_GATEWAY), BIT(PARAM_POOL) | BIT(PARAM_DEADLINE), API_CHANGE, post_drain },
	{ "POST", "/v1/ready", BIT(PARAM_GATEWAY), BIT(PARAM_POOL), API_CHANGE, post_ready },
	{ "POST", "/v1/down", BIT(PARAM_GATEWAY), BIT(PARAM_POOL), API_CHANGE, post_down },
	{ "POST", "/v1/weight", BIT(PARAM_GATEWAY) | BIT(PARAM_WEIGHT), BIT(PARAM_POOL), API_CHANGE, post_weight },
	{ "POST", "/v1/rebalance", BIT(PARAM_POOL), BIT(PARAM_RATE), API_CHANGE, post_rebalance },
	{ "GET", "/v1/sessions", 0,
	  BIT(PARAM_GATEWAY) | BIT(PARAM_POOL) | BIT(PARAM_KEY) | BIT(PARAM_LIMIT), API_READ,
	  get_sessions },
	{ "GET", "/v1/table/count", 0, 0, API_READ, get_count },
	{ "GET", "/v1/table", BIT(PARAM_KEY), BIT(PARAM_POOL), API_READ, get_binding },
	{ "PUT", "/v1/table", BIT(PARAM_KEY) | BIT(PARAM_GATEWAY), BIT(PARAM_POOL), API_CHANGE, put_binding },
	{ "DELETE", "/v1/table", BIT(PARAM_KEY), BIT(PARAM_POOL), API_CHANGE, delete_binding },
	{ "GET", "/v1/explain", BIT(PARAM_TEXT), BIT(PARAM_POOL), API_READ, get_explanation },
	{ "POST", "/v1/reload", 0, 0, API_CHANGE, post_reload },
	{ "POST", "/v1/reopen", 0, 0, API_CHANGE, post_reopen },
};

/* NULL: there is none; answer->allow has the methods that the path takes. */
static const struct api_route *
route_find_for(const struct api_call *call, struct slice path, struct api_answer *answer)
{
	char methods[sizeof answer->allow] = "";
	struct buf allow = buf_of(methods, sizeof methods - 1);

	for (unsigned i = 0; i < COUNT(routes); i++) {
		if (!slice_eq(path, slice_of(routes[i].path)))
			continue;
		if (slice_eq(call->method, slice_of(routes[i].method)))
			return &routes[i];
		if (allow.n != 0)
			buf_lit(&allow, ", ");
		buf_add(&allow, slice_of(routes[i].method));
	}
	if (allow.n == 0 && page_find(path) != NULL)
		buf_lit(&allow, "GET");
	must(!allow.full);
	memcpy(answer->allow, methods, sizeof methods);
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

/* False: it is answered later. */
static bool
route_run(struct api *a, const struct api_route *r, const struct api_call *asked, struct slice query,
    struct api_answer *answer)
{
	struct call c = {
		.api = a, .daemon = a->daemon, .asked = asked, .now_s = clock_wall_us() / 1000000, .answer = answer,
	};
	char *decoded = mem_zalloc(query.n + 1);
	struct buf room = buf_of(decoded, query.n);

	if (call_take_query(&c, r, query, &room))
		r->fn(&c);
	free(decoded);
	return !c.is_later;
}

static void
refuse_rights(const struct daemon *d, struct api_answer *answer)
{
	if (d->edition->conf->admin.token_file != NULL)
		api_refuse(answer, 401, "this needs the token: Authorization: Bearer TOKEN");
	else
		api_refuse(answer, 403, "changes come by the admin socket; by TCP they need [admin] token_file");
}

static void
answer_page(struct api_answer *answer, const struct api_call *call, const struct page *pg)
{
	bool is_known = page_is_known(pg, call->known);

	answer->status = is_known ? 304 : 200;
	answer->type = pg->type;
	answer->page = pg;
	answer->bytes = is_known ? 0 : pg->n;
}

/* Who is nobody is not even told what there is. */
static void
refuse_unknown(const struct api *a, const struct api_call *call, struct api_answer *answer)
{
	if (call->rights == API_NOTHING) {
		answer->allow[0] = '\0';
		refuse_rights(a->daemon, answer);
	} else if (answer->allow[0] == '\0') {
		api_refuse(answer, 404, "there is nothing at this path");
	} else {
		api_refuse(answer, 405, "this path takes %s", answer->allow);
	}
}

/* False: refused. */
static bool
route_lets(const struct api *a, const struct api_route *r, const struct api_call *call, struct api_answer *answer)
{
	if (call->rights < r->rights)
		refuse_rights(a->daemon, answer);
	else if (r->rights == API_CHANGE && call->is_foreign)
		api_refuse(answer, 403, "a browser may change something only from the page at this very address");
	else
		return true;
	return false;
}

bool
api_serve(struct api *a, const struct api_call *call, struct api_answer *answer)
{
	struct slice query = call->target, path = slice_cut(&query, '?');
	const struct page *pg = page_find(path);
	const struct api_route *r;

	*answer = (struct api_answer){ .status = 0 };
	if (pg != NULL && slice_eq(call->method, SLICE_LIT("GET")) && call->rights != API_NOTHING) {
		answer_page(answer, call, pg);
		return true;
	}
	r = route_find_for(call, path, answer);
	if (r != NULL)
		return !route_lets(a, r, call, answer) || route_run(a, r, call, query, answer);
	refuse_unknown(a, call, answer);
	return true;
}
