/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.h - what operators see of the daemon's things, as JSON.
 *
 * Times are given twice: in RFC 3339, and in words ("3 minutes ago") under the name with _words. What is not known is
 * null. Each result is the caller's; NULL: there is no memory. Main thread.
 */
#ifndef RUN_VIEW_H
#define RUN_VIEW_H

#include <jansson.h>

#include "affinity/explain.h"
#include "run/reload.h"
#include "run/trend.h"

#define VIEW_WORDS 40

json_t *view_status(const struct daemon *d, const struct trend_rates *rates, uint64_t now_s) MUST_CHECK;
/* Of all pools, behind them those that are gone and still have sessions; and the pools. */
json_t *view_gateways(const struct daemon *d, uint64_t now_s) MUST_CHECK;
/* One, in the pool it is in; NULL: it is gone. */
json_t *view_gateway(const struct daemon *d, const struct pool *p, const struct gateway *g, uint64_t now_s)
    MUST_CHECK;
/* What the workers have told, the oldest session first. */
json_t *view_sessions(const struct session_query *q, uint64_t now_s) MUST_CHECK;
/* Lines of the log with a higher number. */
json_t *view_events(uint64_t after) MUST_CHECK;
json_t *view_outcome(const struct reload_outcome *outcome) MUST_CHECK;
json_t *view_table(const struct daemon *d) MUST_CHECK;
/* A binding of the table (NULL: it has none) and what a shared store says (view_stored; NULL: not asked). Takes over
 * stored. */
json_t *view_binding(const struct pool *p, const struct table_binding *b, json_t *stored, uint64_t now_s) MUST_CHECK;
/* gateway empty: the key is not bound there; NULL: why it is not known. */
json_t *view_stored(const char *gateway, const char *why) MUST_CHECK;
json_t *view_explain(const struct explain_source *src, const struct explain *e, json_t *stored, uint64_t now_s)
    MUST_CHECK;

/* "starting" "running" "reloading" "upgrading" "stopping" */
const char *view_phase(const struct daemon *d);
/* "now", "3 minutes ago", "in 2 hours". Returns text. */
const char *view_words(uint64_t then_s, uint64_t now_s, char text[VIEW_WORDS]);

#endif
