/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of selectors. Each is made of two parts: how the next text that would do is found, and how it is judged.
 * Texts are judged in their order until one counts.
 */
#include "affinity/selector.h"

#include "http/cookie.h"
#include "http/uri.h"

/* A seal from the future is wrong, but proxies that share a key do not share a clock. */
#define CLOCK_SKEW_S 300

/* So many texts of one name are tried: a browser has one cookie, or a few by paths and domains. Each costs a
 * decryption, or a signature's check, and a head has room for hundreds. */
#define TEXTS_TRIED 16

/* One look for what one selector wants. */
struct look {
	const struct kind *kind;
	const struct conf_selector *s;
	const struct selector_request *rq;
	struct slice name;
	struct cookie_iter cookies;
	struct slice rest;		/* of the query, or of a list of subprotocols */
	unsigned at;			/* the next field; where there is but one text: 1 when it was had */
};

struct kind {
	/* The next text that would do; false: there is no more. */
	bool (*next)(struct look *l, struct slice *text);
	/* What a text that would do says. SELECTOR_NOTHING and SELECTOR_INVALID: the next is to be asked. */
	enum selector_sight (*judge)(const struct look *l, struct slice text, struct selector_found *found);
	enum uri_coding coding;
	bool is_clients;		/* the client makes the key up, so that it can be made to prove it */
	/* The key that an answer names; NULL: none is learnt. */
	bool (*learn)(struct look *l, struct slice *key);
};

/* ---- where texts are found ---- */

static bool
next_cookie(struct look *l, struct slice *text)
{
	struct cookie_pair pair;

	while (cookie_next(&l->cookies, &pair)) {
		if (slice_eq(pair.name, l->name)) {
			*text = pair.value;
			return true;
		}
	}
	return false;
}

/* Lengths first: few fields have the same. */
static bool
next_field(struct look *l, struct slice *text)
{
	const struct head *h = l->rq->head;

	while (l->at < h->fields) {
		const struct field *f = &h->field[l->at++];

		if (f->name.n == l->name.n && slice_eq_nocase(f->name, l->name)) {
			*text = f->value;
			return true;
		}
	}
	return false;
}

static bool
next_parameter(struct look *l, struct slice *text)
{
	if (l->at++ == 0)
		l->rest = l->rq->head->query;
	return uri_parameter(&l->rest, l->name, text);
}

static bool
next_segment(struct look *l, struct slice *text)
{
	if (l->at++ != 0)
		return false;
	*text = uri_segment(l->rq->head->path, l->s->segment);
	return text->p != NULL;
}

/* The next list of subprotocols; false: there is no more. */
static bool
next_protocols(struct look *l)
{
	const struct head *h = l->rq->head;

	while (l->at < h->fields) {
		const struct field *f = &h->field[l->at++];

		if (f->id == FIELD_SEC_WEBSOCKET_PROTOCOL) {
			l->rest = f->value;
			return true;
		}
	}
	return false;
}

static bool
next_protocol(struct look *l, struct slice *text)
{
	struct slice token;

	do {
		while (head_list_next(&l->rest, &token)) {
			if (slice_has_prefix(token, l->name)) {
				*text = slice_skip(token, l->name.n);
				return true;
			}
		}
	} while (next_protocols(l));
	return false;
}

/* An address as text, or its network's as "10.1.2.0/24". */
static bool
next_source(struct look *l, struct slice *text)
{
	const struct addr *client = l->rq->client;
	struct buf *scratch = l->rq->scratch;
	struct addr_net net;

	if (client->len == 0 || l->at++ != 0 || scratch->room - scratch->n < ADDR_TEXT)
		return false;
	net = addr_net_of(client, l->s->bits_v4, l->s->bits_v6);
	*text = slice_make(scratch->p + scratch->n, addr_net_text(&net, scratch->p + scratch->n));
	scratch->n += text->n;
	return true;
}

/* ---- how they are judged ---- */

/* How long ago that was; proxies' clocks differ, so "not yet" is now. */
static uint64_t
age_ms(uint64_t now_s, uint32_t then_s)
{
	return now_s > then_s ? (now_s - then_s) * 1000 : 0;
}

const char *
selector_times_refused(const struct seal_binding *b, const struct conf_cookie *cf, uint64_t now_s)
{
	if (b->born_s > now_s + CLOCK_SKEW_S || b->seen_s > now_s + CLOCK_SKEW_S)
		return "future";
	if (cf->life_ms != 0 && age_ms(now_s, b->born_s) > cf->life_ms)
		return "expired";
	if (cf->idle_ms != 0 && age_ms(now_s, b->seen_s) > cf->idle_ms)
		return "idle";
	return NULL;
}

const char *
selector_open(struct sealer *sealer, struct slice pool, const struct conf_cookie *cf, struct slice text,
    uint64_t now_s, struct seal_binding *b)
{
	switch (seal_open(sealer, pool, text, b)) {
	case SEAL_MALFORMED:
		return "malformed";
	case SEAL_FORGED:
		return "forged";
	case SEAL_OPEN:
		break;
	}
	return selector_times_refused(b, cf, now_s);
}

static enum selector_sight
judge_seal(const struct look *l, struct slice text, struct selector_found *found)
{
	const struct selector_request *rq = l->rq;

	found->why = selector_open(rq->sealer, slice_of(rq->pool->name), &rq->pool->conf->cookie, text, rq->now_s,
	    &found->binding);
	if (found->why != NULL)
		return SELECTOR_INVALID;
	found->seal = text;
	found->gateway = pool_find_tag(rq->pool, found->binding.tag);
	return found->gateway != NULL ? SELECTOR_GATEWAY : SELECTOR_GONE;
}

/* Without the mark it is the gateway's own value alone, from before we were there. */
static enum selector_sight
judge_prefixed(const struct look *l, struct slice text, struct selector_found *found)
{
	size_t end = slice_find(text, SELECTOR_PREFIX_END);

	return judge_seal(l, end != text.n ? slice_head(text, end) : SLICE_NONE, found);
}

static const char *
key_refused(const struct look *l, struct slice text, struct slice *key)
{
	if (!uri_decode(text, l->kind->coding, l->rq->scratch, key) || key->n > SELECTOR_KEY_MAX)
		return "too-long";
	if (l->kind->is_clients && l->rq->signature != NULL)
		return signature_check(l->rq->signature, *key, key);
	return NULL;
}

static enum selector_sight
judge_key(const struct look *l, struct slice text, struct selector_found *found)
{
	size_t used = l->rq->scratch->n;

	if (text.n == 0)
		return SELECTOR_NOTHING;
	found->why = key_refused(l, text, &found->key);
	if (found->why != NULL) {
		l->rq->scratch->n = used;
		return SELECTOR_INVALID;
	}
	return found->key.n != 0 ? SELECTOR_KEY : SELECTOR_NOTHING;
}

/* ---- what is learnt ---- */

static bool
teaches(struct slice text)
{
	return text.n != 0 && text.n <= SELECTOR_KEY_MAX;
}

static bool
learn_field(struct look *l, struct slice *key)
{
	while (next_field(l, key))
		if (teaches(*key))
			return true;
	return false;
}

/* Of several the last, as browsers have it (RFC 6265, 5.3); but a cookie that ends, another path's say, names
 * nobody. */
static bool
learn_cookie(struct look *l, struct slice *key)
{
	const struct head *h = l->rq->head;
	bool learnt = false;

	for (unsigned i = 0; i < h->fields; i++) {
		struct cookie_set set;

		if (h->field[i].id != FIELD_SET_COOKIE)
			continue;
		set = cookie_set_split(h->field[i].value);
		if (!slice_eq(set.name, l->name) || !teaches(set.value) || cookie_set_is_end(&set))
			continue;
		*key = set.value;
		learnt = true;
	}
	return learnt;
}

/* ---- all kinds ---- */

static const struct kind kinds[] = {
	[CONF_SELECTOR_COOKIE] = { next_cookie, judge_seal, URI_PLAIN, false, NULL },
	[CONF_SELECTOR_REWRITE] = { next_cookie, judge_seal, URI_PLAIN, false, NULL },
	[CONF_SELECTOR_PREFIX] = { next_cookie, judge_prefixed, URI_PLAIN, false, NULL },
	[CONF_SELECTOR_HEADER] = { next_field, judge_key, URI_PLAIN, true, NULL },
	[CONF_SELECTOR_QUERY] = { next_parameter, judge_key, URI_FORM, true, NULL },
	[CONF_SELECTOR_PATH] = { next_segment, judge_key, URI_PERCENT, true, NULL },
	[CONF_SELECTOR_COOKIE_KEY] = { next_cookie, judge_key, URI_PLAIN, true, NULL },
	[CONF_SELECTOR_SUBPROTOCOL] = { next_protocol, judge_key, URI_PLAIN, true, NULL },
	[CONF_SELECTOR_SOURCE] = { next_source, judge_key, URI_PLAIN, false, NULL },
	[CONF_SELECTOR_LEARN_HEADER] = { next_field, judge_key, URI_PLAIN, false, learn_field },
	[CONF_SELECTOR_LEARN_COOKIE] = { next_cookie, judge_key, URI_PLAIN, false, learn_cookie },
};

static inline struct look
look_of(const struct conf_selector *s, const struct selector_request *rq, const char *name)
{
	struct look l = { .kind = &kinds[s->kind], .s = s, .rq = rq, .name = slice_of(name) };

	cookie_iter_init(&l.cookies, rq->head);
	return l;
}

/* When none counts, the first says why. */
static enum selector_sight
look_for(const struct conf_selector *s, const struct selector_request *rq, const char *name,
    struct selector_found *found)
{
	struct look l = look_of(s, rq, name);
	const char *why = NULL;
	struct slice text;

	for (unsigned tried = 0; tried < TEXTS_TRIED && l.kind->next(&l, &text);) {
		enum selector_sight sight = l.kind->judge(&l, text, found);

		if (sight == SELECTOR_INVALID && tried++ == 0)
			why = found->why;
		else if (sight != SELECTOR_INVALID && sight != SELECTOR_NOTHING)
			return sight;
	}
	found->why = why;
	return why != NULL ? SELECTOR_INVALID : SELECTOR_NOTHING;
}

/* Pages on other sites show the twin alone; where there are both, the first says as much as both. */
static enum selector_sight
look_for_ours(const struct conf_selector *s, const struct selector_request *rq, struct selector_found *found)
{
	const struct conf_cookie *cf = &rq->pool->conf->cookie;
	enum selector_sight sight = look_for(s, rq, cf->name, found), twins;
	const char *why = found->why;

	if (cf->cors_twin == NULL || sight == SELECTOR_GATEWAY || sight == SELECTOR_GONE)
		return sight;
	twins = look_for(s, rq, cf->cors_twin, found);
	if (sight == SELECTOR_INVALID && (twins == SELECTOR_NOTHING || twins == SELECTOR_INVALID)) {
		found->why = why;
		return sight;
	}
	return twins;
}

enum selector_sight
selector_look(const struct conf_selector *s, const struct selector_request *rq, struct selector_found *found)
{
	*found = (struct selector_found){ .gateway = NULL };
	if (s->kind == CONF_SELECTOR_COOKIE)
		return look_for_ours(s, rq, found);
	return look_for(s, rq, s->name, found);
}

bool
selector_learn(const struct conf_selector *s, const struct head *answer, struct slice *key)
{
	struct selector_request rq = { .head = answer };
	struct look l = look_of(s, &rq, s->name);

	return l.kind->learn != NULL && l.kind->learn(&l, key);
}

bool
selector_has_key(const struct conf_selector *s)
{
	return kinds[s->kind].judge == judge_key;
}
