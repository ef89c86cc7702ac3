/* SPDX-License-Identifier: BSD-2-Clause */
/* audit.h - whether the parts of a configuration fit together, once all has been read. */
#ifndef CONF_AUDIT_H
#define CONF_AUDIT_H

#include "conf/conf.h"
#include "conf/mistake.h"
#include "conf/section.h"

/* file is where to say that something is missing altogether. */
void audit_conf(struct conf *c, const struct sections *all, const char *file, struct mistakes *m);

#endif
