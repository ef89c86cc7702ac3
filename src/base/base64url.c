/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of each character of the alphabet, plus one; 0: not of it. */
static const unsigned char digits[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	['z'] = 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	['-'] = 63, ['_'] = 64,
};

void
base64url_encode(const unsigned char *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16;
		size_t left = n - i;

		if (left > 1)
			three |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			three |= bytes[i + 2];
		for (size_t k = 0; k < (left > 2 ? 4 : left + 1); k++)
			*text++ = alphabet[three >> (18 - 6 * k) & 63];
	}
}

bool
base64url_decode(struct slice text, unsigned char *bytes)
{
	must(text.n % 4 == 0);
	for (size_t i = 0; i < text.n; i += 4, bytes += 3) {
		uint32_t four = 0;

		for (size_t k = 0; k < 4; k++) {
			unsigned digit = digits[(unsigned char)text.p[i + k]];

			if (digit == 0)
				return false;
			four = four << 6 | (digit - 1);
		}
		bytes[0] = (unsigned char)(four >> 16);
		bytes[1] = (unsigned char)(four >> 8);
		bytes[2] = (unsigned char)four;
	}
	return true;
}
