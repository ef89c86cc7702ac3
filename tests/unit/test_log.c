/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines as the sink gets them: by level, on one line whatever is in them, cut where they are too long. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char said[LOG_LINE + 1];
static size_t said_n;
static unsigned times;
static enum log_level level_said;

static void
sink(enum log_level level, struct slice text)
{
	assert_true(text.n <= LOG_LINE);
	memcpy(said, text.p, text.n);
	said[text.n] = '\0';
	said_n = text.n;
	level_said = level;
	times++;
}

static unsigned overheard;

static void
tee(enum log_level level, struct slice text)
{
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_true(slice_eq(text, SLICE_LIT("for both\\x0a")));
	overheard++;
}

static int
setup(void **state)
{
	(void)state;
	times = 0;
	log_to(sink);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_to(NULL);
	return 0;
}

static void
levels(void **state)
{
	(void)state;
	for (int most = LOG_LEVEL_ERROR; most <= LOG_LEVEL_DEBUG; most++) {
		times = 0;
		log_set_level((enum log_level)most);
		log_error("1");
		log_warn("2");
		log_notice("3");
		log_info("4");
		log_debug("5");
		assert_int_equal(times, most + 1);
		assert_int_equal(level_said, most);
		assert_true(log_is_on((enum log_level)most));
		assert_int_equal(log_is_on(LOG_LEVEL_DEBUG), most == LOG_LEVEL_DEBUG);
	}
	assert_string_equal(log_level_name(LOG_LEVEL_WARN), "warn");
}

static void
a_line_stays_a_line(void **state)
{
	(void)state;
	log_info("client said '%s' (%d)", "a\r\nb\tc\x01\x7f\x1b[2J\xc3\xa9", 7);
	assert_string_equal(said, "client said 'a\\x0d\\x0ab\\x09c\\x01\\x7f\\x1b[2J\xc3\xa9' (7)");
	log_info("%s", "");
	assert_int_equal(said_n, 0);
}

static void
long_lines_are_cut(void **state)
{
	char text[3 * LOG_LINE];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t n = LOG_LINE - 10; n < LOG_LINE + 10; n++) {
		log_info("%.*s", (int)n, text);
		assert_true(said_n >= LOG_LINE - 10 && said_n <= n);
	}
	memset(text, '\n', sizeof text);
	log_info("%.*s", (int)sizeof text, text);
	assert_true(said_n > LOG_LINE - 10);
	assert_null(strchr(said, '\n'));
	assert_int_equal(said_n % 4, 0); /* no escape is cut in two */
}

static void
two_hear_it(void **state)
{
	(void)state;
	log_tee(tee);
	log_warn("for both\n");
	log_debug("for none");
	log_tee(NULL);
	log_warn("for one");
	assert_int_equal(overheard, 1);
	assert_int_equal(times, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(levels, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_stays_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(two_hear_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
