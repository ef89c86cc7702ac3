/* SPDX-License-Identifier: BSD-2-Clause */
/* Families in an order that an operator reads: the process, traffic, gateways, affinity, the table, the store. */
#include "run/metrics.h"

#include <inttypes.h>

struct metrics_traffic
metrics_traffic(const struct daemon *d)
{
	struct metrics_traffic sum = { 0 };

	for (unsigned i = 0; i < d->workers; i++) {
		const struct proxy_counts *c = worker_counts(d->worker[i]);

		sum.connections += counter_read(&c->connections);
		sum.requests += counter_read(&c->requests);
		sum.sessions += counter_read(&c->sessions);
		sum.bad_requests += counter_read(&c->bad_requests);
		sum.duplicates += counter_read(&c->duplicates);
	}
	return sum;
}

size_t
metrics_sessions(const struct daemon *d)
{
	size_t sum = 0;

	for (unsigned i = 0; i < d->workers; i++)
		sum += worker_sessions(d->worker[i]);
	return sum;
}

/* ---- the format ---- */

static void
family(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: what the format escapes is backslash, quote and line feed. */
static void
label(FILE *to, const char *name, const char *value)
{
	fprintf(to, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			fputs("\\n", to);
		else if (*value == '\\' || *value == '"')
			fprintf(to, "\\%c", *value);
		else
			putc(*value, to);
	}
	putc('"', to);
}

/* A family of one sample. */
static void
single(FILE *to, const char *name, const char *type, const char *help, uint64_t value)
{
	family(to, name, type, help);
	fprintf(to, "%s %" PRIu64 "\n", name, value);
}

/* In seconds, as Prometheus wants times, of microseconds. */
static void
single_seconds(FILE *to, const char *name, const char *type, const char *help, uint64_t us)
{
	family(to, name, type, help);
	fprintf(to, "%s %" PRIu64 ".%06u\n", name, us / 1000000, (unsigned)(us % 1000000));
}

/* ---- the process and its traffic ---- */

static void
print_process(const struct daemon *d, FILE *to)
{
	family(to, "stickyd_build_info", "gauge", "The version that runs; always 1.");
	fputs("stickyd_build_info{", to);
	label(to, "version", PACKAGE_VERSION);
	fputs("} 1\n", to);
	single(to, "stickyd_start_time_seconds", "gauge", "When it was started, in seconds since 1970.", d->begun_s);
	single(to, "stickyd_workers", "gauge", "Worker threads.", d->workers);
}

static void
print_traffic(const struct daemon *d, FILE *to)
{
	struct metrics_traffic sum = metrics_traffic(d);

	single(to, "stickyd_connections_total", "counter", "Connections of clients.", sum.connections);
	single(to, "stickyd_requests_total", "counter", "Requests of clients, handshakes included.", sum.requests);
	single(to, "stickyd_bad_requests_total", "counter", "Requests refused as malformed.", sum.bad_requests);
	single(to, "stickyd_sessions_total", "counter", "WebSocket sessions so far.", sum.sessions);
	single(to, "stickyd_duplicates_closed_total", "counter", "Sessions closed since another came with their key.",
	    sum.duplicates);
}

/* ---- gateways ---- */

typedef uint64_t gateway_value_fn(const struct gateway *g);

static uint64_t
gateway_is_up(const struct gateway *g)
{
	return gateway_state(g) == GATEWAY_UP;
}

static uint64_t
gateway_load_now(const struct gateway *g)
{
	return gateway_load(g);
}

static uint64_t
gateway_sessions_now(const struct gateway *g)
{
	return gateway_sessions(g);
}

static uint64_t
gateway_weight_now(const struct gateway *g)
{
	return gateway_weight(g);
}

static uint64_t
gateway_places(const struct gateway *g)
{
	return g->max_sessions;
}

static void
print_gateways(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *help;
		gateway_value_fn *value;
	} families[] = {
		{ "stickyd_gateway_up", "1: checks say that it is well.", gateway_is_up },
		{ "stickyd_gateway_weight", "Its share of newcomers.", gateway_weight_now },
		{ "stickyd_gateway_load", "Requests and sessions under way.", gateway_load_now },
		{ "stickyd_sessions", "WebSocket sessions, those in handshake included.", gateway_sessions_now },
		{ "stickyd_gateway_max_sessions", "Its places for sessions; 0: no limit.", gateway_places },
	};

	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, "gauge", families[f].help);
		for (size_t p = 0; p < d->pools; p++)
			for (unsigned i = 0; i < d->pool[p]->gateways; i++) {
				const struct gateway *g = d->pool[p]->gateway[i];

				fprintf(to, "%s{", families[f].name);
				label(to, "pool", d->pool[p]->name);
				putc(',', to);
				label(to, "gateway", g->name);
				fprintf(to, "} %" PRIu64 "\n", families[f].value(g));
			}
	}
}

/* ---- affinity ---- */

static uint64_t
decided_sum(const struct daemon *d, size_t pool, size_t at)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->workers; i++)
		sum += counter_read(&worker_tally(d->worker[i], pool)->decided[at]);
	return sum;
}

/* The last row, which no selector decided, is what the balance or nobody did. */
static void
print_decisions_of(const struct daemon *d, size_t pool, FILE *to)
{
	const struct affinity *a = d->service[pool].affinity;
	size_t selectors = affinity_selectors(a);

	for (size_t s = 0; s <= selectors; s++)
		for (unsigned o = 0; o < AFFINITY_OUTCOMES; o++) {
			fputs("stickyd_affinity_decisions_total{", to);
			label(to, "pool", d->pool[pool]->name);
			putc(',', to);
			label(to, "selector", s < selectors ? affinity_selector_text(a, s) : "none");
			putc(',', to);
			label(to, "outcome", affinity_outcome_name((enum affinity_outcome)o));
			fprintf(to, "} %" PRIu64 "\n", decided_sum(d, pool, s * AFFINITY_OUTCOMES + o));
		}
}

static const struct counter *
tally_bare(const struct proxy_tally *t)
{
	return &t->bare;
}

static const struct counter *
tally_waited(const struct proxy_tally *t)
{
	return &t->waited;
}

static const struct counter *
tally_retries(const struct proxy_tally *t)
{
	return &t->retries;
}

static void
print_affinity(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *help;
		const struct counter *(*counter)(const struct proxy_tally *t);
	} families[] = {
		{ "stickyd_affinity_bare_requests_total", "Requests with nothing of what the pool looks for.",
		  tally_bare },
		{ "stickyd_affinity_waited_total", "Requests that had to wait for their gateway.", tally_waited },
		{ "stickyd_gateway_retries_total", "Further gateways tried for a request.", tally_retries },
	};

	family(to, "stickyd_affinity_decisions_total", "counter",
	    "How requests were given their gateway: by which selector, and what became of it.");
	for (size_t p = 0; p < d->pools; p++)
		print_decisions_of(d, p, to);
	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, "counter", families[f].help);
		for (size_t p = 0; p < d->pools; p++) {
			uint64_t sum = 0;

			for (unsigned i = 0; i < d->workers; i++)
				sum += counter_read(families[f].counter(worker_tally(d->worker[i], p)));
			fprintf(to, "%s{", families[f].name);
			label(to, "pool", d->pool[p]->name);
			fprintf(to, "} %" PRIu64 "\n", sum);
		}
	}
}

/* ---- what is remembered ---- */

static void
print_table(const struct daemon *d, FILE *to)
{
	struct table_counts c = table_counts(d->shared.table);

	single(to, "stickyd_table_keys", "gauge", "Keys in the table.", c.keys);
	single(to, "stickyd_table_max_keys", "gauge", "Keys that it has room for.", d->conf->store.max_keys);
	single(to, "stickyd_table_evictions_total", "counter", "Keys in use that went for want of room.", c.evicted);
	single(to, "stickyd_table_expired_total", "counter", "Keys whose time was over.", c.expired);
}

static void
print_store(const struct daemon *d, FILE *to)
{
	struct store_counts c;

	if (d->store == NULL)
		return;
	store_shared_count(d->store, &c);
	single(to, "stickyd_store_well", "gauge", "1: all workers are connected to it and it answers.", c.well);
	single(to, "stickyd_store_asked_total", "counter", "Questions put to the store.", c.asked);
	single(to, "stickyd_store_found_total", "counter", "Questions whose key was bound there.", c.found);
	single(to, "stickyd_store_bound_total", "counter", "Questions whose keys were bound by them.", c.bound);
	single(to, "stickyd_store_silent_total", "counter", "Questions without an answer in time.", c.silent);
	single(to, "stickyd_store_errors_total", "counter", "Answers that are errors or make no sense.", c.errors);
	single(to, "stickyd_store_told_total", "counter", "Bindings that the store was told of.", c.told);
	single(to, "stickyd_store_waiting", "gauge", "Bindings that it has still to be told of.", c.waiting);
	single(to, "stickyd_store_dropped_total", "counter", "Bindings that it will never be told of.", c.dropped);
	single(to, "stickyd_store_reconnects_total", "counter", "Connections to the store made anew.", c.reconnects);
	single_seconds(to, "stickyd_store_answer_seconds_total", "counter", "Time spent waiting for its answers.",
	    c.answer_us);
}

void
metrics_print(const struct daemon *d, FILE *to)
{
	print_process(d, to);
	print_traffic(d, to);
	print_gateways(d, to);
	print_affinity(d, to);
	print_table(d, to);
	print_store(d, to);
}
