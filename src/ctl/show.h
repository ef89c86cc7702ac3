/* SPDX-License-Identifier: BSD-2-Clause */
/* show.h - the admin API's answers as people read them, on standard output. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>

void show_status(const json_t *o);
void show_gateways(const json_t *o);
void show_bindings(const json_t *o);
void show_count(const json_t *o);
void show_deleted(const json_t *o);
void show_explanations(const json_t *o);

#endif
