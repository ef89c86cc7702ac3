/* SPDX-License-Identifier: BSD-2-Clause */
/* Each gateway on the scales. */
#include "run/rebalance.h"

#include <stdlib.h>

#include "base/mem.h"

/* What is above its share by no more than that is even enough. */
#define TOLERANCE 1 / 20

struct seat {
	struct gateway *gateway;	/* referenced */
	size_t above, below;		/* its share, by so many sessions; one of them is 0 */
	bool overfull;
};

struct rebalance {
	struct seat *seat;
	unsigned seats;
	unsigned rounds;		/* that may still come */
	size_t sessions;		/* of all at the beginning: who was closed and is not back yet counts too */
	size_t above;			/* of all seats when they were weighed last */
};

/* What all together hold, and weigh. */
struct scales {
	uint64_t sessions, weight;
};

static bool
is_weighed(const struct gateway *g)
{
	return gateway_takes_newcomers(g) && !gateway_is_backup(g);
}

static struct scales
pool_scales(const struct pool *p)
{
	struct scales all = { 0, 0 };

	for (unsigned i = 0; i < p->gateways; i++)
		if (is_weighed(p->gateway[i])) {
			all.sessions += gateway_sessions(p->gateway[i]);
			all.weight += gateway_weight(p->gateway[i]);
		}
	return all;
}

static void
seat_weigh(struct seat *s, const struct scales *all)
{
	const struct gateway *g = s->gateway;
	uint64_t has = gateway_sessions(g), most = gateway_max_sessions(g), share;

	if (!is_weighed(g))
		return;
	share = (all->sessions * gateway_weight(g) + all->weight - 1) / all->weight;
	if (most != 0 && share > most)
		share = most;
	s->overfull = most != 0 && has > most;
	if (has > share + share * TOLERANCE)
		s->above = (size_t)(has - share);
	else if (has < share)
		s->below = (size_t)(share - has);
}

static void
rebalance_drop_seats(struct rebalance *r)
{
	for (unsigned i = 0; i < r->seats; i++)
		gateway_unref(r->seat[i].gateway);
	free(r->seat);
}

static void
rebalance_weigh(struct rebalance *r, const struct pool *p)
{
	struct scales all = pool_scales(p);

	if (all.sessions < r->sessions)
		all.sessions = r->sessions;
	r->sessions = (size_t)all.sessions;
	rebalance_drop_seats(r);
	r->seat = mem_zalloc((p->gateways + 1) * sizeof *r->seat);
	r->seats = p->gateways;
	r->above = 0;
	for (unsigned i = 0; i < r->seats; i++) {
		r->seat[i].gateway = gateway_ref(p->gateway[i]);
		seat_weigh(&r->seat[i], &all);
		r->above += r->seat[i].above;
	}
}

struct rebalance *
rebalance_new(const struct pool *p)
{
	struct rebalance *r = mem_zalloc(sizeof *r);

	r->rounds = REBALANCE_ROUNDS - 1;
	rebalance_weigh(r, p);
	return r;
}

void
rebalance_free(struct rebalance *r)
{
	if (r == NULL)
		return;
	rebalance_drop_seats(r);
	free(r);
}

static struct seat *
rebalance_from(const struct rebalance *r)
{
	struct seat *most = NULL;

	for (struct seat *s = r->seat; s < r->seat + r->seats; s++)
		if (s->above != 0 && (most == NULL || s->above > most->above))
			most = s;
	return most;
}

static struct seat *
rebalance_to(const struct rebalance *r)
{
	struct seat *most = NULL;

	for (struct seat *s = r->seat; s < r->seat + r->seats; s++)
		if (s->below != 0 && gateway_takes_newcomers(s->gateway) && (most == NULL || s->below > most->below))
			most = s;
	return most;
}

bool
rebalance_next(const struct rebalance *r, struct rebalance_step *step)
{
	const struct seat *from = rebalance_from(r), *to = rebalance_to(r);

	if (from == NULL || to == NULL)
		return false;
	*step = (struct rebalance_step){
		.from = from->gateway, .to = to->gateway, .overfull = from->overfull,
		.most = from->above < to->below ? from->above : to->below,
	};
	return true;
}

void
rebalance_note(struct rebalance *r, const struct rebalance_step *step, size_t n)
{
	must(n <= step->most);
	for (struct seat *s = r->seat; s < r->seat + r->seats; s++) {
		if (s->gateway == step->from)
			s->above -= n;
		else if (s->gateway == step->to)
			s->below -= n;
	}
}

bool
rebalance_again(struct rebalance *r, const struct pool *p)
{
	size_t before = r->above;

	if (r->rounds == 0)
		return false;
	r->rounds--;
	rebalance_weigh(r, p);
	return rebalance_left(r) != 0 && r->above < before;
}

size_t
rebalance_left(const struct rebalance *r)
{
	size_t above = 0, below = 0;

	for (const struct seat *s = r->seat; s < r->seat + r->seats; s++) {
		above += s->above;
		below += s->below;
	}
	return above < below ? above : below;
}
