/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heritage.h - the new process's side of a hand-over (handover.h). Main thread.
 */
#ifndef RUN_HERITAGE_H
#define RUN_HERITAGE_H

#include "run/daemon.h"

struct event_base;
struct heritage;

/* What HANDOVER_VARIABLE names, which is taken out of the environment. *h is NULL where nobody hands over. False:
 * what should be there is not, or makes no sense (logged): this process must not run. */
bool heritage_take(struct heritage **h) MUST_CHECK;
/* Calls it off, unless READY was said; done is not called any more. Before the loop goes. NULL is fine. */
void heritage_break_off(struct heritage *h);
void heritage_free(struct heritage *h);		/* likewise */
/* All is made: the old process may stop accepting. done is called once from the loop, when the table and what
 * operators said are in force; false: it was called off (logged), and this process must end. */
void heritage_prepared(struct heritage *h, struct event_base *base, struct daemon *d,
    void (*done)(void *arg, bool good), void *arg);
/* The workers accept: the old process may go. */
void heritage_ready(struct heritage *h);

#endif
