/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - one body on its way from one stream to another, under back-pressure and without delay.
 *
 * It is read by its own framing and written by another where the receiver needs that: chunked from a gateway becomes
 * plain bytes for an HTTP/1.0 client, and so on. What has been read is passed on before anything more is asked for.
 * A long run of it that need not be changed goes from socket to socket without being copied.
 */
#ifndef PROXY_FLOW_H
#define PROXY_FLOW_H

#include "base/buf.h"
#include "http/body.h"
#include "net/stream.h"

enum flow_result {
	FLOW_WAIT,		/* goes on when there is more, or when the sink has drained */
	FLOW_DONE,		/* the body is complete and has been handed to the sink's stream */
	FLOW_BAD,		/* its framing is broken; why: reader.why */
	FLOW_CUT,		/* the source ended before its body did */
	FLOW_SOURCE_FAILED,
	FLOW_SINK_FAILED,
};

struct flow {
	struct stream *from, *to;
	struct body_reader reader;
	enum head_framing out;		/* FRAMING_CHUNKED, or anything else: bytes as they are */
	uint64_t bytes;			/* of the body so far, without framing */
	bool bulk;			/* much comes at once: it is moved without being copied where that can be */
	bool sent;			/* the sink's stream has taken bytes of ours, at least the head's */
	bool done;
	bool trailers;			/* the receiver wants them */
	bool is_last;			/* whoever set it shuts or closes the sink as soon as it is done */
};

/* trailer: BODY_TRAILER_MAX bytes lent for the flow's life, or NULL. */
void flow_init(struct flow *f, struct stream *from, struct stream *to, enum head_framing in, uint64_t length,
    enum head_framing out, char *trailer);
/* Passes on what of *in belongs to the body, behind the bytes in *before (a head, or nothing), and leaves in *in what
 * does not. */
enum flow_result flow_feed(struct flow *f, struct slice *in, struct buf *before) MUST_CHECK;
/* Reads and passes on until the source is empty, the sink blocked, or others must have their turn (then it asks for
 * more by stream_again). buffer: where to read to (room bytes), NULL: the loop's scratch. *rest: what was read beyond
 * the body's end. */
enum flow_result flow_pump(struct flow *f, char *buffer, size_t room, struct slice *rest) MUST_CHECK;

#endif
