/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnel.h - two streams that have become one WebSocket: bytes pass unchanged, under back-pressure, and frames are
 * followed so that the session can be ended properly.
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

/* How long after a close frame of ours, or after one side broke off, the other may take to go. */
#define TUNNEL_CLOSE_MS 5000

struct tunnel;
/* Once; t->why says why. The tunnel is not touched again. */
typedef void tunnel_end_fn(struct tunnel *t);

struct tunnel_end {
	struct stream *stream;
	struct frame_follower sent;	/* follows what this side sends */
	uint64_t bytes;			/* that it sent */
	bool ended;			/* it will send no more */
	bool deaf;			/* nothing may be written to it any more */
	bool wants_close;		/* a close frame of ours is to be put in before it */
};

struct tunnel {
	uint32_t magic;
	struct loop *loop;
	tunnel_end_fn *on_end;
	struct tunnel_end end[TUNNEL_SIDES];
	uint64_t idle_ms, ping_ms;	/* 0: never */
	uint64_t moved_ms;		/* when the last byte passed */
	uint64_t pinged_ms;
	uint64_t end_by_ms;		/* 0: open; else it is on its way out until then */
	struct timer timer;
	enum end_reason why;		/* END_NONE: goes on */
	enum end_reason our_why;	/* of a close frame that we put in: its code and its reason's text */
	unsigned close_code;		/* of the first close frame, theirs or ours; 0: none */
	bool over;
};

/* Takes over both streams' callbacks. What each side had sent already goes first, in order. */
void tunnel_start(struct tunnel *t, struct loop *l, struct stream *client, struct stream *gateway, uint64_t idle_ms,
    uint64_t ping_ms, struct slice from_client, struct slice from_gateway, tunnel_end_fn *on_end);
/* Ends it for this reason: a close frame to both sides, between frames, then their answers, TUNNEL_CLOSE_MS at most.
 * A frame that is under way may take until by_ms to end. */
void tunnel_close(struct tunnel *t, enum end_reason why, uint64_t by_ms);
/* Ends it at once. */
void tunnel_abort(struct tunnel *t, enum end_reason why);

#endif
