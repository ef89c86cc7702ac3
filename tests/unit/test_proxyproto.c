/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol: what each header says, and one answer however it is cut. */
#include "net/proxyproto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FOUR "\1\2\3\4" "\5\6\7\10" "\4\322" "\1\273"		/* 1.2.3.4:1234 to 5.6.7.8:443 */
#define SIX16 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define SIX SIX16 SIX16 "\4\322" "\1\273"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"

struct header {
	struct slice bytes;
	const char *client;
};
#define HEADER(text, client) { SLICE_LIT(text), client }
#define LONGEST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const struct header good[] = {
	HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\r\n", "1.2.3.4:1234"),
	HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
	HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", "1.2.3.4:0"),
	HEADER("PROXY TCP6 2001:db8::1 ::1 1234 443\r\n", "[2001:db8::1]:1234"),
	HEADER("PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1234 443\r\n", "1.2.3.4:1234"),
	HEADER("PROXY TCP6 " LONGEST " " LONGEST " 65535 65535\r\n", "[" LONGEST "]:65535"),
	HEADER("PROXY UNKNOWN\r\n", "-"),
	HEADER("PROXY UNKNOWN " LONGEST " " LONGEST " 65535 65535\r\n", "-"),
	HEADER("PROXY UNKNOWN \1\2\3\r\n", "-"),
	HEADER(SIGNATURE "\x21\x11\0\14" FOUR, "1.2.3.4:1234"),
	HEADER(SIGNATURE "\x21\x11\0\23" FOUR "\4\0\4abcd", "1.2.3.4:1234"),	/* with a TLV */
	HEADER(SIGNATURE "\x21\x21\0\44" SIX, "[2001:db8::1]:1234"),
	HEADER(SIGNATURE "\x21\x21\0\44" MAPPED MAPPED "\4\322" "\1\273", "1.2.3.4:1234"),
	HEADER(SIGNATURE "\x20\0\0\0", "-"),			/* LOCAL */
	HEADER(SIGNATURE "\x20\x11\0\14" FOUR, "-"),
	HEADER(SIGNATURE "\x20\xff\0\1x", "-"),
	HEADER(SIGNATURE "\x21\0\0\3abc", "-"),
	HEADER(SIGNATURE "\x21\x12\0\14" FOUR, "-"),		/* UDP */
	HEADER(SIGNATURE "\x21\x31\0\0", "-"),
};

static const struct slice bad[] = {
	SLICE_LIT("GET / HTTP/1.1\r\n"),
	SLICE_LIT("proxy TCP4 1.2.3.4 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY\r\n"),
	SLICE_LIT("PROXY \r\n"),
	SLICE_LIT("PROXY \n"),
	SLICE_LIT("PROXY TCP4\r\n"),
	SLICE_LIT("PROXY TCP5 1.2.3.4 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\r\r\n"),
	SLICE_LIT("PROXY TCP4  1.2.3.4 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234 443 \r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234 443 7\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 01234 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 65536 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.8 1234 x\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4\0 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY TCP4 1.2.3.4 5.6.7.256 1234 443\r\n"),
	SLICE_LIT("PROXY TCP4 ::1 ::1 1234 443\r\n"),
	SLICE_LIT("PROXY TCP6 1.2.3.4 5.6.7.8 1234 443\r\n"),
	SLICE_LIT("PROXY TCP6 fe80::1%lo ::1 1234 443\r\n"),
	SLICE_LIT("PROXY UNKNOWNX\r\n"),
	SLICE_LIT("PROXY UNKNOWN a\rb\r\n"),
	SLICE_LIT("\r\n\r\n\0\r\nQUIP\n\x21\x11\0\14" FOUR),
	SLICE_LIT(SIGNATURE "\x11\x11\0\14" FOUR),		/* version 1 in version 2's clothes */
	SLICE_LIT(SIGNATURE "\x22\x11\0\14" FOUR),		/* no such command */
	SLICE_LIT(SIGNATURE "\x21\x13\0\14" FOUR),		/* no such transport */
	SLICE_LIT(SIGNATURE "\x21\x41\0\14" FOUR),		/* no such family */
	SLICE_LIT(SIGNATURE "\x21\x11\0\13" FOUR),		/* too short for its addresses */
	SLICE_LIT(SIGNATURE "\x21\x21\0\43" SIX),
	SLICE_LIT(SIGNATURE "\x21\x11\2\11" FOUR),		/* 537 bytes in all */
};

/* In memory of its own length, so that AddressSanitizer sees a read beyond it. */
static enum proxyproto_result
parse(struct slice bytes, size_t *used, struct addr *client)
{
	char *copy = malloc(bytes.n + 1);
	enum proxyproto_result result;

	copy = realloc(copy, bytes.n != 0 ? bytes.n : 1);
	memcpy(copy, bytes.p, bytes.n);
	result = proxyproto_parse(slice_make(copy, bytes.n), used, client);
	free(copy);
	return result;
}

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct slice h = good[i].bytes;
		char bytes[PROXYPROTO_MAX + 8], text[ADDR_TEXT];
		struct addr client;
		size_t used;

		for (size_t cut = 0; cut < h.n; cut++)
			assert_int_equal(parse(slice_head(h, cut), &used, &client), PROXYPROTO_MORE);
		memcpy(bytes, h.p, h.n);
		memcpy(bytes + h.n, "GET /\r\n", 7);
		for (size_t more = 0; more < 8; more += 7) {
			assert_int_equal(parse(slice_make(bytes, h.n + more), &used, &client), PROXYPROTO_DONE);
			assert_int_equal(used, h.n);
			assert_string_equal(addr_text(&client, text), good[i].client);
		}
	}
}

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct addr client;
		bool was_bad = false;
		size_t used;

		for (size_t cut = 0; cut <= bad[i].n; cut++) {
			enum proxyproto_result r = parse(slice_head(bad[i], cut), &used, &client);

			if (r != (was_bad ? PROXYPROTO_BAD : PROXYPROTO_MORE) && r != PROXYPROTO_BAD)
				fail_msg("case %zu, the first %zu bytes: %d", i, cut, (int)r);
			was_bad = r == PROXYPROTO_BAD;
		}
		if (!was_bad)
			fail_msg("case %zu", i);
	}
}

static void
test_bounds(void **state)
{
	char line[200], whole[PROXYPROTO_MAX] = SIGNATURE "\x21\x11\2\10" FOUR;
	struct addr client;
	size_t used;

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_int_equal(parse(slice_make(line, 106), &used, &client), PROXYPROTO_MORE);
	assert_int_equal(parse(slice_make(line, 107), &used, &client), PROXYPROTO_BAD);
	assert_int_equal(parse(slice_make(whole, sizeof whole - 1), &used, &client), PROXYPROTO_MORE);
	assert_int_equal(parse(slice_make(whole, sizeof whole), &used, &client), PROXYPROTO_DONE);
	assert_int_equal(used, sizeof whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
