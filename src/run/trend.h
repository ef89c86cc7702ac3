/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trend.h - what went on in the last minutes: a sample every TREND_STEP_S seconds, TREND_SAMPLES of them, for rates
 * and little graphs.
 *
 * Memory is bounded: the daemon's samples, and for each gateway of the edition in force two numbers a sample. A
 * gateway is known as the entity it is, so its history goes along when it is renamed or moved. Main thread.
 */
#ifndef RUN_TREND_H
#define RUN_TREND_H

#include <stdio.h>

#include "run/daemon.h"

#define TREND_STEP_S 2
#define TREND_SAMPLES 300
#define TREND_RATES_OVER 5	/* samples that the present rates are taken of: 10 seconds */

struct event_base;
struct trend;

/* Each second. */
struct trend_rates {
	double connections, requests, sessions, bytes_in, bytes_out;
};

/* The daemon must outlive it. base may be NULL: samples are then taken by trend_sample() alone. */
struct trend *trend_new(struct event_base *base, const struct daemon *d) MUST_CHECK;
void trend_free(struct trend *t);		/* NULL is fine */
/* now_ms: clock_coarse_ms()'s. */
void trend_sample(struct trend *t, uint64_t now_ms);
/* Of the last samples; all 0 before the first. */
struct trend_rates trend_rates(const struct trend *t);
/* As JSON. Lists end with the latest sample; they are shorter where less is known. */
void trend_print(const struct trend *t, FILE *to);

#endif
