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
		if (fits("^# TYPE " NAME " (gauge|counter)$", line)) {
			assert_int_equal(strstr(line, "_total ") != NULL, strstr(line, " counter") != NULL);
			continue;
		}
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
	struct daemon *d = small_daemon(ini);

	d->writer = writer_new(&d->conf->log, small_report, NULL);
	assert_non_null(d->writer);
	*mail = mailbox_new();
	assert_non_null(*mail);
	assert_true(daemon_start(d, *mail, nothing, nothing, NULL));
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

static void
test_the_numbers(void **state)
{
	struct mailbox *mail;
	struct daemon *d = started(&mail);
	char *text;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct proxy_counts *c = worker_counts(d->worker[i]);
		const struct proxy_tally *t = worker_tally(d->worker[i], 0);

		counter_add(countable(&c->connections), 1 + i);
		counter_add(countable(&c->requests), 10);
		counter_add(countable(&c->sessions), 20);
		counter_add(countable(&c->bad_requests), 30);
		counter_add(countable(&c->duplicates), 40);
		counter_add(countable(&t->decided[AFFINITY_HIT]), 50);
		counter_add(countable(&t->decided[2 * AFFINITY_OUTCOMES + AFFINITY_REJECTED]), 60);
		counter_add(countable(&t->bare), 70);
		counter_add(countable(&t->waited), 80);
		counter_add(countable(&t->retries), 90);
	}
	assert_true(gateway_enter(small_gateway(d, 0, "gw2"), true));
	gateway_set_state(small_gateway(d, 0, "gw1"), GATEWAY_DOWN, "test");
	small_bind(d, 0, "alice", 1, SMALL_NOW);
	text = printed(d);
	assert_well_formed(text);
	assert_has(text, "stickyd_start_time_seconds 1795361861");
	assert_has(text, "stickyd_workers 2");
	assert_has(text, "stickyd_connections_total 3");
	assert_has(text, "stickyd_requests_total 20");
	assert_has(text, "stickyd_sessions_total 40");
	assert_has(text, "stickyd_bad_requests_total 60");
	assert_has(text, "stickyd_duplicates_closed_total 80");
	assert_has(text, "stickyd_gateway_up{pool=\"game\",gateway=\"gw1\"} 0");
	assert_has(text, "stickyd_gateway_up{pool=\"bare\",gateway=\"b1\"} 1");
	assert_has(text, "stickyd_gateway_load{pool=\"game\",gateway=\"gw2\"} 1");
	assert_has(text, "stickyd_sessions{pool=\"game\",gateway=\"gw2\"} 1");
	assert_has(text, "stickyd_gateway_max_sessions{pool=\"game\",gateway=\"gw2\"} 7");
	assert_has(text, "stickyd_affinity_decisions_total"
	    "{pool=\"game\",selector=\"query:a\\\"b\\\\c\",outcome=\"hit\"} 100");
	assert_has(text, "stickyd_affinity_decisions_total{pool=\"game\",selector=\"none\",outcome=\"rejected\"} 120");
	assert_has(text, "stickyd_affinity_decisions_total{pool=\"bare\",selector=\"none\",outcome=\"new\"} 0");
	assert_has(text, "stickyd_affinity_bare_requests_total{pool=\"game\"} 140");
	assert_has(text, "stickyd_affinity_waited_total{pool=\"game\"} 160");
	assert_has(text, "stickyd_gateway_retries_total{pool=\"game\"} 180");
	assert_has(text, "stickyd_table_keys 1");
	assert_null(strstr(text, "stickyd_store_"));
	free(text);
	gateway_leave(small_gateway(d, 0, "gw2"), true);
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
