/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h - one client's connection, from accept to close.
 *
 * It reads heads, lets an exchange serve each (exchange.h) or becomes the client's end of a session (session.h), and
 * ends by one door: client_end(). One worker's.
 */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "net/stream.h"
#include "proxy/proxy.h"

enum client_state {
	CLIENT_GREETING,	/* a PROXY header is to come */
	CLIENT_READING,
	CLIENT_SERVING,
	CLIENT_TUNNEL,
	CLIENT_CLOSING,
	CLIENT_ENDING,
};

struct exchange;

struct client {
	uint32_t magic;
	enum client_state state;
	struct door *door;
	union {
		struct list link;	/* of proxy->client_list, or */
		struct reap reap;	/* afterwards */
	};
	struct stream stream;
	struct timer timer;
	struct addr peer;		/* who is connected, or whom the PROXY header named */
	uint64_t since_ms;		/* of the wait for a head, or of closing */
	struct exchange *exchange;	/* while reading a head (NULL before its first byte) and serving */
	unsigned requests;
	enum end_reason why;
	bool trusted;			/* its X-Forwarded-* are believed */
	bool limited;			/* over its address's limit: the first request is answered with 429 */
	bool counted;			/* in the listener's iplimit */
	bool linger;			/* closing: input may be unread, which would turn a close into a reset */
};

static inline struct proxy *
client_proxy(const struct client *c)
{
	return c->door->proxy;
}

/* The exchange has ended. keep: the connection goes on with the next request, whose first bytes may be in `rest`;
 * else it is closed when all has been sent, with `linger` when input may be unread. */
void client_served(struct client *c, enum end_reason why, bool keep, bool linger, struct slice rest);
/* The connection becomes a session's. */
void client_becomes_tunnel(struct client *c);
/* The one way out: closes at once. The first reason is the true one. */
void client_end(struct client *c, enum end_reason why);
/* The timer must fire by then. */
void client_timer_by(struct client *c, uint64_t due_ms);
/* When stopping: one that waits for a request is closed, a handshake refused, others find out when they are
 * through. */
void client_stop(struct client *c);
/* For log lines: "10.1.2.3:4567 (listener public) while reading a request". Returns text. */
#define CLIENT_TEXT 160
const char *client_text(const struct client *c, char text[CLIENT_TEXT]);

#endif
