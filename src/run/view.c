/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects, field by field. */
#include "run/view.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/metrics.h"

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

/* 0: not known. */
static void
set_time(json_t *o, const char *name, uint64_t then_s, uint64_t now_s)
{
	char text[CLOCK_TEXT], seconds[TIME_TEXT], words[VIEW_WORDS], words_name[VIEW_WORDS];

	snprintf(words_name, sizeof words_name, "%s_words", name);
	if (then_s == 0) {
		json_object_set_new(o, name, json_null());
		json_object_set_new(o, words_name, json_null());
		return;
	}
	clock_text(then_s * 1000000, text);
	snprintf(seconds, sizeof seconds, "%.19sZ", text);
	json_object_set_new(o, name, json_string(seconds));
	json_object_set_new(o, words_name, json_string(view_words(then_s, now_s, words)));
}

/* ---- small pieces ---- */

static void
set_number(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

/* NULL and "" are nothing. */
static void
set_text(json_t *o, const char *name, const char *text)
{
	json_object_set_new(o, name, text != NULL && text[0] != '\0' ? json_string(text) : json_null());
}

static void
set_flag(json_t *o, const char *name, bool flag)
{
	json_object_set_new(o, name, json_boolean(flag));
}

static const char *
state_word(const struct gateway *g)
{
	if (gateway_state(g) != GATEWAY_UP)
		return "down";
	return gateway_is_full(g) ? "full" : "up";
}

static const char *
tag_name(const struct pool *p, uint64_t tag)
{
	const struct gateway *g = pool_find_tag(p, tag);

	return g != NULL ? g->name : NULL;
}

/* ---- the process ---- */

static json_t *
view_store(const struct daemon *d)
{
	json_t *o = json_object();
	struct store_counts c;

	if (d->store == NULL) {
		set_text(o, "type", "memory");
		return o;
	}
	store_shared_count(d->store, &c);
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
	set_number(o, "max_keys", d->conf->store.max_keys);
	set_number(o, "evicted", c.evicted);
	set_number(o, "expired", c.expired);
	return o;
}

json_t *
view_status(const struct daemon *d, uint64_t now_s)
{
	struct metrics_traffic sum = metrics_traffic(d);
	json_t *o = json_object();

	set_text(o, "version", PACKAGE_VERSION);
	set_number(o, "pid", (uint64_t)getpid());
	set_time(o, "started", d->begun_s, now_s);
	set_number(o, "uptime_s", now_s > d->begun_s ? now_s - d->begun_s : 0);
	set_number(o, "workers", d->workers);
	set_number(o, "sessions", metrics_sessions(d));
	set_number(o, "sessions_total", sum.sessions);
	set_number(o, "connections_total", sum.connections);
	set_number(o, "requests_total", sum.requests);
	set_number(o, "bad_requests_total", sum.bad_requests);
	set_number(o, "duplicates_closed_total", sum.duplicates);
	json_object_set_new(o, "table", view_table(d));
	json_object_set_new(o, "store", view_store(d));
	return o;
}

/* ---- gateways ---- */

static json_t *
view_gateway(const struct pool *p, const struct gateway *g)
{
	char address[ADDR_TEXT];
	json_t *o = json_object();

	set_text(o, "pool", p->name);
	set_text(o, "name", g->name);
	set_text(o, "address", addr_text(&g->addr, address));
	set_text(o, "state", state_word(g));
	set_number(o, "weight", gateway_weight(g));
	set_flag(o, "backup", g->backup);
	set_number(o, "load", gateway_load(g));
	set_number(o, "sessions", gateway_sessions(g));
	set_number(o, "max_sessions", g->max_sessions);
	return o;
}

json_t *
view_gateways(const struct daemon *d)
{
	json_t *list = json_array();

	for (size_t p = 0; p < d->pools; p++)
		for (unsigned i = 0; i < d->pool[p]->gateways; i++)
			json_array_append_new(list, view_gateway(d->pool[p], d->pool[p]->gateway[i]));
	return json_pack("{s:o}", "gateways", list);
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
	set_text(o, "gateway", g != NULL ? g->name : NULL);
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
	set_text(o, "owner", e->owner != NULL ? e->owner->name : NULL);
	set_time(o, "since", e->born_s, now_s);
	set_time(o, "seen", e->seen_s, now_s);
	set_time(o, "confirmed", e->confirmed_s, now_s);
	set_text(o, "now", explain_fate_name(e->fate));
	set_text(o, "because", e->because);
	json_object_set_new(o, "moves", view_moves(src->pool, e, now_s));
	json_object_set_new(o, "store", stored != NULL ? stored : json_null());
	return o;
}
