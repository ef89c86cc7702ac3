/* SPDX-License-Identifier: BSD-2-Clause */
/* Columns that stand below one another, and no byte that a terminal would obey. */
#include "ctl/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"

static char *
printed(const struct grid *g, const char *indent)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(to);
	grid_print(g, indent, to);
	fclose(to);
	return text;
}

static void
test_columns(void **state)
{
	struct grid g;
	char *text;

	(void)state;
	grid_init(&g, 3, BIT(1));
	grid_add(&g, "NAME");
	grid_add(&g, "N");
	grid_add(&g, "WHY");
	grid_add(&g, "gr\xc3\xbc\xc3\x9f");	/* four characters, six bytes */
	grid_addf(&g, "%d", 1234);
	grid_add(&g, NULL);
	grid_add(&g, "a longer one");
	text = printed(&g, "> ");
	assert_string_equal(text,
	    "> NAME             N  WHY\n"
	    "> gr\xc3\xbc\xc3\x9f          1234  -\n"
	    "> a longer one\n");
	free(text);
	grid_fini(&g);
}

static void
test_nothing(void **state)
{
	struct grid g;
	char *text;

	(void)state;
	grid_init(&g, 2, 0);
	text = printed(&g, "");
	assert_string_equal(text, "");
	free(text);
	grid_fini(&g);
}

static void
test_safe(void **state)
{
	static const struct {
		const char *text, *safe;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\x1b[2Jx", "\\x1b[2Jx" },
		{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
		{ "\xc2\x9b" "2J", "\\x9b2J" },		/* CSI as one character of C1 */
		{ "\xc2\xa0\xc3\xbc\xe2\x82\xac", "\xc2\xa0\xc3\xbc\xe2\x82\xac" },
		{ "\xc2", "\xc2" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *safe = grid_safe(cases[i].text);

		assert_string_equal(safe, cases[i].safe);
		free(safe);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
