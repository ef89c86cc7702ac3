/* SPDX-License-Identifier: BSD-2-Clause */
/* Options in front of the command and behind it, and words that look like options. */
#include "ctl/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MOST 8

static void
test_front(void **state)
{
	static const struct {
		const char *argument[MOST];
		size_t options;			/* arguments in front of the command */
		const char *socket, *why;
		unsigned given;
	} cases[] = {
		{ { "status" }, 0, NULL, NULL, 0 },
		{ { NULL }, 0, NULL, NULL, 0 },
		{ { "-s", "x", "status", "-V" }, 2, "x", NULL, 0 },
		{ { "-sx", "status" }, 1, "x", NULL, 0 },
		{ { "--socket", "x", "--json", "status" }, 3, "x", NULL, BIT(LINE_JSON) },
		{ { "--socket=a=b", "-V", "-h" }, 3, "a=b", NULL, BIT(LINE_VERSION) | BIT(LINE_HELP) },
		{ { "--socket=", "status" }, 1, "", NULL, 0 },
		{ { "--json", "--", "status" }, 2, NULL, NULL, BIT(LINE_JSON) },
		{ { "-", "status" }, 0, NULL, NULL, 0 },
		{ { "-s" }, 0, NULL, "--socket needs a value", 0 },
		{ { "--json=yes", "status" }, 0, NULL, "--json takes no value", 0 },
		{ { "--jsn", "status" }, 0, NULL, "there is no option '--jsn' here; did you mean '--json'?", 0 },
		{ { "-hV" }, 0, NULL, "there is no option '-hV' here", 0 },
		{ { "--rate", "1", "status" }, 0, NULL, "there is no option '--rate' here", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *argument[MOST], **rest;
		struct line l;

		memcpy(argument, cases[i].argument, sizeof argument);
		line_init(&l);
		rest = line_front(&l, argument);
		if (cases[i].why != NULL) {
			assert_null(rest);
			assert_non_null(strstr(l.why, cases[i].why));
		} else {
			assert_ptr_equal(rest, argument + cases[i].options);
			for (unsigned k = LINE_JSON; k <= LINE_HELP; k++)
				assert_int_equal(l.option[k] != NULL, (cases[i].given & BIT(k)) != 0);
			if (cases[i].socket != NULL)
				assert_string_equal(l.option[LINE_SOCKET], cases[i].socket);
		}
		line_fini(&l);
	}
}

static void
test_rest(void **state)
{
	static const struct {
		const char *argument[MOST];
		unsigned takes;
		bool has_clients_words;
		const char *word[MOST];
		const char *rate, *why;
		bool as_json;
	} cases[] = {
		{ { NULL }, 0, false, { NULL }, NULL, NULL, false },
		{ { "game", "--rate", "5/s" }, BIT(LINE_RATE), false, { "game" }, "5/s", NULL, false },
		{ { "--rate=5/s", "game", "--json" }, BIT(LINE_RATE), false, { "game" }, "5/s", NULL, true },
		{ { "--rate", "-5" }, BIT(LINE_RATE), false, { NULL }, "-5", NULL, false },
		{ { "--", "--rate" }, BIT(LINE_RATE), false, { "--rate" }, NULL, NULL, false },
		{ { "game", "--rate" }, BIT(LINE_RATE), false, { "game" }, NULL, "--rate needs a value", false },
		{ { "game", "--rte", "1" }, BIT(LINE_RATE), false, { "game" }, NULL, "did you mean '--rate'?", false },
		{ { "game", "--rate", "1" }, 0, false, { "game" }, NULL, "no option '--rate'", false },
		{ { "--rate", "-x", "-", "--json" }, 0, true, { "--rate", "-x", "-" }, NULL, NULL, true },
		{ { "--", "--json", "--" }, 0, true, { "--json", "--" }, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *argument[MOST];
		struct line l;
		bool good;

		memcpy(argument, cases[i].argument, sizeof argument);
		line_init(&l);
		good = line_rest(&l, argument, cases[i].takes, cases[i].has_clients_words);
		assert_int_equal(good, cases[i].why == NULL);
		if (!good)
			assert_non_null(strstr(l.why, cases[i].why));
		for (size_t k = 0; k < l.words; k++)
			assert_string_equal(l.word[k], cases[i].word[k]);
		assert_null(cases[i].word[l.words]);
		assert_int_equal(l.option[LINE_JSON] != NULL, cases[i].as_json);
		if (cases[i].rate != NULL)
			assert_string_equal(l.option[LINE_RATE], cases[i].rate);
		line_fini(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
