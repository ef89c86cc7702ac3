/* SPDX-License-Identifier: BSD-2-Clause */
/* Which gateway: the one that is known if it can be kept, else another; and what that is called in the log. */
#include <string.h>

#include "affinity/rule.h"

static enum affinity_prospect
prospect_of(const struct conf_policy *policy)
{
	switch (policy->kind) {
	case CONF_POLICY_REASSIGN:
		return AFFINITY_IS_REASSIGNED;
	case CONF_POLICY_REJECT:
		return AFFINITY_IS_REFUSED;
	case CONF_POLICY_WAIT:
		return AFFINITY_HAS_TO_WAIT;
	}
	return AFFINITY_IS_REASSIGNED;
}

enum affinity_prospect
affinity_prospect(const struct conf_pool *cf, const struct gateway *g, bool session, const char **why)
{
	*why = "";
	switch (gateway_state(g)) {
	case GATEWAY_DOWN:
		*why = "down";
		return prospect_of(&cf->on_down);
	case GATEWAY_LEAVING:
		*why = "draining";
		return AFFINITY_IS_REASSIGNED;
	case GATEWAY_GONE:
		*why = "gone";
		return AFFINITY_IS_REASSIGNED;
	case GATEWAY_UP:
	case GATEWAY_DRAINING:
		break;
	}
	if (session && gateway_is_full(g)) {
		*why = "full";
		return prospect_of(&cf->on_full);
	}
	return AFFINITY_KEEPS;
}

/* Its own clients come also to a gateway that takes no newcomers; it is kept when there is a place for them. One that
 * has failed this request is as good as down. */
static enum affinity_prospect
affinity_keep(const struct affinity *a, const struct affinity_request *rq, struct gateway *g, const char **why)
{
	const struct conf_pool *cf = a->source.conf;
	enum affinity_prospect prospect;

	if (rq->tried != NULL && pool_was_tried(rq->tried, g)) {
		*why = "failed";
		return rq->newcomer ? AFFINITY_IS_REASSIGNED : prospect_of(&cf->on_down);
	}
	prospect = affinity_prospect(cf, g, rq->session, why);
	if (prospect != AFFINITY_KEEPS || gateway_enter(g, rq->session))
		return prospect;
	*why = "full";			/* the last place went this moment */
	return prospect_of(&cf->on_full);
}

static void
choice_take(struct affinity_choice *choice, struct gateway *g, bool session)
{
	choice->gateway = g;
	choice->session = session;
}

static void
choice_hit(const struct affinity *a, const struct facts *f, struct affinity_choice *choice)
{
	choice->outcome = AFFINITY_HIT;
	choice->decided_by = f->decided_by;
	choice->selector = a->source.conf->selector[f->decided_by].text;
	choice->because = f->is_legacy ? "legacy" : "";
}

/* It goes where it belongs, which is not what it shows. */
static void
choice_moved(const struct facts *f, struct affinity_choice *choice)
{
	choice->outcome = AFFINITY_REASSIGNED;
	choice->decided_by = f->decided_by;
	choice->because = "rebalanced";
	choice->from = f->moved_from;
}

/* What it is called that a client did not go where it belongs. */
static void
choice_newcomer(const struct affinity *a, const struct affinity_request *rq, const struct facts *f,
    const char *why_not, struct affinity_choice *choice)
{
	if ((f->known != NULL || f->gone != 0) && !rq->newcomer) {
		choice->outcome = AFFINITY_REASSIGNED;
		choice->because = f->known != NULL ? why_not : "gone";
		choice->from = f->known != NULL ? gateway_tag(f->known) : f->gone;
	} else if (f->invalid != NULL) {
		choice->outcome = AFFINITY_INVALID;
		choice->because = f->invalid;
	} else {
		choice->outcome = AFFINITY_NEW;
		if (a->source.conf->selectors == 0)
			choice->selector = "balance";
	}
}

/* Nobody can take it at this moment. Is it worth waiting for? */
static enum affinity_verdict
affinity_lacks(const struct affinity *a, const struct affinity_request *rq, enum pool_lack lack,
    struct affinity_choice *choice)
{
	const struct conf_policy *policy =
	    lack == POOL_IS_FULL ? &a->source.conf->on_full : &a->source.conf->on_down;

	choice->because = lack == POOL_IS_FULL ? "full" : "down";
	if (policy->kind == CONF_POLICY_WAIT && !rq->waited) {
		choice->wait_ms = policy->wait_ms;
		return AFFINITY_WAIT;
	}
	choice->outcome = AFFINITY_REJECTED;
	choice->selector = "";
	return AFFINITY_REFUSE;
}

static enum affinity_verdict
affinity_place(const struct affinity *a, const struct affinity_request *rq, const struct facts *f, bool alike,
    const char *why_not, struct affinity_choice *choice)
{
	bool by_hash = alike || a->source.conf->balance == CONF_BALANCE_HASH;
	struct pool_wish wish = { .tried = rq->tried, .session = rq->session, .by_hash = by_hash };
	enum pool_lack lack;
	struct gateway *g;

	if (by_hash)
		wish.hash = facts_hash(f, rq->client);
	choice_newcomer(a, rq, f, why_not, choice);
	g = pool_choose(a->source.pool, &wish, &lack);
	if (g == NULL)
		return affinity_lacks(a, rq, lack, choice);
	choice_take(choice, g, rq->session);
	return AFFINITY_GO;
}

enum affinity_verdict
affinity_decide(const struct affinity *a, const struct affinity_request *rq, const struct facts *f, bool alike,
    struct affinity_choice *choice)
{
	enum affinity_prospect prospect = AFFINITY_IS_REASSIGNED;
	const char *why_not = "";

	if (f->known != NULL)
		prospect = affinity_keep(a, rq, f->known, &why_not);
	switch (prospect) {
	case AFFINITY_KEEPS:
		choice_take(choice, gateway_ref(f->known), rq->session);
		if (f->moved_from != 0)
			choice_moved(f, choice);
		else
			choice_hit(a, f, choice);
		return AFFINITY_GO;
	case AFFINITY_IS_REFUSED:
		choice->outcome = AFFINITY_REJECTED;
		choice->because = why_not;
		choice->home = f->known;
		return AFFINITY_REFUSE;
	case AFFINITY_HAS_TO_WAIT:
		if (rq->waited)
			break;
		choice->because = why_not;
		choice->home = f->known;
		choice->wait_ms = strcmp(why_not, "full") == 0 ? a->source.conf->on_full.wait_ms
							      : a->source.conf->on_down.wait_ms;
		return AFFINITY_WAIT;
	case AFFINITY_IS_REASSIGNED:
		break;
	}
	return affinity_place(a, rq, f, alike, why_not, choice);
}
