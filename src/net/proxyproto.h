/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxyproto.h - the PROXY protocol's header, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt).
 *
 * Pure and incremental: call it with all bytes from the first. A header that says LOCAL or UNKNOWN names nobody:
 * then the client is who connected.
 */
#ifndef NET_PROXYPROTO_H
#define NET_PROXYPROTO_H

#include "net/addr.h"

#define PROXYPROTO_MAX 536	/* a version 2 header of the minimal receive size the specification asks for */

enum proxyproto_result { PROXYPROTO_MORE, PROXYPROTO_DONE, PROXYPROTO_BAD };

/* With DONE: *used bytes were the header, and *client is whom it names, or has len == 0. */
enum proxyproto_result proxyproto_parse(struct slice bytes, size_t *used, struct addr *client) MUST_CHECK;

#endif
