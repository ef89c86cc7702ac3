/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule: what the selectors say is gathered first, in their order, and then decided upon. */
#include "affinity/affinity.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* A cookie whose idle time slides is issued again when this share of it has passed: often enough that nobody who
 * is active loses it, seldom enough that most answers carry none. */
#define RENEWALS_PER_IDLE 10
#define RENEWAL_MIN_MS 1000	/* the seal counts in seconds */

struct affinity {
	const struct conf_pool *conf;
	struct pool *pool;
	struct selector *selector;
	size_t selectors;
	bool issues_cookie;
	char *attributes[2];		/* of Set-Cookie, behind the value: without and with Secure */
};

/* What a request says, all selectors together. */
struct affinity_facts {
	struct gateway *known;		/* by the first selector that knows one; borrowed */
	const char *selector;		/* that one */
	bool was_bound;			/* one names a gateway that is gone */
	const char *invalid;		/* why the first that does not count does not */
	struct gateway *cookie_names;	/* what our cookie holds; NULL: no cookie */
	struct seal_binding cookie;
};

static const char *
samesite_attribute(enum conf_samesite samesite)
{
	static const char *const texts[] = {
		[CONF_SAMESITE_UNSET] = "",
		[CONF_SAMESITE_LAX] = "; SameSite=Lax",
		[CONF_SAMESITE_STRICT] = "; SameSite=Strict",
		[CONF_SAMESITE_NONE] = "; SameSite=None",
	};

	must((unsigned)samesite < COUNT(texts));
	return texts[samesite];
}

/* Browsers refuse SameSite=None and Partitioned without Secure (RFC 6265bis, 5.7; CHIPS). */
static bool
cookie_is_secure(const struct conf_cookie *cf, bool by_tls)
{
	return cf->secure == CONF_YES || cf->samesite == CONF_SAMESITE_NONE || cf->partitioned ||
	    (cf->secure == CONF_AUTO && by_tls);
}

static char *
cookie_attributes(const struct conf_cookie *cf, bool by_tls)
{
	uint64_t max_age_s = cf->max_age_ms / 1000;
	char *age = max_age_s != 0 ? mem_printf("; Max-Age=%llu", (unsigned long long)max_age_s) : mem_strdup("");
	char *text = mem_printf("; Path=%s%s%s%s%s%s%s%s", cf->path,
	    cf->domain != NULL ? "; Domain=" : "", cf->domain != NULL ? cf->domain : "",
	    age,
	    cookie_is_secure(cf, by_tls) ? "; Secure" : "",
	    cf->httponly ? "; HttpOnly" : "",
	    samesite_attribute(cf->samesite),
	    cf->partitioned ? "; Partitioned" : "");

	free(age);
	return text;
}

static bool
affinity_add_selectors(struct affinity *a, const char **why)
{
	const struct conf_strings *texts = &a->conf->affinity;

	a->selector = mem_zalloc((texts->n + 1) * sizeof *a->selector);
	for (; a->selectors < texts->n; a->selectors++) {
		struct selector *s = &a->selector[a->selectors];

		if (!selector_init(s, a->conf, texts->item[a->selectors], why))
			return false;
		a->issues_cookie = a->issues_cookie || selector_issues_cookie(s);
	}
	return true;
}

static bool
affinity_add_attributes(struct affinity *a, const char **why)
{
	const struct conf_cookie *cf = &a->conf->cookie;

	a->attributes[false] = cookie_attributes(cf, false);
	a->attributes[true] = cookie_attributes(cf, true);
	if (strlen(cf->name) + 1 + SEAL_TEXT + strlen(a->attributes[true]) <= AFFINITY_SET_COOKIE)
		return true;
	*why = "cookie_name, cookie_path and cookie_domain are too long together";
	return false;
}

struct affinity *
affinity_new(const struct conf_pool *cf, struct pool *pool, const char **why)
{
	struct affinity *a = mem_zalloc(sizeof *a);

	a->conf = cf;
	a->pool = pool;
	if (affinity_add_selectors(a, why) && (!a->issues_cookie || affinity_add_attributes(a, why)))
		return a;
	affinity_free(a);
	return NULL;
}

void
affinity_free(struct affinity *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->selectors; i++)
		selector_fini(&a->selector[i]);
	free(a->selector);
	free(a->attributes[false]);
	free(a->attributes[true]);
	free(a);
}

static void
affinity_note(struct affinity_facts *facts, const struct selector *s, enum selector_sight sight,
    const struct selector_found *found)
{
	switch (sight) {
	case SELECTOR_NOTHING:
		return;
	case SELECTOR_INVALID:
		if (facts->invalid == NULL)
			facts->invalid = found->why;
		return;
	case SELECTOR_GONE:
		facts->was_bound = true;
		return;
	case SELECTOR_GATEWAY:
		if (facts->known == NULL) {
			facts->known = found->gateway;
			facts->selector = s->text;
		}
		if (selector_issues_cookie(s) && facts->cookie_names == NULL) {
			facts->cookie_names = found->gateway;
			facts->cookie = found->binding;
		}
		return;
	}
}

static void
affinity_look(const struct affinity *a, const struct selector_request *rq, struct affinity_facts *facts)
{
	*facts = (struct affinity_facts){ .known = NULL };
	for (size_t i = 0; i < a->selectors; i++) {
		struct selector_found found;

		affinity_note(facts, &a->selector[i], selector_look(&a->selector[i], rq, &found), &found);
	}
}

/* Its own clients come also to a gateway that takes no newcomers; not to one that is down, or has just failed
 * them. */
static bool
affinity_can_keep(struct gateway *g, const struct pool_tried *tried)
{
	return gateway_state(g) == GATEWAY_UP && !pool_was_tried(tried, g);
}

static void
affinity_decide(const struct affinity *a, const struct affinity_facts *facts, const struct pool_tried *tried,
    struct affinity_choice *choice)
{
	if (facts->known != NULL && affinity_can_keep(facts->known, tried)) {
		gateway_reserve(facts->known);
		choice->gateway = gateway_ref(facts->known);
		choice->outcome = AFFINITY_HIT;
		choice->selector = facts->selector;
		return;
	}
	choice->gateway = pool_choose(a->pool, tried);
	if (choice->gateway == NULL)
		choice->outcome = AFFINITY_REJECTED;
	else if (facts->known != NULL || facts->was_bound)
		choice->outcome = AFFINITY_REASSIGNED;
	else if (facts->invalid != NULL) {
		choice->outcome = AFFINITY_INVALID;
		choice->why = facts->invalid;
	} else {
		choice->outcome = AFFINITY_NEW;
		if (a->selectors == 0)
			choice->selector = "balance";
	}
}

/* Time for a cookie with a later end? */
static bool
cookie_is_due(const struct conf_cookie *cf, const struct seal_binding *b, uint64_t now_s)
{
	uint64_t share_ms = cf->idle_ms / RENEWALS_PER_IDLE;

	if (share_ms < RENEWAL_MIN_MS)
		share_ms = RENEWAL_MIN_MS;
	return cf->idle_ms != 0 && now_s > b->seen_s && (now_s - b->seen_s) * 1000 >= share_ms;
}

void
affinity_choose(const struct affinity *a, struct sealer *sealer, const struct head *head, const struct addr *client,
    const struct pool_tried *tried, uint64_t now_s, struct affinity_choice *choice)
{
	struct selector_request rq = {
		.head = head, .client = client, .pool = a->pool, .sealer = sealer, .now_s = now_s,
	};
	struct affinity_facts facts;
	bool holds_it;

	*choice = (struct affinity_choice){ .selector = "", .born_s = (uint32_t)now_s };
	affinity_look(a, &rq, &facts);
	affinity_decide(a, &facts, tried, choice);
	if (!a->issues_cookie || choice->gateway == NULL)
		return;
	holds_it = facts.cookie_names == choice->gateway;
	if (holds_it)
		choice->born_s = facts.cookie.born_s;
	choice->issue = !holds_it || cookie_is_due(&a->conf->cookie, &facts.cookie, now_s);
}

size_t
affinity_set_cookie(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    bool secure, uint64_t now_s, char to[AFFINITY_SET_COOKIE])
{
	struct seal_binding b = { .tag = choice->gateway->tag, .born_s = choice->born_s, .seen_s = (uint32_t)now_s };
	struct buf set = buf_of(to, AFFINITY_SET_COOKIE);
	char text[SEAL_TEXT];
	size_t n = seal_close(sealer, slice_of(a->pool->name), &b, text);

	if (n == 0)
		return 0;
	buf_add(&set, slice_of(a->conf->cookie.name));
	buf_byte(&set, '=');
	buf_add(&set, slice_make(text, n));
	buf_add(&set, slice_of(a->attributes[secure]));
	must(!set.full);	/* affinity_new has measured it */
	return set.n;
}

struct slice
affinity_cookie_name(const struct affinity *a)
{
	return a->issues_cookie ? slice_of(a->conf->cookie.name) : SLICE_NONE;
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
