/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trusted.h - what a trusted proxy in front of us says of a request: whose it is, and what it is called.
 */
#ifndef PROXY_TRUSTED_H
#define PROXY_TRUSTED_H

#include "http/head.h"
#include "net/listener.h"

/* The client whom it forwards for: the last address of X-Forwarded-For that is not a trusted proxy's itself, since
 * what stands before that could have been made up by the client. *client stays as it is where there is none. */
void trusted_client(const struct head *h, const struct listener *l, struct addr *client);
/* Its X-Request-Id, where it can be passed on and logged as it is; else empty. */
struct slice trusted_request_id(const struct head *h);

#endif
