/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - follows the frames of one direction of a WebSocket stream (RFC 6455, 5.2) without touching a payload.
 *
 * No socket, no clock, no allocation; the answer does not depend on how the bytes were cut. A follower knows whether
 * the stream stands between frames, where a control frame may be put in (RFC 6455, 5.4), counts messages, and reads a
 * close frame's code. Reserved bits are the extensions' affair and are let through. A stream that breaks the framing
 * itself is no longer followed: its bytes still pass, since the endpoints will judge, but nothing may be put in.
 */
#ifndef WS_FRAME_H
#define WS_FRAME_H

#include "base/slice.h"

enum frame_opcode {
	FRAME_CONT = 0, FRAME_TEXT = 1, FRAME_BINARY = 2, FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10,
};

#define FRAME_NO_CODE 1005	/* a close frame without a code (RFC 6455, 7.1.5) */
#define FRAME_CONTROL_MAX 131	/* a masked control frame with 125 bytes of payload */

struct frame_follower {
	uint64_t left;		/* payload bytes of the present frame still to come */
	uint64_t messages;	/* data messages ended (FIN seen and payload complete) */
	uint16_t close_code;	/* 0: no close frame yet */
	uint8_t head[14];	/* a header that came in pieces; in a close frame's payload its mask and code */
	uint8_t have;		/* bytes in head, of the header or of the code */
	uint8_t opcode;		/* of the present frame, with in_payload */
	bool fin;		/* likewise */
	bool in_payload;
	bool lost;		/* the framing was broken */
};

void frame_follower_init(struct frame_follower *f);
/* Follows all of the bytes. */
void frame_follow(struct frame_follower *f, struct slice bytes);
/* Follows until just behind the first point between frames and returns how many bytes that takes; all of them
 * where there is no such point in them. At least one byte is followed when there is one. */
size_t frame_follow_to_boundary(struct frame_follower *f, struct slice bytes);
/* A control frame may be put in here: between frames, not after a close, not lost. Nothing is followed after a
 * close. */
bool frame_is_between(const struct frame_follower *f);
/* A close frame has passed, to its last byte. */
static inline bool
frame_is_closed(const struct frame_follower *f)
{
	return f->close_code != 0 && !f->in_payload;
}
/* Payload bytes that are known to come next, so that they may be moved unseen; and says that n of them were. */
uint64_t frame_run(const struct frame_follower *f);
void frame_skip(struct frame_follower *f, uint64_t n);

/* Writes a close or ping frame; mask NULL for what goes to a client. Without a code (0 or FRAME_NO_CODE) there is
 * no reason either; a reason is cut at 123 bytes or before the character that ends beyond them. Returns the
 * length. */
size_t frame_write_close(char to[FRAME_CONTROL_MAX], const uint8_t mask[4], unsigned code, struct slice reason);
size_t frame_write_ping(char to[FRAME_CONTROL_MAX], const uint8_t mask[4]);

#endif
