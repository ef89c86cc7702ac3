/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * response.h - a gateway's response on its way to an exchange's client.
 *
 * Gathers heads, passes interim ones on, and ends with the body's last byte or with a session's beginning. What goes
 * wrong is told to the exchange by exchange_fail(), so after any of these it may be over: look at its state.
 */
#ifndef PROXY_RESPONSE_H
#define PROXY_RESPONSE_H

#include "proxy/exchange.h"

/* A head is to come. */
void response_expect(struct exchange *x);
/* While it is to come (EXCHANGE_WAITING): reads on. */
void response_read(struct exchange *x);
/* Once it has gone out (EXCHANGE_RESPONDING): passes on what there is of the body. */
void response_pump(struct exchange *x);

#endif
