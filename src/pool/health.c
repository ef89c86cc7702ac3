/* SPDX-License-Identifier: BSD-2-Clause */
/* When to look at which gateway, and what follows from what is seen. How to look is probe.c's. */
#include "pool/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "pool/probe.h"

#define HEALTH_MAGIC 0x4ea17400

/* A thousand gateways at start are a thousand connects in one moment: these take turns. */
#define PROBES_AT_ONCE 64

/* Why a gateway can't be looked at is the same for all of them: it is said this often. */
#define VOID_SAID_EVERY_MS 10000

#define REASON_TEXT 256

/* One gateway under watch. */
struct watch {
	struct health *health;
	struct gateway *gateway;	/* referenced */
	const struct conf_pool *conf;
	struct probe probe;
	struct event timer;		/* to the next look */
	struct list waiting;		/* for its turn among PROBES_AT_ONCE */
	uint64_t due_ms;		/* when the next look is to be */
	unsigned row;			/* results in a row that speak against its state */
	bool seen;			/* a first look is over */
	bool judged;			/* and said something */
};

struct health {
	uint32_t magic;
	struct event_base *base;
	struct watch *watch;
	size_t watches;
	size_t unseen;
	void (*first_round)(void *arg);
	void *arg;
	unsigned probing;
	struct list waiting;
	uint64_t void_said_ms;		/* 0: never */
};

/* Only memory can fail, and that as the timers' heap grows, at boot. */
static void
watch_set_timer(struct watch *w, uint64_t ms)
{
	struct timeval after = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

	must(event_add(&w->timer, &after) == 0);
}

static bool
watch_is_idle(const struct watch *w)
{
	return w->probe.state == PROBE_IDLE && list_is_empty(&w->waiting);
}

static void
watch_look(struct watch *w)
{
	struct health *h = w->health;

	event_del(&w->timer);
	if (h->probing == PROBES_AT_ONCE) {
		list_add_tail(&h->waiting, &w->waiting);
		return;
	}
	h->probing++;
	probe_start(&w->probe);
}

/* The next one is due already when checks take longer than their interval. */
static void
watch_look_later(struct watch *w)
{
	uint64_t now_ms = clock_coarse_ms();

	if (w->due_ms < now_ms)
		w->due_ms = now_ms;
	watch_set_timer(w, w->due_ms - now_ms);
}

static void
watch_set_state(struct watch *w, enum gateway_state state, const char *why, unsigned needed)
{
	char text[REASON_TEXT];

	if (w->judged)
		snprintf(text, sizeof text, "%s (%u of %u)", why, w->row, needed);
	else
		snprintf(text, sizeof text, "%s (first check)", why);
	gateway_set_state(w->gateway, state, text);
	w->row = 0;
}

static void
watch_count(struct watch *w, bool good, const char *why)
{
	enum gateway_state state = good ? GATEWAY_UP : GATEWAY_DOWN;
	unsigned needed = good ? w->conf->check_rise : w->conf->check_fall;

	if (gateway_state(w->gateway) == state)
		w->row = 0;
	else if (++w->row >= needed || !w->judged)
		watch_set_state(w, state, why, needed);
	else
		log_debug("pool %s: gateway %s: %s (%u of %u)", w->conf->name, w->gateway->name, why, w->row, needed);
	w->judged = true;
}

static void
watch_note_void(struct watch *w, const char *why)
{
	struct health *h = w->health;
	uint64_t now_ms = clock_coarse_ms();

	if (h->void_said_ms != 0 && now_ms - h->void_said_ms < VOID_SAID_EVERY_MS)
		return;
	h->void_said_ms = now_ms;
	log_warn("pool %s: gateway %s: cannot be checked, its state stays: %s", w->conf->name, w->gateway->name, why);
}

static void
watch_note_seen(struct watch *w)
{
	struct health *h = w->health;

	if (w->seen)
		return;
	w->seen = true;
	if (--h->unseen == 0 && h->first_round != NULL)
		h->first_round(h->arg);
}

static void
health_next(struct health *h)
{
	struct watch *w;

	h->probing--;
	if (list_is_empty(&h->waiting))
		return;
	w = LIST_ENTRY_OF(h->waiting.next, struct watch, waiting);
	list_remove(&w->waiting);
	watch_look(w);
}

static void
on_probe_done(struct probe *p, enum probe_result result, const char *why)
{
	struct watch *w = CONTAINER(p, struct watch, probe);

	ALIVE(w->health, HEALTH_MAGIC);
	if (result == PROBE_VOID)
		watch_note_void(w, why);
	else
		watch_count(w, result == PROBE_GOOD, why);
	watch_look_later(w);
	health_next(w->health);
	watch_note_seen(w);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	ALIVE(w->health, HEALTH_MAGIC);
	w->due_ms += w->conf->check_interval_ms;	/* from when this one was due: gateways keep their distance */
	watch_look(w);
}

void
health_look(struct health *h)
{
	ALIVE(h, HEALTH_MAGIC);
	for (size_t i = 0; i < h->watches; i++) {
		struct watch *w = &h->watch[i];
		unsigned batches = gateway_take_failed_connects(w->gateway);
		char why[REASON_TEXT];

		if (batches == 0)
			continue;
		snprintf(why, sizeof why, "%u connects in a row failed", batches * GATEWAY_CONNECTS_ARE_A_CHECK);
		for (; batches != 0; batches--)
			watch_count(w, false, why);
		if (watch_is_idle(w))
			watch_look(w);
	}
}

/* The first look is at once; from the second on, those of one interval come one after another. */
static void
watch_init(struct watch *w, struct health *h, const struct pool *p, unsigned index)
{
	const struct conf_pool *cf = p->conf;

	w->health = h;
	w->gateway = gateway_ref(p->gateway[index]);
	w->conf = cf;
	w->due_ms = clock_coarse_ms() - cf->check_interval_ms + cf->check_interval_ms * (index + 1) / p->gateways;
	list_init(&w->waiting);
	probe_init(&w->probe, h->base, cf, &w->gateway->addr, cf->gateway[index].address, on_probe_done);
	event_assign(&w->timer, h->base, -1, 0, on_look, w);
	watch_set_timer(w, 0);
}

struct health *
health_new(struct event_base *base, struct pool *const *pools, size_t n, void (*first_round)(void *arg), void *arg)
{
	struct health *h = mem_zalloc(sizeof *h);
	size_t most = 0;

	h->magic = HEALTH_MAGIC;
	h->base = base;
	h->first_round = first_round;
	h->arg = arg;
	list_init(&h->waiting);
	for (size_t i = 0; i < n; i++)
		most += pools[i]->gateways;
	h->watch = mem_zalloc((most + 1) * sizeof *h->watch);
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; pools[i]->conf->check != CONF_CHECK_NONE && k < pools[i]->gateways; k++)
			watch_init(&h->watch[h->watches++], h, pools[i], k);
	h->unseen = h->watches;
	if (h->watches == 0 && first_round != NULL)
		first_round(arg);
	return h;
}

void
health_free(struct health *h)
{
	if (h == NULL)
		return;
	ALIVE(h, HEALTH_MAGIC);
	for (size_t i = 0; i < h->watches; i++) {
		struct watch *w = &h->watch[i];

		event_del(&w->timer);
		probe_fini(&w->probe);
		gateway_unref(w->gateway);
	}
	h->magic = 0;
	free(h->watch);
	free(h);
}
