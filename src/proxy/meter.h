/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meter.h - what a worker counts of each listener's traffic.
 *
 * As with tallies (tally.h): known by the listener's name, and kept when a reload leaves the listener out, so that a
 * counter never falls. The books are the main thread's, who opens them; the counters are their worker's alone, and
 * anyone may read them (counter.h).
 */
#ifndef PROXY_METER_H
#define PROXY_METER_H

#include "base/counter.h"
#include "base/list.h"

#define METER_CLASSES 6		/* of statuses: none, 1xx to 5xx */

enum meter_way { METER_IN, METER_OUT };		/* from clients, to clients */

struct meter {
	struct list list;
	char *listener;
	struct counter connections;
	struct counter answers[METER_CLASSES];
	struct counter bytes[2];	/* by enum meter_way: of exchanges when they end, of frames at once */
};

struct meter_totals {
	uint64_t connections, answers[METER_CLASSES], bytes[2];
};

/* One worker's. */
struct meters {
	struct list list;
};

void meters_init(struct meters *ms);
void meters_fini(struct meters *ms);
/* Opens it where it is not there yet. */
struct meter *meters_open(struct meters *ms, const char *listener);
/* Adds up what is under this name (NULL: any); at any time. */
void meters_add(const struct meters *ms, const char *listener, struct meter_totals *to);

/* The worker: an exchange is over. */
void meter_note(struct meter *m, unsigned status, uint64_t bytes_in, uint64_t bytes_out);
/* Which class a status belongs to; those that nobody knows are with 0, no answer. */
unsigned meter_class(unsigned status);

#endif
