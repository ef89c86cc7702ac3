/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be told of names, lists and hosts without knowing how a head was framed. */
#include "http/head.h"

#include <string.h>

#include "http/byte.h"

/* The length and the first letter together tell these names apart; should a new one break that, the switch below
 * says so with a duplicate case. In lower case. */
#define KNOWN_FIELDS(X) \
	X(CACHE_CONTROL, 'c', "cache-control") \
	X(CONNECTION, 'c', "connection") \
	X(CONTENT_LENGTH, 'c', "content-length") \
	X(COOKIE, 'c', "cookie") \
	X(DATE, 'd', "date") \
	X(EXPECT, 'e', "expect") \
	X(FORWARDED, 'f', "forwarded") \
	X(HOST, 'h', "host") \
	X(KEEP_ALIVE, 'k', "keep-alive") \
	X(PROXY_CONNECTION, 'p', "proxy-connection") \
	X(REFERER, 'r', "referer") \
	X(SEC_WEBSOCKET_ACCEPT, 's', "sec-websocket-accept") \
	X(SEC_WEBSOCKET_EXTENSIONS, 's', "sec-websocket-extensions") \
	X(SEC_WEBSOCKET_KEY, 's', "sec-websocket-key") \
	X(SEC_WEBSOCKET_PROTOCOL, 's', "sec-websocket-protocol") \
	X(SEC_WEBSOCKET_VERSION, 's', "sec-websocket-version") \
	X(SET_COOKIE, 's', "set-cookie") \
	X(TE, 't', "te") \
	X(TRANSFER_ENCODING, 't', "transfer-encoding") \
	X(UPGRADE, 'u', "upgrade") \
	X(USER_AGENT, 'u', "user-agent") \
	X(X_FORWARDED_FOR, 'x', "x-forwarded-for") \
	X(X_FORWARDED_HOST, 'x', "x-forwarded-host") \
	X(X_FORWARDED_PROTO, 'x', "x-forwarded-proto") \
	X(X_REQUEST_ID, 'x', "x-request-id")

#define NAME_KEY(length, letter) ((length) << 8 | (unsigned char)(letter))
#define FOLD 0x20	/* makes a letter a small one */

bool
head_is_token(struct slice s)
{
	return s.n != 0 && byte_all(s, BYTE_TOKEN);
}

/* Eight bytes at once, which must be there, all folded. */
static inline uint64_t
folded(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w | 0x0101010101010101U * FOLD;
}

/* Whether a token is this lower-case name of the same length. Folding is exact on letters, and makes a "-" of
 * nothing else that a token may hold. */
static inline bool
is_name(const char *token, const char *name, size_t n)
{
	if (n < 8) {
		for (size_t i = 0; i < n; i++)
			if ((token[i] | FOLD) != name[i])
				return false;
		return true;
	}
	for (size_t i = 0; i < n - 8; i += 8)
		if (folded(token + i) != folded(name + i))
			return false;
	return folded(token + n - 8) == folded(name + n - 8);
}

enum field_id
head_field_id(struct slice name)
{
	if (name.n == 0)
		return FIELD_OTHER;
	switch (NAME_KEY(name.n, name.p[0] | FOLD)) {
#define X(id, letter, text) \
	case NAME_KEY(sizeof(text) - 1, letter): \
		return is_name(name.p, text, sizeof(text) - 1) ? FIELD_##id : FIELD_OTHER;
	KNOWN_FIELDS(X)
#undef X
	default:
		return FIELD_OTHER;
	}
}

bool
head_is_idempotent(enum head_method method)
{
	switch (method) {
	case METHOD_GET:
	case METHOD_HEAD:
	case METHOD_PUT:
	case METHOD_DELETE:
	case METHOD_OPTIONS:
	case METHOD_TRACE:
		return true;
	case METHOD_OTHER:
	case METHOD_POST:
	case METHOD_CONNECT:
	case METHOD_PATCH:
		break;
	}
	return false;
}

const struct field *
head_find(const struct head *h, enum field_id id)
{
	for (unsigned i = 0; i < h->fields; i++)
		if (h->field[i].id == id)
			return &h->field[i];
	return NULL;
}

bool
head_list_next(struct slice *rest, struct slice *element)
{
	while (rest->p != NULL) {
		*element = slice_trim(slice_cut(rest, ','));
		if (element->n != 0)
			return true;
	}
	return false;
}

bool
head_list_has(struct slice list, struct slice token)
{
	struct slice element;

	while (head_list_next(&list, &element))
		if (slice_eq_nocase(element, token))
			return true;
	return false;
}

struct slice
head_host_name(const struct head *h)
{
	struct slice host = h->host;

	if (host.n != 0 && host.p[0] == '[')
		return slice_head(host, slice_find(host, ']') + 1);
	return slice_head(host, slice_find(host, ':'));
}
