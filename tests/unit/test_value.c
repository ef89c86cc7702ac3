/* SPDX-License-Identifier: BSD-2-Clause */
/* Times, sizes, rates, addresses: what is one and what is none, at the edges of each. */
#include "conf/value.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NONE UINT64_MAX

static const struct {
	const char *text;
	uint64_t value;
	const char *again;	/* as it is written; NULL: as it was */
} times[] = {
	{ "0", 0, NULL }, { "0s", 0, "0" }, { "1ms", 1, NULL }, { "999ms", 999, NULL }, { "1000ms", 1000, "1s" },
	{ "90s", 90000, NULL }, { "60s", 60000, "1m" }, { "24h", 86400000, NULL }, { "007s", 7000, "7s" },
	{ "18446744073709551ms", 18446744073709551, NULL }, { "5124095576030h", 18446744073708000000U, NULL },
	{ "5124095576031h", NONE, NULL }, { "99999999999999999999h", NONE, NULL }, { "", NONE, NULL },
	{ "s", NONE, NULL }, { "5", NONE, NULL }, { "00", NONE, NULL }, { "5S", NONE, NULL }, { "5 s", NONE, NULL },
	{ "-5s", NONE, NULL }, { "+5s", NONE, NULL }, { "1.5s", NONE, NULL }, { "5sec", NONE, NULL },
	{ "5d", NONE, NULL },
}, sizes[] = {
	{ "0", 0, NULL }, { "1023", 1023, NULL }, { "1024", 1024, "1k" }, { "16k", 16384, NULL },
	{ "1024k", 1048576, "1m" }, { "1m", 1048576, NULL }, { "17592186044415m", 18446744073708503040U, NULL },
	{ "17592186044416m", NONE, NULL }, { "16K", NONE, NULL }, { "16kb", NONE, NULL }, { "k", NONE, NULL },
	{ "", NONE, NULL }, { "1g", NONE, NULL },
};

static void
test_times_and_sizes(void **state)
{
	char text[VALUE_TIME_TEXT];
	uint64_t got;

	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		if (!value_time(slice_of(times[i].text), &got))
			got = NONE;
		assert_int_equal(got, times[i].value);
		if (got != NONE)
			assert_string_equal(value_time_text(got, text),
			    times[i].again != NULL ? times[i].again : times[i].text);
	}
	for (size_t i = 0; i < COUNT(sizes); i++) {
		if (!value_size(slice_of(sizes[i].text), &got))
			got = NONE;
		assert_int_equal(got, sizes[i].value);
		if (got != NONE)
			assert_string_equal(value_size_text(got, text),
			    sizes[i].again != NULL ? sizes[i].again : sizes[i].text);
	}
}

static void
test_rates(void **state)
{
	static const char *const bad[] = { "", "5", "/s", "5/", "5/h", "5/ss", "-1/s", "1000001/s", "5 /s" };
	struct conf_rate r;

	(void)state;
	assert_true(value_rate(SLICE_LIT("200/s"), &r) && r.count == 200 && r.per_ms == 1000);
	assert_true(value_rate(SLICE_LIT("10/m"), &r) && r.count == 10 && r.per_ms == 60000);
	assert_true(value_rate(SLICE_LIT("0/m"), &r) && r.count == 0 && r.per_ms == 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(value_rate(slice_of(bad[i]), &r));
}

static void
test_statuses(void **state)
{
	static const char *const bad[] = { "", "99", "600", "1000", "2xx", "-200", " 200" };
	unsigned status;

	(void)state;
	assert_true(value_status(SLICE_LIT("100"), &status) && status == 100);
	assert_true(value_status(SLICE_LIT("599"), &status) && status == 599);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(value_status(slice_of(bad[i]), &status));
}

static void
test_networks(void **state)
{
	static const struct {
		const char *text, *wanted;	/* NULL: it is one */
	} cases[] = {
		{ "10.0.0.0/8", NULL }, { "10.0.0.1", NULL }, { "10.0.0.1/32", NULL }, { "0.0.0.0/0", NULL },
		{ "::/0", NULL }, { "::1", NULL }, { "2001:db8::/32", NULL }, { "10.0.0.128/25", NULL },
		{ "::ffff:10.0.0.1", NULL }, { "10.0.0.1/8", "has bits set beyond its prefix" },
		{ "2001:db8::1/127", "has bits set beyond its prefix" },
		{ "10.0.0.64/25", "has bits set beyond its prefix" }, { "10.0.0.0/33", "is not a network" },
		{ "::/129", "is not a network" }, { "10.0.0.0/", "is not a network" },
		{ "10.0.0/8", "is not a network" }, { "/8", "is not a network" }, { "", "is not a network" },
		{ "10.0.0.0/8/8", "is not a network" }, { "[::1]", "is not a network" },
		{ "fe80::1%eth0", "is not a network" }, { "localhost", "is not a network" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;

		assert_int_equal(value_network(slice_of(cases[i].text), &why), cases[i].wanted == NULL);
		if (cases[i].wanted != NULL)
			assert_string_equal(why, cases[i].wanted);
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool is_bind, is_host_port;
	} cases[] = {
		{ "127.0.0.1:80", true, true }, { "[::1]:80", true, true }, { "*:80", true, false },
		{ "[::]:65535", true, true }, { "127.0.0.1:0", true, false }, { "gw.example.com:80", false, true },
		{ "gw_1:80", false, true }, { "localhost:65536", false, false }, { "127.0.0.1", false, false },
		{ ":80", false, false }, { "80", false, false }, { "127.0.0.1:", false, false },
		{ "127.0.0.1:000080", false, false }, { "127.0.0.1:-1", false, false },
		{ "127.0.0.256:80", false, false }, { "1.2.3:80", false, false }, { "::1:80", false, false },
		{ "[::1]80", false, false }, { "[::1:80", false, false }, { "[127.0.0.1]:80", false, false },
		{ "[fe80::1%eth0]:80", false, false }, { "-a:80", false, false }, { "a..b:80", false, false },
		{ "", false, false },
	};
	struct value_address a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(value_bind(slice_of(cases[i].text), &a), cases[i].is_bind);
		assert_int_equal(value_host_port(slice_of(cases[i].text), &a), cases[i].is_host_port);
	}
}

static void
test_equal_addresses(void **state)
{
	static const struct {
		const char *a, *b;
		bool is_equal;
	} cases[] = {
		{ "10.0.0.1:80", "10.0.0.1:080", true }, { "10.0.0.1:80", "10.0.0.1:81", false },
		{ "[::1]:80", "[0:0:0:0:0:0:0:1]:80", true }, { "GW:80", "gw:80", true },
		{ "gw:80", "gw2:80", false }, { "127.0.0.1:80", "localhost:80", false },
		{ "[::1]:80", "127.0.0.1:80", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct value_address a, b;

		assert_true(value_host_port(slice_of(cases[i].a), &a) && value_host_port(slice_of(cases[i].b), &b));
		assert_int_equal(value_address_eq(&a, &b), cases[i].is_equal);
	}
}

static void
test_words(void **state)
{
	struct slice rest = SLICE_LIT("  gw1\t 10.0.0.1:80   weight=2 ");

	(void)state;
	assert_true(slice_eq(value_word(&rest), SLICE_LIT("gw1")));
	assert_true(slice_eq(value_word(&rest), SLICE_LIT("10.0.0.1:80")));
	assert_true(slice_eq(rest, SLICE_LIT("weight=2")));
	assert_true(slice_eq(value_word(&rest), SLICE_LIT("weight=2")));
	assert_int_equal(rest.n, 0);
	assert_int_equal(value_word(&rest).n, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_and_sizes),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_equal_addresses),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
