/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom a trusted proxy is believed to forward for, and what it may call a request. */
#include "proxy/trusted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/h1.h"

static struct head head;

static void
parse(char *text, size_t room, const char *fields)
{
	struct h1 p;
	int n = snprintf(text, room, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);

	h1_init(&p, H1_REQUEST, room);
	assert_int_equal(h1_parse(&p, slice_make(text, (size_t)n), &head), H1_HEAD);
}

static void
clients(void **state)
{
	static const struct {
		const char *fields, *client;
	} cases[] = {
		{ "", "192.0.2.9:1" },
		{ "X-Forwarded-For:\r\n", "192.0.2.9:1" },
		{ "X-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7:0" },
		{ "X-Forwarded-For: 2001:db8::7\r\n", "[2001:db8::7]:0" },
		{ "X-Forwarded-For: [2001:db8::7]:443\r\n", "[2001:db8::7]:443" },
		/* the last that is no proxy of ours: what stands before it may be made up */
		{ "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n", "198.51.100.7:0" },
		{ "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1,10.0.0.2\r\n", "198.51.100.7:0" },
		{ "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 198.51.100.7\r\n"
		  "A: b\r\nX-Forwarded-For: 10.0.0.1\r\n",
		    "198.51.100.7:0" },
		/* all are ours: then the first */
		{ "X-Forwarded-For: 10.0.0.3, 10.0.0.1\r\n", "10.0.0.3:0" },
		/* what cannot be read ends what can be believed */
		{ "X-Forwarded-For: 198.51.100.7, unknown\r\n", "192.0.2.9:1" },
		{ "X-Forwarded-For: 198.51.100.7, unknown, 10.0.0.1\r\n", "10.0.0.1:0" },
		{ "X-Forwarded-For: 198.51.100.7,\r\n", "192.0.2.9:1" },
	};
	struct addr_net ours;
	struct listener l = { .trusted = { .net = &ours, .n = 1 } };

	(void)state;
	assert_true(addr_net_parse(SLICE_LIT("10.0.0.0/8"), &ours));
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512], found[ADDR_TEXT];
		struct addr a;

		assert_true(addr_parse(SLICE_LIT("192.0.2.9:1"), &a));
		parse(text, sizeof text, cases[i].fields);
		trusted_client(&head, &l, &a);
		assert_string_equal(addr_text(&a, found), cases[i].client);
	}
}

static void
request_ids(void **state)
{
	char text[512], fields[256], id[130];

	(void)state;
	parse(text, sizeof text, "");
	assert_int_equal(trusted_request_id(&head).n, 0);
	parse(text, sizeof text, "X-Request-Id: 0af7651916cd43dd-8448eb211c80319c\r\n");
	assert_true(slice_eq(trusted_request_id(&head), SLICE_LIT("0af7651916cd43dd-8448eb211c80319c")));
	parse(text, sizeof text, "X-Request-Id: first\r\nX-Request-Id: second\r\n");
	assert_true(slice_eq(trusted_request_id(&head), SLICE_LIT("first")));
	for (size_t n = 127; n <= 129; n++) {
		memset(id, 'x', n);
		snprintf(fields, sizeof fields, "X-Request-Id: %.*s\r\n", (int)n, id);
		parse(text, sizeof text, fields);
		assert_int_equal(trusted_request_id(&head).n, n <= 128 ? n : 0);
	}
	/* it goes into pages and logs as it is */
	for (const char *c = " <>&\"\t\x80"; *c != '\0'; c++) {
		snprintf(fields, sizeof fields, "X-Request-Id: a%cb\r\n", *c);
		parse(text, sizeof text, fields);
		assert_int_equal(trusted_request_id(&head).n, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients),
		cmocka_unit_test(request_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
