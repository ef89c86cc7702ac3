/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - the directory that outlives the process, and the sealing key in it. Main thread, before any other runs.
 */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "affinity/seal.h"
#include "conf/conf.h"
#include "run/privilege.h"

/* Makes what is not there and hands it to the user that the daemon becomes. The directory's path, to be freed, and
 * the key in it. NULL: reported. */
char *state_open(const struct conf_global *cf, const struct privilege *p, struct seal_ring **ring,
    conf_report_fn *report, void *arg) MUST_CHECK;
/* Whether that could be done, as far as can be seen without doing it. False: reported. */
bool state_check(const struct conf_global *cf, conf_report_fn *report, void *arg) MUST_CHECK;

#endif
