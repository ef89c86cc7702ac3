/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule. What the request says is gathered first (facts.h), then decided upon, then put down: in the cookie that
 * the answer carries, in the table, in the shared store.
 */
#include "affinity/affinity.h"

#include <stdlib.h>
#include <string.h>

#include "affinity/bare.h"
#include "affinity/facts.h"
#include "affinity/legacy.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/iplimit.h"
#include "pool/rendezvous.h"

/* A cookie whose idle time slides is issued again when this share of it has passed: often enough that nobody who
 * is active loses it, seldom enough that most answers carry none. */
#define RENEWALS_PER_IDLE 10
#define RENEWAL_MIN_MS 1000	/* the seal counts in seconds */

struct affinity {
	struct facts_source source;
	const struct affinity_shared *shared;
	struct issue *issue;			/* NULL: no cookie of ours is listed */
	struct bare *bare;
	bool knows_cookies, learns;
};

/* ---- made and freed ---- */

static bool
affinity_load_secret(struct affinity *a, conf_report_fn *report, void *arg)
{
	const struct conf_pool *cf = a->source.conf;
	char *why = NULL;

	if (cf->key_secret_file == NULL)
		return true;
	a->source.signature = signature_load(cf->key_secret_file, &why);
	if (a->source.signature == NULL)
		conf_complain(report, arg, cf->key_secret_place, "[pool %s] key_secret_file: %s", cf->name, why);
	free(why);
	return a->source.signature != NULL;
}

static bool
affinity_add_legacy(struct affinity *a, conf_report_fn *report, void *arg)
{
	const struct facts_source *src = &a->source;
	bool good = true;

	if (src->conf->cookie.legacy == NULL)
		return true;
	a->source.legacy = mem_zalloc((src->pool->gateways + 1) * sizeof *src->legacy);
	for (unsigned i = 0; i < src->pool->gateways; i++)
		good = legacy_digest(&src->pool->gateway[i]->addr, src->legacy[i]) && good;
	if (!good)
		conf_complain(report, arg, src->conf->place,
		    "[pool %s] cookie_legacy: can't be used: this OpenSSL has no MD5", src->conf->name);
	return good;
}

static bool
affinity_add_cookies(struct affinity *a, conf_report_fn *report, void *arg)
{
	const struct conf_pool *cf = a->source.conf;
	bool issues = false;

	for (size_t i = 0; i < cf->selectors; i++) {
		enum conf_selector_kind kind = cf->selector[i].kind;

		issues |= kind == CONF_SELECTOR_COOKIE;
		a->knows_cookies |= kind <= CONF_SELECTOR_PREFIX;
		a->learns |= kind == CONF_SELECTOR_LEARN_HEADER || kind == CONF_SELECTOR_LEARN_COOKIE;
	}
	if (!issues)
		return true;
	a->issue = issue_new(&cf->cookie);
	if (a->issue == NULL)
		conf_complain(report, arg, cf->place,
		    "[pool %s] cookie_name: the cookie's name, path and domain are too long together", cf->name);
	return a->issue != NULL;
}

struct affinity *
affinity_new(const struct conf_pool *cf, struct pool *pool, const struct affinity_shared *shared,
    conf_report_fn *report, void *arg)
{
	struct affinity *a = mem_zalloc(sizeof *a);
	bool good;

	a->source = (struct facts_source){ .conf = cf, .pool = pool, .table = shared->table };
	a->shared = shared;
	a->bare = bare_new(cf);
	good = affinity_load_secret(a, report, arg);
	good = affinity_add_legacy(a, report, arg) && good;
	good = affinity_add_cookies(a, report, arg) && good;
	if (good)
		return a;
	affinity_free(a);
	return NULL;
}

void
affinity_free(struct affinity *a)
{
	if (a == NULL)
		return;
	signature_free(a->source.signature);
	free(a->source.legacy);
	issue_free(a->issue);
	bare_free(a->bare);
	free(a);
}

void
affinity_release(struct affinity_choice *choice)
{
	if (choice->gateway == NULL)
		return;
	gateway_leave(choice->gateway, choice->session);
	gateway_unref(choice->gateway);
	choice->gateway = NULL;
	choice->session = false;
}

/* ---- what a request says ---- */

static void
affinity_gather(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct facts *f)
{
	struct buf scratch = buf_of(tools->scratch, SELECTOR_KEY_MAX);
	struct selector_request look = {
		.head = rq->head,
		.client = rq->client,
		.pool = a->source.pool,
		.sealer = tools->sealer,
		.signature = a->source.signature,
		.scratch = &scratch,
		.now_s = rq->now_s,
	};

	/* With an answer there is nothing more to ask: what the store knows is in the table. */
	facts_look(f, &a->source, &look, rq->answer == NULL ? tools->store : NULL);
}

/* ---- the decision ---- */

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
	if (gateway_state(g) != GATEWAY_UP) {
		*why = "down";
		return prospect_of(&cf->on_down);
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

/* What it is called that a client did not go where it belongs. */
static void
choice_newcomer(const struct affinity *a, const struct affinity_request *rq, const struct facts *f,
    const char *why_not, struct affinity_choice *choice)
{
	if ((f->known != NULL || f->gone != 0) && !rq->newcomer) {
		choice->outcome = AFFINITY_REASSIGNED;
		choice->because = f->known != NULL ? why_not : "gone";
		choice->from = f->known != NULL ? f->known->tag : f->gone;
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

/* alike: so that other proxies, and the next request with this key, come to the same. */
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

static enum affinity_verdict
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

/* ---- put down: the cookie ---- */

/* Time for a cookie with a later end, or of the new key? */
static bool
cookie_is_due(const struct conf_cookie *cf, const struct seal_binding *b, uint64_t now_s)
{
	uint64_t share_ms = cf->idle_ms / RENEWALS_PER_IDLE;

	if (share_ms < RENEWAL_MIN_MS)
		share_ms = RENEWAL_MIN_MS;
	return b->is_outdated ||
	       (cf->idle_ms != 0 && now_s > b->seen_s && (now_s - b->seen_s) * 1000 >= share_ms);
}

static void
choice_issue(const struct affinity *a, const struct affinity_request *rq, const struct facts *f,
    struct affinity_choice *choice)
{
	bool holds_it = f->cookie_names == choice->gateway;

	if (a->issue == NULL)
		return;
	if (holds_it || (f->is_legacy && f->known == choice->gateway))
		choice->born_s = f->cookie.born_s;
	choice->issue = !holds_it || cookie_is_due(&a->source.conf->cookie, &f->cookie, rq->now_s);
	choice->end_legacy = f->shows_legacy;
}

/* ---- put down: the keys ---- */

/* Under assign = hash a key needs an entry only where it does not go by the hash. */
static bool
key_needs_entry(const struct affinity *a, const struct facts_key *k, const struct gateway *g)
{
	return a->source.conf->assign != CONF_ASSIGN_HASH ||
	       pool_owner(a->source.pool, rendezvous_hash(k->text)) != g;
}

static bool
is_shared(const struct affinity *a, const struct affinity_tools *tools)
{
	return tools->store != NULL && a->source.conf->assign == CONF_ASSIGN_TABLE;
}

static void
key_bind(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts_key *k, struct gateway *g)
{
	bool shared = is_shared(a, tools);

	table_bind(a->source.table, &k->key, g->tag, (uint32_t)rq->now_s, shared, NULL);
	if (shared)
		store_tell(tools->store, a->source.pool, &k->text, 1, g);
}

/* A key that nobody knew. False: another request with it was faster, and went to another gateway. */
static bool
key_claim(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts_key *k, struct gateway *g)
{
	struct table_binding b;

	if (is_shared(a, tools)) {
		if (rq->answer == NULL || rq->answer->outcome != STORE_BOUND)
			key_bind(a, tools, rq, k, g);
		return true;		/* else the store has bound it, and the table with it */
	}
	return table_claim(a->source.table, &k->key, g->tag, (uint32_t)rq->now_s, &b) == TABLE_NEW ||
	    b.tag == g->tag;
}

/* False: what was decided was overtaken. */
static bool
choice_claim(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts *f, bool limited, struct affinity_choice *choice)
{
	struct gateway *g = choice->gateway;

	for (unsigned i = 0; i < f->keys; i++) {
		const struct facts_key *k = &f->key[i];

		if (k->is_bound && k->binding.tag == g->tag) {
			if (is_shared(a, tools))
				store_renew(tools->store, a->source.pool, k->text, &k->binding, (uint32_t)rq->now_s);
		} else if (k->is_bound || a->source.conf->assign == CONF_ASSIGN_HASH) {
			choice->rebind |= key_needs_entry(a, k, g) || k->is_bound;
		} else if (!limited && !key_claim(a, tools, rq, k, g) && f->known == NULL) {
			return false;
		}
	}
	return true;
}

/* Made-up keys must not push out others': who brings too many new ones goes by rendezvous, and nothing is stored. */
static bool
affinity_is_limited(const struct affinity *a, const struct affinity_request *rq, const struct facts *f)
{
	struct iplimit *limit = a->shared->new_keys;
	bool entered;

	if (limit == NULL || f->known != NULL || f->keys == 0 || a->source.conf->assign == CONF_ASSIGN_HASH)
		return false;
	entered = iplimit_enter(limit, rq->client, clock_coarse_ms());
	if (entered)
		iplimit_leave(limit, rq->client);	/* it is the rate that counts, not how many there are */
	return !entered;
}

/* ---- the shared store ---- */

/* The keys that may decide come first, the others are bound along. */
static void
question_of(const struct affinity *a, const struct facts *f, const struct gateway *proposed,
    struct store_question *q)
{
	q->pool = a->source.pool;
	q->keys = 0;
	q->asked = f->asks;
	q->proposed = proposed;
	for (unsigned asked = 0; asked < 2; asked++)
		for (unsigned i = 0; i < f->keys; i++)
			if (f->key[i].is_asked == (asked == 0))
				q->key[q->keys++] = f->key[i].text;
}

/* Proposes what would be chosen if nobody knew better. False: there is nobody to ask, or nothing to propose; then
 * what the table believes counts. */
static bool
affinity_ask(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct facts *f, struct affinity_choice *choice)
{
	struct affinity_choice proposal = *choice;
	struct store_question q;

	if (f->believed != NULL) {
		f->known = f->believed;
		f->decided_by = f->believed_by;
	}
	if (affinity_decide(a, rq, f, false, &proposal) != AFFINITY_GO)
		return false;
	question_of(a, f, proposal.gateway, &q);
	if (store_ask(tools->store, rq->ask, &q, rq->on_answer)) {
		*choice = proposal;
		return true;
	}
	affinity_release(&proposal);
	return false;
}

/* None was known, all are bound to what was proposed, which is held since. */
static enum affinity_verdict
affinity_take_proposal(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct facts *f, struct affinity_choice *choice)
{
	choice_issue(a, rq, f, choice);
	(void)choice_claim(a, tools, rq, f, false, choice);
	return AFFINITY_GO;
}

/* ---- all together ---- */

/* Of a gateway that the store names and this pool does not have no more is known than that. */
#define TAG_UNKNOWN 1

static void
choice_init(const struct affinity *a, const struct affinity_request *rq, const struct facts *f,
    struct affinity_choice *choice)
{
	size_t selectors = a->source.conf->selectors;

	*choice = (struct affinity_choice){
		.selector = "", .because = "", .born_s = (uint32_t)rq->now_s, .decided_by = (unsigned)selectors,
		.bare = f->is_bare && selectors != 0, .has_key = f->keys != 0,
	};
	if (f->keys != 0)
		choice->key = f->key[0].key;
}

static enum affinity_verdict
affinity_choose_anew(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct facts *f, struct affinity_choice *choice)
{
	bool limited = affinity_is_limited(a, rq, f);
	bool alike = limited || (is_shared(a, tools) && f->keys != 0);
	enum affinity_verdict verdict;

	choice_init(a, rq, f, choice);
	if (f->asks != 0 && !limited && affinity_ask(a, tools, rq, f, choice))
		return AFFINITY_ASKED;
	verdict = affinity_decide(a, rq, f, alike, choice);
	if (verdict != AFFINITY_GO)
		return verdict;
	if (!choice_claim(a, tools, rq, f, limited, choice)) {
		affinity_release(choice);
		return affinity_choose(a, tools, rq, choice);	/* the key is known now */
	}
	choice_issue(a, rq, f, choice);
	return AFFINITY_GO;
}

static bool
is_first_look(const struct affinity_request *rq)
{
	return (rq->tried == NULL || rq->tried->n == 0) && rq->answer == NULL && !rq->waited;
}

enum affinity_verdict
affinity_choose(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct affinity_choice *choice)
{
	struct facts f;

	affinity_gather(a, tools, rq, &f);
	if (a->source.conf->selectors != 0 && is_first_look(rq))
		bare_note(a->bare, f.is_bare);
	if (rq->answer != NULL) {
		if (rq->answer->outcome == STORE_BOUND && choice->gateway != NULL)
			return affinity_take_proposal(a, tools, rq, &f, choice);
		affinity_release(choice);
		if (rq->answer->outcome == STORE_FOUND && rq->answer->gateway == NULL && f.gone == 0)
			f.gone = TAG_UNKNOWN;
	}
	return affinity_choose_anew(a, tools, rq, &f, choice);
}

bool
affinity_is_worth_a_try(const struct affinity *a, const struct affinity_choice *choice)
{
	if (choice->home == NULL)
		return pool_has_room(a->source.pool);
	return gateway_state(choice->home) == GATEWAY_UP && !gateway_is_full(choice->home);
}

/* ---- when the gateway has answered ---- */

static void
affinity_record_move(const struct affinity *a, const struct affinity_request *rq, const struct table_key *key,
    uint64_t from, const struct affinity_choice *choice)
{
	struct history_move m = {
		.from = from,
		.to = choice->gateway->tag,
		.at_s = rq->now_s,
		.why = choice->because[0] != '\0' ? choice->because : "selector",
	};

	if (key != NULL)
		m.key = *key;
	history_add(a->shared->history, &m);
}

static void
affinity_rebind(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice)
{
	struct facts f;

	affinity_gather(a, tools, rq, &f);
	for (unsigned i = 0; i < f.keys; i++) {
		const struct facts_key *k = &f.key[i];

		if (k->is_bound && k->binding.tag == choice->gateway->tag)
			continue;
		if (choice->outcome == AFFINITY_REASSIGNED)
			affinity_record_move(a, rq, &k->key, choice->from, choice);
		else if (choice->outcome == AFFINITY_HIT && k->is_bound)
			affinity_record_move(a, rq, &k->key, k->binding.tag, choice);
		if (key_needs_entry(a, k, choice->gateway))
			key_bind(a, tools, rq, k, choice->gateway);
		else
			table_forget(a->source.table, &k->key);		/* it goes there by the hash */
	}
}

static void
affinity_learn(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct gateway *g, struct slice text)
{
	struct facts_key k = { .text = text };
	uint32_t now_s = (uint32_t)rq->now_s;

	k.key = table_key(a->source.table, slice_of(a->source.pool->name), text);
	k.is_bound = table_get(a->source.table, &k.key, now_s, &k.binding);
	if (k.is_bound && k.binding.tag == g->tag) {
		if (is_shared(a, tools))
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
		affinity_rebind(a, tools, rq, choice);
	else if (choice->outcome == AFFINITY_REASSIGNED)
		affinity_record_move(a, rq, NULL, choice->from, choice);
	for (size_t i = 0; a->learns && i < cf->selectors; i++)
		if (selector_learn(&cf->selector[i], answer, &text))
			affinity_learn(a, tools, rq, choice->gateway, text);
}

/* ---- cookies ---- */

size_t
affinity_seal(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice, uint64_t now_s,
    char to[SEAL_TEXT])
{
	struct seal_binding b = { .tag = choice->gateway->tag, .born_s = choice->born_s, .seen_s = (uint32_t)now_s };

	return seal_close(sealer, slice_of(a->source.pool->name), &b, to);
}

size_t
affinity_set_cookie(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    enum issue_which which, bool by_tls, uint64_t now_s, char to[ISSUE_TEXT])
{
	struct seal_binding b = { .tag = choice->gateway->tag, .born_s = choice->born_s, .seen_s = (uint32_t)now_s };

	if (which == ISSUE_END_OF_LEGACY && !choice->end_legacy)
		return 0;
	return issue_write(a->issue, which, sealer, slice_of(a->source.pool->name), &b, by_tls, to);
}

static bool
is_named(struct slice name, const char *other)
{
	return other != NULL && slice_eq(name, slice_of(other));
}

enum affinity_cookie
affinity_cookie_named(const struct affinity *a, struct slice name)
{
	const struct conf_pool *cf = a->source.conf;

	if (a->issue != NULL && (is_named(name, cf->cookie.name) || is_named(name, cf->cookie.cors_twin)))
		return AFFINITY_COOKIE_OURS;
	for (size_t i = 0; i < cf->selectors; i++) {
		const struct conf_selector *s = &cf->selector[i];

		if (s->kind == CONF_SELECTOR_REWRITE && is_named(name, s->name))
			return AFFINITY_COOKIE_REWRITTEN;
		if (s->kind == CONF_SELECTOR_PREFIX && is_named(name, s->name))
			return AFFINITY_COOKIE_PREFIXED;
	}
	return AFFINITY_COOKIE_FOREIGN;
}

bool
affinity_knows_cookies(const struct affinity *a)
{
	return a->knows_cookies;
}

struct slice
affinity_unprefixed(struct slice value)
{
	size_t at = slice_find(value, '~');

	return at != value.n && seal_is_shaped(slice_head(value, at)) ? slice_skip(value, at + 1) : value;
}

/* ---- for operators ---- */

const struct signature *
affinity_signature(const struct affinity *a)
{
	return a->source.signature;
}

size_t
affinity_selectors(const struct affinity *a)
{
	return a->source.conf->selectors;
}

const char *
affinity_selector_text(const struct affinity *a, size_t i)
{
	return a->source.conf->selector[i].text;
}

const char *
affinity_outcome_name(enum affinity_outcome outcome)
{
	static const char *const names[AFFINITY_OUTCOMES] = {
		[AFFINITY_HIT] = "hit",
		[AFFINITY_NEW] = "new",
		[AFFINITY_REASSIGNED] = "reassigned",
		[AFFINITY_INVALID] = "invalid",
		[AFFINITY_REJECTED] = "rejected",
	};

	must((unsigned)outcome < COUNT(names));
	return names[outcome];
}

const char *
affinity_how(const struct affinity_choice *choice)
{
	return choice->selector[0] != '\0' ? choice->selector : affinity_outcome_name(choice->outcome);
}
