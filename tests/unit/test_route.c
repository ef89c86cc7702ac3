/* SPDX-License-Identifier: BSD-2-Clause */
/* Which route takes a request: hosts before wildcards before any, the longest path first, the listener's pool at
 * last. */
#include "proxy/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char text[] = "[listener one]\nbind = 127.0.0.1:0\npool = fallback\n"
			   "[listener two]\nbind = 127.0.0.1:0\n"
			   "[route any]\npath = /any/\npool = any\n"
			   "[route wild]\nhost = *.example.com\npool = wild\n"
			   "[route deep]\nhost = *.deep.example.com\npool = deep\n"
			   "[route exact]\nhost = a.example.com, b.example.com\npool = exact\n"
			   "[route exactpath]\nhost = a.example.com\npath = /in/\npool = exactpath\n"
			   "[route exactlong]\nhost = a.example.com\npath = /in/side\npool = exactlong\n"
			   "[route onlytwo]\nlistener = two\nhost = two.test\npool = two\n"
			   "[route moved]\nhost = moved.test\nredirect = https://{host}{uri} 308\n"
			   "[pool fallback]\ngateway = g 127.0.0.1:1\n[pool any]\ngateway = g 127.0.0.1:1\n[pool "
			   "wild]\ngateway = g 127.0.0.1:1\n"
			   "[pool deep]\ngateway = g 127.0.0.1:1\n[pool exact]\ngateway = g 127.0.0.1:1\n[pool "
			   "exactpath]\ngateway = g 127.0.0.1:1\n"
			   "[pool exactlong]\ngateway = g 127.0.0.1:1\n[pool two]\ngateway = g 127.0.0.1:1\n";

static struct conf *conf;
static struct service services[16];

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static int
setup(void **state)
{
	(void)state;
	conf = conf_load_bytes(text, sizeof text - 1, "test.ini", no_report, NULL);
	assert_non_null(conf);
	for (size_t i = 0; i < conf->pools; i++)
		services[i].conf = &conf->pool[i];
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conf_free(conf);
	return 0;
}

static const struct {
	unsigned listener;
	const char *host, *path, *pool; /* NULL: nothing takes it */
} cases[] = {
	{ 0, "a.example.com", "/", "exact" },
	{ 0, "A.Example.COM", "/", "exact" },
	{ 0, "a.example.com.", "/", "exact" }, /* fully qualified, the same name */
	{ 0, "b.example.com", "/in/side", "exact" },
	{ 0, "a.example.com", "/in/", "exactpath" },
	{ 0, "a.example.com", "/in", "exact" },
	{ 0, "a.example.com", "/in/side", "exactlong" },
	{ 0, "a.example.com", "/in/sid", "exactpath" },
	{ 0, "c.example.com", "/in/side", "wild" },
	{ 0, "x.y.example.com", "/", "wild" },
	{ 0, "x.deep.example.com", "/", "deep" },
	{ 0, "deep.example.com", "/", "wild" },
	{ 0, "example.com", "/", "fallback" },
	{ 0, ".example.com", "/", "fallback" },
	{ 0, "notexample.com", "/", "fallback" },
	{ 0, "other", "/any/thing", "any" },
	{ 0, "other", "/any", "fallback" },
	{ 0, "", "/", "fallback" },
	{ 0, ".", "/", "fallback" },
	{ 0, "other", "", "fallback" }, /* "OPTIONS *" */
	{ 0, "two.test", "/", "fallback" },
	{ 1, "two.test", "/", "two" },
	{ 1, "other", "/", NULL },
	{ 1, "other", "", NULL },
	{ 1, "other", "/any/", "any" },
};

static void
the_first_that_fits(void **state)
{
	struct routes *r[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		r[i] = routes_new(conf, &conf->listener[i], services);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const struct route *found =
		    routes_find(r[cases[i].listener], slice_of(cases[i].host), slice_of(cases[i].path));

		if (cases[i].pool == NULL) {
			assert_null(found);
			continue;
		}
		if (found == NULL || found->service == NULL || strcmp(found->service->conf->name, cases[i].pool) != 0)
			fail_msg("%s%s should go to %s", cases[i].host, cases[i].path, cases[i].pool);
	}
	routes_free(r[0]);
	routes_free(r[1]);
	routes_free(NULL);
}

static void
redirects(void **state)
{
	struct routes *r = routes_new(conf, &conf->listener[0], services);
	const struct route *found = routes_find(r, SLICE_LIT("moved.test"), SLICE_LIT("/p"));
	static const char wanted[] = "https://moved.test/p?q={host}";
	char bytes[64];
	struct buf b = buf_of(bytes, sizeof bytes);

	(void)state;
	assert_non_null(found);
	assert_null(found->service);
	assert_int_equal(found->redirect->status, 308);
	assert_true(route_location(found, SLICE_LIT("moved.test"), SLICE_LIT("/p?q={host}"), &b));
	assert_int_equal(b.n, sizeof wanted - 1);
	assert_memory_equal(b.p, wanted, b.n);
	for (size_t room = 0; room < sizeof wanted - 1; room++) {
		b = buf_of(bytes, room);
		assert_false(route_location(found, SLICE_LIT("moved.test"), SLICE_LIT("/p?q={host}"), &b));
	}
	routes_free(r);
}

/* Braces that are none of ours stay. */
static void
braces(void **state)
{
	static char target[] = "/{x}{host}{hos{uri}{";
	struct conf_redirect redirect = { .target = target, .status = 302 };
	struct route route = { .redirect = &redirect };
	char bytes[64];
	struct buf b = buf_of(bytes, sizeof bytes);

	(void)state;
	assert_true(route_location(&route, SLICE_LIT("h"), SLICE_LIT("/u"), &b));
	assert_int_equal(b.n, strlen("/{x}h{hos/u{"));
	assert_memory_equal(b.p, "/{x}h{hos/u{", b.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_fits),
		cmocka_unit_test(redirects),
		cmocka_unit_test(braces),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
