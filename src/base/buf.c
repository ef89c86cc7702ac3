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

void
buf_hex64(struct buf *b, uint64_t v)
{
	static const char hex[] = "0123456789abcdef";
	char digits[16];

	for (size_t i = sizeof digits; i-- > 0; v >>= 4)
		digits[i] = hex[v & 15];
	buf_add(b, slice_make(digits, sizeof digits));
}
