/* SPDX-License-Identifier: BSD-2-Clause */
/* The dashboard's files: all found, whole, of one piece with each other, and fit for the policy they are served under. */
#include "run/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALL_BYTES_MAX 61440

static struct slice
text_of(const struct page *pg)
{
	return slice_make((const char *)pg->bytes, pg->n);
}

static bool
holds(struct slice text, const char *what)
{
	return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static const struct page *
find(const char *path)
{
	const struct page *pg = page_find(slice_of(path));

	assert_non_null(pg);
	return pg;
}

static void
test_files_are_found(void **state)
{
	(void)state;
	assert_string_equal(find("/")->type, "text/html; charset=utf-8");
	assert_string_equal(find("/dashboard.css")->type, "text/css; charset=utf-8");
	assert_string_equal(find("/dashboard.js")->type, "text/javascript; charset=utf-8");
	assert_true(slice_has_prefix(text_of(find("/")), SLICE_LIT("<!doctype html>\n")));
}

static void
test_nothing_else_is(void **state)
{
	static const char *const others[] = { "", "/index.html", "/dashboard", "/dashboard.js/", "//", "dashboard.js",
	    "/../dashboard.js" };

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++)
		assert_null(page_find(slice_of(others[i])));
	assert_null(page_find(SLICE_NONE));
}

/* What was made of them at the build, against what stands in the sources. */
static void
test_bytes_are_those_of_the_sources(void **state)
{
	static const char *const files[][2] = {
		{ "/", "index.html" }, { "/dashboard.css", "dashboard.css" }, { "/dashboard.js", "dashboard.js" },
	};
	const char *top = getenv("srcdir");

	(void)state;
	if (top == NULL)
		skip();
	for (size_t i = 0; i < COUNT(files); i++) {
		const struct page *pg = find(files[i][0]);
		char name[4096], *bytes = malloc(pg->n + 1);
		FILE *f;

		assert_non_null(bytes);
		snprintf(name, sizeof name, "%s/src/dashboard/%s", top, files[i][1]);
		f = fopen(name, "rb");
		assert_non_null(f);
		assert_int_equal(fread(bytes, 1, pg->n + 1, f), pg->n);
		assert_memory_equal(bytes, pg->bytes, pg->n);
		fclose(f);
		free(bytes);
	}
}

static void
test_small(void **state)
{
	size_t all = 0;

	(void)state;
	for (size_t i = 0; i < page_count; i++)
		all += page_files[i].n;
	assert_in_range(all, 1, ALL_BYTES_MAX);
}

/* Under PAGE_POLICY a browser would leave these out without a word to the operator. What the server says must never be
 * taken for markup either. */
static void
test_nothing_that_the_policy_forbids(void **state)
{
	static const char *const forbidden[] = { "<style", " style=", " onclick=", " onload=", "javascript:",
	    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "@import", "//cdn" };

	(void)state;
	for (size_t i = 0; i < page_count; i++)
		for (size_t k = 0; k < COUNT(forbidden); k++)
			if (holds(text_of(&page_files[i]), forbidden[k]))
				fail_msg("%s holds %s", page_files[i].path, forbidden[k]);
	assert_true(holds(text_of(find("/")), "<script type=\"module\" src=\"dashboard.js\"></script>"));
}

static void
test_tags(void **state)
{
	const struct page *pg = find("/"), *other = find("/dashboard.js");
	char sent[256];

	(void)state;
	assert_int_equal(pg->etag[0], '"');
	assert_int_equal(pg->etag[strlen(pg->etag) - 1], '"');
	assert_string_not_equal(pg->etag, other->etag);
	assert_true(page_is_known(pg, slice_of(pg->etag)));
	assert_true(page_is_known(pg, SLICE_LIT("*")));
	snprintf(sent, sizeof sent, "\"a\" ,W/%s", pg->etag);
	assert_true(page_is_known(pg, slice_of(sent)));
	assert_false(page_is_known(other, slice_of(sent)));
	assert_false(page_is_known(pg, SLICE_LIT("")));
	assert_false(page_is_known(pg, SLICE_LIT("\"\"")));
	assert_false(page_is_known(pg, SLICE_NONE));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_are_found),
		cmocka_unit_test(test_nothing_else_is),
		cmocka_unit_test(test_bytes_are_those_of_the_sources),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_nothing_that_the_policy_forbids),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
