/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing a gateway for a newcomer. A balance is a function that picks one of the eligible; it looks at each gateway
 * once or twice and allocates nothing. What it picks may be full a moment later, by those who enter without choosing
 * since they belong there: then it picks again, and whoever was faster is not among the eligible any more.
 */
#include "pool/roster.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pool/rendezvous.h"

#define POOL_MAGIC 0x9001feed

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
	return gateway_is_backup(g) == s->backup && pool_would_take(s->wish, g) && !gateway_is_full(g);
}

/* load / share of a below that of b; without division, and no product exceeds 64 bits. */
static bool
is_less_loaded(const struct gateway *a, const struct gateway *b)
{
	return (uint64_t)gateway_load(a) * gateway_share(b) < (uint64_t)gateway_load(b) * gateway_share(a);
}

/* Smooth weighted round robin: everyone gains its share each time, and whoever has gathered most is chosen and
 * pays what all gained together. A 5:1:1 comes out as a a b a c a a and not as five a in a row. Only who is as
 * little loaded as `least` can be chosen (NULL: all can), but all gain, so that nobody's turn is lost. */
static struct gateway *
choose_in_turn(struct pool *p, const struct pool_search *s, const struct gateway *least)
{
	struct pool_seat *best = NULL;
	int64_t gained = 0;

	for (unsigned i = 0; i < p->gateways; i++) {
		struct pool_seat *seat = &p->seat[i];
		unsigned share;

		if (!pool_may_choose(s, p->gateway[i]))
			continue;
		share = gateway_share(p->gateway[i]);
		seat->turn += share;
		gained += share;
		if (least != NULL && is_less_loaded(least, p->gateway[i]))
			continue;
		if (best == NULL || seat->turn > best->turn)
			best = seat;
	}
	if (best == NULL)
		return NULL;
	best->turn -= gained;
	return p->gateway[best - p->seat];
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

/* One of the eligible but `other`, each with the chance of its share; total is their shares' sum, which may have
 * changed by an operator's hand since: then the last one is as good. */
static struct gateway *
pool_draw(struct pool *p, const struct pool_search *s, const struct gateway *other, uint64_t total)
{
	uint64_t drawn = total != 0 ? pool_random(p, total) : 0;
	struct gateway *last = NULL;

	for (unsigned i = 0; i < p->gateways; i++) {
		struct gateway *g = p->gateway[i];
		unsigned share = gateway_share(g);

		if (g == other || !pool_may_choose(s, g))
			continue;
		last = g;
		if (drawn < share)
			break;
		drawn -= share;
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
			total += gateway_share(p->gateway[i]);
	one = pool_draw(p, s, NULL, total);
	if (one == NULL)
		return NULL;
	rest = total > gateway_share(one) ? total - gateway_share(one) : 0;
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
vote_put_up(struct vote *v, struct gateway *g, uint64_t tag)
{
	struct rendezvous_bid bid = { rendezvous_draw(v->hash, tag), gateway_weight(g) };

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
			vote_put_up(&v, p->gateway[i], p->seat[i].tag);
	return v.winner;
}

struct gateway *
pool_owner(const struct pool *p, uint64_t hash)
{
	struct vote v = { .hash = hash };

	for (unsigned i = 0; i < p->gateways; i++) {
		struct gateway *g = p->gateway[i];

		if (!gateway_is_backup(g) && gateway_weight(g) != 0)
			vote_put_up(&v, g, p->seat[i].tag);
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

bool
pool_can_spare(const struct pool *p, const struct gateway *g)
{
	for (unsigned i = 0; i < p->gateways; i++)
		if (p->gateway[i] != g && gateway_takes_newcomers(p->gateway[i]))
			return true;
	return false;
}

/* ---- finding ---- */

static int
tag_compare(const void *one, const void *two)
{
	const struct pool_tag *a = one, *b = two;

	return (a->tag > b->tag) - (a->tag < b->tag);
}

/* At a reload a gateway is renamed some moments before all workers have the roster that knows its new tag; the next
 * reload may come before the last of them has gone over. */
static struct gateway *
pool_search_tag(const struct pool *p, uint64_t tag)
{
	for (unsigned i = 0; i < p->gateways; i++)
		if (gateway_is_tagged(p->gateway[i], tag))
			return p->gateway[i];
	return NULL;
}

struct gateway *
pool_find_tag(const struct pool *p, uint64_t tag)
{
	struct pool_tag key = { .tag = tag };
	const struct pool_tag *found = bsearch(&key, p->by_tag, p->tags, sizeof key, tag_compare);

	return found != NULL ? found->gateway : pool_search_tag(p, tag);
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

	return name_compare(slice_of(gateway_name(*a)), slice_of(gateway_name(*b)));
}

static int
name_find(const void *name, const void *element)
{
	struct gateway *const *g = element;

	return name_compare(*(const struct slice *)name, slice_of(gateway_name(*g)));
}

struct gateway *
pool_find_name(const struct pool *p, struct slice name)
{
	struct gateway **found = bsearch(&name, p->by_name, p->gateways, sizeof *p->by_name, name_find);

	return found != NULL ? *found : pool_find_tag(p, gateway_tag_of(p->name, name));
}

/* ---- made, listed and freed ---- */

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
		struct gateway *g = gateway_new(&cf->gateway[i], cf, &why);

		if (g == NULL)
			pool_report(cf, i, why, report, arg);
		else
			p->gateway[p->gateways++] = g;
	}
	return p->gateways == cf->gateways;
}

static void
pool_list_names(struct pool *p)
{
	for (unsigned i = 0; i < p->gateways; i++)
		p->by_name[i] = p->gateway[i];
	qsort(p->by_name, p->gateways, sizeof *p->by_name, gateway_compare);
}

static int
tag_order(const void *one, const void *two)
{
	const struct pool_tag *a = one, *b = two;
	int order = tag_compare(a, b);

	return order != 0 ? order : (int)a->is_former - (int)b->is_former;
}

/* All that stands for this gateway in its pool; to NULL: counted only. */
static unsigned
tags_of(const struct pool *p, unsigned place, struct pool_tag *to)
{
	const struct gateway_identity *now = gateway_identity(p->gateway[place]);
	unsigned n = 0;

	for (const struct gateway_identity *id = now; id != NULL; id = id->before) {
		if (strcmp(id->pool_name, p->name) != 0)
			continue;
		if (to != NULL)
			to[n] = (struct pool_tag){ id->tag, p->gateway[place], place, id != now };
		n++;
	}
	return n;
}

/* Where two claim one, the name of today goes before that of yesterday. */
static void
tags_drop_doubles(struct pool *p)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < p->tags; i++)
		if (kept == 0 || p->by_tag[kept - 1].tag != p->by_tag[i].tag || !p->by_tag[i].is_former)
			p->by_tag[kept++] = p->by_tag[i];
	p->tags = kept;
}

static void
pool_list_tags(struct pool *p)
{
	unsigned most = 0;

	for (unsigned i = 0; i < p->gateways; i++)
		most += tags_of(p, i, NULL);
	free(p->by_tag);
	p->by_tag = mem_zalloc((most + 1) * sizeof *p->by_tag);
	p->tags = 0;
	for (unsigned i = 0; i < p->gateways; i++) {
		p->seat[i].tag = gateway_tag(p->gateway[i]);
		p->tags += tags_of(p, i, &p->by_tag[p->tags]);
	}
	qsort(p->by_tag, p->tags, sizeof *p->by_tag, tag_order);
	tags_drop_doubles(p);
}

void
pool_list(struct pool *p)
{
	pool_list_names(p);
	pool_list_tags(p);
}

static bool
pool_check_tags(const struct pool *p, conf_report_fn *report, void *arg)
{
	bool good = true;

	for (unsigned i = 1; i < p->tags; i++) {
		const struct pool_tag *one = &p->by_tag[i - 1], *two = &p->by_tag[i];
		char *what;

		if (one->tag != two->tag)
			continue;
		what = mem_printf("a cookie could not tell it from '%s'; give it another name",
		    gateway_name(one->gateway));
		pool_report(p->conf, two->place, what, report, arg);
		free(what);
		good = false;
	}
	return good;
}

static bool
pool_set_tls(struct pool *p, conf_report_fn *report, void *arg)
{
	if (p->conf->gateway_tls)
		p->tls = tls_client_new(p->conf, report, arg);
	return !p->conf->gateway_tls || p->tls != NULL;
}

struct pool *
pool_new(const struct conf_pool *cf, conf_report_fn *report, void *arg)
{
	struct pool *p = mem_zalloc(sizeof *p);
	bool is_good;

	must((unsigned)cf->balance < COUNT(balances));
	p->magic = POOL_MAGIC;
	p->conf = cf;
	p->name = mem_strdup(cf->name);
	p->gateway = mem_zalloc((cf->gateways + 1) * sizeof *p->gateway);
	p->seat = mem_zalloc((cf->gateways + 1) * sizeof *p->seat);
	p->by_name = mem_zalloc((cf->gateways + 1) * sizeof *p->by_name);
	pthread_mutex_init(&p->lock, NULL);
	if (getrandom(&p->random, sizeof p->random, GRND_NONBLOCK) != sizeof p->random || p->random == 0)
		p->random = clock_wall_us();	/* any start but zero will do */
	is_good = pool_add_gateways(p, report, arg);
	is_good &= pool_set_tls(p, report, arg);
	if (is_good) {
		pool_list(p);
		if (pool_check_tags(p, report, arg))
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
	tls_client_unref(p->tls);
	pthread_mutex_destroy(&p->lock);
	p->magic = 0;
	free(p->by_name);
	free(p->by_tag);
	free(p->seat);
	free(p->gateway);
	free(p->name);
	free(p);
}
