/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of a gateway, whatever of it an answer has. */
#include "ctl/sheet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void
assert_says(char *(*fn)(const json_t *), const char *answer, const char *says)
{
	json_t *value = json_loads(answer, JSON_DECODE_ANY, NULL);
	char *text = fn(value);

	assert_non_null(value);
	if (says == NULL)
		assert_null(text);
	else
		assert_string_equal(text, says);
	free(text);
	json_decref(value);
}

static void
test_check(void **state)
{
	(void)state;
	assert_says(sheet_check, "null", NULL);
	assert_says(sheet_check, "{\"kind\": \"tcp\", \"good\": null}", "tcp: not yet");
	assert_says(sheet_check, "{\"kind\": \"http\", \"good\": true, \"took_us\": 1500}", "http: 1.5 ms");
	assert_says(sheet_check, "{\"kind\": \"http\", \"good\": false, \"took_us\": 1500}", "http: failed");
}

static void
test_why(void **state)
{
	(void)state;
	assert_says(sheet_why, "{}", "");
	assert_says(sheet_why, "{\"why\": \"an operator\", \"deadline_words\": null}", "an operator");
	assert_says(sheet_why, "{\"why\": \"an operator\", \"deadline_words\": \"in 3 minutes\", \"closing\": 0}",
	    "an operator; deadline in 3 minutes");
	assert_says(sheet_why, "{\"why\": \"an operator\", \"deadline_words\": \"3 seconds ago\", \"closing\": 12}",
	    "an operator; 12 still to close");
	assert_says(sheet_why, "{\"deadline_words\": \"in 3 minutes\"}", "deadline in 3 minutes");
}

/* The only grid of a sheet that holds what may be missing. */
static void
test_lines(void **state)
{
	json_t *o = json_pack("{s:s, s:s, s:n}", "since", "2026-11-22T16:37:41Z", "since_words", "now", "seen");
	struct grid g;

	(void)state;
	sheet_init(&g);
	sheet_line(&g, "a", NULL);
	sheet_time(&g, "seen", o, "seen");
	assert_int_equal(g.cells, 0);
	sheet_line(&g, "a", "b");
	sheet_time(&g, "since", o, "since");
	sheet_own(&g, NULL);
	sheet_own(&g, calloc(1, 1));
	sheet_state(&g, "down");
	assert_int_equal(g.cells, 7);
	assert_string_equal(g.cell[3].text, "2026-11-22T16:37:41Z (now)");
	assert_string_equal(g.cell[4].text, "-");
	assert_string_equal(g.cell[5].text, "-");
	assert_int_equal(g.cell[6].paint, GRID_BAD);
	grid_fini(&g);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
