/* SPDX-License-Identifier: BSD-2-Clause */
/* What one configuration's pools take over from those before them. All is found by sorting and bisection: a reload of
 * a thousand gateways is no work. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pool/roster.h"

/* A live gateway, and where it is until now. */
struct kin {
	struct gateway *gateway;
	const char *name;		/* which it has until now */
	struct pool *pool;
	unsigned place;
	bool is_taken;
};

struct kinship {
	struct kin *kin;		/* sorted by pool and name */
	struct kin **by_addr;
	size_t n;
};

/* ---- finding ---- */

static int
kin_compare(const void *one, const void *two)
{
	const struct kin *a = one, *b = two;
	int order = strcmp(a->pool->name, b->pool->name);

	return order != 0 ? order : strcmp(a->name, b->name);
}

static int
addr_compare(const void *one, const void *two)
{
	const struct kin *const *a = one, *const *b = two;

	return addr_order(gateway_address((*a)->gateway), gateway_address((*b)->gateway));
}

static struct kin
kin_of(struct pool *p, unsigned place)
{
	struct gateway *g = p->gateway[place];

	return (struct kin){ .gateway = g, .name = gateway_name(g), .pool = p, .place = place };
}

static void
kinship_init(struct kinship *all, struct pool *const *old, size_t olds)
{
	size_t most = 0;

	for (size_t i = 0; i < olds; i++)
		most += old[i]->gateways;
	*all = (struct kinship){
		.kin = mem_zalloc((most + 1) * sizeof *all->kin),
		.by_addr = mem_zalloc((most + 1) * sizeof(struct kin *)),
	};
	for (size_t i = 0; i < olds; i++)
		for (unsigned k = 0; k < old[i]->gateways; k++)
			all->kin[all->n++] = kin_of(old[i], k);
	qsort(all->kin, all->n, sizeof *all->kin, kin_compare);
	for (size_t i = 0; i < all->n; i++)
		all->by_addr[i] = &all->kin[i];
	qsort(all->by_addr, all->n, sizeof *all->by_addr, addr_compare);
}

static void
kinship_fini(struct kinship *all)
{
	free(all->by_addr);
	free(all->kin);
}

/* Who has the name of the fresh one at this place until now, in the pool of this one's name. */
static struct kin *
kin_named(const struct kinship *all, struct pool *p, unsigned place)
{
	struct kin key = kin_of(p, place);

	return bsearch(&key, all->kin, all->n, sizeof key, kin_compare);
}

/* The first that is not before this address. */
static size_t
kin_at(const struct kinship *all, const struct addr *addr)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr_order(gateway_address(all->by_addr[middle]->gateway), addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_same_text(const char *one, const char *two)
{
	return one == two || (one != NULL && two != NULL && strcmp(one, two) == 0);
}

/* Connections that one has open must do for the other. */
static bool
is_spoken_to_alike(const struct conf_pool *one, const struct conf_pool *two)
{
	if (!one->gateway_tls || !two->gateway_tls)
		return one->gateway_tls == two->gateway_tls;
	return one->gateway_verify == two->gateway_verify && is_same_text(one->gateway_ca, two->gateway_ca) &&
	    is_same_text(one->gateway_sni, two->gateway_sni);
}

static bool
kin_is(const struct kin *k, const struct pool *p, const struct gateway *fresh)
{
	/* by TLS it is also known by the name that it is called by */
	return !k->is_taken && addr_order(gateway_address(k->gateway), gateway_address(fresh)) == 0 &&
	    is_spoken_to_alike(k->pool->conf, p->conf) &&
	    (!p->conf->gateway_tls || strcmp(gateway_authority(k->gateway), gateway_authority(fresh)) == 0);
}

/* By its address alone: one that was in the pool of this name already goes before one from elsewhere. */
static struct kin *
kin_renamed(const struct kinship *all, const struct pool *p, const struct gateway *fresh)
{
	const struct addr *addr = gateway_address(fresh);
	struct kin *found = NULL;

	for (size_t i = kin_at(all, addr); i < all->n; i++) {
		struct kin *k = all->by_addr[i];

		if (addr_order(gateway_address(k->gateway), addr) != 0)
			break;
		if (!kin_is(k, p, fresh))
			continue;
		if (strcmp(k->pool->name, p->name) == 0)
			return k;
		if (found == NULL)
			found = k;
	}
	return found;
}

/* ---- taking ---- */

static void
seat_take_turn(struct pool_seat *to, const struct kin *from)
{
	pthread_mutex_lock(&from->pool->lock);
	to->turn = from->pool->seat[from->place].turn;
	pthread_mutex_unlock(&from->pool->lock);
}

static void
pool_take(struct pool *p, unsigned place, struct kin *k)
{
	if (strcmp(k->pool->name, p->name) == 0)
		seat_take_turn(&p->seat[place], k);
	k->is_taken = true;
	gateway_adopt(k->gateway, p->gateway[place]);
	gateway_unref(p->gateway[place]);
	p->gateway[place] = gateway_ref(k->gateway);
}

static void
pool_take_known(struct pool *p, const struct kinship *all)
{
	for (unsigned i = 0; i < p->gateways; i++) {
		struct kin *k = kin_named(all, p, i);

		if (k != NULL && kin_is(k, p, p->gateway[i]))
			pool_take(p, i, k);
	}
}

/* A name that the pool knew stands for what it says now, which is somebody else. */
static void
pool_take_renamed(struct pool *p, const struct kinship *all)
{
	for (unsigned i = 0; i < p->gateways; i++) {
		struct kin *k;

		if (kin_named(all, p, i) != NULL)
			continue;
		k = kin_renamed(all, p, p->gateway[i]);
		if (k != NULL)
			pool_take(p, i, k);
	}
}

void
pool_adopt(struct pool *const *fresh, size_t n, struct pool *const *old, size_t olds)
{
	struct kinship all;

	kinship_init(&all, old, olds);
	for (size_t i = 0; i < n; i++)
		pool_take_known(fresh[i], &all);
	for (size_t i = 0; i < n; i++)
		pool_take_renamed(fresh[i], &all);
	for (size_t i = 0; i < n; i++)
		pool_list(fresh[i]);
	kinship_fini(&all);
}

/* ---- left behind ---- */

static int
pointer_compare(const void *one, const void *two)
{
	const struct gateway *const *a = one, *const *b = two;

	return (*a > *b) - (*a < *b);
}

/* All of them, sorted; *n are there. */
static const struct gateway **
gateways_of(struct pool *const *pools, size_t n, size_t *gateways)
{
	const struct gateway **all;
	size_t most = 0;

	for (size_t i = 0; i < n; i++)
		most += pools[i]->gateways;
	all = mem_zalloc((most + 1) * sizeof(struct gateway *));
	*gateways = 0;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < pools[i]->gateways; k++)
			all[(*gateways)++] = pools[i]->gateway[k];
	qsort(all, *gateways, sizeof *all, pointer_compare);
	return all;
}

/* As the pool says now, or said last. */
static uint64_t
drain_deadline_of(const struct pool *p, struct pool *const *fresh, size_t n)
{
	uint64_t drain_ms = p->conf->drain_deadline_ms;

	for (size_t i = 0; i < n; i++)
		if (strcmp(fresh[i]->name, p->name) == 0)
			drain_ms = fresh[i]->conf->drain_deadline_ms;
	return drain_ms != 0 ? clock_coarse_ms() + drain_ms : 0;
}

void
pool_leave_behind(struct pool *const *old, size_t olds, struct pool *const *fresh, size_t n)
{
	size_t kept;
	const struct gateway **keeps = gateways_of(fresh, n, &kept);

	for (size_t i = 0; i < olds; i++) {
		uint64_t deadline_ms = drain_deadline_of(old[i], fresh, n);

		for (unsigned k = 0; k < old[i]->gateways; k++)
			if (bsearch(&old[i]->gateway[k], keeps, kept, sizeof *keeps, pointer_compare) == NULL)
				gateway_remove(old[i]->gateway[k], deadline_ms);
	}
	free(keeps);
}
