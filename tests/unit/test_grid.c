/* SPDX-License-Identifier: BSD-2-Clause */
/* Columns that stand below one another, in as much room as there is. */
#include "ctl/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* A table as it is in a narrow terminal: the columns that matter less are left out, and the last goes on below. */
static void
test_narrow(void **state)
{
	static const unsigned char spare[] = { 1, 2 };
	static const struct {
		size_t width;
		bool is_cut;
		const char *text;
	} cases[] = {
		{ 0, false,
		  "NAME  ADDRESS    N  WHY\n"
		  "gw1   10.0.0.1  12  it was told so by an operator\n" },
		{ 80, false,
		  "NAME  ADDRESS    N  WHY\n"
		  "gw1   10.0.0.1  12  it was told so by an operator\n" },
		{ 40, false,
		  "NAME  ADDRESS    N  WHY\n"
		  "gw1   10.0.0.1  12  it was told so by an\n"
		  "                    operator\n" },
		{ 39, false,
		  "NAME   N  WHY\n"
		  "gw1   12  it was told so by an operator\n" },
		{ 30, true,
		  "NAME  WHY\n"
		  "gw1   it was told so by an op\xe2\x80\xa6\n" },
		{ 15, false,
		  "NAME  WHY\n"
		  "gw1   it was\n"
		  "      told so\n"
		  "      by an\n"
		  "      operator\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		static const char *const cells[] = {
			"NAME", "ADDRESS", "N", "WHY", "gw1", "10.0.0.1", "12", "it was told so by an operator",
		};
		struct grid g;
		char *text;

		grid_init(&g, 4, BIT(2));
		for (size_t k = 0; k < COUNT(cells); k++)
			grid_add(&g, cells[k]);
		g.is_cut = cases[i].is_cut;
		grid_fit(&g, cases[i].width, spare, COUNT(spare));
		text = printed(&g, "");
		assert_string_equal(text, cases[i].text);
		free(text);
		grid_fini(&g);
	}
}

static void
test_colours(void **state)
{
	struct grid g;
	char *text;

	(void)state;
	grid_init(&g, 2, 0);
	grid_add(&g, "up");
	grid_paint(&g, GRID_GOOD);
	grid_add(&g, "a long word-that-is-cut-anywhere \x1b");
	grid_paint(&g, GRID_BAD);
	grid_fit(&g, 14, NULL, 0);
	text = printed(&g, "");
	assert_null(strchr(text, '\x1b'));
	free(text);
	g.has_colour = true;
	text = printed(&g, "");
	assert_string_equal(text,
	    "\x1b[32mup\x1b[0m  \x1b[31ma long\x1b[0m\n"
	    "    \x1b[31mword-that-\x1b[0m\n"
	    "    \x1b[31mis-cut-any\x1b[0m\n"
	    "    \x1b[31mwhere \\x1b\x1b[0m\n");
	free(text);
	grid_fini(&g);
}

static void
test_some_rows(void **state)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);
	struct grid g;

	(void)state;
	grid_init(&g, 1, BIT(0));
	for (unsigned i = 8; i < 12; i++)
		grid_addf(&g, "%u", i);
	grid_print_rows(&g, "", 1, 2, to);
	grid_print_rows(&g, "", 3, 9, to);
	fclose(to);
	assert_string_equal(text, " 9\n10\n11\n");
	free(text);
	grid_fini(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_some_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
