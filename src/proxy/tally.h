/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.h - what a worker counts of each pool's decisions.
 *
 * Counts outlive editions: a tally is known by its pool's name, a row by its selector's text, and they stay when a
 * reload leaves the pool out, so that a counter never falls. The books are the main thread's, who opens them; the
 * counters are their worker's alone, and anyone may read them (counter.h).
 */
#ifndef PROXY_TALLY_H
#define PROXY_TALLY_H

#include "affinity/affinity.h"
#include "base/counter.h"
#include "base/histogram.h"
#include "base/list.h"

struct tally_row {
	struct list list;
	char *selector;			/* its text; "none" where none decided */
	struct counter outcome[AFFINITY_OUTCOMES];
};

struct tally {
	struct list list;
	char *pool;
	struct list rows;
	struct counter bare;		/* requests that carried nothing of what the pool looks for */
	struct counter waited;		/* that had to wait for their gateway */
	struct counter retries;		/* further gateways tried */
	struct histogram requests;	/* until the answer has ended; of a handshake: its 101 */
	struct histogram connects;	/* from a request's first line until a gateway was connected */
	struct histogram sessions;	/* those that have ended */
};

/* One worker's. */
struct tallies {
	struct list list;
};

/* A tally as one edition's affinity sees it. */
struct tally_view {
	struct tally *tally;
	struct tally_row **row;		/* by selector; the last: none decided */
};

void tallies_init(struct tallies *ts);
void tallies_fini(struct tallies *ts);
/* Opens what is not there yet. */
struct tally_view tally_view_new(struct tallies *ts, const char *pool, const struct affinity *a);
void tally_view_fini(struct tally_view *v);
/* Adds up all its rows, those of selectors that were left out since, too. The main thread. */
void tally_add(const struct tally *t, uint64_t outcome[AFFINITY_OUTCOMES]);

#endif
