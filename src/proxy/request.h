/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.h - an exchange's request on its way to the gateway that was found for it (placement.h).
 *
 * Head and body go out, each byte of them to one gateway alone. What goes wrong for good is told to the exchange by
 * exchange_fail(), so after any of these it may be over: look at its state.
 */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include "proxy/exchange.h"

/* The body's flow from its beginning, for each gateway that is tried anew. */
void request_init_flow(struct exchange *x);
/* To the chosen gateway: by an idle link at once, else by a new one, of which exchange_gateway_ready() hears. */
void request_connect(struct exchange *x);
/* The link is there. */
void request_send(struct exchange *x);
/* The link was an idle one that turned out to be dead: true if the same gateway is being tried by a new one. */
bool request_reconnect(struct exchange *x, bool nothing_sent) MUST_CHECK;
/* Passes on what there is of the body. */
void request_pump(struct exchange *x);

#endif
