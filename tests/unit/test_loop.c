/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn of the loop: events, those who go on, timers, and at last what is to be freed. */
#include "net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

static char happened[32];
static size_t happened_n;

static void
note(char c)
{
	assert_true(happened_n < sizeof happened - 1);
	happened[happened_n++] = c;
	happened[happened_n] = '\0';
}

static int
setup(void **state)
{
	happened_n = 0;
	happened[0] = '\0';
	*state = loop_new();
	return *state == NULL;
}

static int
teardown(void **state)
{
	loop_free(*state);
	return 0;
}

struct thing {
	struct watch watch;
	struct timer timer;
	struct reap reap;
	struct loop *loop;
	unsigned again; /* so many times more */
	struct thing *reaps;
};

static void
on_watch(struct watch *w, uint32_t events)
{
	struct thing *t = CONTAINER(w, struct thing, watch);

	note(events != 0 ? 'e' : 'a');
	if (t->again != 0) {
		t->again--;
		loop_again(t->loop, w);
		loop_again(t->loop, w); /* once is enough */
	}
}

static void
on_timer(struct timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	note('t');
}

static void
on_reap(struct reap *r)
{
	struct thing *t = CONTAINER(r, struct thing, reap);

	note('r');
	if (t->reaps != NULL)
		loop_reap(t->loop, &t->reaps->reap, on_reap);
}

static void
in_this_order(void **state)
{
	struct thing t = { .loop = *state, .again = 2 }, second = { .loop = *state };
	int fd[2];

	wire_pair(fd);
	t.reaps = &second;
	watch_init(&t.watch, on_watch);
	timer_init(&t.timer, on_timer);
	assert_true(loop_watch(*state, &t.watch, fd[0], EPOLLIN | EPOLLET));
	loop_reap(*state, &t.reap, on_reap);
	loop_timer_by(*state, &t.timer, 1); /* overdue */
	wire_say(fd[1], "x");
	loop_turn(*state);
	/* who asks to go on while others do, waits for the next turn; what is reaped while reaping is reaped too */
	if (strchr(happened, 't') == NULL)
		assert_string_equal(happened, "earr");
	else
		assert_string_equal(happened, "eatrr");
	WIRE_UNTIL(*state, strchr(happened, 't') != NULL);
	loop_unwatch(*state, &t.watch, fd[0]);
	close(fd[0]);
	close(fd[1]);
}

/* A loop where somebody wants to go on does not wait. */
static void
going_on_does_not_wait(void **state)
{
	struct thing t = { .loop = *state, .again = 5 };

	watch_init(&t.watch, on_watch);
	loop_again(*state, &t.watch);
	for (unsigned i = 0; i < 6; i++)
		loop_turn(*state);
	assert_string_equal(happened, "aaaaaa");
}

/* Nor does it sleep over a timer, which it alone can wake it. */
static void
wakes_for_a_timer(void **state)
{
	struct thing t = { .loop = *state };
	uint64_t due = clock_coarse_ms() + 30;

	timer_init(&t.timer, on_timer);
	loop_timer_by(*state, &t.timer, due);
	for (unsigned i = 0; i < 10 && happened_n == 0; i++)
		loop_turn(*state);
	assert_string_equal(happened, "t");
	assert_true(clock_exact_us() / 1000 >= due);
}

/* Unwatched, it is not called again, though it asked to go on. */
static void
unwatched(void **state)
{
	struct thing t = { .loop = *state };
	int fd[2];

	wire_pair(fd);
	watch_init(&t.watch, on_watch);
	assert_true(loop_watch(*state, &t.watch, fd[0], EPOLLIN));
	assert_false(loop_watch(*state, &t.watch, fd[0], EPOLLIN));
	wire_say(fd[1], "x");
	loop_again(*state, &t.watch);
	loop_unwatch(*state, &t.watch, fd[0]);
	wire_turns(*state, 3);
	assert_string_equal(happened, "");
	close(fd[0]);
	close(fd[1]);
}

static uint64_t
turns(const struct loop_lag *lag)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < LOOP_LAG_BUCKETS; i++)
		all += counter_read(&lag->bucket[i]);
	return all;
}

static void
on_slow(struct watch *w, uint32_t events)
{
	uint64_t end_us = clock_exact_us() + 21000;

	(void)w;
	(void)events;
	while (clock_exact_us() < end_us)
		;
}

/* A turn's length is what it did, not what it waited. */
static void
tells_its_lag(void **state)
{
	struct loop_lag *lag = loop_lag(*state);
	struct thing t = { .loop = *state };
	uint64_t late = 0, max;
	struct watch slow;

	timer_init(&t.timer, on_timer);
	loop_timer_by(*state, &t.timer, clock_coarse_ms() + 30);
	while (happened_n == 0)
		loop_turn(*state);
	assert_int_not_equal(turns(lag), 0);
	assert_true(counter_read(&lag->sum_us) < 30000);
	wire_turns(*state, 5);
	late = turns(lag);
	watch_init(&slow, on_slow);
	loop_again(*state, &slow);
	loop_turn(*state);
	assert_int_equal(turns(lag), late + 1);
	for (unsigned i = late = 0; i < LOOP_LAG_BUCKETS; i++)
		if (loop_lag_bound_us[i] > 20000)
			late += counter_read(&lag->bucket[i]);
	assert_int_not_equal(late, 0);
	max = atomic_load(&lag->max_us);
	assert_true(max >= 21000);
	assert_int_equal(loop_lag_take_peak(lag), max);
	assert_true(loop_lag_take_peak(lag) < max);
	wire_turn(*state);
	assert_true(atomic_load(&lag->max_us) >= max);
}

static void
frees_what_waits(void **state)
{
	struct thing t = { .loop = loop_new() };

	(void)state;
	loop_reap(t.loop, &t.reap, on_reap);
	loop_free(t.loop);
	assert_string_equal(happened, "r");
	loop_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_this_order, setup, teardown),
		cmocka_unit_test_setup_teardown(going_on_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(wakes_for_a_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(unwatched, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_its_lag, setup, teardown),
		cmocka_unit_test_setup_teardown(frees_what_waits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
