/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of selectors. */
#include "affinity/selector.h"

#include <stdlib.h>

#include "base/mem.h"
#include "http/cookie.h"

/* A seal from the future is wrong, but proxies that share a key do not share a clock. */
#define CLOCK_SKEW_S 300

/* So many cookies of our name are tried: a browser has one, or a few by paths and domains. Each costs a
 * decryption, and a head has room for hundreds. */
#define COOKIES_TRIED 16

struct selector_kind {
	const char *name;
	bool needs_argument;
	bool issues_cookie;
	enum selector_sight (*look)(const struct selector *s, const struct selector_request *rq,
	    struct selector_found *found);
};

/* How long ago that was; proxies' clocks differ, so "not yet" is now. */
static uint64_t
age_ms(uint64_t now_s, uint32_t then_s)
{
	return now_s > then_s ? (now_s - then_s) * 1000 : 0;
}

/* What its times say against a binding; NULL: nothing. */
static const char *
binding_refused(const struct seal_binding *b, const struct conf_cookie *cf, uint64_t now_s)
{
	if (b->born_s > now_s + CLOCK_SKEW_S || b->seen_s > now_s + CLOCK_SKEW_S)
		return "future";
	if (cf->life_ms != 0 && age_ms(now_s, b->born_s) > cf->life_ms)
		return "expired";
	if (cf->idle_ms != 0 && age_ms(now_s, b->seen_s) > cf->idle_ms)
		return "idle";
	return NULL;
}

static const char *
seal_refused(const struct selector *s, const struct selector_request *rq, struct slice text, struct seal_binding *b)
{
	switch (seal_open(rq->sealer, slice_of(rq->pool->name), text, b)) {
	case SEAL_MALFORMED:
		return "malformed";
	case SEAL_FORGED:
		return "forged";
	case SEAL_OPEN:
		break;
	}
	return binding_refused(b, s->cookie, rq->now_s);
}

/* Of several cookies with our name (of another path or domain, or planted by a neighbour) the first that counts
 * does. */
static enum selector_sight
look_at_cookies(const struct selector *s, const struct selector_request *rq, struct selector_found *found)
{
	struct slice ours = slice_of(s->cookie->name);
	struct cookie_iter it;
	struct cookie_pair pair;
	unsigned tried = 0;

	cookie_iter_init(&it, rq->head);
	while (tried < COOKIES_TRIED && cookie_next(&it, &pair)) {
		const char *why;

		if (!slice_eq(pair.name, ours))
			continue;
		why = seal_refused(s, rq, pair.value, &found->binding);
		if (why == NULL) {
			found->gateway = pool_find_tag(rq->pool, found->binding.tag);
			return found->gateway != NULL ? SELECTOR_GATEWAY : SELECTOR_GONE;
		}
		if (tried++ == 0)
			found->why = why;
	}
	return tried != 0 ? SELECTOR_INVALID : SELECTOR_NOTHING;
}

static const struct selector_kind kinds[] = {
	/* name     argument issues   look */
	{ "cookie", false,   true,    look_at_cookies },
};

static const struct selector_kind *
kind_find(struct slice name, bool has_argument)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].needs_argument == has_argument && slice_eq(name, slice_of(kinds[i].name)))
			return &kinds[i];
	return NULL;
}

bool
selector_init(struct selector *s, const struct conf_pool *cf, const char *text, const char **why)
{
	struct slice argument = slice_of(text), name = slice_cut(&argument, ':');

	*s = (struct selector){ .kind = kind_find(name, argument.p != NULL), .cookie = &cf->cookie };
	if (s->kind == NULL) {
		*why = "is not a selector of this version, which knows: cookie";
		return false;
	}
	s->argument = argument.p != NULL ? mem_slicedup(argument) : NULL;
	s->text = mem_strdup(text);
	return true;
}

void
selector_fini(struct selector *s)
{
	free(s->argument);
	free(s->text);
}

bool
selector_issues_cookie(const struct selector *s)
{
	return s->kind->issues_cookie;
}

enum selector_sight
selector_look(const struct selector *s, const struct selector_request *rq, struct selector_found *found)
{
	*found = (struct selector_found){ .gateway = NULL };
	return s->kind->look(s, rq, found);
}
