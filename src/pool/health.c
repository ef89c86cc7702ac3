/* SPDX-License-Identifier: BSD-2-Clause */
/* When to look at which gateway, and what follows from what is seen. How to look is probe.c's; what a gateway's state
 * follows from, gateway.c's. */
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

/* How finely deadlines, ejections and slow starts go by, while there are any. */
#define TICK_MS 100

#define REASON_TEXT (GATEWAY_WHY_TEXT - 32)

/* One gateway under watch. */
struct watch {
	struct health *health;
	struct gateway *gateway;	/* referenced */
	const struct pool *pool;
	const struct conf_pool *conf;	/* the pool's */
	unsigned index;			/* in the pool */
	struct probe probe;
	struct event timer;		/* to the next look */
	struct list waiting;		/* for its turn among PROBES_AT_ONCE */
	uint64_t due_ms;		/* when the next look is to be */
	unsigned row;			/* results in a row that speak against its verdict */
	bool checks;			/* it is looked at; else probe and timer are not there */
	bool seen;			/* a first look is over */
	bool judged;			/* and said something */
	bool kept;			/* by health_update() */
};

struct health {
	uint32_t magic;
	struct event_base *base;
	struct watch **watch;		/* sorted by their gateways' addresses in memory */
	size_t watches;
	size_t unseen;
	void (*first_round)(void *arg);	/* NULL: it is over */
	void *arg;
	void (*changed)(void *arg);
	void *changed_arg;
	unsigned probing;
	struct list waiting;
	struct event tick;
	uint64_t void_said_ms;		/* 0: never */
};

/* Only memory can fail, and that as the timers' heap grows, at boot. */
static void
set_timer(struct event *timer, uint64_t ms)
{
	struct timeval after = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

	must(event_add(timer, &after) == 0);
}

/* ---- looking ---- */

static bool
watch_is_idle(const struct watch *w)
{
	return w->checks && w->probe.state == PROBE_IDLE && list_is_empty(&w->waiting);
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
	set_timer(&w->timer, w->due_ms - now_ms);
}

static void
watch_judge(struct watch *w, bool well, const char *why, unsigned needed)
{
	char text[GATEWAY_WHY_TEXT];

	if (w->judged)
		snprintf(text, sizeof text, "%s (%u of %u)", why, w->row, needed);
	else
		snprintf(text, sizeof text, "%s (first check)", why);
	gateway_judge(w->gateway, well, text);
	w->row = 0;
}

/* The first result is a verdict, whatever it says. */
static void
watch_count(struct watch *w, bool good, const char *why)
{
	unsigned needed = good ? w->conf->check_rise : w->conf->check_fall;

	if (w->judged && gateway_is_well(w->gateway) == good)
		w->row = 0;
	else if (++w->row >= needed || !w->judged)
		watch_judge(w, good, why, needed);
	else
		log_debug("pool %s: gateway %s: %s (%u of %u)", w->conf->name, gateway_name(w->gateway), why, w->row,
		    needed);
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
	log_warn("pool %s: gateway %s: cannot be checked, its state stays: %s", w->conf->name,
	    gateway_name(w->gateway), why);
}

static void
health_note_seen(struct health *h)
{
	void (*first_round)(void *) = h->first_round;

	if (h->unseen != 0 || first_round == NULL)
		return;
	h->first_round = NULL;
	first_round(h->arg);
}

static void
watch_note_seen(struct watch *w)
{
	struct health *h = w->health;

	if (w->seen)
		return;
	w->seen = true;
	h->unseen--;
	health_note_seen(h);
}

/* Its answer asks for a drain, or does so no more. While it gives no good answer, the last one counts. */
static void
watch_hear_wish(struct watch *w, bool asks)
{
	uint64_t drain_ms = w->conf->drain_deadline_ms;

	if (asks)
		gateway_drain(w->gateway, drain_ms != 0 ? clock_coarse_ms() + drain_ms : 0, true);
	else if (gateway_asks_for_drain(w->gateway))
		gateway_ask_no_more(w->gateway);
}

/* Those that wait, as long as there is room. */
static void
health_next(struct health *h)
{
	while (h->probing < PROBES_AT_ONCE && !list_is_empty(&h->waiting)) {
		struct watch *w = LIST_ENTRY_OF(h->waiting.next, struct watch, waiting);

		list_remove(&w->waiting);
		watch_look(w);
	}
}

static void
on_probe_done(struct probe *p, enum probe_result result, const char *why)
{
	struct watch *w = CONTAINER(p, struct watch, probe);
	bool good = result == PROBE_GOOD;
	char what[REASON_TEXT];

	ALIVE(w->health, HEALTH_MAGIC);
	snprintf(what, sizeof what, "%s", why);
	w->health->probing--;
	if (result == PROBE_VOID) {
		watch_note_void(w, what);
	} else {
		gateway_note_check(w->gateway, good, p->took_us, what);
		watch_count(w, good, what);
		if (good)
			watch_hear_wish(w, p->asks_drain);
	}
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

/* ---- what workers report ---- */

/* One that is down already need not be set aside: it comes back when what took it down says so. */
static void
watch_eject(struct watch *w)
{
	uint64_t aside_ms = w->conf->eject_time_ms;
	char why[REASON_TEXT];

	if (!gateway_keeps_clients(w->gateway))
		return;
	if (!pool_can_spare(w->pool, w->gateway)) {
		log_info("pool %s: gateway %s: %u failures in a row, but nobody else of its pool is up",
		    w->conf->name, gateway_name(w->gateway), w->conf->eject_after);
		return;
	}
	snprintf(why, sizeof why, "%u failures in a row: set aside for %.1f s", w->conf->eject_after,
	    (double)aside_ms / 1000);
	gateway_eject(w->gateway, clock_coarse_ms() + aside_ms, why);
}

static void
watch_count_failed(struct watch *w, unsigned batches)
{
	char why[REASON_TEXT];

	snprintf(why, sizeof why, "%u connects in a row failed", batches * GATEWAY_CONNECTS_ARE_A_CHECK);
	for (; batches != 0; batches--)
		watch_count(w, false, why);
	if (watch_is_idle(w))
		watch_look(w);
}

void
health_look(struct health *h)
{
	ALIVE(h, HEALTH_MAGIC);
	for (size_t i = 0; i < h->watches; i++) {
		struct watch *w = h->watch[i];
		struct gateway_trouble trouble = gateway_take_trouble(w->gateway);

		if (trouble.failed_checks != 0 && w->checks)
			watch_count_failed(w, trouble.failed_checks);
		if (trouble.eject)
			watch_eject(w);
	}
}

/* ---- time goes by ---- */

/* Whoever was set aside while another was up is better than nobody. */
static void
watch_pardon_last(struct watch *w)
{
	if (gateway_is_ejected(w->gateway) && !pool_can_spare(w->pool, w->gateway))
		gateway_pardon(w->gateway, "nobody else of its pool is up");
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct health *h = arg;
	uint64_t now_ms = clock_coarse_ms();
	bool more = false;

	(void)fd;
	(void)what;
	ALIVE(h, HEALTH_MAGIC);
	for (size_t i = 0; i < h->watches; i++) {
		watch_pardon_last(h->watch[i]);
		more = gateway_tick(h->watch[i]->gateway, now_ms) || more;
	}
	if (more)
		set_timer(&h->tick, TICK_MS);
}

static void
on_gateway_changed(struct gateway *g, bool state, void *arg)
{
	struct health *h = arg;

	(void)g;
	ALIVE(h, HEALTH_MAGIC);
	if (!event_pending(&h->tick, EV_TIMEOUT, NULL))
		set_timer(&h->tick, TICK_MS);
	if (state && h->changed != NULL)
		h->changed(h->changed_arg);
}

void
health_on_change(struct health *h, void (*fn)(void *arg), void *arg)
{
	h->changed = fn;
	h->changed_arg = arg;
}

/* ---- who is watched ---- */

/* Ends a look under way, telling nobody. */
static void
watch_stop(struct watch *w)
{
	if (!w->checks)
		return;
	if (w->probe.state != PROBE_IDLE)
		w->health->probing--;
	list_remove(&w->waiting);
	event_del(&w->timer);
	probe_fini(&w->probe);
	w->checks = false;
}

/* Ready to look as its pool says; the timer is the caller's to set. */
static void
watch_begin(struct watch *w)
{
	if (w->conf->check == CONF_CHECK_NONE)
		return;
	w->checks = true;
	probe_init(&w->probe, w->health->base, w->pool, w->index, on_probe_done);
	event_assign(&w->timer, w->health->base, -1, 0, on_look, w);
}

/* The looks of one interval, one after another. */
static uint64_t
watch_place_in_interval_ms(const struct watch *w)
{
	return w->conf->check_interval_ms * (w->index + 1) / w->pool->gateways;
}

static void
watch_set_pool(struct watch *w, const struct pool *p, unsigned index)
{
	w->pool = p;
	w->conf = p->conf;
	w->index = index;
}

/* The first look is at once; from the second on, those of one interval come one after another. */
static void
watch_look_first(struct watch *w)
{
	w->due_ms = clock_coarse_ms() - w->conf->check_interval_ms + watch_place_in_interval_ms(w);
	set_timer(&w->timer, 0);
}

static struct watch *
watch_new(struct health *h, const struct pool *p, unsigned index)
{
	struct watch *w = mem_zalloc(sizeof *w);

	w->health = h;
	w->gateway = gateway_ref(p->gateway[index]);
	watch_set_pool(w, p, index);
	list_init(&w->waiting);
	watch_begin(w);
	if (w->checks)
		watch_look_first(w);
	w->seen = !w->checks;
	h->unseen += w->checks;
	gateway_on_change(w->gateway, on_gateway_changed, h);
	return w;
}

static void
watch_free(struct watch *w)
{
	if (!w->seen)
		w->health->unseen--;
	watch_stop(w);
	gateway_on_change(w->gateway, NULL, NULL);
	gateway_unref(w->gateway);
	free(w);
}

/* Nobody looks any more: what looking had found is void. */
static void
watch_forget(struct watch *w)
{
	if (!w->seen)
		w->health->unseen--;
	w->seen = true;
	w->judged = false;
	w->row = 0;
	gateway_judge(w->gateway, true, "not checked");
	if (gateway_asks_for_drain(w->gateway))
		gateway_ask_no_more(w->gateway);
}

/* In an interval of another length it has another place. */
static void
watch_look_on(struct watch *w, uint64_t old_interval_ms)
{
	if (w->conf->check_interval_ms != old_interval_ms)
		w->due_ms = clock_coarse_ms() + watch_place_in_interval_ms(w);
	watch_look_later(w);
}

/* A look under way was of the old way to look: it begins anew. */
static void
watch_renew(struct watch *w, const struct pool *p, unsigned index)
{
	uint64_t old_interval_ms = w->conf->check_interval_ms;
	bool looked = w->checks, is_due = !w->seen || !watch_is_idle(w);

	watch_stop(w);
	watch_set_pool(w, p, index);
	w->kept = true;
	watch_begin(w);
	if (w->checks && (!looked || is_due))
		watch_look_first(w);
	else if (w->checks)
		watch_look_on(w, old_interval_ms);
	else if (looked)
		watch_forget(w);
}

static int
watch_compare(const void *one, const void *two)
{
	const struct watch *const *a = one, *const *b = two;

	return ((*a)->gateway > (*b)->gateway) - ((*a)->gateway < (*b)->gateway);
}

static struct watch *
health_find(const struct health *h, struct gateway *g)
{
	const struct watch key = { .gateway = g }, *at = &key;
	struct watch **found =
	    h->watches != 0 ? bsearch(&at, h->watch, h->watches, sizeof *h->watch, watch_compare) : NULL;

	return found != NULL ? *found : NULL;
}

static void
health_drop_rest(struct health *h)
{
	for (size_t i = 0; i < h->watches; i++)
		if (!h->watch[i]->kept)
			watch_free(h->watch[i]);
	free(h->watch);
}

void
health_update(struct health *h, struct pool *const *pools, size_t n)
{
	struct watch **now;
	size_t most = 0, watches = 0;

	ALIVE(h, HEALTH_MAGIC);
	for (size_t i = 0; i < n; i++)
		most += pools[i]->gateways;
	now = mem_zalloc((most + 1) * sizeof(struct watch *));
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < pools[i]->gateways; k++) {
			struct watch *w = health_find(h, pools[i]->gateway[k]);

			if (w != NULL)
				watch_renew(w, pools[i], k);
			now[watches++] = w != NULL ? w : watch_new(h, pools[i], k);
		}
	health_drop_rest(h);
	h->watch = now;
	h->watches = watches;
	for (size_t i = 0; i < watches; i++)
		now[i]->kept = false;
	qsort(now, watches, sizeof *now, watch_compare);
	health_next(h);
	health_note_seen(h);
}

struct health *
health_new(struct event_base *base, struct pool *const *pools, size_t n, void (*first_round)(void *arg), void *arg)
{
	struct health *h = mem_zalloc(sizeof *h);

	h->magic = HEALTH_MAGIC;
	h->base = base;
	h->first_round = first_round;
	h->arg = arg;
	list_init(&h->waiting);
	event_assign(&h->tick, base, -1, 0, on_tick, h);
	health_update(h, pools, n);
	return h;
}

void
health_free(struct health *h)
{
	if (h == NULL)
		return;
	ALIVE(h, HEALTH_MAGIC);
	health_drop_rest(h);
	event_del(&h->tick);
	h->magic = 0;
	free(h);
}
