/* SPDX-License-Identifier: BSD-2-Clause */
/* Hashed timing wheel (Varghese and Lauck's scheme 6), with a bitmap so that an empty stretch costs nothing. */
#include "base/wheel.h"

static unsigned
wheel_slot(uint64_t tick)
{
	return (unsigned)(tick % WHEEL_SLOTS);
}

/* The tick at whose end the time has surely come. */
static uint64_t
wheel_tick_of(uint64_t due_ms)
{
	return (due_ms + WHEEL_SLOT_MS - 1) / WHEEL_SLOT_MS;
}

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slot[i]);
	for (unsigned i = 0; i < COUNT(w->busy); i++)
		w->busy[i] = 0;
	w->tick = now_ms / WHEEL_SLOT_MS + 1;
}

void
timer_init(struct timer *t, timer_fn *fn)
{
	list_init(&t->link);
	t->due_ms = 0;
	t->fn = fn;
}

void
timer_set(struct wheel *w, struct timer *t, uint64_t due_ms)
{
	uint64_t tick = wheel_tick_of(due_ms);
	unsigned slot;

	if (tick < w->tick)
		tick = w->tick;		/* due already: with the next tick */
	slot = wheel_slot(tick);
	list_remove(&t->link);
	list_add_tail(&w->slot[slot], &t->link);
	w->busy[slot / 64] |= (uint64_t)1 << (slot % 64);
	t->due_ms = due_ms != 0 ? due_ms : 1;
}

void
timer_set_by(struct wheel *w, struct timer *t, uint64_t due_ms)
{
	if (t->due_ms == 0 || t->due_ms > due_ms)
		timer_set(w, t, due_ms);
}

void
timer_cancel(struct timer *t)
{
	list_remove(&t->link);
	t->due_ms = 0;
}

static void
wheel_fire(struct wheel *w, struct timer *t, struct list *later, unsigned slot, uint64_t now_ms)
{
	list_remove(&t->link);
	if (wheel_tick_of(t->due_ms) >= w->tick) {	/* of a later turn */
		list_add_tail(later, &t->link);
		w->busy[slot / 64] |= (uint64_t)1 << (slot % 64);
		return;
	}
	t->due_ms = 0;
	t->fn(t, now_ms);
}

/* The slot is emptied into a list of its own first: what fires may set and cancel timers of any slot, this one
 * too. */
static void
wheel_run_slot(struct wheel *w, unsigned slot, uint64_t now_ms)
{
	struct list due, *head = &w->slot[slot];

	w->busy[slot / 64] &= ~((uint64_t)1 << (slot % 64));
	if (list_is_empty(head))
		return;
	list_add_tail(head, &due);	/* takes the head's place in the ring */
	list_remove(head);
	while (!list_is_empty(&due))
		wheel_fire(w, LIST_ENTRY_OF(due.next, struct timer, link), head, slot, now_ms);
}

void
wheel_advance(struct wheel *w, uint64_t now_ms)
{
	uint64_t end = now_ms / WHEEL_SLOT_MS;

	if (end >= w->tick && end - w->tick >= WHEEL_SLOTS)	/* a whole turn was slept over: each slot once */
		w->tick = end - WHEEL_SLOTS + 1;
	while (w->tick <= end) {
		unsigned slot = wheel_slot(w->tick++);	/* what is due at once goes into the next one */

		if (w->busy[slot / 64] & (uint64_t)1 << (slot % 64))
			wheel_run_slot(w, slot, now_ms);
	}
}

uint64_t
wheel_next_ms(const struct wheel *w)
{
	for (unsigned ahead = 0; ahead < WHEEL_SLOTS;) {
		unsigned slot = wheel_slot(w->tick + ahead);
		uint64_t bits = w->busy[slot / 64] >> (slot % 64);

		if (bits != 0)
			return (w->tick + ahead + (unsigned)__builtin_ctzll(bits)) * WHEEL_SLOT_MS;
		ahead += 64 - slot % 64;
	}
	return UINT64_MAX;
}
