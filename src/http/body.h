/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body.h - how a message's body is told from what follows it (RFC 9112, 6 and 7).
 *
 * No socket, no clock, no allocation. A reader takes bytes off the wire and gives the data in them, by reference; a
 * writer says what must stand before and behind data on the wire. The two are independent, so a body that came in
 * chunks can go on as anything else.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/head.h"

#define BODY_TRAILER_MAX 4096	/* bytes of a trailer section kept; more is refused */
#define BODY_CHUNK_LINE_MAX 256	/* a chunk's size with its extensions, with which parsers are kept busy */

enum body_result {
	BODY_MORE,	/* all bytes are used up, the body goes on */
	BODY_DATA,	/* *data holds some of it; call again with the rest */
	BODY_DONE,	/* the body has ended; *in begins behind it */
	BODY_BAD,	/* the framing is broken: nothing after this can be trusted */
};

struct body_reader {
	enum head_framing framing;
	int state;		/* of the chunked grammar */
	unsigned line;		/* bytes of the present chunk-size line */
	unsigned digits;
	uint64_t left;		/* of the chunk, or of the length */
	unsigned trailer_bytes;	/* of the trailer section so far, in trailer[] */
	const char *why;	/* with BODY_BAD, static */
	char *trailer;		/* BODY_TRAILER_MAX bytes, the caller's; NULL: trailers are checked and dropped */
};

void body_reader_init(struct body_reader *r, enum head_framing framing, uint64_t length, char *trailer);
/* Takes from the front of *in. With FRAMING_NONE it is done at once. The same answer however the bytes are cut. */
enum body_result body_read(struct body_reader *r, struct slice *in, struct slice *data) MUST_CHECK;
/* The connection ended: true when the body is thereby complete (FRAMING_CLOSE), or was already. */
bool body_is_complete_at_end(const struct body_reader *r);
bool body_is_done(const struct body_reader *r);
/* After BODY_DONE: the trailer section as it goes on, each line with CRLF, without the fields that must not stand
 * in one (RFC 9110, 6.5.1: framing, routing, authentication, hop-by-hop). Rewrites trailer[] in place. */
struct slice body_trailers(struct body_reader *r);
/* How many bytes from here on are plain body, so that they may be moved unseen: 0 unless in a known run,
 * UINT64_MAX with FRAMING_CLOSE; and says that n of them were. */
uint64_t body_run(const struct body_reader *r);
void body_skip(struct body_reader *r, uint64_t n);

#define BODY_CHUNK_HEAD 20	/* 16 hexadecimal digits, CRLF, some room */
/* What stands before a chunk of n bytes (n > 0); behind it stands CRLF. Returns the length. */
size_t body_chunk_head(char to[BODY_CHUNK_HEAD], size_t n);

#endif
