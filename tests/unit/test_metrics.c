/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Prometheus gets: a strict reading of the text format (each family once, its samples together below HELP and TYPE,
 * no sample twice, names and labels well-formed), and that the numbers are those that were counted, of all workers.
 */
#include "run/metrics.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "small_daemon.h"

/* A query's name may hold anything: it stands in a label. */
static const char ini[] =
    "[global]\nworkers = 2\n[log]\naccess = off\n"
    "[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[pool game]\ngateway = gw1 127.0.0.1:9001\ngateway = gw2 127.0.0.1:9002 max_sessions=7\n"
    "affinity = query:a\"b\\c, cookie\ncheck = none\n"
    "[pool bare]\ngateway = b1 127.0.0.1:9006\naffinity =\ncheck = none\n";

static char *
printed(const struct daemon *d)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(to);
	metrics_print(d, to);
	fclose(to);
	assert_int_equal(strlen(text), n);
	return text;
}

static bool
fits(const char *pattern, const char *line)
{
	regex_t r;
	bool good;

	assert_int_equal(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
	good = regexec(&r, line, 0, NULL, 0) == 0;
	regfree(&r);
	return good;
}

#define NAME "[a-z][a-z0-9_]*"
#define LABEL "[a-z_]+=\"([^\"\\]|\\\\[\\n\"])*\""

/* The sample's name and labels in all lines behind this one. */
static void
assert_only_once(const char *line, const char *rest)
{
	size_t n = strcspn(line, " ");

	if (strchr(line, '}') != NULL)
		n = (size_t)(strrchr(line, '}') - line) + 1;
	for (; rest != NULL; rest = strchr(rest, '\n')) {
		rest += *rest == '\n';
		assert_false(strncmp(rest, line, n) == 0 && rest[n] == ' ');
	}
}

static void
assert_well_formed(const char *text)
{
	char *copy = strdup(text), family[128] = "", seen[8192] = "";
	bool is_histogram = false;

	for (char *line = strtok(copy, "\n"), *rest; line != NULL; line = strtok(NULL, "\n")) {
		rest = line + strlen(line) + 1;
		if (fits("^# HELP " NAME " [^\\]+\\.$", line)) {
			assert_int_equal(sscanf(line, "# HELP %126s", family), 1);
			strcat(family, " ");
			assert_null(strstr(seen, family));
			strcat(seen, family);
			continue;
		}
		assert_int_equal(strncmp(line[0] == '#' ? line + 7 : line, family, strlen(family) - 1), 0);
		if (fits("^# TYPE " NAME " (gauge|counter|histogram)$", line)) {
			assert_int_equal(strstr(line, "_total ") != NULL, strstr(line, " counter") != NULL);
			is_histogram = strstr(line, " histogram") != NULL;
			continue;
		}
		if (is_histogram)
			assert_true(fits("^" NAME "_(bucket\\{.*,le=\"[^\"]+\"|sum\\{.*|count\\{.*)\\} ", line));
		if (!fits("^" NAME "(\\{" LABEL "(," LABEL ")*\\})? [0-9]+(\\.[0-9]+)?$", line))
			fail_msg("%s", line);
		assert_only_once(line, *rest != '\0' ? text + (rest - copy) : NULL);
	}
	free(copy);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
assert_has(const char *text, const char *sample)
{
	char *line = mem_printf("\n%s\n", sample);

	if (strstr(text, line) == NULL)
		fail_msg("%s is not in:\n%s", sample, text);
	free(line);
}

/* As seen by who may count: its thread does not, since no client comes. */
static struct counter *
countable(const struct counter *c)
{
	return (struct counter *)(uintptr_t)c;
}

static void
nothing(void *arg, size_t number)
{
	(void)arg;
	(void)number;
}

static struct daemon *
started(struct mailbox **mail)
{
	const struct worker_events events = { nothing, nothing, nothing, NULL, NULL, NULL };
	struct daemon *d = small_daemon(ini);

	d->writer = writer_new(&d->edition->conf->log, small_report, NULL);
	assert_non_null(d->writer);
	*mail = mailbox_new();
	assert_non_null(*mail);
	assert_true(daemon_start(d, *mail, &events, small_report, NULL));
	return d;
}

static void
ended(struct daemon *d, struct mailbox *mail)
{
	for (unsigned i = 0; i < d->workers; i++)
		worker_abort(d->worker[i]);
	daemon_end_workers(d);
	mailbox_free(mail);
	small_daemon_free(d);
}

static struct histogram *
countable_histogram(const struct histogram *h)
{
	return (struct histogram *)(uintptr_t)h;
}

static void
count(const struct worker *w)
{
	const struct proxy_counts *c = worker_counts(w);
	const struct tally_view *v = worker_tally(w, 0);
	struct meter *m = meters_open((struct meters *)(uintptr_t)worker_meters(w), "main");

	counter_add(countable(&c->connections), 1);
	counter_add(countable(&c->requests), 10);
	counter_add(countable(&c->sessions), 20);
	counter_add(countable(&c->bad_requests), 30);
	counter_add(countable(&c->duplicates), 40);
	counter_add(countable(&c->request_ends[END_GATEWAY_CONNECT]), 45);
	counter_add(countable(&c->session_ends[END_CLIENT_CLOSED]), 46);
	counter_add(countable(&v->row[0]->outcome[AFFINITY_HIT]), 50);
	counter_add(countable(&v->row[2]->outcome[AFFINITY_REJECTED]), 60);
	counter_add(countable(&v->tally->bare), 70);
	counter_add(countable(&v->tally->waited), 80);
	counter_add(countable(&v->tally->retries), 90);
	histogram_note(countable_histogram(&v->tally->requests), histogram_of_requests, 2000);
	histogram_note(countable_histogram(&v->tally->requests), histogram_of_requests, 70000000);
	histogram_note(countable_histogram(&v->tally->sessions), histogram_of_sessions, UINT64_C(691200000000));
	histogram_note(countable_histogram(&v->tally->connects), histogram_of_connects, 200);
	counter_add(&m->connections, 3);
	meter_note(m, 204, 1000, 2000);
	meter_note(m, 0, 1, 0);
}

static void
assert_process(const char *text)
{
	assert_has(text, "stickyd_start_time_seconds 1795361861");
	assert_has(text, "process_start_time_seconds 1795361861");
	assert_has(text, "stickyd_workers 2");
	assert_has(text, "stickyd_reloads_total 0");
	assert_has(text, "stickyd_reload_last_successful 1");
	assert_has(text, "stickyd_log_dropped_total 0");
	assert_non_null(strstr(text, "\nstickyd_event_loop_lag_seconds_bucket{worker=\"1\",le=\"0.0001\"} "));
	assert_non_null(strstr(text, "\nstickyd_event_loop_lag_seconds_bucket{worker=\"1\",le=\"+Inf\"} "));
}

static void
assert_traffic(const char *text)
{
	assert_has(text, "stickyd_connections_total 2");
	assert_has(text, "stickyd_requests_total 20");
	assert_has(text, "stickyd_sessions_total 40");
	assert_has(text, "stickyd_bad_requests_total 60");
	assert_has(text, "stickyd_duplicates_closed_total 80");
	assert_has(text, "stickyd_request_ends_total{by=\"gateway\",reason=\"gateway-connect\"} 90");
	assert_has(text, "stickyd_session_ends_total{by=\"client\",reason=\"client-closed\"} 92");
	assert_has(text, "stickyd_session_ends_total{by=\"stickyd\",reason=\"stopping\"} 0");
	assert_has(text, "stickyd_listener_connections{listener=\"main\"} 0");
	assert_has(text, "stickyd_listener_connections_total{listener=\"main\"} 6");
	assert_has(text, "stickyd_listener_requests_total{listener=\"main\",code=\"2xx\"} 2");
	assert_has(text, "stickyd_listener_requests_total{listener=\"main\",code=\"none\"} 2");
	assert_has(text, "stickyd_listener_requests_total{listener=\"main\",code=\"5xx\"} 0");
	assert_has(text, "stickyd_listener_received_bytes_total{listener=\"main\"} 2002");
	assert_has(text, "stickyd_listener_sent_bytes_total{listener=\"main\"} 4000");
	assert_null(strstr(text, "handshakes_total{"));	/* it speaks no TLS */
}

static void
assert_durations(const char *text)
{
	assert_has(text, "stickyd_request_duration_seconds_bucket{pool=\"game\",le=\"0.001\"} 0");
	assert_has(text, "stickyd_request_duration_seconds_bucket{pool=\"game\",le=\"0.0025\"} 2");
	assert_has(text, "stickyd_request_duration_seconds_bucket{pool=\"game\",le=\"60\"} 2");
	assert_has(text, "stickyd_request_duration_seconds_bucket{pool=\"game\",le=\"+Inf\"} 4");
	assert_has(text, "stickyd_request_duration_seconds_sum{pool=\"game\"} 140.004000");
	assert_has(text, "stickyd_request_duration_seconds_count{pool=\"game\"} 4");
	assert_has(text, "stickyd_request_duration_seconds_count{pool=\"bare\"} 0");
	assert_has(text, "stickyd_connect_duration_seconds_bucket{pool=\"game\",le=\"0.00025\"} 2");
	assert_has(text, "stickyd_session_duration_seconds_bucket{pool=\"game\",le=\"604800\"} 0");
	assert_has(text, "stickyd_session_duration_seconds_sum{pool=\"game\"} 1382400.000000");
}

static void
assert_gateways(const char *text)
{
	assert_has(text, "stickyd_gateway_up{pool=\"game\",gateway=\"gw1\"} 0");
	assert_has(text, "stickyd_gateway_up{pool=\"bare\",gateway=\"b1\"} 1");
	assert_has(text, "stickyd_gateway_state{pool=\"game\",gateway=\"gw1\",state=\"down\"} 1");
	assert_has(text, "stickyd_gateway_state{pool=\"game\",gateway=\"gw1\",state=\"up\"} 0");
	assert_has(text, "stickyd_gateway_state{pool=\"game\",gateway=\"gw2\",state=\"draining\"} 1");
	assert_has(text, "stickyd_gateway_transitions_total{pool=\"game\",gateway=\"gw1\",to=\"down\"} 1");
	assert_has(text, "stickyd_gateway_ejections_total{pool=\"bare\",gateway=\"b1\"} 0");
	assert_has(text, "stickyd_gateway_load{pool=\"game\",gateway=\"gw2\"} 1");
	assert_has(text, "stickyd_gateway_requests_total{pool=\"game\",gateway=\"gw2\"} 1");
	assert_has(text, "stickyd_sessions{pool=\"game\",gateway=\"gw2\"} 1");
	assert_has(text, "stickyd_gateway_max_sessions{pool=\"game\",gateway=\"gw2\"} 7");
	assert_has(text, "stickyd_gateway_check_good{pool=\"game\",gateway=\"gw1\"} 0");
	assert_has(text, "stickyd_gateway_check_duration_seconds{pool=\"game\",gateway=\"gw1\"} 0.012345");
	assert_null(strstr(text, "stickyd_gateway_check_good{pool=\"bare\""));
}

static void
assert_affinity(const char *text)
{
	assert_has(text, "stickyd_affinity_decisions_total"
	    "{pool=\"game\",selector=\"query:a\\\"b\\\\c\",outcome=\"hit\"} 100");
	assert_has(text, "stickyd_affinity_decisions_total{pool=\"game\",selector=\"none\",outcome=\"rejected\"} 120");
	assert_has(text, "stickyd_affinity_decisions_total{pool=\"bare\",selector=\"none\",outcome=\"new\"} 0");
	assert_has(text, "stickyd_affinity_bare_requests_total{pool=\"game\"} 140");
	assert_has(text, "stickyd_affinity_waited_total{pool=\"game\"} 160");
	assert_has(text, "stickyd_gateway_retries_total{pool=\"game\"} 180");
	assert_has(text, "stickyd_table_keys 1");
	assert_null(strstr(text, "stickyd_store_"));
}

static void
test_the_numbers(void **state)
{
	struct mailbox *mail;
	struct daemon *d = started(&mail);
	struct gateway *g = small_gateway(d, 0, "gw2");
	struct metrics_traffic sum;
	char *text;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		count(d->worker[i]);
	assert_true(gateway_enter(g, true));
	gateway_note_request(g);
	gateway_drain(g, 0, false);
	gateway_note_check(small_gateway(d, 0, "gw1"), false, 12345, "status 500");
	gateway_judge(small_gateway(d, 0, "gw1"), false, "test");
	small_bind(d, 0, "alice", 1, SMALL_NOW);
	text = printed(d);
	assert_well_formed(text);
	assert_process(text);
	assert_traffic(text);
	assert_durations(text);
	assert_gateways(text);
	assert_affinity(text);
	free(text);
	sum = metrics_traffic(d);
	assert_int_equal(sum.bytes_in, 2002);
	assert_int_equal(sum.bytes_out, 4000);
	assert_int_equal(sum.errors, 0);
	gateway_leave(g, true);
	ended(d, mail);
}

/* Before the workers run, and after they have gone. */
static void
test_without_workers(void **state)
{
	struct daemon *d = small_daemon(ini);
	char *text = printed(d);

	(void)state;
	assert_well_formed(text);
	assert_has(text, "stickyd_workers 0");
	assert_has(text, "stickyd_requests_total 0");
	free(text);
	small_daemon_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_workers),
		cmocka_unit_test(test_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
