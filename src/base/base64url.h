/* SPDX-License-Identifier: BSD-2-Clause */
/* base64url.h - bytes as text of the URL- and cookie-safe alphabet, without padding (RFC 4648, 5). */
#ifndef BASE_BASE64URL_H
#define BASE_BASE64URL_H

#include "base/check.h"
#include "base/slice.h"

/* The text's length, of so many bytes. */
#define BASE64URL_TEXT(bytes) (((bytes) * 4 + 2) / 3)

void base64url_encode(const unsigned char *bytes, size_t n, char *text);
/* text.n is a multiple of four, so that there are no bits to spare in which two texts of the same bytes could differ.
 * False: it is not of this alphabet; bytes are undefined then. */
bool base64url_decode(struct slice text, unsigned char *bytes) MUST_CHECK;

#endif
