/* SPDX-License-Identifier: BSD-2-Clause */
/* Set-Cookie as browsers want it. */
#include "affinity/issue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char name[] = "STICKYD", twin[] = "STICKYDCORS", legacy[] = "SERVERID", slash[] = "/";

static struct sealer *
sealer_make(void)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(
	    SLICE_LIT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), &line, &why);
	struct sealer *s = sealer_new(r);

	seal_ring_free(r);
	return s;
}

static void
assert_issued(const struct conf_cookie *cf, enum issue_which which, bool by_tls, const char *front, const char *back)
{
	struct seal_binding b = { .tag = 7, .born_s = 1700000000, .seen_s = 1700000000 };
	struct sealer *s = sealer_make();
	struct issue *i = issue_new(cf);
	char text[ISSUE_TEXT];
	size_t n, seal;

	assert_non_null(i);
	n = issue_write(i, which, s, SLICE_LIT("game"), &b, by_tls, text);
	assert_true(n > strlen(front) + strlen(back));
	assert_memory_equal(text, front, strlen(front));
	assert_memory_equal(text + n - strlen(back), back, strlen(back));
	seal = n - strlen(front) - strlen(back);
	assert_int_equal(seal_open(s, SLICE_LIT("game"), slice_make(text + strlen(front), seal), &b), SEAL_OPEN);
	assert_int_equal(b.tag, 7);
	issue_free(i);
	sealer_free(s);
}

static void
attributes(void **state)
{
	static char path[] = "/play/", domain[] = "example.com";
	static const struct {
		struct conf_cookie cookie;
		bool by_tls;
		const char *attributes;
	} cases[] = {
		{ { .path = slash }, true, "; Path=/" },
		{ { .path = slash, .secure = CONF_AUTO }, false, "; Path=/" },
		{ { .path = slash, .secure = CONF_AUTO }, true, "; Path=/; Secure" },
		{ { .path = slash, .secure = CONF_YES }, false, "; Path=/; Secure" },
		{ { .path = slash, .samesite = CONF_SAMESITE_NONE }, false, "; Path=/; Secure; SameSite=None" },
		{ { .path = slash, .partitioned = true }, false, "; Path=/; Secure; Partitioned" },
		{ { .path = slash, .samesite = CONF_SAMESITE_STRICT }, false, "; Path=/; SameSite=Strict" },
		{ { .path = slash, .samesite = CONF_SAMESITE_LAX, .httponly = true }, false,
		    "; Path=/; HttpOnly; SameSite=Lax" },
		{ { .path = path, .domain = domain, .max_age_ms = 86400000, .secure = CONF_AUTO, .httponly = true,
		      .samesite = CONF_SAMESITE_LAX, .partitioned = true },
		    true,
		    "; Path=/play/; Domain=example.com; Max-Age=86400; Secure; HttpOnly; SameSite=Lax; Partitioned" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_cookie cf = cases[i].cookie;

		cf.name = name;
		assert_issued(&cf, ISSUE_OURS, cases[i].by_tls, "STICKYD=", cases[i].attributes);
	}
}

/* For pages on other sites, however the client came. */
static void
twins(void **state)
{
	struct conf_cookie cf = { .name = name, .path = slash, .cors_twin = twin, .samesite = CONF_SAMESITE_LAX };

	(void)state;
	assert_issued(&cf, ISSUE_TWIN, false, "STICKYDCORS=", "; Path=/; Secure; SameSite=None");
	assert_issued(&cf, ISSUE_OURS, false, "STICKYD=", "; Path=/; SameSite=Lax");
}

static void
what_there_is_not(void **state)
{
	struct conf_cookie cf = { .name = name, .path = slash };
	struct seal_binding b = { .tag = 7 };
	struct sealer *s = sealer_make();
	struct issue *i = issue_new(&cf);
	char text[ISSUE_TEXT];

	(void)state;
	assert_int_equal(issue_write(i, ISSUE_TWIN, s, SLICE_LIT("game"), &b, true, text), 0);
	assert_int_equal(issue_write(i, ISSUE_END_OF_LEGACY, s, SLICE_LIT("game"), &b, true, text), 0);
	issue_free(i);
	cf.legacy = legacy;
	i = issue_new(&cf);
	assert_int_equal(issue_write(i, ISSUE_END_OF_LEGACY, s, SLICE_LIT("game"), &b, true, text), 28);
	assert_memory_equal(text, "SERVERID=; Path=/; Max-Age=0", 28);
	issue_free(i);
	cf.legacy = name;		/* ours takes its place as it is */
	i = issue_new(&cf);
	assert_int_equal(issue_write(i, ISSUE_END_OF_LEGACY, s, SLICE_LIT("game"), &b, true, text), 0);
	issue_free(i);
	sealer_free(s);
}

static void
too_long(void **state)
{
	static char path[ISSUE_TEXT];
	struct conf_cookie cf = { .name = name, .path = path };

	(void)state;
	memset(path, '/', sizeof path - 1);
	assert_null(issue_new(&cf));
	issue_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes),
		cmocka_unit_test(twins),
		cmocka_unit_test(what_there_is_not),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
