/* SPDX-License-Identifier: BSD-2-Clause */
/* Both sides of the opening handshake are judged by the heads alone; what may be repeated and what not is RFC
 * 6455, 11.3. */
#include "ws/handshake.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "http/byte.h"

#define HANDSHAKE_KEY_BYTES 16
#define HANDSHAKE_SHA1 20
#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"	/* RFC 6455, 1.3 */
#define HANDSHAKE_VERSION_MAX 255

/* Fetched once: looking it up costs more than hashing sixty bytes. */
static EVP_MD *sha1;
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;

static void
fetch_sha1(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

/* The field's one line; NULL when there is none, or more than one. */
static const struct field *
find_single(const struct head *h, enum field_id id)
{
	const struct field *only = NULL;

	for (unsigned i = 0; i < h->fields; i++) {
		if (h->field[i].id != id)
			continue;
		if (only != NULL)
			return NULL;
		only = &h->field[i];
	}
	return only;
}

/* Sixteen bytes are 22 digits and two fillers. The last digit's unused bits are nobody's business, since a key is
 * hashed as text. */
static bool
is_key(struct slice s)
{
	return s.n == HANDSHAKE_KEY && byte_all(slice_head(s, HANDSHAKE_KEY - 2), BYTE_BASE64) &&
	    slice_eq(slice_skip(s, HANDSHAKE_KEY - 2), SLICE_LIT("=="));
}

static const char *
why_no_handshake(const struct head *h)
{
	const struct field *key = find_single(h, FIELD_SEC_WEBSOCKET_KEY);
	const struct field *version = find_single(h, FIELD_SEC_WEBSOCKET_VERSION);
	uint64_t number;

	if (h->method != METHOD_GET)
		return "an upgrade to WebSocket by another method than GET";
	if (h->framing == FRAMING_CHUNKED || (h->framing == FRAMING_LENGTH && h->content_length != 0))
		return "an upgrade to WebSocket with a body";
	if (key == NULL || !is_key(key->value))
		return "not one well-formed Sec-WebSocket-Key";
	if (version == NULL || !slice_to_u64(version->value, HANDSHAKE_VERSION_MAX, &number))
		return "not one well-formed Sec-WebSocket-Version";
	return NULL;
}

enum handshake_result
handshake_request(const struct head *h, const char **why)
{
	const char *fault;

	if (!h->upgrade_websocket)
		return HANDSHAKE_NONE;
	fault = why_no_handshake(h);
	if (fault == NULL)
		return HANDSHAKE_WANTED;
	*why = fault;
	return HANDSHAKE_BAD;
}

void
handshake_draw_key(char key[HANDSHAKE_KEY])
{
	unsigned char bytes[HANDSHAKE_KEY_BYTES], base64[HANDSHAKE_KEY + 1];

	must(RAND_bytes(bytes, sizeof bytes) == 1);
	EVP_EncodeBlock(base64, bytes, sizeof bytes);		/* ends with a NUL */
	memcpy(key, base64, HANDSHAKE_KEY);
}

bool
handshake_accept(struct slice key, char accept[HANDSHAKE_ACCEPT])
{
	char text[HANDSHAKE_KEY + sizeof HANDSHAKE_GUID - 1];
	unsigned char digest[HANDSHAKE_SHA1], base64[HANDSHAKE_ACCEPT + 1];
	unsigned n = 0;

	pthread_once(&sha1_once, fetch_sha1);
	if (sha1 == NULL || key.n != HANDSHAKE_KEY)
		return false;
	memcpy(text, key.p, HANDSHAKE_KEY);
	memcpy(text + HANDSHAKE_KEY, HANDSHAKE_GUID, sizeof HANDSHAKE_GUID - 1);
	if (EVP_Digest(text, sizeof text, digest, &n, sha1, NULL) != 1)
		return false;
	EVP_EncodeBlock(base64, digest, HANDSHAKE_SHA1);	/* ends with a NUL */
	memcpy(accept, base64, HANDSHAKE_ACCEPT);
	return true;
}

/* Subprotocols are compared with their case, as clients do. */
static bool
is_offered(const struct head *request, struct slice subprotocol)
{
	for (unsigned i = 0; i < request->fields; i++) {
		struct slice rest = request->field[i].value, offer;

		if (request->field[i].id != FIELD_SEC_WEBSOCKET_PROTOCOL)
			continue;
		while (head_list_next(&rest, &offer))
			if (slice_eq(offer, subprotocol))
				return true;
	}
	return false;
}

static bool
is_accepted(const struct head *request, const struct head *response)
{
	const struct field *key = find_single(request, FIELD_SEC_WEBSOCKET_KEY);
	const struct field *accept = find_single(response, FIELD_SEC_WEBSOCKET_ACCEPT);
	char expected[HANDSHAKE_ACCEPT];

	return key != NULL && accept != NULL && handshake_accept(key->value, expected) &&
	    slice_eq(accept->value, slice_make(expected, HANDSHAKE_ACCEPT));
}

static bool
has_good_subprotocol(const struct head *request, const struct head *response)
{
	const struct field *chosen = find_single(response, FIELD_SEC_WEBSOCKET_PROTOCOL);

	if (chosen == NULL)
		return head_find(response, FIELD_SEC_WEBSOCKET_PROTOCOL) == NULL;
	return is_offered(request, chosen->value);
}

bool
handshake_response_ok(const struct head *request, const struct head *response, const char **why)
{
	if (response->status != 101)
		*why = "not a 101";
	else if (!response->upgrade_websocket)
		*why = "a 101 that does not upgrade to WebSocket";
	else if (!is_accepted(request, response))
		*why = "not the one right Sec-WebSocket-Accept";
	else if (!has_good_subprotocol(request, response))
		*why = "a subprotocol that was not offered";
	else
		return true;
	return false;
}
