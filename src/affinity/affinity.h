/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * affinity.h - where does this client belong? One rule:
 *
 * The first selector that knows a gateway decides; where nothing is known, the pool's balance chooses; then the
 * cookie is issued if `cookie` is listed and the client does not already hold one that names the chosen gateway
 * (or holds one whose idle time slides on). A gateway that is down is not kept to: its client is reassigned, and
 * stays there. A pool without selectors looks at nothing and issues nothing.
 *
 * Immutable once made, one for each pool; any thread, with its own sealer.
 */
#ifndef AFFINITY_AFFINITY_H
#define AFFINITY_AFFINITY_H

#include "affinity/selector.h"

enum affinity_outcome {
	AFFINITY_HIT,		/* to where it belongs */
	AFFINITY_NEW,		/* it said nothing */
	AFFINITY_REASSIGNED,	/* its gateway is down, gone, or was tried in vain */
	AFFINITY_INVALID,	/* what it showed does not count; treated as new */
	AFFINITY_REJECTED,	/* no gateway can take it */
};
#define AFFINITY_OUTCOMES (AFFINITY_REJECTED + 1)

struct affinity;

struct affinity_choice {
	struct gateway *gateway;	/* reserved and referenced for the caller; NULL with AFFINITY_REJECTED */
	enum affinity_outcome outcome;
	const char *selector;		/* which one decided; "balance" in a pool without any; else "" */
	const char *why;		/* with AFFINITY_INVALID, as the selector says */
	bool issue;			/* the answer must carry affinity_set_cookie() */
	uint32_t born_s;		/* what a renewed cookie keeps */
};

#define AFFINITY_SET_COOKIE 1024

/* NULL when a selector is not known or the cookie too long (*why, static). cf and pool must outlive the result. */
struct affinity *affinity_new(const struct conf_pool *cf, struct pool *pool, const char **why) MUST_CHECK;
void affinity_free(struct affinity *a);		/* NULL is fine */

/* tried: gateways that this request already failed at; they are not chosen, whoever names them. */
void affinity_choose(const struct affinity *a, struct sealer *sealer, const struct head *head,
    const struct addr *client, const struct pool_tried *tried, uint64_t now_s, struct affinity_choice *choice);
/* The value of the Set-Cookie field for a choice that says `issue`; secure: the client came by TLS (for
 * cookie_secure = auto). Returns its length, 0 when it can't be made. */
size_t affinity_set_cookie(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    bool secure, uint64_t now_s, char to[AFFINITY_SET_COOKIE]) MUST_CHECK;
/* The name of the cookie that must not reach the gateway; empty when none is issued. */
struct slice affinity_cookie_name(const struct affinity *a);
const char *affinity_outcome_name(enum affinity_outcome outcome);
/* The word of the access log: the selector's name on a hit, else the outcome's; "balance" in a pool without
 * selectors. */
const char *affinity_how(const struct affinity_choice *choice);

#endif
