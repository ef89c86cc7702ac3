/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnel.h - two streams that have become one WebSocket: bytes pass unchanged, under back-pressure, and frames are
 * followed so that the session can be ended properly. Long payloads go from socket to socket without being copied.
 *
 * A half-close is passed on, and the end is when both have come. But a gateway that ends without a close frame has
 * died, since no live one would (RFC 6455, 7.1.1): its client is told so by a close frame, unless a frame of the
 * gateway's was cut, and has TUNNEL_CLOSE_MS for its last words. They still go to the gateway, which may have closed
 * but its half.
 *
 * Knows nothing of requests, clients or gateways' names: two ends and a callback. Embedded in its session; one
 * worker's. The streams stay their owners', who close them when on_end has been called.
 */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "net/stream.h"
#include "proxy/end.h"
#include "ws/frame.h"

enum tunnel_side { TUNNEL_CLIENT, TUNNEL_GATEWAY, TUNNEL_SIDES };

/* Longer than that, 49 days, is as good as never. */
#define TUNNEL_TIME_MAX_MS UINT32_MAX

/* How long after a close frame of ours, or after one side broke off, the other may take to go. */
#define TUNNEL_CLOSE_MS 5000

struct tunnel;
/* Once; t->why says why. The tunnel is not touched again. */
typedef void tunnel_end_fn(struct tunnel *t);

struct tunnel_end {
	struct stream *stream;
	struct frame_follower sent;	/* follows what this side sends */
	uint64_t bytes;			/* that it sent */
	bool bulk;			/* long frames, much of them at once: moved without being copied */
	bool ended;			/* it will send no more */
	bool deaf;			/* nothing may be written to it any more */
	bool wants_close;		/* a close frame of ours is to be put in before it */
};

/* First what every message touches, that it be few cache lines. */
struct tunnel {
	uint32_t magic;
	enum end_reason why;		/* END_NONE: goes on */
	uint16_t close_code;		/* of the first close frame, theirs or ours; 0: none */
	bool over;
	uint64_t moved_ms;		/* when the last byte passed */
	struct counter *passed;		/* bytes, by the side that sent them; NULL: nobody counts */
	struct tunnel_end end[TUNNEL_SIDES];
	uint16_t died_close;		/* the code that tells a client that its gateway has died */
	uint16_t our_code;		/* of a close frame that we put in, and */
	enum end_reason our_why;	/* its reason's text */
	tunnel_end_fn *on_end;
	uint32_t idle_ms, ping_ms;	/* 0: never */
	uint64_t pinged_ms;
	uint64_t end_by_ms;		/* 0: open; else it is on its way out until then */
	struct timer timer;
};

struct tunnel_setup {
	struct stream *client, *gateway;
	uint64_t idle_ms, ping_ms;	/* 0: never; at most TUNNEL_TIME_MAX_MS */
	unsigned died_close;
	struct slice from_client, from_gateway;		/* what each side had sent already: goes first, in order */
	struct counter *passed;		/* TUNNEL_SIDES, bytes by the side that sent them; NULL: not counted */
	tunnel_end_fn *on_end;
};

/* Takes over both streams' callbacks. */
void tunnel_start(struct tunnel *t, const struct tunnel_setup *setup);
/* Ends it for this reason: a close frame to both sides, between frames, then their answers, TUNNEL_CLOSE_MS at most.
 * A frame that is under way may take until by_ms to end. */
void tunnel_close(struct tunnel *t, enum end_reason why, uint64_t by_ms);
/* Ends it at once. */
void tunnel_abort(struct tunnel *t, enum end_reason why);

#endif
