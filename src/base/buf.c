/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as text, without printf: these stand in every request's head and log line. */
#include "base/buf.h"

void
buf_u64_wide(struct buf *b, uint64_t v, unsigned width)
{
	char digits[20];
	size_t at = sizeof digits;

	must(width <= sizeof digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0 || sizeof digits - at < width);
	buf_add(b, slice_make(digits + at, sizeof digits - at));
}

void
buf_u64(struct buf *b, uint64_t v)
{
	if (v < 10)
		buf_byte(b, (char)('0' + v));
	else
		buf_u64_wide(b, v, 1);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight digits as they stand in memory, all at once: each half is moved away from the other until every byte holds
 * four bits, and to those above nine is added what lies between '9' and 'a'. */
static uint64_t
hex_of_half(uint32_t v)
{
	uint64_t x = v;

	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x << 4) & EACH(0x0f);
	return htobe64(x + EACH('0') + ((x + EACH(6)) >> 4 & EACH(1)) * ('a' - '9' - 1));
}

void
buf_hex64(struct buf *b, uint64_t v)
{
	uint64_t digits[2] = { hex_of_half((uint32_t)(v >> 32)), hex_of_half((uint32_t)v) };

	buf_add(b, slice_make((const char *)digits, sizeof digits));
}
