/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - the inside of affinity.h, shared by the files that it is made of and by nobody else: affinity.c (its life,
 * and what is done in which order), decide.c (which gateway), keys.c (what is put down of the keys).
 */
#ifndef AFFINITY_RULE_H
#define AFFINITY_RULE_H

#include "affinity/affinity.h"
#include "affinity/facts.h"

struct affinity {
	struct facts_source source;
	const struct affinity_shared *shared;
	struct issue *issue;			/* NULL: no cookie of ours is listed */
	struct bare *bare;
	bool knows_cookies, learns;
};

/* Which gateway, and what that is called; enters it (AFFINITY_GO). alike: so that other proxies, and the next request
 * with this key, come to the same. */
enum affinity_verdict affinity_decide(const struct affinity *a, const struct affinity_request *rq,
    const struct facts *f, bool alike, struct affinity_choice *choice) MUST_CHECK;

/* Do other proxies have to know where this pool's keys are bound? */
static inline bool
affinity_is_shared(const struct affinity *a, const struct affinity_tools *tools)
{
	return tools->store != NULL && a->source.conf->assign == CONF_ASSIGN_TABLE;
}

/* What the request says, all selectors together. */
void affinity_gather(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct facts *f);
/* Made-up keys must not push out others': who brings too many new ones goes by rendezvous, and nothing is stored. */
bool keys_are_limited(const struct affinity *a, const struct affinity_request *rq, const struct facts *f) MUST_CHECK;
/* Binds what nobody knew, renews what is bound to the chosen gateway, notes what is bound elsewhere. False: another
 * request was faster, the choice is overtaken. */
bool keys_claim(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts *f, bool limited, struct affinity_choice *choice) MUST_CHECK;

#endif
