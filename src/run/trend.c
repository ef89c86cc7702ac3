/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of differences. They are printed as they stand, without a tree of JSON values in between: with a thousand
 * gateways there would be half a million of those. */
#include "run/trend.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/metrics.h"

/* What came in one step. */
struct sample {
	uint64_t ms;			/* how long the step was */
	uint64_t connections, requests, sessions, bytes_in, bytes_out, errors;
	uint64_t open;			/* sessions at its end */
	uint64_t lag_us;		/* the longest turn of any worker */
};

struct past {
	struct gateway *gateway;	/* referenced */
	uint64_t requests;		/* in all, at the last sample */
	unsigned n;			/* samples known, up to TREND_SAMPLES */
	bool stays;			/* while rows are made anew */
	struct {
		uint32_t sessions, requests;
	} at[TREND_SAMPLES];
};

struct trend {
	const struct daemon *daemon;
	struct event timer;
	bool ticks;
	uint64_t last_ms, last_s;	/* of the last sample, by both clocks */
	struct metrics_traffic before;	/* in all, at that time */
	uint64_t samples;		/* taken so far: sample i is at i % TREND_SAMPLES */
	struct sample at[TREND_SAMPLES];
	struct past **row;		/* the edition's gateways, in its order */
	size_t rows;
};

/* ---- samples ---- */

static uint64_t
lag_peak(const struct daemon *d)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < d->workers; i++) {
		uint64_t us = worker_take_lag_peak(d->worker[i]);

		if (us > most)
			most = us;
	}
	return most;
}

/* When the workers have gone there is nothing to be added up any more. */
static uint64_t
grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void
sample_take(struct trend *t, struct sample *s, uint64_t now_ms)
{
	struct metrics_traffic now = metrics_traffic(t->daemon);
	const struct metrics_traffic *was = &t->before;

	*s = (struct sample){
		.ms = now_ms - t->last_ms, .connections = grown(now.connections, was->connections),
		.requests = grown(now.requests, was->requests), .sessions = grown(now.sessions, was->sessions),
		.bytes_in = grown(now.bytes_in, was->bytes_in), .bytes_out = grown(now.bytes_out, was->bytes_out),
		.errors = grown(now.errors, was->errors), .open = metrics_sessions(t->daemon),
		.lag_us = lag_peak(t->daemon),
	};
	t->before = now;
	t->last_ms = now_ms;
	t->last_s = clock_wall_us() / 1000000;
}

/* ---- gateways ---- */

static struct past *
past_new(struct gateway *g)
{
	struct past *h = mem_zalloc(sizeof *h);

	h->gateway = gateway_ref(g);
	h->requests = gateway_requests(g);
	return h;
}

static void
past_free(struct past *h)
{
	gateway_unref(h->gateway);
	free(h);
}

static int
history_order(const void *a, const void *b)
{
	const struct past *const *one = a, *const *other = b;

	return ((*one)->gateway > (*other)->gateway) - ((*one)->gateway < (*other)->gateway);
}

/* Out of the old rows, which are sorted. NULL: it was not there. */
static struct past *
history_take(struct past **row, size_t rows, struct gateway *g)
{
	struct past wanted = { .gateway = g }, *key = &wanted;
	struct past **found = rows != 0 ? bsearch(&key, row, rows, sizeof *row, history_order) : NULL;

	if (found == NULL)
		return NULL;
	(*found)->stays = true;
	return *found;
}

static size_t
count_gateways(const struct edition *e)
{
	size_t n = 0;

	for (size_t p = 0; p < e->pools; p++)
		n += e->pool[p]->gateways;
	return n;
}

static bool
rows_fit(const struct trend *t, const struct edition *e)
{
	size_t k = 0;

	if (count_gateways(e) != t->rows)
		return false;
	for (size_t p = 0; p < e->pools; p++)
		for (unsigned i = 0; i < e->pool[p]->gateways; i++)
			if (t->row[k++]->gateway != e->pool[p]->gateway[i])
				return false;
	return true;
}

/* After a reload. */
static void
rows_make(struct trend *t, const struct edition *e)
{
	struct past **old = t->row;
	size_t olds = t->rows;

	if (olds != 0)
		qsort(old, olds, sizeof(struct past *), history_order);
	t->row = mem_zalloc((count_gateways(e) + 1) * sizeof(struct past *));
	t->rows = 0;
	for (size_t p = 0; p < e->pools; p++)
		for (unsigned i = 0; i < e->pool[p]->gateways; i++) {
			struct past *h = history_take(old, olds, e->pool[p]->gateway[i]);

			t->row[t->rows++] = h != NULL ? h : past_new(e->pool[p]->gateway[i]);
		}
	for (size_t i = 0; i < olds; i++)
		if (!old[i]->stays)
			past_free(old[i]);
	for (size_t i = 0; i < t->rows; i++)
		t->row[i]->stays = false;
	free(old);
}

static void
history_note(struct past *h, uint64_t sample)
{
	uint64_t requests = gateway_requests(h->gateway);

	h->at[sample % TREND_SAMPLES].sessions = gateway_sessions(h->gateway);
	h->at[sample % TREND_SAMPLES].requests = (uint32_t)(requests - h->requests);
	h->requests = requests;
	if (h->n < TREND_SAMPLES)
		h->n++;
}

void
trend_sample(struct trend *t, uint64_t now_ms)
{
	sample_take(t, &t->at[t->samples % TREND_SAMPLES], now_ms);
	if (!rows_fit(t, t->daemon->edition))
		rows_make(t, t->daemon->edition);
	for (size_t i = 0; i < t->rows; i++)
		history_note(t->row[i], t->samples);
	t->samples++;
}

/* ---- life ---- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	trend_sample(arg, clock_coarse_ms());
}

struct trend *
trend_new(struct event_base *base, const struct daemon *d)
{
	static const struct timeval step = { .tv_sec = TREND_STEP_S };
	struct trend *t = mem_zalloc(sizeof *t);

	t->daemon = d;
	t->before = metrics_traffic(d);
	t->last_ms = clock_coarse_ms();
	t->last_s = clock_wall_us() / 1000000;
	rows_make(t, d->edition);
	t->ticks = base != NULL;
	if (t->ticks) {
		must(event_assign(&t->timer, base, -1, EV_PERSIST, on_timer, t) == 0);
		must(event_add(&t->timer, &step) == 0);
	}
	return t;
}

void
trend_free(struct trend *t)
{
	if (t == NULL)
		return;
	if (t->ticks)
		event_del(&t->timer);
	for (size_t i = 0; i < t->rows; i++)
		past_free(t->row[i]);
	free(t->row);
	free(t);
}

/* ---- what is told ---- */

static double
per_second(uint64_t n, uint64_t ms)
{
	return ms != 0 ? (double)n * 1000 / (double)ms : 0;
}

struct trend_rates
trend_rates(const struct trend *t)
{
	unsigned n = t->samples < TREND_RATES_OVER ? (unsigned)t->samples : TREND_RATES_OVER;
	struct sample sum = { .ms = 0 };

	for (unsigned i = 1; i <= n; i++) {
		const struct sample *s = &t->at[(t->samples - i) % TREND_SAMPLES];

		sum.ms += s->ms;
		sum.connections += s->connections;
		sum.requests += s->requests;
		sum.sessions += s->sessions;
		sum.bytes_in += s->bytes_in;
		sum.bytes_out += s->bytes_out;
	}
	return (struct trend_rates){
		per_second(sum.connections, sum.ms), per_second(sum.requests, sum.ms),
		per_second(sum.sessions, sum.ms), per_second(sum.bytes_in, sum.ms), per_second(sum.bytes_out, sum.ms),
	};
}

static double
open_of(const struct sample *s)
{
	return (double)s->open;
}

static double
lag_of(const struct sample *s)
{
	return (double)s->lag_us;
}

#define RATE_OF(name) \
	static double name##_of(const struct sample *s) { return per_second(s->name, s->ms); }
RATE_OF(connections)
RATE_OF(requests)
RATE_OF(bytes_in)
RATE_OF(bytes_out)
RATE_OF(errors)

/* The n latest of them begin here. */
static uint64_t
first_of(const struct trend *t, unsigned n)
{
	return t->samples - n;
}

static void
print_series(const struct trend *t, FILE *to)
{
	static const struct {
		const char *name;
		double (*of)(const struct sample *s);
		int digits;		/* behind the point */
	} series[] = {
		{ "sessions", open_of, 0 }, { "connections_s", connections_of, 1 }, { "requests_s", requests_of, 1 },
		{ "errors_s", errors_of, 1 }, { "bytes_in_s", bytes_in_of, 0 }, { "bytes_out_s", bytes_out_of, 0 },
		{ "lag_max_us", lag_of, 0 },
	};
	unsigned n = t->samples < TREND_SAMPLES ? (unsigned)t->samples : TREND_SAMPLES;

	for (unsigned k = 0; k < COUNT(series); k++) {
		fprintf(to, "%s\n    \"%s\": [", k != 0 ? "," : "", series[k].name);
		for (uint64_t i = first_of(t, n); i < t->samples; i++)
			fprintf(to, "%s%.*f", i != first_of(t, n) ? "," : "", series[k].digits,
			    series[k].of(&t->at[i % TREND_SAMPLES]));
		putc(']', to);
	}
}

/* Names need no escapes: value_is_name() is for both. */
static void
print_history(const struct trend *t, const struct past *h, FILE *to)
{
	uint64_t first = first_of(t, h->n);

	fprintf(to, "\n    {\"pool\": \"%s\", \"name\": \"%s\", \"sessions\": [", gateway_pool_name(h->gateway),
	    gateway_name(h->gateway));
	for (uint64_t i = first; i < t->samples; i++)
		fprintf(to, "%s%u", i != first ? "," : "", h->at[i % TREND_SAMPLES].sessions);
	fputs("], \"requests_s\": [", to);
	for (uint64_t i = first; i < t->samples; i++)
		fprintf(to, "%s%.1f", i != first ? "," : "",
		    per_second(h->at[i % TREND_SAMPLES].requests, t->at[i % TREND_SAMPLES].ms));
	fputs("]}", to);
}

void
trend_print(const struct trend *t, FILE *to)
{
	char until[CLOCK_TEXT];

	clock_text(t->last_s * 1000000, until);
	fprintf(to,
	    "{\n  \"step_s\": %d,\n  \"until\": \"%.19sZ\",\n  \"samples\": %d,\n  \"series\": {", TREND_STEP_S,
	    until, TREND_SAMPLES);
	print_series(t, to);
	fputs("\n  },\n  \"gateways\": [", to);
	for (size_t i = 0; i < t->rows; i++) {
		fputs(i != 0 ? "," : "", to);
		print_history(t, t->row[i], to);
	}
	fputs("\n  ]\n}\n", to);
}
