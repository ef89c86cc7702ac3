/* SPDX-License-Identifier: BSD-2-Clause */
/* Families in an order that an operator reads: the process, traffic, listeners, gateways, times, affinity, the
 * table, the store. */
#include "run/metrics.h"

#include <inttypes.h>
#include <stdarg.h>

#include "run/process.h"
#include "run/reload.h"

static struct meter_totals
meter_sum(const struct daemon *d, const char *listener)
{
	struct meter_totals sum = { 0 };

	for (unsigned i = 0; i < d->workers; i++)
		meters_add(worker_meters(d->worker[i]), listener, &sum);
	return sum;
}

struct metrics_traffic
metrics_traffic(const struct daemon *d)
{
	struct meter_totals all = meter_sum(d, NULL);
	struct metrics_traffic sum = {
		.bytes_in = all.bytes[METER_IN], .bytes_out = all.bytes[METER_OUT], .errors = all.answers[5],
	};

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

/* Labels: name and value by turns, then NULL. */
static void
sample_begin(FILE *to, const char *name, va_list labels)
{
	const char *by, *before = "{";

	fputs(name, to);
	while ((by = va_arg(labels, const char *)) != NULL) {
		fputs(before, to);
		label(to, by, va_arg(labels, const char *));
		before = ",";
	}
	fputs(*before == ',' ? "} " : " ", to);
}

static void
sample(FILE *to, uint64_t value, const char *name, ...)
{
	va_list labels;

	va_start(labels, name);
	sample_begin(to, name, labels);
	va_end(labels);
	fprintf(to, "%" PRIu64 "\n", value);
}

/* In seconds, as Prometheus wants times, of microseconds. */
static void
sample_seconds(FILE *to, uint64_t us, const char *name, ...)
{
	va_list labels;

	va_start(labels, name);
	sample_begin(to, name, labels);
	va_end(labels);
	fprintf(to, "%" PRIu64 ".%06u\n", us / 1000000, (unsigned)(us % 1000000));
}

/* A family of one sample. */
static void
single(FILE *to, const char *name, const char *type, const char *help, uint64_t value)
{
	family(to, name, type, help);
	sample(to, value, name, NULL);
}

static void
single_seconds(FILE *to, const char *name, const char *type, const char *help, uint64_t us)
{
	family(to, name, type, help);
	sample_seconds(to, us, name, NULL);
}

/* Of several threads, added up: each bucket alone. */
struct buckets {
	uint64_t n[HISTOGRAM_BUCKETS], sum_us;
};

static void
buckets_add(struct buckets *b, const struct counter *bucket, unsigned n, const struct counter *sum_us)
{
	for (unsigned i = 0; i < n; i++)
		b->n[i] += counter_read(&bucket[i]);
	b->sum_us += counter_read(sum_us);
}

/* As the format has it: each bucket with all below it. The last one takes all. */
static void
print_buckets(FILE *to, const char *family, const char *by, const char *value, const struct buckets *b,
    const uint64_t *bound_us, unsigned n)
{
	char name[64], bound[32];
	uint64_t so_far = 0;

	snprintf(name, sizeof name, "%s_bucket", family);
	for (unsigned i = 0; i < n; i++) {
		so_far += b->n[i];
		snprintf(bound, sizeof bound, "%g", (double)bound_us[i] / 1000000);
		sample(to, so_far, name, by, value, "le", i + 1 < n ? bound : "+Inf", NULL);
	}
	snprintf(name, sizeof name, "%s_sum", family);
	sample_seconds(to, b->sum_us, name, by, value, NULL);
	snprintf(name, sizeof name, "%s_count", family);
	sample(to, so_far, name, by, value, NULL);
}

/* ---- the process ---- */

static void
print_process(const struct daemon *d, FILE *to)
{
	struct process_facts f = process_facts();

	family(to, "stickyd_build_info", "gauge", "The version that runs; always 1.");
	sample(to, 1, "stickyd_build_info", "version", PACKAGE_VERSION, NULL);
	single(to, "stickyd_start_time_seconds", "gauge", "When it was started, in seconds since 1970.", d->begun_s);
	single(to, "stickyd_workers", "gauge", "Worker threads.", d->workers);
	single(to, "process_start_time_seconds", "gauge", "The same, under the name that is common.", d->begun_s);
	single_seconds(to, "process_cpu_seconds_total", "counter", "Processor time that all threads have used.",
	    f.cpu_us);
	single(to, "process_resident_memory_bytes", "gauge", "Memory in use.", f.resident_bytes);
	single(to, "process_virtual_memory_bytes", "gauge", "Address space in use.", f.virtual_bytes);
	single(to, "process_open_fds", "gauge", "Descriptors in use.", f.fds);
	single(to, "process_max_fds", "gauge", "Descriptors that it may have.", f.fds_max);
}

static void
print_lag(const struct daemon *d, FILE *to)
{
	static const char name[] = "stickyd_event_loop_lag_seconds";
	char number[16];

	family(to, name, "histogram", "How long a worker's turns took: for so long somebody else may have waited.");
	for (unsigned i = 0; i < d->workers; i++) {
		const struct loop_lag *lag = worker_lag(d->worker[i]);
		struct buckets b = { .sum_us = 0 };

		snprintf(number, sizeof number, "%u", i);
		buckets_add(&b, lag->bucket, LOOP_LAG_BUCKETS, &lag->sum_us);
		print_buckets(to, name, "worker", number, &b, loop_lag_bound_us, LOOP_LAG_BUCKETS);
	}
}

static void
print_reloads(const struct daemon *d, FILE *to)
{
	static const struct reload_history none = { .good = true };
	const struct reload_history *h = d->reload != NULL ? reload_history(d->reload) : &none;

	single(to, "stickyd_reloads_total", "counter", "Reloads of the configuration.", h->total);
	single(to, "stickyd_reloads_failed_total", "counter", "Of them: refused for mistakes.", h->failed);
	single(to, "stickyd_reload_last_time_seconds", "gauge",
	    "When the last reload came to its end, in seconds since 1970; 0: there was none.", h->last_s);
	single(to, "stickyd_reload_last_success_time_seconds", "gauge",
	    "When the last good one did; 0: there was none.", h->last_good_s);
	single(to, "stickyd_reload_last_successful", "gauge", "1: the last reload was good, or there was none.",
	    h->last_s == 0 || h->good);
}

/* ---- traffic ---- */

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

static uint64_t
ends_sum(const struct daemon *d, bool of_sessions, unsigned why)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->workers; i++) {
		const struct proxy_counts *c = worker_counts(d->worker[i]);

		sum += counter_read(of_sessions ? &c->session_ends[why] : &c->request_ends[why]);
	}
	return sum;
}

/* By the words of the access log. */
static void
print_ends(const struct daemon *d, FILE *to, bool of_sessions)
{
	const char *name = of_sessions ? "stickyd_session_ends_total" : "stickyd_request_ends_total";

	family(to, name, "counter", of_sessions ? "Sessions that have ended, by whose doing it was and why."
						: "Requests that have ended, by whose doing it was and why.");
	for (unsigned i = END_NONE + 1; i < END_REASONS_N; i++) {
		const struct end_info *info = end_info((enum end_reason)i);

		sample(to, ends_sum(d, of_sessions, i), name, "by", end_whose_name(info->whose), "reason", info->word,
		    NULL);
	}
}

/* ---- listeners ---- */

static void
print_listener_numbers(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *help;
		enum { NOW, CONNECTIONS, BYTES_IN, BYTES_OUT } which;
	} families[] = {
		{ "stickyd_listener_connections", "Clients that are connected.", NOW },
		{ "stickyd_listener_connections_total", "Connections of clients, by listener.", CONNECTIONS },
		{ "stickyd_listener_received_bytes_total",
		  "Bytes from clients: heads and bodies when their exchange has ended, frames at once.", BYTES_IN },
		{ "stickyd_listener_sent_bytes_total", "Bytes to clients, likewise.", BYTES_OUT },
	};

	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, families[f].which == NOW ? "gauge" : "counter", families[f].help);
		for (size_t i = 0; i < d->edition->listeners; i++) {
			const struct listener *l = d->edition->listener[i];
			struct meter_totals sum = meter_sum(d, l->conf->name);
			const uint64_t value[] = {
				[NOW] = listener_connections(l), [CONNECTIONS] = sum.connections,
				[BYTES_IN] = sum.bytes[METER_IN], [BYTES_OUT] = sum.bytes[METER_OUT],
			};

			sample(to, value[families[f].which], families[f].name, "listener", l->conf->name, NULL);
		}
	}
}

static void
print_answers(const struct daemon *d, FILE *to)
{
	static const char *const classes[METER_CLASSES] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
	static const char name[] = "stickyd_listener_requests_total";

	family(to, name, "counter", "Requests that have ended, by the class of their answer's status.");
	for (size_t i = 0; i < d->edition->listeners; i++) {
		const char *listener = d->edition->listener[i]->conf->name;
		struct meter_totals sum = meter_sum(d, listener);

		for (unsigned c = 0; c < METER_CLASSES; c++)
			sample(to, sum.answers[c], name, "listener", listener, "code", classes[c], NULL);
	}
}

static void
print_handshakes(const struct daemon *d, FILE *to)
{
	static const char name[] = "stickyd_listener_tls_handshakes_total";

	family(to, name, "counter", "TLS handshakes: full, resumed by a ticket, or begun and failed.");
	for (size_t i = 0; i < d->edition->listeners; i++) {
		const struct listener *l = d->edition->listener[i];
		struct tls_totals t = listener_handshakes(l);

		if (l->tls == NULL)
			continue;
		sample(to, t.full, name, "listener", l->conf->name, "kind", "full", NULL);
		sample(to, t.resumed, name, "listener", l->conf->name, "kind", "resumed", NULL);
		sample(to, t.failed, name, "listener", l->conf->name, "kind", "failed", NULL);
	}
}

static void
print_listeners(const struct daemon *d, FILE *to)
{
	print_listener_numbers(d, to);
	print_answers(d, to);
	print_handshakes(d, to);
}

/* ---- gateways ---- */

typedef void gateway_print_fn(FILE *to, const char *family, const char *pool, const struct gateway *g);

static void
each_gateway(const struct daemon *d, FILE *to, const char *name, gateway_print_fn *fn)
{
	for (size_t p = 0; p < d->edition->pools; p++)
		for (unsigned i = 0; i < d->edition->pool[p]->gateways; i++)
			fn(to, name, d->edition->pool[p]->name, d->edition->pool[p]->gateway[i]);
}

#define GATEWAY_VALUE(name, value) \
	static void \
	print_##name(FILE *to, const char *family, const char *pool, const struct gateway *g) \
	{ \
		sample(to, value, family, "pool", pool, "gateway", gateway_name(g), NULL); \
	}
GATEWAY_VALUE(up, gateway_state(g) == GATEWAY_UP)
GATEWAY_VALUE(weight, gateway_weight(g))
GATEWAY_VALUE(load, gateway_load(g))
GATEWAY_VALUE(sessions, gateway_sessions(g))
GATEWAY_VALUE(places, gateway_max_sessions(g))
GATEWAY_VALUE(ejected, gateway_is_ejected(g))
GATEWAY_VALUE(since, gateway_since_s(g))
GATEWAY_VALUE(requests, gateway_requests(g))
GATEWAY_VALUE(errors, gateway_errors(g))
GATEWAY_VALUE(sessions_total, gateway_sessions_total(g))
GATEWAY_VALUE(ejections, gateway_ejections(g))

static void
print_state(FILE *to, const char *family, const char *pool, const struct gateway *g)
{
	for (int s = GATEWAY_UP; s < GATEWAY_GONE; s++)
		sample(to, gateway_state(g) == (enum gateway_state)s, family, "pool", pool, "gateway",
		    gateway_name(g), "state", gateway_state_name((enum gateway_state)s), NULL);
}

static void
print_transitions(FILE *to, const char *family, const char *pool, const struct gateway *g)
{
	sample(to, gateway_went_up(g), family, "pool", pool, "gateway", gateway_name(g), "to", "up", NULL);
	sample(to, gateway_went_down(g), family, "pool", pool, "gateway", gateway_name(g), "to", "down", NULL);
}

static void
print_check_good(FILE *to, const char *family, const char *pool, const struct gateway *g)
{
	struct gateway_check c = gateway_check(g);

	if (c.known)
		sample(to, c.good, family, "pool", pool, "gateway", gateway_name(g), NULL);
}

static void
print_check_took(FILE *to, const char *family, const char *pool, const struct gateway *g)
{
	struct gateway_check c = gateway_check(g);

	if (c.known)
		sample_seconds(to, c.took_us, family, "pool", pool, "gateway", gateway_name(g), NULL);
}

static void
print_gateways(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *type, *help;
		gateway_print_fn *fn;
	} families[] = {
		{ "stickyd_gateway_up", "gauge", "1: it is up, and takes newcomers.", print_up },
		{ "stickyd_gateway_state", "gauge", "1 for the state that it is in, 0 for the others.", print_state },
		{ "stickyd_gateway_state_since_seconds", "gauge", "Since when, in seconds since 1970.", print_since },
		{ "stickyd_gateway_ejected", "gauge", "1: set aside for failures in traffic.", print_ejected },
		{ "stickyd_gateway_weight", "gauge", "Its share of newcomers.", print_weight },
		{ "stickyd_gateway_load", "gauge", "Requests and sessions under way.", print_load },
		{ "stickyd_sessions", "gauge", "WebSocket sessions, those in handshake included.", print_sessions },
		{ "stickyd_gateway_max_sessions", "gauge", "Its places for sessions; 0: no limit.", print_places },
		{ "stickyd_gateway_requests_total", "counter", "Requests sent to it.", print_requests },
		{ "stickyd_gateway_errors_total", "counter", "Of them: failed by its doing.", print_errors },
		{ "stickyd_gateway_sessions_total", "counter", "Sessions begun with it.", print_sessions_total },
		{ "stickyd_gateway_transitions_total", "counter", "How often it came up, and went down.",
		  print_transitions },
		{ "stickyd_gateway_ejections_total", "counter", "How often it was set aside for failures in traffic.",
		  print_ejections },
		{ "stickyd_gateway_check_good", "gauge", "1: the last check found it well.", print_check_good },
		{ "stickyd_gateway_check_duration_seconds", "gauge", "How long the last check took.",
		  print_check_took },
	};

	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, families[f].type, families[f].help);
		each_gateway(d, to, families[f].name, families[f].fn);
	}
}

/* ---- how long things take ---- */

static const struct histogram *
tally_requests(const struct tally *t)
{
	return &t->requests;
}

static const struct histogram *
tally_connects(const struct tally *t)
{
	return &t->connects;
}

static const struct histogram *
tally_sessions(const struct tally *t)
{
	return &t->sessions;
}

static void
print_durations(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *help;
		const struct histogram *(*of)(const struct tally *t);
		const uint64_t *bounds;
	} families[] = {
		{ "stickyd_request_duration_seconds",
		  "From a request's head to the end of its answer; of a handshake: to its 101.", tally_requests,
		  histogram_of_requests },
		{ "stickyd_connect_duration_seconds", "From a request's head until a gateway was connected, waiting "
		  "included.", tally_connects, histogram_of_connects },
		{ "stickyd_session_duration_seconds", "How long sessions lasted that have ended.", tally_sessions,
		  histogram_of_sessions },
	};

	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, "histogram", families[f].help);
		for (size_t p = 0; p < d->edition->pools; p++) {
			struct buckets b = { .sum_us = 0 };

			for (unsigned i = 0; i < d->workers; i++) {
				const struct histogram *h = families[f].of(worker_tally(d->worker[i], p)->tally);

				buckets_add(&b, h->bucket, HISTOGRAM_BUCKETS, &h->sum_us);
			}
			print_buckets(to, families[f].name, "pool", d->edition->pool[p]->name, &b, families[f].bounds,
			    HISTOGRAM_BUCKETS);
		}
	}
}

/* ---- affinity ---- */

static uint64_t
decided_sum(const struct daemon *d, size_t pool, size_t selector, unsigned outcome)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->workers; i++)
		sum += counter_read(&worker_tally(d->worker[i], pool)->row[selector]->outcome[outcome]);
	return sum;
}

/* The last row, which no selector decided, is what the balance or nobody did. */
static void
print_decisions_of(const struct daemon *d, size_t pool, FILE *to)
{
	const struct affinity *a = d->edition->service[pool].affinity;
	size_t selectors = affinity_selectors(a);

	for (size_t s = 0; s <= selectors; s++)
		for (unsigned o = 0; o < AFFINITY_OUTCOMES; o++)
			sample(to, decided_sum(d, pool, s, o), "stickyd_affinity_decisions_total",
			    "pool", d->edition->pool[pool]->name,
			    "selector", s < selectors ? affinity_selector_text(a, s) : "none",
			    "outcome", affinity_outcome_name((enum affinity_outcome)o), NULL);
}

static const struct counter *
tally_bare(const struct tally *t)
{
	return &t->bare;
}

static const struct counter *
tally_waited(const struct tally *t)
{
	return &t->waited;
}

static const struct counter *
tally_retries(const struct tally *t)
{
	return &t->retries;
}

static void
print_affinity(const struct daemon *d, FILE *to)
{
	static const struct {
		const char *name, *help;
		const struct counter *(*counter)(const struct tally *t);
	} families[] = {
		{ "stickyd_affinity_bare_requests_total", "Requests with nothing of what the pool looks for.",
		  tally_bare },
		{ "stickyd_affinity_waited_total", "Requests that had to wait for their gateway.", tally_waited },
		{ "stickyd_gateway_retries_total", "Further gateways tried for a request.", tally_retries },
	};

	family(to, "stickyd_affinity_decisions_total", "counter",
	    "How requests were given their gateway: by which selector, and what became of it.");
	for (size_t p = 0; p < d->edition->pools; p++)
		print_decisions_of(d, p, to);
	for (unsigned f = 0; f < COUNT(families); f++) {
		family(to, families[f].name, "counter", families[f].help);
		for (size_t p = 0; p < d->edition->pools; p++) {
			uint64_t sum = 0;

			for (unsigned i = 0; i < d->workers; i++)
				sum += counter_read(families[f].counter(worker_tally(d->worker[i], p)->tally));
			sample(to, sum, families[f].name, "pool", d->edition->pool[p]->name, NULL);
		}
	}
}

/* ---- what is remembered ---- */

static void
print_table(const struct daemon *d, FILE *to)
{
	struct table_counts c = table_counts(d->shared.table);

	single(to, "stickyd_table_keys", "gauge", "Keys in the table.", c.keys);
	single(to, "stickyd_table_max_keys", "gauge", "Keys that it has room for.", d->edition->conf->store.max_keys);
	single(to, "stickyd_table_evictions_total", "counter", "Keys in use that went for want of room.", c.evicted);
	single(to, "stickyd_table_expired_total", "counter", "Keys whose time was over.", c.expired);
}

static void
print_store(const struct daemon *d, FILE *to)
{
	struct store_counts c;

	if (d->edition->store == NULL)
		return;
	store_shared_count(d->edition->store, &c);
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
	print_lag(d, to);
	print_reloads(d, to);
	single(to, "stickyd_log_dropped_total", "counter",
	    "Lines of logs that were lost: their outputs are slow or full.",
	    d->writer != NULL ? writer_dropped(d->writer) : 0);
	print_traffic(d, to);
	print_ends(d, to, false);
	print_ends(d, to, true);
	print_listeners(d, to);
	print_gateways(d, to);
	print_durations(d, to);
	print_affinity(d, to);
	print_table(d, to);
	print_store(d, to);
}
