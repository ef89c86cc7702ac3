/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opened.h - the seals that a sealer has opened lately.
 *
 * Opening one costs what a third of a whole request does, and a client shows the same one with each. Only what has
 * opened is kept, so that a flood of forged ones evicts nobody. A flood of good ones, each shown once, has to come to
 * the same two places some times over between two requests of a client that is active (CREDIT_USED), and then costs
 * it one opening. One thread's, bounded; pages that nobody has come to are never touched.
 */
#ifndef AFFINITY_OPENED_H
#define AFFINITY_OPENED_H

#include "affinity/seal.h"

#define OPENED_TEXT 60		/* a seal's length */

struct opened;

struct opened *opened_new(void) MUST_CHECK;
void opened_free(struct opened *o);		/* NULL is fine; wipes it */
/* Was this very text opened for this very pool? To compare takes the same time for all texts. */
bool opened_find(struct opened *o, struct slice pool, const char text[OPENED_TEXT], struct seal_binding *b)
    MUST_CHECK;
/* Pools with longer names than the configuration allows are not kept. */
void opened_keep(struct opened *o, struct slice pool, const char text[OPENED_TEXT], const struct seal_binding *b);

#endif
