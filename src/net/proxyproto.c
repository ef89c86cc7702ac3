/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections are those of HAProxy's doc/proxy-protocol.txt. What a proxy says of a connection that is none of ours
 * (UDP, a Unix socket) is a valid header that names no client; the rest of what we don't know is refused, as section
 * 2.2 asks.
 */
#include "net/proxyproto.h"

#include <arpa/inet.h>
#include <string.h>

#define V1_MAX 107	/* 2.1: the longest line, its CR LF included */
#define V2_HEAD 16	/* 2.2: up to the addresses */

static const char v1_signature[] = { 'P', 'R', 'O', 'X', 'Y', ' ' };
static const char v2_signature[] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

/* Also where bytes are fewer, but the beginning of it. */
static bool
proxyproto_may_be(struct slice bytes, const char *signature, size_t n)
{
	return bytes.n == 0 || memcmp(bytes.p, signature, bytes.n < n ? bytes.n : n) == 0;
}

static bool
proxyproto_port(struct slice text, in_port_t *port)
{
	uint64_t value;

	if ((text.n > 1 && text.p[0] == '0') || !slice_to_u64(text, 65535, &value))
		return false;
	*port = htons((uint16_t)value);
	return true;
}

/* Address and port of one side; family says how they are written. */
static bool
proxyproto_v1_address(int family, struct slice host, struct slice port, struct addr *a)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	char text[INET6_ADDRSTRLEN];

	if (host.n >= sizeof text || memchr(host.p, '\0', host.n) != NULL)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (family == AF_INET) {
		if (inet_pton(AF_INET, text, &v4.sin_addr) != 1 || !proxyproto_port(port, &v4.sin_port))
			return false;
		addr_from_sockaddr(a, (struct sockaddr *)&v4, sizeof v4);
	} else {
		if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1 || !proxyproto_port(port, &v6.sin6_port))
			return false;
		addr_from_sockaddr(a, (struct sockaddr *)&v6, sizeof v6);
	}
	return true;
}

/* What stands between "PROXY " and the line's end. */
static bool
proxyproto_v1_line(struct slice line, struct addr *client)
{
	struct slice word[5];
	struct addr source, destination;
	int family;

	if (slice_find(line, '\r') != line.n)
		return false;
	for (size_t i = 0; i < COUNT(word); i++) {
		word[i] = slice_cut(&line, ' ');
		if (i == 0 && slice_eq(word[0], SLICE_LIT("UNKNOWN")))
			return true;
		if (word[i].n == 0)
			return false;
	}
	if (line.p != NULL)
		return false;
	if (slice_eq(word[0], SLICE_LIT("TCP4")))
		family = AF_INET;
	else if (slice_eq(word[0], SLICE_LIT("TCP6")))
		family = AF_INET6;
	else
		return false;
	if (!proxyproto_v1_address(family, word[1], word[3], &source) ||
	    !proxyproto_v1_address(family, word[2], word[4], &destination))
		return false;
	*client = source;
	return true;
}

static enum proxyproto_result
proxyproto_v1(struct slice bytes, size_t *used, struct addr *client)
{
	struct slice within = slice_head(bytes, V1_MAX);
	size_t lf = slice_find(within, '\n');
	struct slice line;

	if (lf == within.n)
		return bytes.n < V1_MAX ? PROXYPROTO_MORE : PROXYPROTO_BAD;
	line = slice_skip(slice_head(bytes, lf), sizeof v1_signature);
	if (line.n == 0 || line.p[line.n - 1] != '\r' || !proxyproto_v1_line(slice_head(line, line.n - 1), client))
		return PROXYPROTO_BAD;
	*used = lf + 1;
	return PROXYPROTO_DONE;
}

/* Both sides of a TCP connection: addresses, then ports. */
static bool
proxyproto_v2_tcp4(struct slice body, struct addr *client)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	if (body.n < 12)
		return false;
	memcpy(&v4.sin_addr, body.p, 4);
	memcpy(&v4.sin_port, body.p + 8, 2);
	addr_from_sockaddr(client, (struct sockaddr *)&v4, sizeof v4);
	return true;
}

static bool
proxyproto_v2_tcp6(struct slice body, struct addr *client)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (body.n < 36)
		return false;
	memcpy(&v6.sin6_addr, body.p, 16);
	memcpy(&v6.sin6_port, body.p + 32, 2);
	addr_from_sockaddr(client, (struct sockaddr *)&v6, sizeof v6);
	return true;
}

/* The 13th byte is version and command, the 14th family and transport. */
static bool
proxyproto_v2_body(unsigned char command, unsigned char family, struct slice body, struct addr *client)
{
	if (command == 0x20)
		return true;		/* LOCAL: the proxy speaks for itself, whatever follows */
	if (command != 0x21)
		return false;
	switch (family) {
	case 0x11:
		return proxyproto_v2_tcp4(body, client);
	case 0x21:
		return proxyproto_v2_tcp6(body, client);
	case 0x00:	/* unspecified */
	case 0x12:	/* UDP */
	case 0x22:
	case 0x31:	/* Unix sockets */
	case 0x32:
		return true;
	default:
		return false;
	}
}

static enum proxyproto_result
proxyproto_v2(struct slice bytes, size_t *used, struct addr *client)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t n;

	if (bytes.n < V2_HEAD)
		return PROXYPROTO_MORE;
	n = V2_HEAD + ((size_t)p[14] << 8 | p[15]);
	if (n > PROXYPROTO_MAX)
		return PROXYPROTO_BAD;
	if (bytes.n < n)
		return PROXYPROTO_MORE;
	if (!proxyproto_v2_body(p[12], p[13], slice_skip(slice_head(bytes, n), V2_HEAD), client))
		return PROXYPROTO_BAD;
	*used = n;
	return PROXYPROTO_DONE;
}

enum proxyproto_result
proxyproto_parse(struct slice bytes, size_t *used, struct addr *client)
{
	*used = 0;
	*client = (struct addr){ .len = 0 };
	if (proxyproto_may_be(bytes, v1_signature, sizeof v1_signature))
		return proxyproto_v1(bytes, used, client);
	if (proxyproto_may_be(bytes, v2_signature, sizeof v2_signature))
		return proxyproto_v2(bytes, used, client);
	return PROXYPROTO_BAD;
}
