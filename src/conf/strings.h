/* SPDX-License-Identifier: BSD-2-Clause */
/* strings.h - the lists of strings that a configuration holds. */
#ifndef CONF_STRINGS_H
#define CONF_STRINGS_H

#include "conf/conf.h"

void strings_add(struct conf_strings *s, char *item);		/* takes it over */
void strings_fini(struct conf_strings *s);

#endif
