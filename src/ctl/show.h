/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * show.h - the admin API's answers as people read them, on standard output.
 *
 * What an answer lacks is left out: it may come from another version.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

void show_status(const json_t *o);
void show_gateways(const json_t *o);
/* A gateway that was told something. */
void show_gateway(const json_t *o);
void show_sessions(const json_t *o);
void show_rebalance(const json_t *o);
/* With its notices. */
void show_reload(const json_t *o);
void show_reopened(const json_t *o);
void show_events(const json_t *o);
/* One of them, a line. */
void show_event(const json_t *o, FILE *to);

/* show_table.c */
void show_bindings(const json_t *o);
void show_count(const json_t *o);
void show_deleted(const json_t *o);
void show_explanations(const json_t *o);

#endif
