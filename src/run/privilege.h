/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.h - who the daemon becomes once it holds what only root may open, and how many descriptors it may have.
 *
 * Main thread, before any other runs.
 */
#ifndef RUN_PRIVILEGE_H
#define RUN_PRIVILEGE_H

#include <sys/types.h>

#include "conf/conf.h"

struct privilege {
	bool change;		/* false: stay who started us */
	uid_t uid;
	gid_t gid;
	const char *user;	/* for messages */
};

/* Looks the names up. False: reported. */
bool privilege_find(const struct conf_global *cf, struct privilege *p, conf_report_fn *report, void *arg) MUST_CHECK;
/* For good: groups, group, user. False with errno. */
bool privilege_drop(const struct privilege *p) MUST_CHECK;
/* Raises the limit of descriptors as far as it is allowed and returns it. */
size_t privilege_raise_descriptors(void);

#endif
