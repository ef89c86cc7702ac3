/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h - what is counted, as Prometheus reads it (text format 0.0.4).
 *
 * Counters are per worker and added up here, when somebody asks. A family's samples stand together, below its HELP
 * and TYPE; label values are escaped. A family that concerns things of the configuration has samples of those that
 * are in it now. Main thread.
 */
#ifndef RUN_METRICS_H
#define RUN_METRICS_H

#include <stdio.h>

#include "run/daemon.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What all workers together have counted. */
struct metrics_traffic {
	uint64_t connections, requests, sessions, bad_requests, duplicates;
	uint64_t bytes_in, bytes_out;
	uint64_t errors;		/* answers of 500 and above */
};

struct metrics_traffic metrics_traffic(const struct daemon *d);
/* Upgraded sessions at the moment. */
size_t metrics_sessions(const struct daemon *d);
void metrics_print(const struct daemon *d, FILE *to);

#endif
