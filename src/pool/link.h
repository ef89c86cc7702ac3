/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - one connection to a gateway: opened, used by one exchange or session at a time, kept idle between plain
 * requests.
 *
 * A worker has its own links and shares none. A user takes an idle link or opens a new one, owns it until link_keep
 * or link_close, and hears of it through the stream's callback. An idle link belongs to the worker's links: it is
 * closed when the gateway closes or says anything, or when it has been idle for LINK_IDLE_MS. Above idle_connections
 * a link is kept for LINK_SPARE_MS only: sixty-four busy clients need that many links from one moment to the next,
 * and closing half of them each time would cost a connect for every third request.
 *
 * By TLS, the latest session of a gateway is kept too, and offered with the next connection.
 */
#ifndef POOL_LINK_H
#define POOL_LINK_H

#include "net/stream.h"
#include "pool/pool.h"

/* Most servers close at 60 s or later; those that close sooner are noticed. */
#define LINK_IDLE_MS 55000
#define LINK_SPARE_MS 1000

struct links;

struct link {
	uint32_t magic;
	struct links *links;
	struct gateway *gateway;	/* referenced */
	union {
		struct list idle;	/* of its gateway's idle links, the latest used first, or */
		struct reap reap;	/* afterwards */
	};
	struct timer timer;		/* while idle */
	unsigned uses;			/* requests so far, this one included */
	struct tls_keeper keeper;	/* by TLS */
	struct stream stream;
};

struct links *links_new(struct loop *l) MUST_CHECK;
void links_free(struct links *ls);	/* NULL is fine; closes idle ones, none may be in use */
/* No idle connection is kept any more: when stopping. */
void links_close_idle(struct links *ls);
/* Nor anything of gateways that are gone: after a reload. */
void links_drop_gone(struct links *ls);

/* An idle link to this gateway, or NULL. */
struct link *link_take_idle(struct links *ls, struct gateway *g, stream_fn *ready, void *owner) MUST_CHECK;
/* A new one, connecting: the callback hears STREAM_CONNECTED, by TLS when the gateway has shown who it is, or a
 * failure by STREAM_CAN_READ. tls NULL: plain. NULL with errno. */
struct link *link_open(struct links *ls, struct gateway *g, struct tls_client *tls, stream_fn *ready, void *owner)
    MUST_CHECK;
/* Its exchange is over and the connection is clean: it is kept, for long where its gateway has less
 * than `most` idle. */
void link_keep(struct link *k, unsigned most);
void link_close(struct link *k);	/* NULL is fine */

#endif
