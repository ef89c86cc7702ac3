/* SPDX-License-Identifier: BSD-2-Clause */
/* What is put down of a request's keys: in the table, in the shared store, in the history. */
#include "affinity/rule.h"
#include "base/clock.h"
#include "net/iplimit.h"
#include "pool/rendezvous.h"

/* ---- when a gateway has been chosen ---- */

/* Under assign = hash a key needs an entry only where it does not go by the hash. */
static bool
key_needs_entry(const struct affinity *a, const struct facts_key *k, const struct gateway *g)
{
	return a->source.conf->assign != CONF_ASSIGN_HASH ||
	       pool_owner(a->source.pool, rendezvous_hash(k->text)) != g;
}

static void
key_bind(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts_key *k, struct gateway *g)
{
	bool shared = affinity_is_shared(a, tools);

	table_bind(a->source.table, &k->key, gateway_tag(g), (uint32_t)rq->now_s, shared, NULL);
	if (shared)
		store_tell(tools->store, a->source.pool, &k->text, 1, g);
}

/* A key that nobody knew. False: another request with it was faster, and went to another gateway. */
static bool
key_claim(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts_key *k, struct gateway *g)
{
	struct table_binding b;

	if (affinity_is_shared(a, tools)) {
		if (rq->answer == NULL || rq->answer->outcome != STORE_BOUND)
			key_bind(a, tools, rq, k, g);
		return true;		/* else the store has bound it, and the table with it */
	}
	return table_claim(a->source.table, &k->key, gateway_tag(g), (uint32_t)rq->now_s, &b) == TABLE_NEW ||
	    gateway_is_tagged(g, b.tag);
}

bool
keys_claim(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts *f, bool limited, struct affinity_choice *choice)
{
	struct gateway *g = choice->gateway;

	for (unsigned i = 0; i < f->keys; i++) {
		const struct facts_key *k = &f->key[i];

		if (k->is_bound && k->binding.tag == gateway_tag(g)) {
			if (affinity_is_shared(a, tools))
				store_renew(tools->store, a->source.pool, k->text, &k->binding, (uint32_t)rq->now_s);
		} else if (k->is_bound || a->source.conf->assign == CONF_ASSIGN_HASH) {
			choice->rebind |= key_needs_entry(a, k, g) || k->is_bound;
		} else if (!limited && !key_claim(a, tools, rq, k, g) && f->known == NULL) {
			return false;
		}
	}
	return true;
}

bool
keys_are_limited(const struct affinity *a, const struct affinity_request *rq, const struct facts *f)
{
	struct iplimit *limit = a->shared->new_keys;
	bool entered, counted;

	if (limit == NULL || rq->again || f->known != NULL || f->keys == 0 ||
	    a->source.conf->assign == CONF_ASSIGN_HASH)
		return false;
	entered = iplimit_enter(limit, rq->client, clock_coarse_ms(), &counted);
	if (counted)
		iplimit_leave(limit, rq->client);	/* it is the rate that counts, not how many there are */
	return !entered;
}

/* ---- when it has answered ---- */

static void
keys_record_move(const struct affinity *a, const struct affinity_request *rq, const struct table_key *key,
    uint64_t from, const struct affinity_choice *choice)
{
	struct history_move m = {
		.from = from,
		.to = gateway_tag(choice->gateway),
		.at_s = rq->now_s,
		.why = choice->because[0] != '\0' ? choice->because : "selector",
	};

	if (key != NULL)
		m.key = *key;
	history_add(a->shared->history, &m);
}

/* Bound to it by a name that it had before is no move. */
static bool
is_bound_elsewhere(const struct facts_key *k, const struct gateway *g)
{
	return k->is_bound && !gateway_is_tagged(g, k->binding.tag);
}

static void
keys_rebind(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice)
{
	struct facts f;

	affinity_gather(a, tools, rq, &f);
	for (unsigned i = 0; i < f.keys; i++) {
		const struct facts_key *k = &f.key[i];

		if (k->is_bound && k->binding.tag == gateway_tag(choice->gateway))
			continue;
		if (choice->outcome == AFFINITY_REASSIGNED)
			keys_record_move(a, rq, &k->key, choice->from, choice);
		else if (choice->outcome == AFFINITY_HIT && is_bound_elsewhere(k, choice->gateway))
			keys_record_move(a, rq, &k->key, k->binding.tag, choice);
		if (key_needs_entry(a, k, choice->gateway))
			key_bind(a, tools, rq, k, choice->gateway);
		else
			table_forget(a->source.table, &k->key);		/* it goes there by the hash */
	}
}

static void
keys_learn(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct gateway *g, struct slice text)
{
	struct facts_key k = { .text = text };
	uint32_t now_s = (uint32_t)rq->now_s;

	k.key = table_key(a->source.table, slice_of(a->source.pool->name), text);
	k.is_bound = table_get(a->source.table, &k.key, now_s, &k.binding);
	if (k.is_bound && k.binding.tag == gateway_tag(g)) {
		if (affinity_is_shared(a, tools))
			store_renew(tools->store, a->source.pool, text, &k.binding, now_s);
	} else if (k.is_bound || key_needs_entry(a, &k, g)) {
		key_bind(a, tools, rq, &k, g);
	}
}

void
affinity_settle(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice, const struct head *answer)
{
	const struct conf_pool *cf = a->source.conf;
	struct slice text;

	if (choice->rebind)
		keys_rebind(a, tools, rq, choice);
	else if (choice->outcome == AFFINITY_REASSIGNED)
		keys_record_move(a, rq, NULL, choice->from, choice);
	for (size_t i = 0; a->learns && i < cf->selectors; i++)
		if (selector_learn(&cf->selector[i], answer, &text))
			keys_learn(a, tools, rq, choice->gateway, text);
}
