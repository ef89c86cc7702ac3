/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that are good, refusals with all that was found wrong, and what is no answer of the API's. */
#include "ctl/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct told
told_of(unsigned status, const char *body)
{
	struct ask_answer answer = { .status = status, .body = strdup(body), .bytes = strlen(body) };
	struct told t;

	told_init(&t, &answer);
	return t;
}

static void
test_good(void **state)
{
	struct told t = told_of(200, "{\"key\": \"a\\u0000b\xff\"}");

	(void)state;
	assert_true(t.good);
	assert_string_equal(t.json, "{\"key\": \"a\\u0000b\\\\xff\"}");
	assert_int_equal(t.json_bytes, strlen(t.json));
	assert_memory_equal(json_string_value(json_object_get(t.value, "key")), "a\0b\\xff", 8);
	told_fini(&t);
}

static void
test_refusals(void **state)
{
	static const struct {
		unsigned status;
		const char *body, *complaint;
	} cases[] = {
		{ 404, "{\"error\": \"there is no such gateway\"}", "stickyctl: there is no such gateway\n" },
		{ 422, "{\"error\": \"it does not check\", \"mistakes\": [\"a.ini:1: x\", \"a.ini:2: \\u001b[2J\"]}",
		  "a.ini:1: x\na.ini:2: \\x1b[2J\nstickyctl: it does not check\n" },
		{ 200, "<html>", "stickyctl: what answers there is no stickyd\n" },
		{ 502, "", "stickyctl: what answers there is no stickyd\n" },
		{ 500, "{}", "stickyctl: what answers there is no stickyd\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct told t = told_of(cases[i].status, cases[i].body);
		char *text;
		size_t n;
		FILE *to = open_memstream(&text, &n);

		assert_false(t.good);
		told_complain(&t, to);
		fclose(to);
		assert_string_equal(text, cases[i].complaint);
		free(text);
		told_fini(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
