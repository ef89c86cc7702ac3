/* SPDX-License-Identifier: BSD-2-Clause */
/* When a pool complains of clients that carry nothing. */
#include "affinity/bare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static char name[] = "game", header[] = "header:X-Id", cookie[] = "cookie";
static unsigned lines;
static char last[LOG_LINE];

static void
on_line(enum log_level level, struct slice text)
{
	assert_int_equal(level, LOG_LEVEL_WARN);
	lines++;
	snprintf(last, sizeof last, "%.*s", SLICE_FMT(text));
}

static unsigned
said_after(struct conf_selector *selector, unsigned bare_ones)
{
	struct conf_pool cf = { .name = name, .selector = selector, .selectors = 1 };
	struct bare *b = bare_new(&cf);

	lines = 0;
	log_to(on_line);
	for (unsigned i = 0; i < bare_ones; i++)
		bare_note(b, true);
	log_to(NULL);
	bare_free(b);
	return lines;
}

static void
says_so(void **state)
{
	struct conf_selector by_header = { .kind = CONF_SELECTOR_HEADER, .text = header };
	struct conf_selector by_cookie = { .kind = CONF_SELECTOR_COOKIE, .text = cookie };

	(void)state;
	assert_int_equal(said_after(&by_header, 0), 0);
	assert_int_equal(said_after(&by_header, 1), 1);
	assert_string_equal(last,
	    "pool game: clients carry none of what affinity looks for (header:X-Id): 1 request in a row");
	assert_int_equal(said_after(&by_header, 1000), 1);		/* once a minute */
	assert_int_equal(said_after(&by_cookie, 49), 0);		/* newcomers have none */
	assert_int_equal(said_after(&by_cookie, 50), 1);
}

static void
one_that_carries_ends_the_row(void **state)
{
	struct conf_selector by_cookie = { .kind = CONF_SELECTOR_COOKIE, .text = cookie };
	struct conf_pool cf = { .name = name, .selector = &by_cookie, .selectors = 1 };
	struct bare *b = bare_new(&cf);

	(void)state;
	lines = 0;
	log_to(on_line);
	for (unsigned i = 0; i < 1000; i++)
		bare_note(b, i % 40 != 0);
	log_to(NULL);
	assert_int_equal(lines, 0);
	bare_free(b);
}

/* A reload is no reason to say it again, nor to forget the row. */
static void
a_reload_forgets_nothing(void **state)
{
	struct conf_selector by_header = { .kind = CONF_SELECTOR_HEADER, .text = header };
	struct conf_selector by_cookie = { .kind = CONF_SELECTOR_COOKIE, .text = cookie };
	struct conf_pool cf = { .name = name, .selector = &by_header, .selectors = 1 };
	struct bare *b = bare_new(&cf), *next;

	(void)state;
	lines = 0;
	log_to(on_line);
	for (unsigned i = 0; i < 30; i++)
		bare_note(b, true);
	assert_int_equal(lines, 1);
	next = bare_new(&cf);
	bare_adopt(next, b);
	bare_free(b);
	bare_note(next, true);
	assert_int_equal(lines, 1);
	bare_free(next);
	cf.selector = &by_cookie;
	b = bare_new(&cf);
	next = bare_new(&cf);
	for (unsigned i = 0; i < 49; i++)
		bare_note(b, true);
	bare_adopt(next, b);
	bare_note(next, true);
	assert_int_equal(lines, 2);
	log_to(NULL);
	bare_free(b);
	bare_free(next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_so),
		cmocka_unit_test(one_that_carries_ends_the_row),
		cmocka_unit_test(a_reload_forgets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
