/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * end.h - why something ended: one table for the log's word, the metric's label, whose doing it was, the status that
 * a client gets where an answer is still possible, and the close code of a WebSocket session (but that a pool may
 * have another one for a gateway that died: died_close).
 */
#ifndef PROXY_END_H
#define PROXY_END_H

enum end_whose { END_BY_CLIENT, END_BY_GATEWAY, END_BY_SELF };

#define END_REASONS(X) \
	/* name               log word                 whose    http  ws   */ \
	X(NONE,               "-",                     SELF,       0,    0) \
	X(DONE,               "done",                  SELF,       0,    0) \
	X(CLIENT_CLOSED,      "client-closed",         CLIENT,     0,    0) \
	X(CLIENT_RESET,       "client-reset",          CLIENT,     0,    0) \
	X(CLIENT_TLS,         "client-tls",            CLIENT,     0,    0) \
	X(CLIENT_PROXY,       "client-proxy-protocol", CLIENT,     0,    0) \
	X(CLIENT_DENIED,      "client-denied",         CLIENT,     0,    0) \
	X(CLIENT_LIMIT,       "client-limit",          CLIENT,   429,    0) \
	X(CLIENT_IDLE,        "client-idle",           CLIENT,     0,    0) \
	X(CLIENT_STALLED,     "client-stalled",        CLIENT,     0,    0) \
	X(HEADER_TIMEOUT,     "header-timeout",        CLIENT,   408,    0) \
	X(BODY_TIMEOUT,       "body-timeout",          CLIENT,   408,    0) \
	X(BAD_REQUEST,        "bad-request",           CLIENT,   400,    0) \
	X(BAD_BODY,           "bad-body",              CLIENT,   400,    0) \
	X(BAD_VERSION,        "bad-version",           CLIENT,   505,    0) \
	X(METHOD,             "method",                CLIENT,   501,    0) \
	X(HEAD_TOO_LARGE,     "head-too-large",        CLIENT,   431,    0) \
	X(URI_TOO_LONG,       "uri-too-long",          CLIENT,   414,    0) \
	X(MISDIRECTED,        "misdirected",           CLIENT,   421,    0) \
	X(GATEWAY_CONNECT,    "gateway-connect",       GATEWAY,  502,    0) \
	X(GATEWAY_TIMEOUT,    "gateway-connect-timeout", GATEWAY, 504,   0) \
	X(GATEWAY_CLOSED,     "gateway-closed",        GATEWAY,  502,    0) \
	X(GATEWAY_RESET,      "gateway-reset",         GATEWAY,  502, 1014) \
	X(GATEWAY_DIED,       "gateway-died",          GATEWAY,  502, 1014) /* its end without a close frame */ \
	X(GATEWAY_BAD,        "gateway-bad-answer",    GATEWAY,  502,    0) \
	X(GATEWAY_HANDSHAKE,  "gateway-bad-handshake", GATEWAY,  502,    0) \
	X(GATEWAY_BODY,       "gateway-bad-body",      GATEWAY,  502,    0) \
	X(RESPONSE_TIMEOUT,   "response-timeout",      GATEWAY,  504,    0) \
	X(NO_GATEWAY,         "no-gateway",            GATEWAY,  503,    0) \
	X(GATEWAY_DOWN,       "gateway-down",          GATEWAY,  503,    0) /* on_down = reject */ \
	X(GATEWAY_FULL,       "gateway-full",          GATEWAY,  503, 1013) \
	X(DUPLICATE,          "duplicate-session",     SELF,       0, 1008) \
	X(DRAINED,            "drained",               SELF,     503, 1012) \
	X(GATEWAY_GONE,       "gateway-gone",          SELF,     503, 1012) /* no configuration names it any more */ \
	X(REBALANCED,         "rebalanced",            SELF,       0, 1012) \
	X(OVERFULL,           "rebalanced-from-overfull", SELF,    0, 1013) /* above max_sessions */ \
	X(REDIRECT,           "redirect",              SELF,       0,    0) \
	X(TUNNEL_IDLE,        "tunnel-idle",           SELF,       0, 1001) \
	X(STOPPING,           "stopping",              SELF,     503, 1001) \
	X(EXHAUSTED,          "exhausted",             SELF,     503,    0) /* of descriptors or ports */ \
	X(NO_MEMORY,          "no-memory",             SELF,     503, 1013)

enum end_reason {
#define END_ENUM(name, word, whose, http, ws) END_##name,
	END_REASONS(END_ENUM)
#undef END_ENUM
	END_REASONS_N
};

struct end_info {
	const char *word;
	enum end_whose whose;
	unsigned http;		/* 0: no answer */
	unsigned ws;		/* 0: no close frame of ours */
};

const struct end_info *end_info(enum end_reason why);
const char *end_whose_name(enum end_whose whose);	/* "client" "gateway" "stickyd" */

#endif
