/* SPDX-License-Identifier: BSD-2-Clause */
/* Each selector is asked once; what it sees is noted for the rule to decide upon. */
#include "affinity/facts.h"

#include <string.h>

#include "affinity/legacy.h"
#include "http/cookie.h"
#include "pool/rendezvous.h"

/* What looking needs from call to call. */
struct look {
	struct facts *f;
	const struct facts_source *src;
	const struct selector_request *rq;
	const struct store *store;
};

static void
facts_know(struct facts *f, struct gateway *g, unsigned selector)
{
	if (f->known != NULL)
		return;
	f->known = g;
	f->decided_by = selector;
}

static void
facts_know_tag(const struct look *l, uint64_t tag, unsigned selector)
{
	struct gateway *g = pool_find_tag(l->src->pool, tag);

	if (g != NULL)
		facts_know(l->f, g, selector);
	else if (l->f->gone == 0)
		l->f->gone = tag;
}

static bool
facts_has_key(const struct facts *f, const struct table_key *key)
{
	for (unsigned i = 0; i < f->keys; i++)
		if (f->key[i].key.high == key->high && f->key[i].key.low == key->low)
			return true;
	return false;
}

/* By rendezvous every key has a home, but for those that the table has as exceptions. */
static void
facts_add_hashed(const struct look *l, struct facts_key *k)
{
	struct gateway *owner;

	if (k->is_bound) {
		facts_know_tag(l, k->binding.tag, k->selector);
		return;
	}
	owner = pool_owner(l->src->pool, rendezvous_hash(k->text));
	if (owner != NULL)
		facts_know(l->f, owner, k->selector);
}

/* What the table says will do if the store has forgotten it, or can't be asked. */
static void
facts_ask(const struct look *l, struct facts_key *k)
{
	struct facts *f = l->f;

	k->is_asked = true;
	f->asks++;
	if (!k->is_bound || f->believed != NULL)
		return;
	f->believed = pool_find_tag(l->src->pool, k->binding.tag);
	f->believed_by = k->selector;
}

static void
facts_add_key(const struct look *l, struct slice text, unsigned selector)
{
	struct facts *f = l->f;
	struct facts_key *k = &f->key[f->keys];
	uint32_t now_s = (uint32_t)l->rq->now_s;

	if (f->keys == COUNT(f->key))
		return;
	k->key = table_key(l->src->table, slice_of(l->src->pool->name), text);
	if (facts_has_key(f, &k->key))
		return;
	f->keys++;
	k->text = text;
	k->selector = selector;
	k->is_asked = false;
	k->is_bound = table_get(l->src->table, &k->key, now_s, &k->binding);
	if (l->src->conf->assign == CONF_ASSIGN_HASH) {
		facts_add_hashed(l, k);
	} else if (l->store != NULL && f->known == NULL &&
	    !(k->is_bound && store_trusts(l->store, &k->binding, now_s))) {
		facts_ask(l, k);
	} else if (k->is_bound) {
		facts_know_tag(l, k->binding.tag, selector);
	}
}

static void
facts_note_cookie(struct facts *f, const struct selector_found *found)
{
	if (f->cookie_names != NULL)
		return;
	f->cookie_names = found->gateway;
	f->cookie = found->binding;
}

/* A seal names a gateway, there or gone, unless its client was moved away from it. */
static void
facts_know_seal(const struct look *l, const struct selector_found *found, unsigned selector)
{
	const struct facts_source *src = l->src;
	uint64_t tag = moved_to(src->moved, src->table, slice_of(src->pool->name), found->seal, l->rq->now_s);
	struct gateway *to = tag != 0 ? pool_find_tag(src->pool, tag) : NULL;
	struct facts *f = l->f;

	if (f->seal.n == 0)
		f->seal = found->seal;
	if (to != NULL && to != found->gateway && f->known == NULL)
		f->moved_from = found->binding.tag;
	if (to != NULL || found->gateway != NULL)
		facts_know(f, to != NULL ? to : found->gateway, selector);
	else if (f->gone == 0)
		f->gone = found->binding.tag;
}

static struct gateway *
legacy_gateway(const struct facts_source *src, const struct legacy *legacy)
{
	for (unsigned i = 0; i < src->pool->gateways; i++)
		if (memcmp(src->legacy[i], legacy->digest, sizeof legacy->digest) == 0)
			return src->pool->gateway[i];
	return NULL;
}

/* Believed where it names a gateway of this pool and its times say nothing against it. */
static bool
facts_believe_legacy(const struct look *l, struct slice text, unsigned selector)
{
	struct legacy legacy;
	struct gateway *g;

	if (!legacy_parse(text, &legacy))
		return false;
	g = legacy_gateway(l->src, &legacy);
	l->f->cookie = (struct seal_binding){ .born_s = legacy.first_s, .seen_s = legacy.last_s };
	if (g == NULL || selector_times_refused(&l->f->cookie, &l->src->conf->cookie, l->rq->now_s) != NULL)
		return false;
	if (l->f->known == NULL)
		l->f->is_legacy = true;
	facts_know(l->f, g, selector);
	return true;
}

/* Another balancer's cookie counts where ours says nothing. False: there is none to believe. */
static bool
facts_look_at_legacy(const struct look *l, unsigned selector)
{
	struct slice name = slice_of(l->src->conf->cookie.legacy);
	struct cookie_iter it;
	struct cookie_pair pair;
	bool believed = false;

	cookie_iter_init(&it, l->rq->head);
	while (cookie_next(&it, &pair)) {
		if (!slice_eq(pair.name, name))
			continue;
		l->f->shows_legacy = true;
		l->f->is_bare = false;
		believed = believed || facts_believe_legacy(l, pair.value, selector);
	}
	return believed;
}

static void
facts_note(const struct look *l, const struct conf_selector *s, unsigned i, enum selector_sight sight,
    const struct selector_found *found)
{
	struct facts *f = l->f;

	f->is_bare &= sight == SELECTOR_NOTHING;
	switch (sight) {
	case SELECTOR_NOTHING:
		break;
	case SELECTOR_INVALID:
		if (f->invalid == NULL)
			f->invalid = found->why;
		break;
	case SELECTOR_GONE:
		facts_know_seal(l, found, i);
		break;
	case SELECTOR_GATEWAY:
		facts_know_seal(l, found, i);
		if (s->kind == CONF_SELECTOR_COOKIE)
			facts_note_cookie(f, found);
		break;
	case SELECTOR_KEY:
		facts_add_key(l, found->key, i);
		break;
	}
}

void
facts_look(struct facts *f, const struct facts_source *src, const struct selector_request *rq,
    const struct store *store)
{
	struct look l = { f, src, rq, store };

	memset(f, 0, offsetof(struct facts, key));	/* the rest is filled before it is read */
	f->is_bare = true;
	for (unsigned i = 0; i < src->conf->selectors; i++) {
		const struct conf_selector *s = &src->conf->selector[i];
		struct selector_found found;
		enum selector_sight sight = selector_look(s, rq, &found);

		if (s->kind == CONF_SELECTOR_COOKIE && src->legacy != NULL && sight != SELECTOR_GATEWAY &&
		    facts_look_at_legacy(&l, i))
			continue;	/* a cookie of one name for both is no broken one of ours */
		facts_note(&l, s, i, sight, &found);
	}
}

uint64_t
facts_hash(const struct facts *f, const struct addr *client)
{
	char text[ADDR_TEXT];

	if (f->keys != 0)
		return rendezvous_hash(f->key[0].text);
	return rendezvous_hash(slice_make(text, addr_host_text(client, text)));
}
