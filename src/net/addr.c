/* SPDX-License-Identifier: BSD-2-Clause */
/* Socket addresses. What they look like as text is conf/value.h's, since a configuration is checked without
 * sockets. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "conf/value.h"

#define HOST_TEXT 256	/* the longest host name is 253 bytes (RFC 1035, 2.3.4) */

/* So that the port can be had without asking for the family. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "at one place");

static void
addr_set_v4(struct addr *a, const void *ip, in_port_t port)
{
	*a = (struct addr){ .sa.v4 = { .sin_family = AF_INET, .sin_port = port }, .len = sizeof a->sa.v4 };
	memcpy(&a->sa.v4.sin_addr, ip, 4);
}

static void
addr_set_v6(struct addr *a, const void *ip, in_port_t port, uint32_t scope)
{
	struct in6_addr v6;

	memcpy(&v6, ip, sizeof v6);
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		addr_set_v4(a, v6.s6_addr + 12, port);
		return;
	}
	*a = (struct addr){ .len = sizeof a->sa.v6 };
	a->sa.v6 = (struct sockaddr_in6){
		.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = v6, .sin6_scope_id = scope,
	};
}

void
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*a = (struct addr){ .len = 0 };
	if (sa->sa_family == AF_INET && len >= sizeof v4) {
		memcpy(&v4, sa, sizeof v4);
		addr_set_v4(a, &v4.sin_addr, v4.sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof v6) {
		memcpy(&v6, sa, sizeof v6);
		addr_set_v6(a, &v6.sin6_addr, v6.sin6_port, v6.sin6_scope_id);
	}
}

static void
addr_from_value(struct addr *a, const struct value_address *v)
{
	if (v->family == VALUE_IPV4)
		addr_set_v4(a, v->ip, htons((in_port_t)v->port));
	else
		addr_set_v6(a, v->ip, htons((in_port_t)v->port), 0);
}

bool
addr_parse(struct slice text, struct addr *a)
{
	struct value_address v;

	if (!value_bind(text, &v))
		return false;
	addr_from_value(a, &v);
	return true;
}

bool
addr_parse_host(struct slice text, struct addr *a)
{
	char host[ADDR_TEXT];
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (addr_parse(text, a))
		return true;
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = slice_make(text.p + 1, text.n - 2);
	if (text.n >= sizeof host)
		return false;
	memcpy(host, text.p, text.n);
	host[text.n] = '\0';
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		addr_from_sockaddr(a, (struct sockaddr *)&v4, sizeof v4);
	else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		addr_from_sockaddr(a, (struct sockaddr *)&v6, sizeof v6);
	else
		return false;
	return true;
}

bool
addr_net_parse(struct slice text, struct addr_net *net)
{
	struct slice prefix = text, address = slice_cut(&prefix, '/');
	char host[ADDR_TEXT] = "";
	unsigned char ip[16];
	const char *why;
	uint64_t bits;
	bool v4;

	if (!value_network(text, &why))
		return false;
	must(address.n < sizeof host);
	memcpy(host, address.p, address.n);
	v4 = inet_pton(AF_INET, host, ip) == 1;
	must(v4 || inet_pton(AF_INET6, host, ip) == 1);
	bits = v4 ? 32 : 128;
	must(prefix.p == NULL || slice_to_u64(prefix, bits, &bits));
	if (v4)
		addr_set_v4(&net->base, ip, 0);
	else
		addr_set_v6(&net->base, ip, 0, 0);
	/* a mapped one has its 96th bit set, so that its prefix, without bits beyond it, is no shorter */
	if (!v4 && net->base.sa.any.sa_family == AF_INET)
		bits -= 96;
	net->bits = (unsigned)bits;
	return true;
}

static bool
addr_look_up(const struct value_address *v, struct addr *a, const char **why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found;
	char host[HOST_TEXT] = "";
	int error;

	must(v->name.n < sizeof host);
	memcpy(host, v->name.p, v->name.n);
	error = getaddrinfo(host, NULL, &hints, &found);
	if (error != 0) {
		*why = gai_strerror(error);
		return false;
	}
	addr_from_sockaddr(a, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	a->sa.v4.sin_port = htons((in_port_t)v->port);
	return true;
}

bool
addr_resolve(struct slice text, struct addr *a, const char **why)
{
	struct value_address v;

	if (!value_host_port(text, &v)) {
		*why = "is not HOST:PORT";
		return false;
	}
	if (v.family == VALUE_NAME)
		return addr_look_up(&v, a, why);
	addr_from_value(a, &v);
	return true;
}

/* The address alone, in network order. */
static const unsigned char *
addr_ip(const struct addr *a)
{
	return a->sa.any.sa_family == AF_INET ? (const void *)&a->sa.v4.sin_addr : (const void *)&a->sa.v6.sin6_addr;
}

bool
addr_is_in(const struct addr *a, const struct addr_net *net)
{
	const unsigned char *ip = addr_ip(a), *base = addr_ip(&net->base);
	unsigned bytes = net->bits / 8, rest = net->bits % 8;

	if (a->len == 0 || a->sa.any.sa_family != net->base.sa.any.sa_family || memcmp(ip, base, bytes) != 0)
		return false;
	return rest == 0 || (ip[bytes] ^ base[bytes]) >> (8 - rest) == 0;
}

static int
number_order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int
addr_order(const struct addr *a, const struct addr *b)
{
	int order = number_order(a->len, b->len);

	if (order != 0 || a->len == 0)
		return order;
	order = memcmp(addr_ip(a), addr_ip(b), a->len == sizeof a->sa.v4 ? 4 : 16);
	if (order == 0)
		order = number_order(addr_port(a), addr_port(b));
	if (order == 0 && a->len == sizeof a->sa.v6)
		order = number_order(a->sa.v6.sin6_scope_id, b->sa.v6.sin6_scope_id);
	return order;
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_order(a, b) == 0;
}

unsigned
addr_port(const struct addr *a)
{
	return a->len != 0 ? ntohs(a->sa.v4.sin_port) : 0;
}

static char *
byte_text(char *to, unsigned byte)
{
	if (byte >= 100)
		*to++ = (char)('0' + byte / 100);
	if (byte >= 10)
		*to++ = (char)('0' + byte / 10 % 10);
	*to++ = (char)('0' + byte % 10);
	return to;
}

static void
add_v4(struct buf *b, const unsigned char ip[4])
{
	char text[4 * sizeof "255"], *end = text;

	for (unsigned i = 0; i < 4; i++) {
		if (i != 0)
			*end++ = '.';
		end = byte_text(end, ip[i]);
	}
	buf_add(b, slice_make(text, (size_t)(end - text)));
}

#define V6_GROUPS 8

/* Where the longest run of two or more zero groups begins, the first of several, and its length (RFC 5952, 4.2);
 * V6_GROUPS and 0 where there is none. */
static unsigned
longest_zeros(const uint16_t group[V6_GROUPS], unsigned *length)
{
	unsigned at = V6_GROUPS, run = 0;

	*length = 0;
	for (unsigned i = 0; i < V6_GROUPS; i++) {
		run = group[i] == 0 ? run + 1 : 0;
		if (run >= 2 && run > *length) {
			*length = run;
			at = i + 1 - run;
		}
	}
	return at;
}

static void
add_group(struct buf *b, unsigned group)
{
	for (int shift = 12; shift >= 0; shift -= 4)
		if (shift == 0 || group >> shift != 0)
			buf_byte(b, "0123456789abcdef"[group >> shift & 15]);
}

/* As RFC 5952, 4 has it. */
static void
add_v6(struct buf *b, const unsigned char ip[16])
{
	uint16_t group[V6_GROUPS];
	unsigned zeros, length;

	for (unsigned i = 0; i < V6_GROUPS; i++)
		group[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
	zeros = longest_zeros(group, &length);
	for (unsigned i = 0; i < V6_GROUPS; i++) {
		if (i == zeros) {
			buf_lit(b, "::");
			i += length - 1;
			continue;
		}
		if (i != 0 && i != zeros + length)
			buf_byte(b, ':');
		add_group(b, group[i]);
	}
}

/* Written by hand: inet_ntop prints through a format, and this is done for every request. */
static void
add_host(struct buf *b, const struct addr *a)
{
	if (a->len == sizeof a->sa.v4)
		add_v4(b, addr_ip(a));
	else if (a->len != 0)
		add_v6(b, addr_ip(a));
}

size_t
addr_host_text(const struct addr *a, char text[ADDR_TEXT])
{
	struct buf b = buf_of(text, ADDR_TEXT - 1);

	add_host(&b, a);
	text[b.n] = '\0';
	return b.n;
}

const char *
addr_text(const struct addr *a, char text[ADDR_TEXT])
{
	struct buf b = buf_of(text, ADDR_TEXT - 1);
	bool v6 = a->len == sizeof a->sa.v6;

	if (a->len == 0)
		return memcpy(text, "-", 2);
	if (v6)
		buf_byte(&b, '[');
	add_host(&b, a);
	if (v6)
		buf_byte(&b, ']');
	buf_byte(&b, ':');
	buf_u64(&b, addr_port(a));
	text[b.n] = '\0';
	return text;
}

struct addr_net
addr_net_of(const struct addr *a, unsigned bits_v4, unsigned bits_v6)
{
	bool v4 = a->len == sizeof a->sa.v4;
	struct addr_net net = { .base = *a, .bits = v4 ? bits_v4 : bits_v6 };
	unsigned char *ip = v4 ? (void *)&net.base.sa.v4.sin_addr : (void *)&net.base.sa.v6.sin6_addr;
	unsigned bytes = v4 ? 4 : 16, kept = net.bits / 8;

	must(a->len != 0 && net.bits <= 8 * bytes);
	if (kept == bytes)
		return net;
	ip[kept] &= (unsigned char)(0xff00 >> net.bits % 8);
	memset(ip + kept + 1, 0, bytes - kept - 1);
	return net;
}

size_t
addr_net_text(const struct addr_net *net, char text[ADDR_TEXT])
{
	struct buf b = buf_of(text, ADDR_TEXT - 1);

	add_host(&b, &net->base);
	if (net->bits != (net->base.len == sizeof net->base.sa.v4 ? 32 : 128)) {
		buf_byte(&b, '/');
		buf_u64(&b, net->bits);
	}
	text[b.n] = '\0';
	return b.n;
}
