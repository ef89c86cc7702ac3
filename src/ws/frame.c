/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame is a header of 2 to 14 bytes and a payload. A header that is there as a whole is read where it lies; one
 * that came in pieces is gathered first. Of payloads, only a close frame's first two bytes are looked at.
 */
#include "ws/frame.h"

#include <string.h>

#include "base/check.h"

#define FRAME_FIN 0x80
#define FRAME_OPCODE 0x0f
#define FRAME_CONTROL 0x08
#define FRAME_MASKED 0x80
#define FRAME_LENGTH 0x7f
#define FRAME_LENGTH_16 126
#define FRAME_LENGTH_64 127
#define FRAME_CONTROL_PAYLOAD 125
#define FRAME_MASK 4
#define FRAME_CODE 2

void
frame_follower_init(struct frame_follower *f)
{
	*f = (struct frame_follower){ 0 };
}

static inline bool
is_control(uint8_t opcode)
{
	return opcode & FRAME_CONTROL;
}

/* A header's length by its first two bytes. */
static inline size_t
header_bytes(const uint8_t *h)
{
	size_t n = 2;

	if ((h[1] & FRAME_LENGTH) == FRAME_LENGTH_16)
		n += 2;
	else if ((h[1] & FRAME_LENGTH) == FRAME_LENGTH_64)
		n += 8;
	return h[1] & FRAME_MASKED ? n + FRAME_MASK : n;
}

static inline uint64_t
big_endian(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* The payload's length; false when it is not written as RFC 6455, 5.2 demands: in the fewest bytes, of 63 bits at
 * most, and below 126 for a control frame, which is never fragmented (5.5). */
static inline bool
read_length(const uint8_t *h, uint64_t *length)
{
	unsigned n = h[1] & FRAME_LENGTH;

	if (LIKELY(n <= FRAME_CONTROL_PAYLOAD)) {
		*length = n;
		return !is_control(h[0]) || (h[0] & FRAME_FIN);
	}
	if (is_control(h[0]))
		return false;
	if (n == FRAME_LENGTH_16) {
		*length = big_endian(h + 2, 2);
		return *length > FRAME_CONTROL_PAYLOAD;
	}
	*length = big_endian(h + 2, 8);
	return *length > UINT16_MAX && *length <= INT64_MAX;
}

static inline void
end_frame(struct frame_follower *f)
{
	f->in_payload = false;
	f->have = 0;
	if (!is_control(f->opcode))
		f->messages += f->fin;
	else if (f->opcode == FRAME_CLOSE && f->close_code == 0)
		f->close_code = FRAME_NO_CODE;
}

/* h is a whole header of n bytes. */
static inline void
begin_frame(struct frame_follower *f, const uint8_t *h, size_t n)
{
	f->have = 0;
	f->fin = h[0] & FRAME_FIN;
	f->opcode = h[0] & FRAME_OPCODE;
	if (UNLIKELY(!read_length(h, &f->left))) {
		f->lost = true;
		return;
	}
	if (UNLIKELY(f->opcode == FRAME_CLOSE)) {
		static const uint8_t no_mask[FRAME_MASK];

		memmove(f->head, h[1] & FRAME_MASKED ? h + n - FRAME_MASK : no_mask, FRAME_MASK);
	}
	f->in_payload = true;
	if (f->left == 0)
		end_frame(f);
}

/* Adds to a header that comes in pieces; returns how many bytes that took. */
static size_t
gather_header(struct frame_follower *f, const uint8_t *p, size_t n)
{
	size_t took = 0;

	while (took < n) {
		f->head[f->have++] = p[took++];
		if (f->have >= 2 && f->have == header_bytes(f->head)) {
			begin_frame(f, f->head, f->have);
			break;
		}
	}
	return took;
}

static inline size_t
take_header(struct frame_follower *f, const uint8_t *p, size_t n)
{
	if (LIKELY(f->have == 0 && n >= 2)) {
		size_t whole = header_bytes(p);

		if (LIKELY(n >= whole)) {
			begin_frame(f, p, whole);
			return whole;
		}
	}
	return gather_header(f, p, n);
}

/* The code stands at the payload's begin, masked like the rest (RFC 6455, 5.5.1). */
static void
take_code(struct frame_follower *f, const uint8_t *p, size_t n)
{
	uint8_t *code = f->head + FRAME_MASK;

	for (size_t i = 0; i < n && f->have < FRAME_CODE; i++, f->have++)
		code[f->have] = p[i] ^ f->head[f->have];
	if (f->have == FRAME_CODE)
		f->close_code = (uint16_t)big_endian(code, FRAME_CODE);
}

static inline bool
wants_code(const struct frame_follower *f)
{
	return f->opcode == FRAME_CLOSE && f->have < FRAME_CODE;
}

static inline size_t
take_payload(struct frame_follower *f, const uint8_t *p, size_t n)
{
	if (n > f->left)
		n = (size_t)f->left;
	if (UNLIKELY(wants_code(f)))
		take_code(f, p, n);
	f->left -= n;
	if (f->left == 0)
		end_frame(f);
	return n;
}

static inline bool
is_over(const struct frame_follower *f)
{
	return f->lost || frame_is_closed(f);
}

/* One header or payload, or what is there of it; n is not 0. */
static inline size_t
take(struct frame_follower *f, const uint8_t *p, size_t n)
{
	if (UNLIKELY(is_over(f)))
		return n;
	return f->in_payload ? take_payload(f, p, n) : take_header(f, p, n);
}

/* Data frames that are small and there as a whole, which most streams are made of, from between frames on; returns
 * how many bytes they take. */
static size_t
take_small_frames(struct frame_follower *f, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (n - at >= 2 && !is_control(p[at]) && (p[at + 1] & FRAME_LENGTH) <= FRAME_CONTROL_PAYLOAD) {
		size_t whole = header_bytes(p + at) + (p[at + 1] & FRAME_LENGTH);

		if (whole > n - at)
			break;
		f->messages += (p[at] & FRAME_FIN) != 0;
		at += whole;
	}
	return at;
}

void
frame_follow(struct frame_follower *f, struct slice bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	size_t at = 0;

	while (at < bytes.n) {
		if (frame_is_between(f))
			at += take_small_frames(f, p + at, bytes.n - at);
		if (at < bytes.n)
			at += take(f, p + at, bytes.n - at);
	}
}

size_t
frame_follow_to_boundary(struct frame_follower *f, struct slice bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	size_t at = 0;

	while (at < bytes.n) {
		at += take(f, p + at, bytes.n - at);
		if (frame_is_between(f))
			break;
	}
	return at;
}

bool
frame_is_between(const struct frame_follower *f)
{
	return !f->in_payload && f->have == 0 && !is_over(f);
}

uint64_t
frame_run(const struct frame_follower *f)
{
	return f->in_payload && !f->lost && !wants_code(f) ? f->left : 0;
}

void
frame_skip(struct frame_follower *f, uint64_t n)
{
	must(n <= frame_run(f));
	f->left -= n;
	if (f->left == 0 && n != 0)
		end_frame(f);
}

/* The header of a control frame with n bytes of payload; returns where that begins. */
static size_t
write_header(char *to, enum frame_opcode opcode, const uint8_t *mask, size_t n)
{
	to[0] = (char)(FRAME_FIN | opcode);
	to[1] = (char)((mask != NULL ? FRAME_MASKED : 0) | n);
	if (mask == NULL)
		return 2;
	memcpy(to + 2, mask, FRAME_MASK);
	return 2 + FRAME_MASK;
}

/* No longer than max, and not cut within a UTF-8 character (RFC 6455, 5.5.1: the reason is UTF-8). */
static struct slice
cut_text(struct slice s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max != 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return slice_head(s, max);
}

size_t
frame_write_close(char to[FRAME_CONTROL_MAX], const uint8_t mask[4], unsigned code, struct slice reason)
{
	bool coded = code != 0 && code != FRAME_NO_CODE;
	size_t at, n;

	reason = cut_text(reason, FRAME_CONTROL_PAYLOAD - FRAME_CODE);
	n = coded ? FRAME_CODE + reason.n : 0;
	at = write_header(to, FRAME_CLOSE, mask, n);
	if (!coded)
		return at;
	to[at] = (char)(code >> 8);
	to[at + 1] = (char)code;
	if (reason.n != 0)
		memcpy(to + at + FRAME_CODE, reason.p, reason.n);
	for (size_t i = 0; mask != NULL && i < n; i++)
		to[at + i] ^= (char)mask[i % FRAME_MASK];
	return at + n;
}

size_t
frame_write_ping(char to[FRAME_CONTROL_MAX], const uint8_t mask[4])
{
	return write_header(to, FRAME_PING, mask, 0);
}
