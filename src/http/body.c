/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chunked coding is read by a machine that takes one byte at a time, but for the data, which is taken in runs: so
 * it can't matter how the bytes were cut. It is strict where parsers are known to differ: CRLF alone ends a line, no
 * white space stands around sizes and extensions (which RFC 9112, 7.1.1, has receivers tolerate and senders never
 * send).
 */
#include "http/body.h"

#include <string.h>

#include "http/byte.h"

#define BODY_SIZE_DIGITS 16

enum body_state {
	BODY_SIZE,
	BODY_EXT_NAME_FIRST,
	BODY_EXT_NAME,
	BODY_EXT_VALUE_FIRST,
	BODY_EXT_VALUE,
	BODY_EXT_QUOTED,
	BODY_EXT_ESCAPED,
	BODY_EXT_QUOTED_END,
	BODY_SIZE_LF,
	BODY_CHUNK,
	BODY_CHUNK_CR,
	BODY_CHUNK_LF,
	BODY_TRAILER_FIRST,	/* of a trailer's line, or the last empty one */
	BODY_TRAILER_NAME,
	BODY_TRAILER_VALUE,
	BODY_TRAILER_LF,
	BODY_LAST_LF,
	BODY_ENDED,
	BODY_BROKEN,
};

void
body_reader_init(struct body_reader *r, enum head_framing framing, uint64_t length, char *trailer)
{
	*r = (struct body_reader){
		.framing = framing,
		.state = BODY_SIZE,
		.left = framing == FRAMING_LENGTH ? length : 0,
		.trailer = trailer,
	};
}

/* Every state's function answers the next one, BODY_BROKEN for what must not stand there. */
static enum body_state
broken(struct body_reader *r, const char *why)
{
	r->why = why;
	return BODY_BROKEN;
}

static enum body_state
size_byte(struct body_reader *r, char c)
{
	int digit = byte_hex(c);

	if (digit >= 0) {
		/* 63 bits, as for Content-Length */
		if (r->digits == BODY_SIZE_DIGITS || r->left > INT64_MAX >> 4)
			return broken(r, "a chunk size too large");
		r->digits++;
		r->left = r->left << 4 | (unsigned)digit;
		return BODY_SIZE;
	}
	if (r->digits == 0)
		return broken(r, "a chunk without a size");
	if (c == ';')
		return BODY_EXT_NAME_FIRST;
	return c == '\r' ? BODY_SIZE_LF : broken(r, "a malformed chunk size");
}

/* What may follow a whole extension. */
static enum body_state
ext_end(struct body_reader *r, char c)
{
	if (c == ';')
		return BODY_EXT_NAME_FIRST;
	return c == '\r' ? BODY_SIZE_LF : broken(r, "a malformed chunk extension");
}

static enum body_state
ext_byte(struct body_reader *r, char c)
{
	switch (r->state) {
	case BODY_EXT_NAME:
		if (c == '=')
			return BODY_EXT_VALUE_FIRST;
		/* fall through */
	case BODY_EXT_VALUE:
		return byte_is(c, BYTE_TOKEN) ? (enum body_state)r->state : ext_end(r, c);
	case BODY_EXT_NAME_FIRST:
		return byte_is(c, BYTE_TOKEN) ? BODY_EXT_NAME : broken(r, "a chunk extension without a name");
	case BODY_EXT_VALUE_FIRST:
		if (c == '"')
			return BODY_EXT_QUOTED;
		return byte_is(c, BYTE_TOKEN) ? BODY_EXT_VALUE : broken(r, "a malformed chunk extension");
	case BODY_EXT_QUOTED:
		if (c == '"')
			return BODY_EXT_QUOTED_END;
		if (c == '\\')
			return BODY_EXT_ESCAPED;
		/* fall through */
	case BODY_EXT_ESCAPED:
		return byte_is(c, BYTE_TEXT) ? BODY_EXT_QUOTED : broken(r, "a malformed quoted string");
	default:
		return ext_end(r, c);
	}
}

static enum body_state
expect(struct body_reader *r, char c, char expected, enum body_state next)
{
	return c == expected ? next : broken(r, "not CRLF where a line or a chunk must end");
}

static enum body_state
size_end(struct body_reader *r, char c)
{
	r->line = r->digits = 0;
	return expect(r, c, '\n', r->left == 0 ? BODY_TRAILER_FIRST : BODY_CHUNK);
}

/* A trailer's line obeys the rules for a head's: a token, a colon, text (RFC 9112, 7.1.2). */
static enum body_state
trailer_byte(struct body_reader *r, char c)
{
	switch (r->state) {
	case BODY_TRAILER_FIRST:
		return byte_is(c, BYTE_TOKEN) ? BODY_TRAILER_NAME : broken(r, "a malformed trailer");
	case BODY_TRAILER_NAME:
		if (c == ':')
			return BODY_TRAILER_VALUE;
		return byte_is(c, BYTE_TOKEN) ? BODY_TRAILER_NAME : broken(r, "a malformed trailer");
	case BODY_TRAILER_VALUE:
		if (c == '\r')
			return BODY_TRAILER_LF;
		return byte_is(c, BYTE_TEXT) ? BODY_TRAILER_VALUE : broken(r, "a byte that can't stand in a trailer");
	default:
		return expect(r, c, '\n', BODY_TRAILER_FIRST);
	}
}

static enum body_state
trailer_keep(struct body_reader *r, char c)
{
	if (r->state == BODY_TRAILER_FIRST && c == '\r')
		return BODY_LAST_LF;
	if (r->trailer_bytes == BODY_TRAILER_MAX)
		return broken(r, "trailers too long");
	if (r->trailer != NULL)
		r->trailer[r->trailer_bytes] = c;
	r->trailer_bytes++;
	return trailer_byte(r, c);
}

static enum body_state
line_byte(struct body_reader *r, char c)
{
	if (r->line++ == BODY_CHUNK_LINE_MAX)
		return broken(r, "a chunk's line too long");
	switch (r->state) {
	case BODY_SIZE:
		return size_byte(r, c);
	case BODY_SIZE_LF:
		return size_end(r, c);
	default:
		return ext_byte(r, c);
	}
}

static enum body_state
framing_byte(struct body_reader *r, char c)
{
	switch (r->state) {
	case BODY_CHUNK_CR:
		return expect(r, c, '\r', BODY_CHUNK_LF);
	case BODY_CHUNK_LF:
		return expect(r, c, '\n', BODY_SIZE);
	case BODY_TRAILER_FIRST:
	case BODY_TRAILER_NAME:
	case BODY_TRAILER_VALUE:
	case BODY_TRAILER_LF:
		return trailer_keep(r, c);
	case BODY_LAST_LF:
		return expect(r, c, '\n', BODY_ENDED);
	default:
		return line_byte(r, c);
	}
}

static enum body_result
take_data(struct body_reader *r, struct slice *in, struct slice *data)
{
	if (in->n == 0)
		return BODY_MORE;
	*data = slice_head(*in, body_run(r) < SIZE_MAX ? (size_t)body_run(r) : SIZE_MAX);
	*in = slice_skip(*in, data->n);
	body_skip(r, data->n);
	return BODY_DATA;
}

static enum body_result
read_chunked(struct body_reader *r, struct slice *in, struct slice *data)
{
	while (in->n != 0 && r->state < BODY_ENDED && r->state != BODY_CHUNK) {
		r->state = (int)framing_byte(r, in->p[0]);
		*in = slice_skip(*in, 1);
	}
	switch (r->state) {
	case BODY_CHUNK:
		return take_data(r, in, data);
	case BODY_ENDED:
		return BODY_DONE;
	case BODY_BROKEN:
		return BODY_BAD;
	default:
		return BODY_MORE;
	}
}

enum body_result
body_read(struct body_reader *r, struct slice *in, struct slice *data)
{
	if (r->framing == FRAMING_CHUNKED)
		return read_chunked(r, in, data);
	return body_is_done(r) ? BODY_DONE : take_data(r, in, data);
}

bool
body_is_complete_at_end(const struct body_reader *r)
{
	return r->framing == FRAMING_CLOSE || body_is_done(r);
}

bool
body_is_done(const struct body_reader *r)
{
	switch (r->framing) {
	case FRAMING_NONE:
		return true;
	case FRAMING_LENGTH:
		return r->left == 0;
	case FRAMING_CHUNKED:
		return r->state == BODY_ENDED;
	case FRAMING_CLOSE:
		break;
	}
	return false;
}

uint64_t
body_run(const struct body_reader *r)
{
	switch (r->framing) {
	case FRAMING_LENGTH:
		return r->left;
	case FRAMING_CHUNKED:
		return r->state == BODY_CHUNK ? r->left : 0;
	case FRAMING_CLOSE:
		return UINT64_MAX;
	case FRAMING_NONE:
		break;
	}
	return 0;
}

void
body_skip(struct body_reader *r, uint64_t n)
{
	must(n <= body_run(r));
	if (r->framing == FRAMING_CLOSE)
		return;
	r->left -= n;
	if (r->framing == FRAMING_CHUNKED && r->left == 0 && n != 0)
		r->state = BODY_CHUNK_CR;
}

/* RFC 9110, 6.5.1: what must be known before the content, or for which a recipient may not be prepared so late.
 * Beside the names, all of Sec-WebSocket-*, X-Forwarded-* and If-*. */
static bool
is_forbidden_in_trailers(struct slice name)
{
	static const struct slice names[] = {
		SLICE_LIT("age"), SLICE_LIT("authorization"), SLICE_LIT("cache-control"), SLICE_LIT("connection"),
		SLICE_LIT("content-encoding"), SLICE_LIT("content-length"), SLICE_LIT("content-range"),
		SLICE_LIT("content-type"), SLICE_LIT("cookie"), SLICE_LIT("date"), SLICE_LIT("expect"),
		SLICE_LIT("expires"), SLICE_LIT("forwarded"), SLICE_LIT("host"), SLICE_LIT("keep-alive"),
		SLICE_LIT("location"), SLICE_LIT("max-forwards"), SLICE_LIT("pragma"),
		SLICE_LIT("proxy-authenticate"), SLICE_LIT("proxy-authorization"),
		SLICE_LIT("proxy-connection"), SLICE_LIT("range"), SLICE_LIT("retry-after"),
		SLICE_LIT("set-cookie"), SLICE_LIT("te"), SLICE_LIT("trailer"),
		SLICE_LIT("transfer-encoding"), SLICE_LIT("upgrade"), SLICE_LIT("vary"), SLICE_LIT("warning"),
		SLICE_LIT("www-authenticate"), SLICE_LIT("x-real-ip"), SLICE_LIT("x-request-id"),
	};
	static const struct slice prefixes[] = {
		SLICE_LIT("if-"), SLICE_LIT("sec-websocket-"), SLICE_LIT("x-forwarded-"),
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (slice_eq_nocase(name, names[i]))
			return true;
	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (slice_eq_nocase(slice_head(name, prefixes[i].n), prefixes[i]))
			return true;
	return false;
}

struct slice
body_trailers(struct body_reader *r)
{
	struct slice rest = slice_make(r->trailer, r->trailer != NULL ? r->trailer_bytes : 0);
	unsigned kept = 0;

	while (rest.n != 0) {
		struct slice line = slice_head(rest, slice_find(rest, '\n') + 1);

		rest = slice_skip(rest, line.n);
		if (is_forbidden_in_trailers(slice_head(line, slice_find(line, ':'))))
			continue;
		memmove(r->trailer + kept, line.p, line.n);
		kept += (unsigned)line.n;
	}
	r->trailer_bytes = kept;
	return slice_make(r->trailer, kept);
}

size_t
body_chunk_head(char to[BODY_CHUNK_HEAD], size_t n)
{
	size_t digits = 1;

	must(n != 0);
	while (digits < 2 * sizeof n && n >> (4 * digits) != 0)
		digits++;
	for (size_t i = 0; i < digits; i++)
		to[i] = "0123456789abcdef"[n >> (4 * (digits - 1 - i)) & 0xf];
	to[digits] = '\r';
	to[digits + 1] = '\n';
	return digits + 2;
}
