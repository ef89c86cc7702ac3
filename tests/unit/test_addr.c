/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses: text in and out, mapped IPv4, networks. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct addr
addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(slice_of(text), &a));
	return a;
}

static void
test_parse_and_print(void **state)
{
	static const struct {
		const char *text, *printed, *host;
		unsigned port;
	} cases[] = {
		{ "127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", 80 },
		{ "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", 0 },
		{ "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", 65535 },
		{ "*:443", "0.0.0.0:443", "0.0.0.0", 443 },
		{ "[::1]:80", "[::1]:80", "::1", 80 },
		{ "[2001:DB8::0:1]:8", "[2001:db8::1]:8", "2001:db8::1", 8 },
		{ "[::ffff:10.1.2.3]:9", "10.1.2.3:9", "10.1.2.3", 9 },
		/* RFC 5952, 4.2: the longest run of zeros, the first of several, never one alone */
		{ "[::]:1", "[::]:1", "::", 1 },
		{ "[1::]:1", "[1::]:1", "1::", 1 },
		{ "[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1", "2001:db8:0:1:1:1:1:1", 1 },
		{ "[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1", "2001:0:0:1::1", 1 },
		{ "[2001:db8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1", "2001:db8::1:0:0:1", 1 },
		{ "[0:0:1:2:3:4:0:0]:1", "[::1:2:3:4:0:0]:1", "::1:2:3:4:0:0", 1 },
		{ "[0:1:2:3:4:5:0:0]:1", "[0:1:2:3:4:5::]:1", "0:1:2:3:4:5::", 1 },
		{ "[00A0:0b:00:0cd0:1:2:3:4]:1", "[a0:b:0:cd0:1:2:3:4]:1", "a0:b:0:cd0:1:2:3:4", 1 },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    65535 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct addr a = addr_of(cases[i].text);
		char text[ADDR_TEXT];

		assert_string_equal(addr_text(&a, text), cases[i].printed);
		assert_int_equal(addr_host_text(&a, text), strlen(cases[i].host));
		assert_string_equal(text, cases[i].host);
		assert_int_equal(addr_port(&a), cases[i].port);
	}
}

static void
test_parse_refuses(void **state)
{
	static const char *const cases[] = {
		"", ":", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80",
		"1.2.3:80", "1.2.3.4.5:80", "::1:80", "[::1]", "[::1]80", "[::1:80", "[1.2.3.4]:80", "localhost:80",
		"[fe80::1%lo]:80", "*", "**:80", "127.0.0.1:080000",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_false(addr_parse(slice_of(cases[i]), &a));
	assert_false(addr_parse(SLICE_LIT("127.0.0.1\0:80"), &a));
}

static void
test_no_address(void **state)
{
	struct addr none = { .len = 0 }, other = addr_of("0.0.0.0:0"), local;
	struct sockaddr unix_socket = { .sa_family = AF_UNIX };
	struct addr_net all;
	char text[ADDR_TEXT];

	(void)state;
	assert_string_equal(addr_text(&none, text), "-");
	assert_int_equal(addr_host_text(&none, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(addr_port(&none), 0);
	assert_true(addr_eq(&none, &none));
	assert_false(addr_eq(&none, &other));
	assert_true(addr_net_parse(SLICE_LIT("0.0.0.0/0"), &all));
	assert_false(addr_is_in(&none, &all));
	addr_from_sockaddr(&local, &unix_socket, sizeof unix_socket);
	assert_int_equal(local.len, 0);
}

static void
test_from_sockaddr(void **state)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_flowinfo = 99, .sin6_scope_id = 3,
	};
	struct addr mapped, v4 = addr_of("192.0.2.1:7"), one, two;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
	addr_from_sockaddr(&mapped, (const struct sockaddr *)&v6, sizeof v6);
	assert_true(addr_eq(&mapped, &v4));
	assert_int_equal(mapped.len, sizeof(struct sockaddr_in));

	/* two links may have the same link-local address */
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr), 1);
	addr_from_sockaddr(&one, (const struct sockaddr *)&v6, sizeof v6);
	v6.sin6_scope_id = 4;
	addr_from_sockaddr(&two, (const struct sockaddr *)&v6, sizeof v6);
	assert_true(addr_eq(&one, &one));
	assert_false(addr_eq(&one, &two));

	/* cut short by whoever gave it */
	addr_from_sockaddr(&one, (const struct sockaddr *)&v6, sizeof v6 - 1);
	assert_int_equal(one.len, 0);
}

static void
test_eq(void **state)
{
	static const struct {
		const char *a, *b;
		bool eq;
	} cases[] = {
		{ "1.2.3.4:5", "1.2.3.4:5", true },
		{ "1.2.3.4:5", "1.2.3.4:6", false },
		{ "1.2.3.4:5", "1.2.3.5:5", false },
		{ "[::1]:5", "[0:0::1]:5", true },
		{ "[::1]:5", "[::2]:5", false },
		{ "[::1]:5", "0.0.0.1:5", false },
		{ "[::ffff:1.2.3.4]:5", "1.2.3.4:5", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct addr a = addr_of(cases[i].a), b = addr_of(cases[i].b);

		assert_int_equal(addr_eq(&a, &b), cases[i].eq);
		assert_int_equal(addr_eq(&b, &a), cases[i].eq);
		assert_int_equal(addr_order(&a, &b) == 0, cases[i].eq);
		assert_int_equal(addr_order(&a, &b) < 0, addr_order(&b, &a) > 0);
	}
}

static void
test_networks(void **state)
{
	static const struct {
		const char *net, *address;
		bool in;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255:1", true },
		{ "10.0.0.0/8", "11.0.0.0:1", false },
		{ "192.0.2.128/25", "192.0.2.128:1", true },
		{ "192.0.2.128/25", "192.0.2.127:1", false },
		{ "192.0.2.4/31", "192.0.2.5:1", true },
		{ "192.0.2.4/31", "192.0.2.6:1", false },
		{ "192.0.2.1", "192.0.2.1:1", true },
		{ "192.0.2.1", "192.0.2.0:1", false },
		{ "0.0.0.0/0", "255.1.2.3:1", true },
		{ "0.0.0.0/0", "[::1]:1", false },
		{ "::/0", "[2001:db8::1]:1", true },
		{ "::/0", "1.2.3.4:1", false },
		{ "::1", "[::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:7fff::]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::]:1", false },
		{ "::ffff:10.0.0.0/104", "10.9.9.9:1", true },
		{ "::ffff:10.0.0.0/104", "[::ffff:11.0.0.0]:1", false },
		{ "::ffff:0:0/96", "1.2.3.4:1", true },
		{ "10.0.0.0/8", "[::ffff:10.1.1.1]:1", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct addr a = addr_of(cases[i].address);
		struct addr_net net;

		assert_true(addr_net_parse(slice_of(cases[i].net), &net));
		if (addr_is_in(&a, &net) != cases[i].in)
			fail_msg("%s in %s", cases[i].address, cases[i].net);
	}
}

static void
test_networks_refused(void **state)
{
	static const char *const cases[] = {
		"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8", "10.0.0.0/8/8", "::/129",
		"::1/127", "10/8", "[::1]/128", "10.0.0.0 /8", "*", "10.0.0.0/8x", "::ffff:0:0/95",
	};
	struct addr_net net;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_false(addr_net_parse(slice_of(cases[i]), &net));
}

/* The same text as the system's, over all patterns of zero groups. */
static void
test_text_of_v6(void **state)
{
	(void)state;
	for (unsigned pattern = 1; pattern < 256; pattern++) {
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
		char expected[INET6_ADDRSTRLEN], text[ADDR_TEXT];
		struct addr a;

		/* the first group is never empty here: the system writes ::1.2.3.4 for some */
		for (unsigned i = 0; i < 8; i++)
			if (i == 0 || (pattern >> i & 1) != 0)
				v6.sin6_addr.s6_addr16[i] = htons((uint16_t)(0x1234U >> i % 4 * 4));
		assert_non_null(inet_ntop(AF_INET6, &v6.sin6_addr, expected, sizeof expected));
		addr_from_sockaddr(&a, (const struct sockaddr *)&v6, sizeof v6);
		assert_int_equal(addr_host_text(&a, text), strlen(expected));
		assert_string_equal(text, expected);
	}
}

static void
test_net_of(void **state)
{
	static const struct {
		const char *address;
		unsigned v4, v6;
		const char *text;
	} cases[] = {
		{ "10.1.2.3:4", 32, 128, "10.1.2.3" },
		{ "10.1.2.3:4", 24, 128, "10.1.2.0/24" },
		{ "10.1.2.3:4", 31, 0, "10.1.2.2/31" },
		{ "10.1.2.255:4", 25, 0, "10.1.2.128/25" },
		{ "10.1.2.255:4", 23, 0, "10.1.2.0/23" },
		{ "10.129.2.255:4", 9, 0, "10.128.0.0/9" },
		{ "255.1.2.3:4", 1, 0, "128.0.0.0/1" },
		{ "10.1.2.3:4", 0, 0, "0.0.0.0/0" },
		{ "[2001:db8:1:2:3:4:5:6]:7", 8, 128, "2001:db8:1:2:3:4:5:6" },
		{ "[2001:db8:1:2:3:4:5:6]:7", 32, 64, "2001:db8:1:2::/64" },
		{ "[2001:db8:1:ffff:3:4:5:6]:7", 32, 57, "2001:db8:1:ff80::/57" },
		{ "[2001:db8:1:2:3:4:5:7]:7", 32, 127, "2001:db8:1:2:3:4:5:6/127" },
		{ "[2001:db8::1]:7", 32, 0, "::/0" },
		{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1", 32, 127,
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127" },
		{ "[::ffff:10.1.2.3]:4", 16, 64, "10.1.0.0/16" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct addr a = addr_of(cases[i].address);
		struct addr_net net = addr_net_of(&a, cases[i].v4, cases[i].v6), again;
		char text[ADDR_TEXT];

		assert_int_equal(addr_net_text(&net, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		assert_true(addr_is_in(&a, &net));
		assert_true(addr_net_parse(slice_of(text), &again));
		assert_int_equal(again.bits, net.bits);
	}
}

static void
test_resolve(void **state)
{
	struct addr a;
	const char *why = NULL;
	char text[ADDR_TEXT];

	(void)state;
	assert_true(addr_resolve(SLICE_LIT("10.0.0.1:8000"), &a, &why));
	assert_string_equal(addr_text(&a, text), "10.0.0.1:8000");
	assert_true(addr_resolve(SLICE_LIT("[::1]:8000"), &a, &why));
	assert_string_equal(addr_text(&a, text), "[::1]:8000");
	assert_true(addr_resolve(SLICE_LIT("localhost:8001"), &a, &why));
	assert_int_equal(addr_port(&a), 8001);

	assert_null(why);
	assert_false(addr_resolve(SLICE_LIT("10.0.0.1"), &a, &why));
	assert_string_equal(why, "is not HOST:PORT");
	assert_false(addr_resolve(SLICE_LIT("10.0.0.1:0"), &a, &why));
	assert_false(addr_resolve(SLICE_LIT("*:80"), &a, &why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_print),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_from_sockaddr),
		cmocka_unit_test(test_eq),
		cmocka_unit_test(test_text_of_v6),
		cmocka_unit_test(test_net_of),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_networks_refused),
		cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
