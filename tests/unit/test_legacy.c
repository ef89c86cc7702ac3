/* SPDX-License-Identifier: BSD-2-Clause */
/* Another balancer's cookie: what is one, what is none, and the digests of addresses (by `openssl md5`). */
#include "affinity/legacy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define V4 "4d5831c3de6feb69a6b150946753065c"
#define V6 "42cb6b9d20b69c4a8277838add95924f"

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		uint32_t last_s, first_s;
	} cases[] = {
		{ V4 "|1700000100|1700000000", 1700000100, 1700000000 },
		{ V6 "|0|0", 0, 0 },
		{ V4 "|4294967295|4294967295", UINT32_MAX, UINT32_MAX },
		{ V4 "|007|08", 7, 8 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct legacy l;

		assert_true(legacy_parse(slice_of(cases[i].text), &l));
		assert_int_equal(l.last_s, cases[i].last_s);
		assert_int_equal(l.first_s, cases[i].first_s);
	}
}

static void
test_none(void **state)
{
	static const char *const texts[] = {
		"", "|", "||", V4, V4 "|", V4 "|1", V4 "|1|", V4 "||1", V4 "|1|1|", V4 "|1|1|1", V4 "|-1|1", V4 "|+1|1",
		V4 "|4294967296|1", V4 "|1|4294967296", V4 "|1 |1", " " V4 "|1|1", V4 "|1|1 ", V4 "0|1|1", V4 ",1,1",
		"A" V4 "|1|1", "0123456789ABCDEF0123456789ABCDEF|1|1", "0123456789abcdef0123456789abcde|1|1",
		"0123456789abcdef0123456789abcdeg|1|1", V4 "|0x1|1", V4 "|1|a", "\"" V4 "|1|1\"", V4 "%7C1%7C1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct legacy l;

		if (legacy_parse(slice_of(texts[i]), &l))
			fail_msg("'%s' is none", texts[i]);
	}
}

static void
test_digest(void **state)
{
	static const struct {
		const char *address, *cookie;
	} cases[] = {
		{ "127.0.0.1:8000", V4 "|1|1" },
		{ "[::1]:8000", V6 "|1|1" },
		{ "[0:0:0:0:0:0:0:1]:8000", V6 "|1|1" },
		{ "[::ffff:127.0.0.1]:8000", V4 "|1|1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned char digest[LEGACY_DIGEST];
		struct legacy l;
		struct addr a;

		assert_true(addr_parse(slice_of(cases[i].address), &a));
		assert_true(legacy_digest(&a, digest));
		assert_true(legacy_parse(slice_of(cases[i].cookie), &l));
		assert_memory_equal(digest, l.digest, LEGACY_DIGEST);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
