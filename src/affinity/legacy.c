/* SPDX-License-Identifier: BSD-2-Clause */
#include "affinity/legacy.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define HEX (2 * LEGACY_DIGEST)

/* Those who hand them out write small letters only. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
digest_from_hex(struct slice hex, unsigned char digest[LEGACY_DIGEST])
{
	if (hex.n != HEX)
		return false;
	for (size_t i = 0; i < LEGACY_DIGEST; i++) {
		int high = hex_value(hex.p[2 * i]), low = hex_value(hex.p[2 * i + 1]);

		if (high == -1 || low == -1)
			return false;
		digest[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool
time_from_text(struct slice text, uint32_t *s)
{
	uint64_t value;

	if (!slice_to_u64(text, UINT32_MAX, &value))
		return false;
	*s = (uint32_t)value;
	return true;
}

bool
legacy_parse(struct slice text, struct legacy *l)
{
	struct slice digest = slice_cut(&text, '|'), last = slice_cut(&text, '|');

	/* the first time is all the rest: a third bar is no digit */
	return digest_from_hex(digest, l->digest) && time_from_text(last, &l->last_s) &&
	    time_from_text(text, &l->first_s);
}

bool
legacy_digest(const struct addr *a, unsigned char digest[LEGACY_DIGEST])
{
	char text[ADDR_TEXT];
	struct slice address = slice_of(addr_text(a, text));

	if (EVP_Digest(address.p, address.n, digest, NULL, EVP_md5(), NULL) == 1)
		return true;
	ERR_clear_error();
	return false;
}
