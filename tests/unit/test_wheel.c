/* SPDX-License-Identifier: BSD-2-Clause */
/* The wheel beside a naive list of timers: what is due fires, once, never early and at most a slot late. */
#include "base/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS  64
#define TURN_MS ((uint64_t)WHEEL_SLOT_MS * WHEEL_SLOTS)

struct alarm {
	struct timer timer;
	uint64_t due_ms; /* 0: not set */
	unsigned fired;
	uint64_t fired_ms;
	uint64_t again_ms; /* where not 0: set anew to this when it fires */
};

static struct wheel wheel;

static void
on_alarm(struct timer *t, uint64_t now_ms)
{
	struct alarm *a = CONTAINER(t, struct alarm, timer);

	assert_int_equal(t->due_ms, 0);
	a->fired++;
	a->fired_ms = now_ms;
	a->due_ms = 0;
	if (a->again_ms != 0) {
		timer_set(&wheel, t, a->again_ms);
		a->due_ms = a->again_ms;
		a->again_ms = 0;
	}
}

static void
alarm_set(struct alarm *a, uint64_t due_ms)
{
	timer_set(&wheel, &a->timer, due_ms);
	a->due_ms = due_ms;
}

static void
fires_never_early_and_hardly_late(void **state)
{
	static const uint64_t starts[] = { 0, 5, 16, 1000000007, (uint64_t)1 << 44 };
	static const uint64_t afters[] = { 1, 15, 16, 17, 1000, TURN_MS - 1, TURN_MS, TURN_MS + 1, 3600000 };

	(void)state;
	for (unsigned s = 0; s < COUNT(starts); s++) {
		for (unsigned i = 0; i < COUNT(afters); i++) {
			struct alarm a = { 0 };
			uint64_t due = starts[s] + afters[i];

			wheel_init(&wheel, starts[s]);
			timer_init(&a.timer, on_alarm);
			assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
			alarm_set(&a, due);
			wheel_advance(&wheel, due - 1);
			assert_int_equal(a.fired, 0);
			wheel_advance(&wheel, due + WHEEL_SLOT_MS);
			assert_int_equal(a.fired, 1);
			wheel_advance(&wheel, due + 3 * TURN_MS);
			assert_int_equal(a.fired, 1);
			assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
		}
	}
}

static void
what_is_due_already_fires_with_the_next_slot(void **state)
{
	struct alarm a = { 0 };

	(void)state;
	wheel_init(&wheel, 100000);
	timer_init(&a.timer, on_alarm);
	alarm_set(&a, 1);
	wheel_advance(&wheel, 100000 + WHEEL_SLOT_MS);
	assert_int_equal(a.fired, 1);
	alarm_set(&a, 0);
	assert_int_not_equal(a.timer.due_ms, 0);
	wheel_advance(&wheel, 100000 + 2 * WHEEL_SLOT_MS);
	assert_int_equal(a.fired, 2);
}

/* Also when it is set so by a timer that fires: not a whole turn later. */
static void
set_while_firing(void **state)
{
	static const int64_t from_now[] = { -100000, -1000, -17, -16, -1, 0, 1, 16, 100 };

	(void)state;
	for (unsigned i = 0; i < COUNT(from_now); i++) {
		struct alarm a = { 0 };
		uint64_t now = 1000000, again = (uint64_t)((int64_t)now + 160 + from_now[i]);

		wheel_init(&wheel, now);
		timer_init(&a.timer, on_alarm);
		alarm_set(&a, now + 100);
		a.again_ms = again;
		now += 160;
		wheel_advance(&wheel, now);
		while (a.fired == 1 && now < 1000160 + 200)
			wheel_advance(&wheel, ++now);
		assert_int_equal(a.fired, 2);
		assert_true(a.fired_ms >= again &&
		    (a.fired_ms < again + WHEEL_SLOT_MS || a.fired_ms <= 1000160 + WHEEL_SLOT_MS));
	}
}

static void
set_by_moves_only_forward(void **state)
{
	struct alarm a = { 0 };

	(void)state;
	wheel_init(&wheel, 0);
	timer_init(&a.timer, on_alarm);
	timer_cancel(&a.timer); /* not set is fine */
	timer_set_by(&wheel, &a.timer, 5000);
	assert_int_equal(a.timer.due_ms, 5000);
	timer_set_by(&wheel, &a.timer, 6000);
	assert_int_equal(a.timer.due_ms, 5000);
	timer_set_by(&wheel, &a.timer, 4000);
	assert_int_equal(a.timer.due_ms, 4000);
	timer_set(&wheel, &a.timer, 9000);
	assert_int_equal(a.timer.due_ms, 9000);
	timer_cancel(&a.timer);
	timer_cancel(&a.timer);
	wheel_advance(&wheel, 20000);
	assert_int_equal(a.fired, 0);
}

/* What fires takes its neighbours of the same slot off, and itself. */
static struct alarm *victims[2];

static void
on_murder(struct timer *t, uint64_t now_ms)
{
	on_alarm(t, now_ms);
	for (unsigned i = 0; i < COUNT(victims); i++)
		timer_cancel(&victims[i]->timer);
	timer_cancel(t);
}

static void
cancelled_while_firing(void **state)
{
	struct alarm a[3] = { 0 };

	(void)state;
	wheel_init(&wheel, 0);
	for (unsigned i = 0; i < COUNT(a); i++) {
		timer_init(&a[i].timer, i == 1 ? on_murder : on_alarm);
		alarm_set(&a[i], 160);
	}
	victims[0] = &a[0];
	victims[1] = &a[2];
	wheel_advance(&wheel, 1000);
	assert_int_equal(a[0].fired, 1);
	assert_int_equal(a[1].fired, 1);
	assert_int_equal(a[2].fired, 0);
	assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
}

static uint64_t
draw(uint64_t n)
{
	static uint64_t x = 0x9e3779b97f4a7c15u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % n;
}

/* The naive model: due, and looked at with every step. */
static void
model_check(struct alarm *a, const unsigned *before, uint64_t was_due[TIMERS], uint64_t now_ms)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		unsigned fired = a[i].fired - before[i];

		assert_true(fired <= 1);
		if (fired == 1)
			assert_true(was_due[i] != 0 && was_due[i] <= now_ms);
		/* what is still set is not overdue by more than a slot */
		if (a[i].due_ms != 0 && fired == 0)
			assert_true(a[i].due_ms + WHEEL_SLOT_MS > now_ms);
	}
}

static void
like_a_naive_model(void **state)
{
	static const uint64_t spans[] = { 20, 500, TURN_MS + 100, 5 * TURN_MS };
	struct alarm a[TIMERS] = { 0 };
	uint64_t now = 123456789;

	(void)state;
	wheel_init(&wheel, now);
	for (unsigned i = 0; i < TIMERS; i++)
		timer_init(&a[i].timer, on_alarm);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned before[TIMERS];
		uint64_t was_due[TIMERS], next;

		for (unsigned k = (unsigned)draw(8); k-- != 0;) {
			struct alarm *one = &a[draw(TIMERS)];

			if (draw(4) == 0) {
				timer_cancel(&one->timer);
				one->due_ms = 0;
			} else {
				alarm_set(one, now + 1 + draw(spans[draw(COUNT(spans))]));
			}
		}
		for (unsigned i = 0; i < TIMERS; i++) {
			before[i] = a[i].fired;
			was_due[i] = a[i].due_ms;
		}
		/* nobody who sleeps until then sleeps over a timer */
		next = wheel_next_ms(&wheel);
		for (unsigned i = 0; i < TIMERS; i++)
			assert_true(was_due[i] == 0 || next < was_due[i] + WHEEL_SLOT_MS);
		now += draw(spans[draw(COUNT(spans))]);
		wheel_advance(&wheel, now);
		model_check(a, before, was_due, now);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_never_early_and_hardly_late),
		cmocka_unit_test(what_is_due_already_fires_with_the_next_slot),
		cmocka_unit_test(set_while_firing),
		cmocka_unit_test(set_by_moves_only_forward),
		cmocka_unit_test(cancelled_while_firing),
		cmocka_unit_test(like_a_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
