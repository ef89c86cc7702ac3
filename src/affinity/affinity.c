/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule. What the request says is gathered first (facts.h), then decided upon, then put down: in the cookie that
 * the answer carries, in the table, in the shared store.
 */
#include "affinity/rule.h"

#include <stdlib.h>

#include "affinity/bare.h"
#include "affinity/legacy.h"
#include "base/mem.h"

/* A cookie whose idle time slides is issued again when this share of it has passed: often enough that nobody who
 * is active loses it, seldom enough that most answers carry none. */
#define RENEWALS_PER_IDLE 10
#define RENEWAL_MIN_MS 1000	/* the seal counts in seconds */

/* ---- made and freed ---- */

bool
affinity_load_secret(const struct conf_pool *cf, struct signature **secret, conf_report_fn *report, void *arg)
{
	char *why = NULL;

	*secret = NULL;
	if (cf->key_secret_file == NULL)
		return true;
	*secret = signature_load(cf->key_secret_file, &why);
	if (*secret == NULL)
		conf_complain(report, arg, cf->key_secret_place, "[pool %s] key_secret_file: %s", cf->name, why);
	free(why);
	return *secret != NULL;
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
		good = legacy_digest(gateway_address(src->pool->gateway[i]), src->legacy[i]) && good;
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

	a->source = (struct facts_source){ .conf = cf, .pool = pool, .table = shared->table, .moved = shared->moved };
	a->shared = shared;
	a->bare = bare_new(cf);
	good = affinity_load_secret(cf, &a->source.signature, report, arg);
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
affinity_adopt(struct affinity *new, const struct affinity *old)
{
	bare_adopt(new->bare, old->bare);
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

void
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

/* ---- put down: the cookie ---- */

/* Time for a cookie with a later end, or of the new key? (One by a former name is due as well.) */
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
	choice->issue = !holds_it || f->cookie.tag != gateway_tag(choice->gateway) ||
	    cookie_is_due(&a->source.conf->cookie, &f->cookie, rq->now_s);
	choice->end_legacy = f->shows_legacy;
}

/* ---- the shared store ---- */

/* The keys that may decide come first, the others are bound along. */
static void
question_of(const struct affinity *a, const struct facts *f, struct gateway *proposed,
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
	must(keys_claim(a, tools, rq, f, false, choice));	/* nobody can be faster than the store */
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
	bool limited = keys_are_limited(a, rq, f);
	bool alike = limited || (affinity_is_shared(a, tools) && f->keys != 0);
	enum affinity_verdict verdict;

	choice_init(a, rq, f, choice);
	if (f->asks != 0 && !limited && affinity_ask(a, tools, rq, f, choice))
		return AFFINITY_ASKED;
	verdict = affinity_decide(a, rq, f, alike, choice);
	if (verdict != AFFINITY_GO)
		return verdict;
	if (!keys_claim(a, tools, rq, f, limited, choice)) {
		affinity_release(choice);
		return affinity_choose(a, tools, rq, choice);	/* the key is known now */
	}
	choice_issue(a, rq, f, choice);
	return AFFINITY_GO;
}

enum affinity_verdict
affinity_choose(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    struct affinity_choice *choice)
{
	struct facts f;

	affinity_gather(a, tools, rq, &f);
	if (a->source.conf->selectors != 0 && !rq->again && rq->answer == NULL)
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
	if (gateway_keeps_clients(choice->home))
		return !gateway_is_full(choice->home);
	return gateway_state(choice->home) != GATEWAY_DOWN;	/* it is not waited for any more */
}

/* ---- cookies ---- */

static struct seal_binding
binding_of(const struct affinity_choice *choice, uint64_t now_s)
{
	return (struct seal_binding){
		.tag = gateway_tag(choice->gateway), .born_s = choice->born_s, .seen_s = (uint32_t)now_s,
	};
}

size_t
affinity_seal(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice, uint64_t now_s,
    char to[SEAL_TEXT])
{
	struct seal_binding b = binding_of(choice, now_s);

	return seal_close(sealer, slice_of(a->source.pool->name), &b, to);
}

size_t
affinity_set_cookie(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    enum issue_which which, bool by_tls, uint64_t now_s, char to[ISSUE_TEXT])
{
	struct seal_binding b = binding_of(choice, now_s);

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
