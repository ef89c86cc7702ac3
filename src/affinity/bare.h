/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bare.h - a pool whose clients carry nothing of what it looks for is a mistake in somebody's configuration: it is
 * said in the log, once a minute at most.
 *
 * One for each pool; any thread. Costs a read where requests do carry something.
 */
#ifndef AFFINITY_BARE_H
#define AFFINITY_BARE_H

#include "conf/conf.h"

struct bare;

struct bare *bare_new(const struct conf_pool *cf) MUST_CHECK;
void bare_free(struct bare *b);			/* NULL is fine */
/* Of the same pool, as the configuration said before: what it has said lately is not said again. Main thread; both
 * may be in use. */
void bare_adopt(struct bare *new, const struct bare *old);
/* A request has come. */
void bare_note(struct bare *b, bool carries_nothing);

#endif
