/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of the process, of gateways and of sessions: lists of "name  value", and tables where there are many
 * of a kind. */
#include "ctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/sheet.h"
#include "ctl/words.h"

/* ---- status ---- */

static void
add_store(struct grid *g, const json_t *store)
{
	const char *type = field_text(store, "type");

	grid_add(g, "store");
	if (type == NULL || strcmp(type, "redis") != 0) {
		grid_add(g, type);
		return;
	}
	grid_addf(g, "redis, %s; %lld asked, %lld without an answer, %lld still to be told",
	    field_flag(store, "well") ? "well" : "NOT WELL", field_number(store, "asked"),
	    field_number(store, "silent"), field_number(store, "waiting"));
}

static void
add_rates(struct grid *g, const json_t *rates)
{
	char sessions[WORDS], requests[WORDS], in[WORDS], out[WORDS];

	if (rates == NULL)
		return;
	grid_add(g, "lately");
	grid_addf(g, "%s new sessions and %s requests a second, %s/s in, %s/s out",
	    words_rate(field_real(rates, "sessions_s"), sessions),
	    words_rate(field_real(rates, "requests_s"), requests),
	    words_bytes((uint64_t)field_real(rates, "bytes_in_s"), in),
	    words_bytes((uint64_t)field_real(rates, "bytes_out_s"), out));
}

static void
add_reloads(struct grid *g, const json_t *reloads)
{
	const json_t *last = json_object_get(reloads, "last");
	const char *when = field_text(last, "at_words");

	if (field_number(reloads, "total") == 0)
		return;
	grid_add(g, "reloads");
	grid_addf(g, "%lld, %lld failed; the last one, %s, %s", field_number(reloads, "total"),
	    field_number(reloads, "failed"), when != NULL ? when : "?",
	    field_flag(last, "good") ? "was good" : "FAILED");
	if (!field_flag(last, "good"))
		grid_paint(g, GRID_BAD);
}

static void
add_process(struct grid *g, const json_t *o)
{
	char memory[WORDS];

	sheet_line(g, "version", field_text(o, "version"));
	sheet_line(g, "state", field_text(o, "state"));
	sheet_number(g, "pid", o, "pid");
	sheet_time(g, "started", o, "started");
	add_reloads(g, json_object_get(o, "reloads"));
	sheet_number(g, "workers", o, "workers");
	if (field_is(o, "memory_bytes"))
		sheet_line(g, "memory", words_bytes((uint64_t)field_number(o, "memory_bytes"), memory));
}

static void
add_traffic(struct grid *g, const json_t *o)
{
	const json_t *table = json_object_get(o, "table");

	grid_add(g, "sessions");
	grid_addf(g, "%lld now, %lld in all", field_number(o, "sessions"), field_number(o, "sessions_total"));
	sheet_number(g, "connections", o, "connections_total");
	grid_add(g, "requests");
	grid_addf(g, "%lld, %lld refused as malformed", field_number(o, "requests_total"),
	    field_number(o, "bad_requests_total"));
	add_rates(g, json_object_get(o, "rates"));
	grid_add(g, "keys");
	grid_addf(g, "%lld of %lld", field_number(table, "keys"), field_number(table, "max_keys"));
	add_store(g, json_object_get(o, "store"));
	if (field_number(o, "log_dropped") == 0)
		return;
	grid_add(g, "log");
	grid_addf(g, "%lld lines lost: what it goes to is slow or full", field_number(o, "log_dropped"));
	grid_paint(g, GRID_WARNING);
}

static void
add_lag(struct grid *g, const json_t *lag, const char *field)
{
	char text[WORDS];

	grid_add(g, field_is(lag, field) ? words_us((uint64_t)field_number(lag, field), text) : NULL);
}

static void
print_workers(const json_t *list)
{
	static const char *const heads[] = { "WORKER", "SESSIONS", "CONNECTIONS", "LAG 50%", "99%", "99.9%", "MOST" };
	const json_t *at;
	struct grid g;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	grid_init(&g, COUNT(heads), ~0U);
	sheet_heads(&g, heads, COUNT(heads));
	json_array_foreach(list, i, at) {
		const json_t *lag = json_object_get(at, "lag");

		grid_addf(&g, "%lld", field_number(at, "number"));
		grid_addf(&g, "%lld", field_number(at, "sessions"));
		grid_addf(&g, "%lld", field_number(at, "connections"));
		add_lag(&g, lag, "p50_us");
		add_lag(&g, lag, "p99_us");
		add_lag(&g, lag, "p999_us");
		add_lag(&g, lag, "max_us");
	}
	putchar('\n');
	sheet_print(&g, "");
}

void
show_status(const json_t *o)
{
	struct grid g;

	sheet_init(&g);
	add_process(&g, o);
	add_traffic(&g, o);
	sheet_print(&g, "");
	print_workers(json_object_get(o, "workers_list"));
}

/* ---- gateways ---- */

static void
add_gateway_row(struct grid *g, const json_t *o)
{
	const char *state = field_text(o, "state");

	grid_add(g, field_text(o, "pool"));
	grid_add(g, field_text(o, "name"));
	grid_add(g, field_text(o, "address"));
	sheet_state(g, state);
	grid_add(g, field_text(o, "since_words"));
	grid_addf(g, "%lld%s", field_number(o, "weight"), field_flag(o, "backup") ? " backup" : "");
	grid_addf(g, "%lld", field_number(o, "sessions"));
	if (field_number(o, "max_sessions") != 0)
		grid_addf(g, "%lld", field_number(o, "max_sessions"));
	else
		grid_add(g, NULL);
	grid_addf(g, "%lld", field_number(o, "load"));
	grid_addf(g, "%lld", field_number(o, "requests"));
	grid_addf(g, "%lld", field_number(o, "errors"));
	sheet_own(g, sheet_check(json_object_get(o, "check")));
	sheet_own(g, sheet_why(o));
}

static void
print_gateways(const json_t *list)
{
	enum { POOL, NAME, ADDRESS, STATE, SINCE, WEIGHT, SESSIONS, MAX, LOAD, REQUESTS, ERRORS, CHECK, WHY };
	static const char *const heads[] = {
		[POOL] = "POOL", [NAME] = "GATEWAY", [ADDRESS] = "ADDRESS", [STATE] = "STATE", [SINCE] = "SINCE",
		[WEIGHT] = "WEIGHT", [SESSIONS] = "SESSIONS", [MAX] = "MAX", [LOAD] = "LOAD", [REQUESTS] = "REQUESTS",
		[ERRORS] = "ERRORS", [CHECK] = "CHECK", [WHY] = "WHY",
	};
	static const unsigned char spare[] = { LOAD, ADDRESS, MAX, CHECK, REQUESTS, SINCE, ERRORS, WEIGHT };
	const json_t *at;
	struct grid g;
	size_t i;

	grid_init(&g, COUNT(heads), BIT(WEIGHT) | BIT(SESSIONS) | BIT(MAX) | BIT(LOAD) | BIT(REQUESTS) | BIT(ERRORS));
	sheet_heads(&g, heads, COUNT(heads));
	json_array_foreach(list, i, at)
		add_gateway_row(&g, at);
	sheet_print_table(&g, spare, COUNT(spare));
}

static void
add_pool_row(struct grid *g, const json_t *o)
{
	static const char *const outcomes[] = { "hit", "new", "reassigned", "invalid", "rejected" };
	const json_t *rebalancing = json_object_get(o, "rebalancing"), *affinity = json_object_get(o, "affinity");

	grid_add(g, field_text(o, "name"));
	grid_add(g, field_text(o, "balance"));
	grid_addf(g, "%lld of %lld", field_number(o, "up"), field_number(o, "gateways"));
	if (field_number(o, "up") == 0)
		grid_paint(g, GRID_BAD);
	grid_addf(g, "%lld", field_number(o, "sessions"));
	for (size_t i = 0; i < COUNT(outcomes); i++)
		grid_addf(g, "%lld", field_number(affinity, outcomes[i]));
	if (json_is_object(rebalancing))
		grid_addf(g, "%lld to move", field_number(rebalancing, "left"));
	else
		grid_add(g, NULL);
}

static void
print_pools(const json_t *list)
{
	static const char *const heads[] = {
		"POOL", "BALANCE", "UP", "SESSIONS", "HITS", "NEW", "REASSIGNED", "INVALID", "REJECTED", "REBALANCE",
	};
	static const unsigned char spare[] = { 1, 8, 7 };
	const json_t *at;
	struct grid g;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	grid_init(&g, COUNT(heads), BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8));
	sheet_heads(&g, heads, COUNT(heads));
	json_array_foreach(list, i, at)
		add_pool_row(&g, at);
	putchar('\n');
	sheet_print_table(&g, spare, COUNT(spare));
}

void
show_gateways(const json_t *o)
{
	print_gateways(json_object_get(o, "gateways"));
	print_pools(json_object_get(o, "pools"));
}

void
show_gateway(const json_t *o)
{
	const json_t *at = json_object_get(o, "gateway");
	const char *pool = field_text(at, "pool"), *name = field_text(at, "name"), *state = field_text(at, "state");
	char *why = sheet_why(at), *line;

	line = mem_printf("%s/%s is %s%s%s%s, weight %lld, %lld sessions", pool != NULL ? pool : "?",
	    name != NULL ? name : "?", state != NULL ? state : "?", *why != '\0' ? " (" : "", why,
	    *why != '\0' ? ")" : "", field_number(at, "weight"), field_number(at, "sessions"));
	sheet_say(stdout, "", line);
	free(line);
	free(why);
}

/* ---- sessions ---- */

static void
add_session_row(struct grid *g, const json_t *o)
{
	const char *pool = field_text(o, "pool"), *gateway = field_text(o, "gateway"), *host = field_text(o, "host"),
	    *target = field_text(o, "target");
	char text[WORDS];

	grid_add(g, field_text(o, "client"));
	grid_addf(g, "%s/%s", pool != NULL ? pool : "?", gateway != NULL ? gateway : "?");
	grid_add(g, field_text(o, "since_words"));
	grid_add(g, words_span((uint64_t)field_number(o, "idle_s"), text));
	grid_add(g, words_bytes((uint64_t)field_number(o, "bytes_in"), text));
	grid_add(g, words_bytes((uint64_t)field_number(o, "bytes_out"), text));
	grid_addf(g, "%lld/%lld", field_number(o, "messages_in"), field_number(o, "messages_out"));
	grid_addf(g, "%s%s", field_text(o, "listener") != NULL ? field_text(o, "listener") : "?",
	    field_is(o, "tls") && !json_is_false(json_object_get(o, "tls")) ? " (tls)" : "");
	grid_add(g, field_text(o, "how"));
	grid_addf(g, "%s%s", host != NULL ? host : "", target != NULL ? target : "");
}

void
show_sessions(const json_t *o)
{
	enum { CLIENT, GATEWAY, SINCE, IDLE, IN, OUT, MESSAGES, LISTENER, HOW, TARGET };
	static const char *const heads[] = {
		[CLIENT] = "CLIENT", [GATEWAY] = "GATEWAY", [SINCE] = "SINCE", [IDLE] = "IDLE", [IN] = "IN",
		[OUT] = "OUT", [MESSAGES] = "MESSAGES", [LISTENER] = "LISTENER", [HOW] = "HOW", [TARGET] = "TARGET",
	};
	static const unsigned char spare[] = { LISTENER, MESSAGES, HOW, SINCE, OUT, IN };
	const json_t *list = json_object_get(o, "sessions"), *at;
	struct grid g;
	size_t i;

	grid_init(&g, COUNT(heads), BIT(IDLE) | BIT(IN) | BIT(OUT) | BIT(MESSAGES));
	sheet_heads(&g, heads, COUNT(heads));
	json_array_foreach(list, i, at)
		add_session_row(&g, at);
	sheet_print_table(&g, spare, COUNT(spare));
	if (field_flag(o, "cut"))
		printf("\n%zu of %lld; --limit shows more\n", json_array_size(list), field_number(o, "total"));
}

void
show_rebalance(const json_t *o)
{
	char *line = mem_printf("%s: %lld sessions to move; `stickyctl gateways` and `top` show how far it is",
	    field_text(o, "pool") != NULL ? field_text(o, "pool") : "?", field_number(o, "moving"));

	sheet_say(stdout, "", line);
	free(line);
}

/* ---- reloads, logs, events ---- */

void
show_reload(const json_t *o)
{
	const json_t *list = json_object_get(o, "notices"), *at;
	size_t i;

	puts("reloaded");
	json_array_foreach(list, i, at)
		sheet_say(stdout, "notice: ", json_string_value(at));
}

void
show_reopened(const json_t *o)
{
	(void)o;
	puts("the logs are reopened");
}

void
show_event(const json_t *o, FILE *to)
{
	const char *when = field_text(o, "at"), *level = field_text(o, "level"), *text = field_text(o, "text");
	char *line = mem_printf("%s %-6s %s", when != NULL ? when : "?", level != NULL ? level : "?",
	    text != NULL ? text : "");

	sheet_say(to, "", line);
	free(line);
}

void
show_events(const json_t *o)
{
	const json_t *list = json_object_get(o, "events"), *at;
	size_t i;

	json_array_foreach(list, i, at)
		show_event(at, stdout);
}
