/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * placement.h - which gateway an exchange's request goes to, from the first question to the gateway's answer.
 *
 * Affinity decides; it may have to ask a shared store first (EXCHANGE_ASKING), or to wait for a gateway that is down
 * or full (EXCHANGE_QUEUED); and a gateway that fails before its answer is followed by the next. What goes wrong for
 * good is told to the exchange by exchange_fail(), so after any of these it may be over: look at its state.
 */
#ifndef PROXY_PLACEMENT_H
#define PROXY_PLACEMENT_H

#include "proxy/exchange.h"

/* Finds one and connects to it. Also again, when waiting may have come to an end. */
void placement_find(struct exchange *x);
/* The connection to the chosen one failed, and nothing has been sent: the next, or this is the end, for this
 * reason. */
void placement_connect_failed(struct exchange *x, enum end_reason why);
/* It has failed a handshake, of which the client has seen nothing, by this status; 0: it gave no answer. False: there
 * is no other to try, all is as it was. */
bool placement_try_another(struct exchange *x, unsigned status) MUST_CHECK;
/* The exchange is over: what that says of its gateway. */
void placement_note_end(struct exchange *x, enum end_reason why);
/* It has agreed to a session. issued: the Set-Cookie field's value that our answer carries; none: it carries none. */
void placement_know_client(struct exchange *x, struct slice issued);
/* It has answered: what that means for where the client belongs. */
void placement_settle(struct exchange *x, const struct head *answer);

#endif
