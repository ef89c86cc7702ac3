/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake.h - the opening handshake of WebSocket, as a proxy must know it (RFC 6455, 4).
 *
 * No socket, no clock. The client's key is the gateway's to answer; we only check that it did.
 */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

#include "http/head.h"

#define HANDSHAKE_KEY 24	/* base64 of 16 bytes */
#define HANDSHAKE_ACCEPT 28	/* base64 of a SHA-1 */

enum handshake_result {
	HANDSHAKE_NONE,		/* an ordinary request */
	HANDSHAKE_WANTED,	/* a well-formed upgrade to WebSocket */
	HANDSHAKE_BAD,		/* claims to be one and is not: 400 */
};

/* A GET of HTTP/1.1 without a body, Connection: upgrade, Upgrade: websocket, one Sec-WebSocket-Key of 16 bytes in
 * base64 and one Sec-WebSocket-Version (any number: the gateway may answer 426). *why is static, set with
 * HANDSHAKE_BAD. */
enum handshake_result handshake_request(const struct head *h, const char **why) MUST_CHECK;
/* A Sec-WebSocket-Key that nobody can foresee, for a handshake of our own. */
void handshake_draw_key(char key[HANDSHAKE_KEY]);
/* Sec-WebSocket-Accept for a key. */
bool handshake_accept(struct slice key, char accept[HANDSHAKE_ACCEPT]) MUST_CHECK;
/* Whether a 101 is the right answer: Upgrade, Connection, the one Accept, and a subprotocol only of those offered. */
bool handshake_response_ok(const struct head *request, const struct head *response, const char **why) MUST_CHECK;

#endif
