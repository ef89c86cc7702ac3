/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects, field by field. */
#include "run/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/drainer.h"
#include "run/events.h"
#include "run/metrics.h"
#include "run/process.h"

#define TIME_TEXT 21	/* "2026-11-22T16:37:41Z" and its NUL */

/* ---- times ---- */

static const char *
span_words(uint64_t s, char text[VIEW_WORDS])
{
	static const struct {
		uint64_t s, until_s;
		const char *name;
	} units[] = {
		{ 1, 60, "second" }, { 60, 3600, "minute" }, { 3600, 48 * 3600, "hour" }, { 86400, 0, "day" },
	};
	unsigned i = 0;
	uint64_t n;

	while (i + 1 < COUNT(units) && s >= units[i].until_s)
		i++;
	n = s / units[i].s;
	snprintf(text, VIEW_WORDS, "%llu %s%s", (unsigned long long)n, units[i].name, n == 1 ? "" : "s");
	return text;
}

const char *
view_words(uint64_t then_s, uint64_t now_s, char text[VIEW_WORDS])
{
	char span[VIEW_WORDS];

	if (then_s == now_s)
		snprintf(text, VIEW_WORDS, "now");
	else if (then_s < now_s)
		snprintf(text, VIEW_WORDS, "%.32s ago", span_words(now_s - then_s, span));
	else
		snprintf(text, VIEW_WORDS, "in %.32s", span_words(then_s - now_s, span));
	return text;
}

/* "2026-11-22T16:37:41Z"; returns text. */
static const char *
time_text(uint64_t then_s, char text[TIME_TEXT])
{
	char exact[CLOCK_TEXT];

	clock_text(then_s * 1000000, exact);
	snprintf(text, TIME_TEXT, "%.19sZ", exact);
	return text;
}

/* 0: not known. */
static void
set_time(json_t *o, const char *name, uint64_t then_s, uint64_t now_s)
{
	char text[TIME_TEXT], words[VIEW_WORDS], words_name[VIEW_WORDS];

	snprintf(words_name, sizeof words_name, "%s_words", name);
	if (then_s == 0) {
		json_object_set_new(o, name, json_null());
		json_object_set_new(o, words_name, json_null());
		return;
	}
	json_object_set_new(o, name, json_string(time_text(then_s, text)));
	json_object_set_new(o, words_name, json_string(view_words(then_s, now_s, words)));
}

/* ---- small pieces ---- */

static void
set_number(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

/* JSON is UTF-8; what came from outside need not be. */
static json_t *
text_value(const char *text)
{
	json_t *value = json_string(text);
	char *plain;

	if (value != NULL)
		return value;
	plain = mem_strdup(text);
	for (char *c = plain; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	value = json_string(plain);
	free(plain);
	return value;
}

/* NULL and "" are nothing. */
static void
set_text(json_t *o, const char *name, const char *text)
{
	json_object_set_new(o, name, text != NULL && text[0] != '\0' ? text_value(text) : json_null());
}

static void
set_rate(json_t *o, const char *name, double rate)
{
	json_object_set_new(o, name, json_real((double)(uint64_t)(rate * 10 + 0.5) / 10));
}

static json_t *
view_strings(const struct conf_strings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(list, text_value(s->item[i]));
	return list;
}

static void
set_flag(json_t *o, const char *name, bool flag)
{
	json_object_set_new(o, name, json_boolean(flag));
}

static const char *
state_word(const struct gateway *g)
{
	enum gateway_state state = gateway_state(g);

	if (state == GATEWAY_UP && gateway_is_full(g))
		return "full";
	return gateway_state_name(state == GATEWAY_LEAVING ? GATEWAY_DRAINING : state);
}

static const char *
tag_name(const struct pool *p, uint64_t tag)
{
	const struct gateway *g = pool_find_tag(p, tag);

	return g != NULL ? gateway_name(g) : NULL;
}

/* ---- the process ---- */

static json_t *
view_store(const struct daemon *d)
{
	json_t *o = json_object();
	struct store_counts c;

	if (d->edition->store == NULL) {
		set_text(o, "type", "memory");
		return o;
	}
	store_shared_count(d->edition->store, &c);
	set_text(o, "type", "redis");
	set_flag(o, "well", c.well);
	set_number(o, "asked", c.asked);
	set_number(o, "found", c.found);
	set_number(o, "bound", c.bound);
	set_number(o, "silent", c.silent);
	set_number(o, "errors", c.errors);
	set_number(o, "told", c.told);
	set_number(o, "waiting", c.waiting);
	set_number(o, "dropped", c.dropped);
	set_number(o, "reconnects", c.reconnects);
	return o;
}

json_t *
view_table(const struct daemon *d)
{
	struct table_counts c = table_counts(d->shared.table);
	json_t *o = json_object();

	set_number(o, "keys", c.keys);
	set_number(o, "max_keys", d->edition->conf->store.max_keys);
	set_number(o, "evicted", c.evicted);
	set_number(o, "expired", c.expired);
	return o;
}

const char *
view_phase(const struct daemon *d)
{
	static const char *const names[] = {
		[DAEMON_STARTING] = "starting", [DAEMON_RUNNING] = "running", [DAEMON_UPGRADING] = "upgrading",
		[DAEMON_STOPPING] = "stopping",
	};

	if (d->phase == DAEMON_RUNNING && d->reload != NULL && reload_is_under_way(d->reload))
		return "reloading";
	return names[d->phase];
}

static json_t *
view_last_reload(const struct reload_history *h, uint64_t now_s)
{
	json_t *o;

	if (h->last_s == 0)
		return json_null();
	o = json_object();
	set_time(o, "at", h->last_s, now_s);
	set_flag(o, "good", h->good);
	json_object_set_new(o, "mistakes", view_strings(&h->mistakes));
	return o;
}

static json_t *
view_reloads(const struct daemon *d, uint64_t now_s)
{
	static const struct reload_history none = { .total = 0 };
	const struct reload_history *h = d->reload != NULL ? reload_history(d->reload) : &none;
	json_t *o = json_object();

	set_number(o, "total", h->total);
	set_number(o, "failed", h->failed);
	json_object_set_new(o, "last", view_last_reload(h, now_s));
	return o;
}

/* A bound that as many turns in a million kept. */
static uint64_t
lag_within(const struct loop_lag *lag, uint64_t millionths)
{
	uint64_t max_us = atomic_load_explicit(&lag->max_us, memory_order_relaxed), all = 0, so_far = 0;
	unsigned i = 0;

	for (unsigned k = 0; k < LOOP_LAG_BUCKETS; k++)
		all += counter_read(&lag->bucket[k]);
	for (; i < LOOP_LAG_BUCKETS - 1; i++) {
		so_far += counter_read(&lag->bucket[i]);
		if (so_far * 1000000 >= all * millionths)
			break;
	}
	return loop_lag_bound_us[i] < max_us ? loop_lag_bound_us[i] : max_us;
}

static json_t *
view_lag(const struct loop_lag *lag)
{
	json_t *o = json_object();

	set_number(o, "p50_us", lag_within(lag, 500000));
	set_number(o, "p99_us", lag_within(lag, 990000));
	set_number(o, "p999_us", lag_within(lag, 999000));
	set_number(o, "max_us", atomic_load_explicit(&lag->max_us, memory_order_relaxed));
	return o;
}

static json_t *
view_workers(const struct daemon *d)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < d->workers; i++) {
		json_t *o = json_object();

		set_number(o, "number", i);
		set_number(o, "sessions", worker_sessions(d->worker[i]));
		set_number(o, "connections", worker_connections(d->worker[i]));
		json_object_set_new(o, "lag", view_lag(worker_lag(d->worker[i])));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
view_rates(const struct trend_rates *r)
{
	json_t *o = json_object();

	set_rate(o, "connections_s", r->connections);
	set_rate(o, "requests_s", r->requests);
	set_rate(o, "sessions_s", r->sessions);
	set_rate(o, "bytes_in_s", r->bytes_in);
	set_rate(o, "bytes_out_s", r->bytes_out);
	return o;
}

static bool
anybody_drains(const struct daemon *d)
{
	for (size_t p = 0; p < d->edition->pools; p++)
		for (unsigned i = 0; i < d->edition->pool[p]->gateways; i++) {
			enum gateway_state state = gateway_state(d->edition->pool[p]->gateway[i]);

			if (state == GATEWAY_DRAINING || state == GATEWAY_LEAVING)
				return true;
		}
	return false;
}

static void
set_traffic(json_t *o, const struct daemon *d)
{
	struct metrics_traffic sum = metrics_traffic(d);

	set_number(o, "sessions", metrics_sessions(d));
	set_number(o, "sessions_total", sum.sessions);
	set_number(o, "connections_total", sum.connections);
	set_number(o, "requests_total", sum.requests);
	set_number(o, "bad_requests_total", sum.bad_requests);
	set_number(o, "duplicates_closed_total", sum.duplicates);
}

json_t *
view_status(const struct daemon *d, const struct trend_rates *rates, uint64_t now_s)
{
	json_t *o = json_object();

	set_text(o, "version", PACKAGE_VERSION);
	set_text(o, "state", view_phase(d));
	set_flag(o, "draining", anybody_drains(d));
	set_number(o, "pid", (uint64_t)getpid());
	set_time(o, "started", d->begun_s, now_s);
	set_number(o, "uptime_s", now_s > d->begun_s ? now_s - d->begun_s : 0);
	json_object_set_new(o, "reloads", view_reloads(d, now_s));
	set_number(o, "memory_bytes", process_resident_bytes());
	set_number(o, "log_dropped", d->writer != NULL ? writer_dropped(d->writer) : 0);
	set_traffic(o, d);
	json_object_set_new(o, "rates", view_rates(rates));
	set_number(o, "workers", d->workers);
	json_object_set_new(o, "workers_list", view_workers(d));
	json_object_set_new(o, "table", view_table(d));
	json_object_set_new(o, "store", view_store(d));
	return o;
}

/* ---- gateways ---- */

static json_t *
view_check(const struct pool *p, const struct gateway *g, uint64_t now_s)
{
	static const char *const kinds[] = {
		[CONF_CHECK_TCP] = "tcp", [CONF_CHECK_HTTP] = "http", [CONF_CHECK_WEBSOCKET] = "websocket",
	};
	struct gateway_check c = gateway_check(g);
	json_t *o;

	if (p == NULL || p->conf->check == CONF_CHECK_NONE)
		return json_null();
	o = json_object();
	set_text(o, "kind", kinds[p->conf->check]);
	json_object_set_new(o, "good", c.known ? json_boolean(c.good) : json_null());
	set_text(o, "what", c.known ? c.what : NULL);
	set_time(o, "at", c.known ? c.at_s : 0, now_s);
	json_object_set_new(o, "took_us", c.known ? json_integer((json_int_t)c.took_us) : json_null());
	return o;
}

/* By the calendar. */
static uint64_t
deadline_s(const struct gateway *g, uint64_t now_s)
{
	uint64_t deadline_ms = gateway_deadline_ms(g), now_ms = clock_coarse_ms();

	if (deadline_ms == 0)
		return 0;
	return deadline_ms > now_ms ? now_s + (deadline_ms - now_ms + 999) / 1000
	                            : now_s - (now_ms - deadline_ms) / 1000;
}

json_t *
view_gateway(const struct daemon *d, const struct pool *p, const struct gateway *g, uint64_t now_s)
{
	char address[ADDR_TEXT];
	json_t *o = json_object();

	set_text(o, "pool", gateway_pool_name(g));
	set_text(o, "name", gateway_name(g));
	set_text(o, "address", addr_text(gateway_address(g), address));
	set_text(o, "state", state_word(g));
	set_text(o, "why", gateway_why(g));
	set_time(o, "since", gateway_since_s(g), now_s);
	set_number(o, "weight", gateway_weight(g));
	set_flag(o, "backup", gateway_is_backup(g));
	set_number(o, "load", gateway_load(g));
	set_number(o, "sessions", gateway_sessions(g));
	set_number(o, "max_sessions", gateway_max_sessions(g));
	set_number(o, "sessions_total", gateway_sessions_total(g));
	set_number(o, "requests", gateway_requests(g));
	set_number(o, "errors", gateway_errors(g));
	json_object_set_new(o, "check", view_check(p, g, now_s));
	set_time(o, "deadline", deadline_s(g, now_s), now_s);
	set_number(o, "closing", d->drainer != NULL ? drainer_closing(d->drainer, g) : 0);
	return o;
}

static json_t *
view_affinity(const struct daemon *d, size_t pool)
{
	uint64_t sum[AFFINITY_OUTCOMES] = { 0 };
	json_t *o = json_object();

	for (unsigned i = 0; i < d->workers; i++)
		tally_add(worker_tally(d->worker[i], pool)->tally, sum);
	for (unsigned i = 0; i < AFFINITY_OUTCOMES; i++)
		set_number(o, affinity_outcome_name((enum affinity_outcome)i), sum[i]);
	return o;
}

static json_t *
view_rebalancing(const struct daemon *d, const struct pool *p)
{
	struct drainer_progress progress;
	json_t *o;

	if (d->drainer == NULL || !drainer_progress(d->drainer, p, &progress))
		return json_null();
	o = json_object();
	set_rate(o, "rate", (double)progress.rate.count * 1000 / progress.rate.per_ms);
	set_number(o, "left", progress.left);
	return o;
}

static json_t *
view_pool(const struct daemon *d, size_t pool)
{
	static const char *const balances[] = {
		[CONF_BALANCE_ROUNDROBIN] = "roundrobin", [CONF_BALANCE_LEASTCONN] = "leastconn",
		[CONF_BALANCE_RANDOM] = "random", [CONF_BALANCE_HASH] = "hash",
	};
	const struct pool *p = d->edition->pool[pool];
	uint64_t sessions = 0, up = 0;
	json_t *o = json_object();

	for (unsigned i = 0; i < p->gateways; i++) {
		sessions += gateway_sessions(p->gateway[i]);
		up += gateway_state(p->gateway[i]) == GATEWAY_UP;
	}
	set_text(o, "name", p->name);
	set_text(o, "balance", balances[p->conf->balance]);
	set_number(o, "sessions", sessions);
	set_number(o, "up", up);
	set_number(o, "gateways", p->gateways);
	json_object_set_new(o, "rebalancing", view_rebalancing(d, p));
	json_object_set_new(o, "affinity", view_affinity(d, pool));
	return o;
}

/* Where those that are gone are told of. */
struct gone {
	const struct daemon *daemon;
	json_t *list;
	uint64_t now_s;
};

static void
on_gone(const struct gateway *g, void *arg)
{
	const struct gone *to = arg;

	json_array_append_new(to->list, view_gateway(to->daemon, NULL, g, to->now_s));
}

json_t *
view_gateways(const struct daemon *d, uint64_t now_s)
{
	json_t *list = json_array(), *pools = json_array();
	struct gone gone = { d, list, now_s };

	for (size_t p = 0; p < d->edition->pools; p++) {
		const struct pool *pool = d->edition->pool[p];

		for (unsigned i = 0; i < pool->gateways; i++)
			json_array_append_new(list, view_gateway(d, pool, pool->gateway[i], now_s));
		json_array_append_new(pools, view_pool(d, p));
	}
	if (d->drainer != NULL)
		drainer_each_gone(d->drainer, on_gone, &gone);
	return json_pack("{s:o,s:o}", "gateways", list, "pools", pools);
}

/* ---- sessions ---- */

static json_t *
view_session(const struct session_row *r, uint64_t now_s)
{
	char client[ADDR_TEXT];
	json_t *o = json_object();

	set_text(o, "client", addr_text(&r->client, client));
	set_text(o, "pool", r->pool);
	set_text(o, "gateway", r->gateway);
	set_text(o, "listener", r->listener);
	set_flag(o, "tls", r->tls);
	set_time(o, "since", r->begun_s, now_s);
	set_number(o, "duration_s", r->lasted_ms / 1000);
	set_number(o, "bytes_in", r->bytes_in);
	set_number(o, "bytes_out", r->bytes_out);
	set_number(o, "messages_in", r->messages_in);
	set_number(o, "messages_out", r->messages_out);
	set_number(o, "idle_s", r->idle_ms / 1000);
	set_text(o, "how", r->how);
	set_text(o, "host", r->host);
	set_text(o, "target", r->target);
	set_text(o, "request_id", r->request_id);
	set_number(o, "worker", r->worker);
	return o;
}

static int
row_order(const void *a, const void *b)
{
	const struct session_row *const *one = a, *const *other = b;

	return ((*one)->lasted_ms < (*other)->lasted_ms) - ((*one)->lasted_ms > (*other)->lasted_ms);
}

/* Of all workers, sorted; to be freed. */
static const struct session_row **
gather_rows(const struct session_query *q, size_t *n, size_t *matching)
{
	const struct session_row **row;

	*n = *matching = 0;
	for (unsigned w = 0; w < q->shares; w++) {
		*n += q->share[w].rows;
		*matching += q->share[w].matching;
	}
	row = mem_zalloc((*n + 1) * sizeof *row);
	for (size_t w = 0, k = 0; w < q->shares; w++)
		for (size_t i = 0; i < q->share[w].rows; i++)
			row[k++] = &q->share[w].row[i];
	qsort(row, *n, sizeof *row, row_order);
	return row;
}

json_t *
view_sessions(const struct session_query *q, uint64_t now_s)
{
	json_t *list = json_array(), *o = json_object();
	size_t n, matching;
	const struct session_row **row = gather_rows(q, &n, &matching);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, view_session(row[i], now_s));
	free(row);
	json_object_set_new(o, "sessions", list);
	set_number(o, "total", matching);
	set_flag(o, "cut", n < matching);
	return o;
}

/* ---- what happened ---- */

static json_t *
view_event(const struct event_line *e)
{
	json_t *o = json_object();
	char at[CLOCK_TEXT];

	clock_text(e->at_us, at);
	set_number(o, "number", e->number);
	json_object_set_new(o, "at", json_stringn(at, CLOCK_TEXT));
	set_text(o, "level", log_level_name(e->level));
	set_text(o, "text", e->text);
	return o;
}

json_t *
view_events(uint64_t after)
{
	json_t *list = json_array(), *o = json_object();
	uint64_t last;
	size_t n;
	struct event_line *line = events_after(after, &n, &last);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, view_event(&line[i]));
	events_free(line, n);
	json_object_set_new(o, "events", list);
	set_number(o, "last", last);
	return o;
}

json_t *
view_outcome(const struct reload_outcome *outcome)
{
	json_t *o = json_object();

	if (outcome->good) {
		set_flag(o, "reloaded", true);
		json_object_set_new(o, "notices", view_strings(outcome->notices));
		return o;
	}
	set_text(o, "error", "the configuration was not reloaded: the one from before is still in force");
	json_object_set_new(o, "mistakes", view_strings(outcome->mistakes));
	return o;
}

/* ---- bindings ---- */

json_t *
view_stored(const char *gateway, const char *why)
{
	json_t *o = json_object();

	set_text(o, "gateway", gateway);
	set_text(o, "error", gateway == NULL ? why : NULL);
	return o;
}

/* Where it is bound, as far as that gateway still is. */
static void
set_gateway(json_t *o, const struct gateway *g, bool is_gone)
{
	set_text(o, "gateway", g != NULL ? gateway_name(g) : NULL);
	set_text(o, "state", g != NULL ? state_word(g) : is_gone ? "gone" : NULL);
}

json_t *
view_binding(const struct pool *p, const struct table_binding *b, json_t *stored, uint64_t now_s)
{
	json_t *o = json_object();

	set_text(o, "pool", p->name);
	set_gateway(o, b != NULL ? pool_find_tag(p, b->tag) : NULL, b != NULL);
	set_time(o, "since", b != NULL ? b->born_s : 0, now_s);
	set_time(o, "seen", b != NULL ? b->seen_s : 0, now_s);
	set_time(o, "confirmed", b != NULL ? b->confirmed_s : 0, now_s);
	json_object_set_new(o, "store", stored != NULL ? stored : json_null());
	return o;
}

/* ---- explanations ---- */

static const char *
home_word(const struct explain *e)
{
	if (e->home == EXPLAIN_NOWHERE)
		return NULL;
	if (e->home == EXPLAIN_HASHED)
		return "rendezvous";
	return e->kind == EXPLAIN_KEY ? "table" : "cookie";
}

static json_t *
view_selectors(const struct explain_source *src, const struct explain *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < src->conf->selectors; i++)
		if (explain_concerns(src, e, &src->conf->selector[i]))
			json_array_append_new(list, json_string(src->conf->selector[i].text));
	return list;
}

static json_t *
view_moves(const struct pool *p, const struct explain *e, uint64_t now_s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < e->moves; i++) {
		json_t *o = json_object();

		set_time(o, "at", e->move[i].at_s, now_s);
		set_text(o, "from", tag_name(p, e->move[i].from));
		set_text(o, "to", tag_name(p, e->move[i].to));
		set_text(o, "why", e->move[i].why);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *
view_explain(const struct explain_source *src, const struct explain *e, json_t *stored, uint64_t now_s)
{
	json_t *o = json_object();

	set_text(o, "pool", src->pool->name);
	set_text(o, "kind", explain_kind_name(e->kind));
	json_object_set_new(o, "name", e->name.n != 0 ? json_stringn(e->name.p, e->name.n) : json_null());
	json_object_set_new(o, "selectors", view_selectors(src, e));
	set_flag(o, "counts", e->kind != EXPLAIN_NOTHING && e->why[0] == '\0');
	set_text(o, "why", e->why);
	set_gateway(o, e->gateway, e->home == EXPLAIN_GONE);
	set_text(o, "bound_by", home_word(e));
	set_text(o, "owner", e->owner != NULL ? gateway_name(e->owner) : NULL);
	set_time(o, "since", e->born_s, now_s);
	set_time(o, "seen", e->seen_s, now_s);
	set_time(o, "confirmed", e->confirmed_s, now_s);
	set_text(o, "now", explain_fate_name(e->fate));
	set_text(o, "because", e->because);
	json_object_set_new(o, "moves", view_moves(src->pool, e, now_s));
	json_object_set_new(o, "store", stored != NULL ? stored : json_null());
	return o;
}
