/* SPDX-License-Identifier: BSD-2-Clause */
/* What is kept of the log: each line once, in order, the last thousand, whoever logs. */
#include "run/events.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define THREADS 4
#define LINES 600

static void
nowhere(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static int
begin(void **state)
{
	(void)state;
	log_to(nowhere);
	log_set_level(LOG_LEVEL_INFO);
	events_start();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	events_stop();
	log_to(NULL);
	return 0;
}

static void
test_what_is_kept(void **state)
{
	struct event_line *line;
	uint64_t last;
	size_t n;

	(void)state;
	line = events_after(0, &n, &last);
	assert_int_equal(n, 0);
	assert_int_equal(last, 0);
	events_free(line, n);
	log_error("one");
	log_info("not of interest");
	log_notice("two\n");
	log_warn("three");
	line = events_after(1, &n, &last);
	assert_int_equal(n, 2);
	assert_int_equal(last, 3);
	assert_int_equal(line[0].number, 2);
	assert_string_equal(line[0].text, "two\\x0a");
	assert_int_equal(line[0].level, LOG_LEVEL_NOTICE);
	assert_string_equal(line[1].text, "three");
	assert_true(line[0].at_us <= line[1].at_us);
	events_free(line, n);
	line = events_after(3, &n, &last);
	assert_int_equal(n, 0);
	events_free(line, n);
	line = events_after(UINT64_MAX, &n, &last);
	assert_int_equal(n, 0);
	events_free(line, n);
}

static void
test_the_last_thousand(void **state)
{
	struct event_line *line;
	uint64_t last;
	size_t n;
	char text[16];

	(void)state;
	for (unsigned i = 1; i <= EVENTS_KEPT + 500; i++)
		log_notice("line %u", i);
	line = events_after(10, &n, &last);
	assert_int_equal(n, EVENTS_KEPT);
	assert_int_equal(last, EVENTS_KEPT + 500);
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof text, "line %zu", i + 501);
		assert_string_equal(line[i].text, text);
		assert_int_equal(line[i].number, i + 501);
	}
	events_free(line, n);
}

static void *
log_much(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < LINES; i++)
		log_notice("from a thread");
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t thread[THREADS];
	uint64_t last, seen = 0;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, log_much, NULL), 0);
	do {
		struct event_line *line = events_after(seen, &n, &last);

		for (size_t i = 1; i < n; i++)
			assert_int_equal(line[i].number, line[i - 1].number + 1);
		events_free(line, n);
		seen = last;
	} while (seen != THREADS * LINES);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_kept, begin, end),
		cmocka_unit_test_setup_teardown(test_the_last_thousand, begin, end),
		cmocka_unit_test_setup_teardown(test_threads, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
