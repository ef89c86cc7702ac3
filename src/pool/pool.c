/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing a gateway for a newcomer. A balance is a function that picks one of the eligible; it looks at each gateway
 * once or twice and allocates nothing. What it picks may be full a moment later, by those who enter without choosing
 * since they belong there: then it picks again, and whoever was faster is not among the eligible any more.
 */
#include "pool/pool.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pool/rendezvous.h"

#define POOL_MAGIC 0x9001feed

/* Where a gateway is found by its tag: a cookie names one with each request. */
struct pool_tag {
	uint64_t tag;
	struct gateway *gateway;
};

/* Who is eligible. */
struct pool_search {
	const struct pool_wish *wish;
	bool backup;			/* among the backups, or among the others? */
};

typedef struct gateway *pool_balance_fn(struct pool *p, const struct pool_search *s);

bool
pool_was_tried(const struct pool_tried *tried, const struct gateway *g)
{
	for (unsigned i = 0; i < tried->n; i++)
		if (tried->gateway[i] == g)
			return true;
	return false;
}

/* Would it be eligible if it had a place? */
static inline bool
pool_would_take(const struct pool_wish *w, const struct gateway *g)
{
	return gateway_takes_newcomers(g) && (w->tried == NULL || !pool_was_tried(w->tried, g));
}

static inline bool
pool_may_choose(const struct pool_search *s, const struct gateway *g)
{
	return g->backup == s->backup && pool_would_take(s->wish, g) && !gateway_is_full(g);
}

/* load / weight of a below that of b; without division, and no product exceeds 64 bits. */
static bool
is_less_loaded(const struct gateway *a, const struct gateway *b)
{
	return (uint64_t)gateway_load(a) * gateway_weight(b) < (uint64_t)gateway_load(b) * gateway_weight(a);
}

/* Smooth weighted round robin: everyone gains its weight each time, and whoever has gathered most is chosen and
 * pays what all gained together. A 5:1:1 comes out as a a b a c a a and not as five a in a row. Only who is as
 * little loaded as `least` can be chosen (NULL: all can), but all gain, so that nobody's turn is lost. */
static struct gateway *
choose_in_turn(struct pool *p, const struct pool_search *s, const struct gateway *least)
{
	struct gateway *best = NULL;
	int gained = 0;

	for (unsigned i = 0; i < p->gateways; i++) {
		struct gateway *g = p->gateway[i];
		int weight;

		if (!pool_may_choose(s, g))
			continue;
		weight = (int)gateway_weight(g);
		g->current_weight += weight;
		gained += weight;
		if (least != NULL && is_less_loaded(least, g))
			continue;
		if (best == NULL || g->current_weight > best->current_weight)
			best = g;
	}
	if (best != NULL)
		best->current_weight -= gained;
	return best;
}

static struct gateway *
choose_roundrobin(struct pool *p, const struct pool_search *s)
{
	return choose_in_turn(p, s, NULL);
}

/* Ties are broken in turn, by weight: with short requests all loads are zero most of the time. Others may change a
 * load meanwhile, so `least` need not be among the least any more; then it is taken itself. */
static struct gateway *
choose_leastconn(struct pool *p, const struct pool_search *s)
{
	struct gateway *least = NULL, *g;

	for (unsigned i = 0; i < p->gateways; i++) {
		g = p->gateway[i];
		if (pool_may_choose(s, g) && (least == NULL || is_less_loaded(g, least)))
			least = g;
	}
	g = least != NULL ? choose_in_turn(p, s, least) : NULL;
	return g != NULL ? g : least;
}

/* xorshift64* (Marsaglia; Vigna): good enough for spreading, and cheap under a lock. Below n, which is far below
 * 2^32. */
static uint64_t
pool_random(struct pool *p, uint64_t n)
{
	p->random ^= p->random >> 12;
	p->random ^= p->random << 25;
	p->random ^= p->random >> 27;
	return (p->random * 0x2545f4914f6cdd1d >> 11) % n;
}

/* One of the eligible but `other`, each with the chance of its weight; total is their weights' sum, which may have
 * changed by an operator's hand since: then the last one is as good. */
static struct gateway *
pool_draw(struct pool *p, const struct pool_search *s, const struct gateway *other, uint64_t total)
{
	uint64_t drawn = total != 0 ? pool_random(p, total) : 0;
	struct gateway *last = NULL;

	for (unsigned i = 0; i < p->gateways; i++) {
		struct gateway *g = p->gateway[i];
		unsigned weight = gateway_weight(g);

		if (g == other || !pool_may_choose(s, g))
			continue;
		last = g;
		if (drawn < weight)
			break;
		drawn -= weight;
	}
	return last;
}

/* The better of two drawn at random: nearly as even as asking all, and a newcomer that everyone sees as the least
 * loaded is not overrun (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"). */
static struct gateway *
choose_random(struct pool *p, const struct pool_search *s)
{
	struct gateway *one, *two;
	uint64_t total = 0, rest;

	for (unsigned i = 0; i < p->gateways; i++)
		if (pool_may_choose(s, p->gateway[i]))
			total += gateway_weight(p->gateway[i]);
	one = pool_draw(p, s, NULL, total);
	if (one == NULL)
		return NULL;
	rest = total > gateway_weight(one) ? total - gateway_weight(one) : 0;
	two = pool_draw(p, s, one, rest);
	return two != NULL && is_less_loaded(two, one) ? two : one;
}

/* A vote by rendezvous: whoever is put up and wins is the one so far. */
struct vote {
	uint64_t hash;
	struct gateway *winner;
	struct rendezvous_bid bid;	/* the winner's */
};

static inline void
vote_put_up(struct vote *v, struct gateway *g)
{
	struct rendezvous_bid bid = { rendezvous_draw(v->hash, g->tag), gateway_weight(g) };

	if (v->winner != NULL && !rendezvous_wins(bid, v->bid))
		return;
	v->winner = g;
	v->bid = bid;
}

static struct gateway *
choose_by_hash(struct pool *p, const struct pool_search *s)
{
	struct vote v = { .hash = s->wish->hash };

	for (unsigned i = 0; i < p->gateways; i++)
		if (pool_may_choose(s, p->gateway[i]))
			vote_put_up(&v, p->gateway[i]);
	return v.winner;
}

struct gateway *
pool_owner(const struct pool *p, uint64_t hash)
{
	struct vote v = { .hash = hash };

	for (unsigned i = 0; i < p->gateways; i++) {
		struct gateway *g = p->gateway[i];

		if (!g->backup && gateway_weight(g) != 0)
			vote_put_up(&v, g);
	}
	return v.winner;
}

static pool_balance_fn *const balances[] = {
	[CONF_BALANCE_ROUNDROBIN] = choose_roundrobin,
	[CONF_BALANCE_LEASTCONN] = choose_leastconn,
	[CONF_BALANCE_RANDOM] = choose_random,
	[CONF_BALANCE_HASH] = choose_by_hash,
};

static struct gateway *
pool_choose_and_enter(struct pool *p, const struct pool_wish *w, pool_balance_fn *choose)
{
	struct gateway *g;

	do {
		g = choose(p, &(struct pool_search){ w, .backup = false });
		if (g == NULL)
			g = choose(p, &(struct pool_search){ w, .backup = true });
	} while (g != NULL && !gateway_enter(g, w->session));
	return g;
}

/* Why nobody was found; nothing lacks when one has got room meanwhile. */
static enum pool_lack
pool_lacks(const struct pool *p, const struct pool_wish *w)
{
	enum pool_lack lack = POOL_IS_DOWN;

	for (unsigned i = 0; i < p->gateways; i++) {
		if (!pool_would_take(w, p->gateway[i]))
			continue;
		if (!gateway_is_full(p->gateway[i]))
			return POOL_LACKS_NOTHING;
		lack = POOL_IS_FULL;
	}
	return lack;
}

static struct gateway *
pool_choose_under_lock(struct pool *p, const struct pool_wish *w)
{
	struct gateway *g;

	pthread_mutex_lock(&p->lock);
	g = pool_choose_and_enter(p, w, balances[p->conf->balance]);
	pthread_mutex_unlock(&p->lock);
	return g;
}

struct gateway *
pool_choose(struct pool *p, const struct pool_wish *w, enum pool_lack *lack)
{
	bool by_hash = w->by_hash || p->conf->balance == CONF_BALANCE_HASH;
	struct gateway *g;

	ALIVE(p, POOL_MAGIC);
	do {
		g = by_hash ? pool_choose_and_enter(p, w, choose_by_hash) : pool_choose_under_lock(p, w);
		*lack = g != NULL ? POOL_LACKS_NOTHING : pool_lacks(p, w);
	} while (g == NULL && *lack == POOL_LACKS_NOTHING);
	return g != NULL ? gateway_ref(g) : NULL;
}

bool
pool_has_room(const struct pool *p)
{
	static const struct pool_wish any = { .tried = NULL };

	return pool_lacks(p, &any) == POOL_LACKS_NOTHING;
}

static int
tag_compare(const void *one, const void *two)
{
	const struct pool_tag *a = one, *b = two;

	return (a->tag > b->tag) - (a->tag < b->tag);
}

struct gateway *
pool_find_tag(const struct pool *p, uint64_t tag)
{
	struct pool_tag key = { .tag = tag };
	const struct pool_tag *found = bsearch(&key, p->by_tag, p->gateways, sizeof key, tag_compare);

	return found != NULL ? found->gateway : NULL;
}

/* As slices, so that a name need not end with a NUL. */
static int
name_compare(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n != 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int
gateway_compare(const void *one, const void *two)
{
	struct gateway *const *a = one, *const *b = two;

	return name_compare(slice_of((*a)->name), slice_of((*b)->name));
}

static int
name_find(const void *name, const void *element)
{
	struct gateway *const *g = element;

	return name_compare(*(const struct slice *)name, slice_of((*g)->name));
}

struct gateway *
pool_find_name(const struct pool *p, struct slice name)
{
	struct gateway **found = bsearch(&name, p->by_name, p->gateways, sizeof *p->by_name, name_find);

	return found != NULL ? *found : NULL;
}

/* In the form of the configuration's mistakes. */
static void
pool_report(const struct conf_pool *cf, size_t index, const char *what, conf_report_fn *report, void *arg)
{
	const struct conf_gateway *g = &cf->gateway[index];

	conf_complain(report, arg, g->place, "[pool %s] gateway: '%s %s': %s", cf->name, g->name, g->address, what);
}

static bool
pool_add_gateways(struct pool *p, conf_report_fn *report, void *arg)
{
	const struct conf_pool *cf = p->conf;

	if (cf->gateways > POOL_GATEWAYS_MAX) {
		pool_report(cf, POOL_GATEWAYS_MAX, "is one too many; a pool has at most 4096", report, arg);
		return false;
	}
	for (unsigned i = 0; i < cf->gateways; i++) {
		const char *why;
		struct gateway *g = gateway_new(&cf->gateway[i], p->name, i, &why);

		if (g == NULL)
			pool_report(cf, i, why, report, arg);
		else
			p->gateway[p->gateways++] = g;
	}
	return p->gateways == cf->gateways;
}

static void
pool_sort_names(struct pool *p)
{
	for (unsigned i = 0; i < p->gateways; i++)
		p->by_name[i] = p->gateway[i];
	qsort(p->by_name, p->gateways, sizeof *p->by_name, gateway_compare);
}

static bool
pool_sort_tags(struct pool *p, conf_report_fn *report, void *arg)
{
	bool good = true;

	for (unsigned i = 0; i < p->gateways; i++)
		p->by_tag[i] = (struct pool_tag){ p->gateway[i]->tag, p->gateway[i] };
	qsort(p->by_tag, p->gateways, sizeof *p->by_tag, tag_compare);
	for (unsigned i = 1; i < p->gateways; i++) {
		const struct gateway *one = p->by_tag[i - 1].gateway, *two = p->by_tag[i].gateway;
		char *what;

		if (one->tag != two->tag)
			continue;
		what = mem_printf("a cookie could not tell it from '%s'; give it another name", one->name);
		pool_report(p->conf, two->index, what, report, arg);
		free(what);
		good = false;
	}
	return good;
}

struct pool *
pool_new(const struct conf_pool *cf, conf_report_fn *report, void *arg)
{
	struct pool *p = mem_zalloc(sizeof *p);

	must((unsigned)cf->balance < COUNT(balances));
	p->magic = POOL_MAGIC;
	p->conf = cf;
	p->name = mem_strdup(cf->name);
	p->gateway = mem_zalloc((cf->gateways + 1) * sizeof *p->gateway);
	p->by_tag = mem_zalloc((cf->gateways + 1) * sizeof *p->by_tag);
	p->by_name = mem_zalloc((cf->gateways + 1) * sizeof *p->by_name);
	pthread_mutex_init(&p->lock, NULL);
	if (getrandom(&p->random, sizeof p->random, GRND_NONBLOCK) != sizeof p->random || p->random == 0)
		p->random = clock_wall_us();	/* any start but zero will do */
	if (pool_add_gateways(p, report, arg) && pool_sort_tags(p, report, arg)) {
		pool_sort_names(p);
		return p;
	}
	pool_free(p);
	return NULL;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	ALIVE(p, POOL_MAGIC);
	for (unsigned i = 0; i < p->gateways; i++)
		gateway_unref(p->gateway[i]);
	pthread_mutex_destroy(&p->lock);
	p->magic = 0;
	free(p->by_name);
	free(p->by_tag);
	free(p->gateway);
	free(p->name);
	free(p);
}
