/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - a socket address as a value, and networks of them.
 *
 * Pure but for addr_resolve. IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2) are turned into IPv4 when they are
 * made, so that an access list sees one client as one.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/slice.h"

#define ADDR_TEXT 56	/* "[ffff:...:255.255.255.255]:65535" and its NUL */

struct addr {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
	socklen_t len;			/* 0: no address */
};

/* A network: the first bits of an address. */
struct addr_net {
	struct addr base;
	unsigned bits;
};

/* "127.0.0.1:80", "[::1]:80", "*:80" (any IPv4). Digits only. */
bool addr_parse(struct slice text, struct addr *a) MUST_CHECK;
/* "127.0.0.1", "::1", "[::1]", with or without a port, as X-Forwarded-For has them; without, the port is 0. */
bool addr_parse_host(struct slice text, struct addr *a) MUST_CHECK;
/* "10.0.0.0/8", "::1", "::/0"; bits beyond the prefix must be zero. */
bool addr_net_parse(struct slice text, struct addr_net *net) MUST_CHECK;
/* "host:port" by the system's resolver, which blocks: at boot and reload only. The text of *why is static. */
bool addr_resolve(struct slice text, struct addr *a, const char **why) MUST_CHECK;

void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len);
bool addr_is_in(const struct addr *a, const struct addr_net *net);
/* Address and port alike. */
bool addr_eq(const struct addr *a, const struct addr *b);
/* For sorting: 0 where addr_eq(). */
int addr_order(const struct addr *a, const struct addr *b);
unsigned addr_port(const struct addr *a);
/* With port: "1.2.3.4:80", "[::1]:80"; "-" where there is none. Returns text. */
const char *addr_text(const struct addr *a, char text[ADDR_TEXT]);
/* Without port and brackets, as X-Forwarded-For has it; "" where there is none. Returns the length. */
size_t addr_host_text(const struct addr *a, char text[ADDR_TEXT]);
/* The network that an address is in, by the prefix length of its family. There must be an address. */
struct addr_net addr_net_of(const struct addr *a, unsigned bits_v4, unsigned bits_v6);
/* "10.1.2.0/24"; without "/32" or "/128" where that is a whole address. Returns the length. */
size_t addr_net_text(const struct addr_net *net, char text[ADDR_TEXT]);

#endif
