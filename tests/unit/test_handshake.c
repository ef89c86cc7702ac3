/* SPDX-License-Identifier: BSD-2-Clause */
/* Which requests want a WebSocket, and which answers give one. */
#include "ws/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/h1.h"

#define GET "GET /chat HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"	/* RFC 6455, 1.3 */
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void
parse(enum h1_kind kind, const char *text, struct head *head)
{
	struct h1 p;

	h1_init(&p, kind, 4096);
	if (h1_parse(&p, slice_of(text), head) != H1_HEAD)
		fail_msg("%s: %s", text, p.why);
}

static void
test_requests(void **state)
{
	static const struct {
		const char *text;
		enum handshake_result result;
	} cases[] = {
		{ GET UPGRADE KEY VERSION "\r\n", HANDSHAKE_WANTED },
		{ GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", HANDSHAKE_WANTED },
		{ GET UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n", HANDSHAKE_WANTED },
		{ GET UPGRADE "Sec-WebSocket-Key: ////+++++AZaz0123456==\r\n" VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE "Sec-WebSocket-Key: ////+++++AZaz012345678==\r\n" VERSION "\r\n", HANDSHAKE_WANTED },
		{ GET "\r\n", HANDSHAKE_NONE },
		{ GET KEY VERSION "\r\n", HANDSHAKE_NONE },
		{ GET "Upgrade: websocket\r\n" KEY VERSION "\r\n", HANDSHAKE_NONE },
		{ GET "Connection: upgrade\r\nUpgrade: h2c\r\n" KEY VERSION "\r\n", HANDSHAKE_NONE },
		{ "GET / HTTP/1.0\r\n" UPGRADE KEY VERSION "\r\n", HANDSHAKE_NONE },
		{ "POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n", HANDSHAKE_BAD },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY VERSION "Content-Length: 1\r\n\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY KEY VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE "Sec-WebSocket-Key:\r\n" VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A\r\n" VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBs=SBub25jZQ==\r\n" VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\r\n" VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY VERSION VERSION "\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY "Sec-WebSocket-Version: 256\r\n\r\n", HANDSHAKE_BAD },
		{ GET UPGRADE KEY "Sec-WebSocket-Version:\r\n\r\n", HANDSHAKE_BAD },
	};
	static struct head head;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;

		parse(H1_REQUEST, cases[i].text, &head);
		if (handshake_request(&head, &why) != cases[i].result)
			fail_msg("%s: %s", cases[i].text, why != NULL ? why : "not bad");
		assert_true((why != NULL) == (cases[i].result == HANDSHAKE_BAD));
	}
}

static void
test_accept(void **state)
{
	char accept[HANDSHAKE_ACCEPT];

	(void)state;
	assert_true(handshake_accept(SLICE_LIT("dGhlIHNhbXBsZSBub25jZQ=="), accept));
	assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", HANDSHAKE_ACCEPT);
	assert_false(handshake_accept(SLICE_LIT("short"), accept));
	assert_false(handshake_accept(SLICE_NONE, accept));
}

static void
test_keys_of_our_own(void **state)
{
	static struct head head;
	char key[HANDSHAKE_KEY], other[HANDSHAKE_KEY], text[512];
	const char *why = NULL;

	(void)state;
	handshake_draw_key(key);
	handshake_draw_key(other);
	assert_memory_not_equal(key, other, sizeof key);
	snprintf(text, sizeof text, GET UPGRADE VERSION "Sec-WebSocket-Key: %.*s\r\n\r\n", HANDSHAKE_KEY, key);
	parse(H1_REQUEST, text, &head);
	assert_int_equal(handshake_request(&head, &why), HANDSHAKE_WANTED);
}

#define OFFER "Sec-WebSocket-Protocol: chat, Super\r\nSec-WebSocket-Protocol: v2.json\r\n"

static void
test_responses(void **state)
{
	static const struct {
		const char *offer, *response;
		bool ok;
	} cases[] = {
		{ "", SWITCH UPGRADE ACCEPT "\r\n", true },
		{ "", SWITCH "Connection: upgrade\r\nUpgrade: WebSocket\r\n" ACCEPT "\r\n", true },
		{ OFFER, SWITCH UPGRADE ACCEPT "\r\n", true },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n", true },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: v2.json\r\n\r\n", true },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: super\r\n\r\n", false },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: v3\r\n\r\n", false },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat, Super\r\n\r\n", false },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol:\r\n\r\n", false },
		{ OFFER, SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n", false },
		{ "", SWITCH UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n", false },
		{ "", SWITCH UPGRADE "\r\n", false },
		{ "", SWITCH UPGRADE ACCEPT ACCEPT "\r\n", false },
		{ "", SWITCH UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", false },
		{ "", SWITCH UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n", false },
		{ "", SWITCH "Upgrade: websocket\r\n" ACCEPT "\r\n", false },
		{ "", SWITCH "Connection: upgrade\r\n" ACCEPT "\r\n", false },
		{ "", SWITCH "Connection: upgrade\r\nUpgrade: h2c\r\n" ACCEPT "\r\n", false },
		{ "", "HTTP/1.0 101 x\r\n" UPGRADE ACCEPT "\r\n", false },
		{ "", "HTTP/1.1 200 OK\r\n" UPGRADE ACCEPT "\r\n", false },
	};
	static struct head request, response;
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;

		snprintf(text, sizeof text, GET UPGRADE KEY VERSION "%s\r\n", cases[i].offer);
		parse(H1_REQUEST, text, &request);
		parse(H1_RESPONSE, cases[i].response, &response);
		if (handshake_response_ok(&request, &response, &why) != cases[i].ok)
			fail_msg("%s: %s", cases[i].response, why != NULL ? why : "ok");
		assert_true((why == NULL) == cases[i].ok);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_keys_of_our_own),
		cmocka_unit_test(test_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
