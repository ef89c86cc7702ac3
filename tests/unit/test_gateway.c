/* SPDX-License-Identifier: BSD-2-Clause */
/* One gateway: its tag, states and what is said of them, counts. */
#include "pool/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static enum log_level said_level;
static char said[LOG_LINE];
static unsigned said_times;

static void
keep_log(enum log_level level, struct slice text)
{
	said_level = level;
	said_times++;
	snprintf(said, sizeof said, "%.*s", SLICE_FMT(text));
}

static struct gateway *
gateway_with(const struct conf_pool *more, const char *pool, const char *name, const char *address)
{
	struct conf_gateway cf = {
		.name = (char *)(uintptr_t)name, .address = (char *)(uintptr_t)address, .weight = 3,
	};
	struct conf_pool in = *more;
	const char *why;
	struct gateway *g;

	in.name = (char *)(uintptr_t)pool;
	in.check = CONF_CHECK_TCP;
	g = gateway_new(&cf, &in, &why);

	assert_non_null(g);
	return g;
}

static struct gateway *
gateway_of(const char *pool, const char *name, const char *address)
{
	return gateway_with(&(struct conf_pool){ .eject_after = 0 }, pool, name, address);
}

static struct gateway *
gw1(void)
{
	return gateway_of("game", "gw1", "10.0.0.11:8000");
}

static void
test_new(void **state)
{
	struct conf_pool pool = { .name = (char[]){ "game" } };
	struct conf_gateway cf = { .name = (char[]){ "gw" }, .address = (char[]){ "10.0.0.1" }, .weight = 1 };
	struct gateway *g = gateway_of("game", "gw1", "10.0.0.11:8000");
	const char *why = NULL;
	char text[ADDR_TEXT];

	(void)state;
	assert_string_equal(gateway_name(g), "gw1");
	assert_string_equal(gateway_pool_name(g), "game");
	assert_string_equal(addr_text(gateway_address(g), text), "10.0.0.11:8000");
	assert_string_equal(gateway_why(g), "not checked yet");
	assert_false(gateway_check(g).known);
	assert_int_equal(gateway_weight(g), 3);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_true(gateway_takes_newcomers(g));
	assert_ptr_equal(gateway_ref(g), g);
	gateway_unref(g);
	gateway_unref(g);
	gateway_unref(NULL);

	assert_null(gateway_new(&cf, &pool, &why));
	assert_string_equal(why, "is not HOST:PORT");
}

/* Known answers: what clients hold must open after an upgrade too. */
static void
test_tag(void **state)
{
	static const struct {
		const char *pool, *name;
		uint64_t tag;
	} cases[] = {
		{ "game", "gw1", 0x06b7c6e703ed4c8a },
		{ "game", "gw2", 0xe4bb04c86e5f00e5 },
		{ "gam", "egw1", 0xbf76c513e47648cd },
		{ "login", "gw1", 0x800ac66583a6ef85 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gateway *g = gateway_of(cases[i].pool, cases[i].name, "127.0.0.1:1");
		struct gateway *moved = gateway_of(cases[i].pool, cases[i].name, "[::1]:2");

		assert_true(gateway_tag(g) == cases[i].tag);
		assert_true(gateway_tag(moved) == cases[i].tag);
		gateway_unref(g);
		gateway_unref(moved);
	}
}

static void
test_state(void **state)
{
	struct gateway *g = gw1();

	(void)state;
	said_times = 0;
	log_to(keep_log);
	assert_false(gateway_judge(g, true, "nothing new"));
	assert_int_equal(said_times, 0);
	assert_true(gateway_judge(g, false, "connect: Connection refused (3 of 3)"));
	assert_int_equal(said_level, LOG_LEVEL_WARN);
	assert_string_equal(said,
	    "pool game: gateway gw1 (10.0.0.11:8000) is down: connect: Connection refused (3 of 3)");
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_string_equal(gateway_why(g), "connect: Connection refused (3 of 3)");
	assert_false(gateway_takes_newcomers(g));
	assert_false(gateway_judge(g, false, "still"));
	assert_true(gateway_judge(g, true, "check passed (2 of 2)"));
	assert_int_equal(said_level, LOG_LEVEL_NOTICE);
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is up: check passed (2 of 2)");
	assert_int_equal(said_times, 2);
	assert_int_equal(gateway_went_up(g), 1);
	assert_int_equal(gateway_went_down(g), 1);
	log_to(NULL);
	gateway_unref(g);
}

/* What is said as one cause gives way to the next. */
static void
test_reasons(void **state)
{
	struct gateway *g = gw1();
	uint64_t now_ms = clock_coarse_ms();

	(void)state;
	log_to(keep_log);
	assert_true(gateway_drain(g, now_ms + 60000, false));
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is draining: an operator drains it");
	assert_true(gateway_keeps_clients(g));
	assert_false(gateway_takes_newcomers(g));
	assert_int_equal(gateway_deadline_ms(g), now_ms + 60000);
	assert_true(gateway_tick(g, now_ms + 59999));
	assert_int_equal(gateway_state(g), GATEWAY_DRAINING);
	assert_false(gateway_tick(g, now_ms + 60000));
	assert_int_equal(gateway_state(g), GATEWAY_LEAVING);
	assert_string_equal(gateway_why(g), "the deadline of the operator's drain has passed");
	assert_false(gateway_keeps_clients(g));

	assert_true(gateway_take_down(g));
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is down: an operator took it down");
	assert_int_equal(gateway_wish(g), GATEWAY_WISH_DOWN);
	assert_int_equal(gateway_deadline_ms(g), 0);		/* its sessions stay */
	assert_false(gateway_judge(g, false, "status 500 (3 of 3)"));
	assert_string_equal(gateway_why(g), "an operator took it down");
	assert_false(gateway_ready(g));				/* the checks have not changed their mind */
	assert_string_equal(gateway_why(g), "status 500 (3 of 3)");
	assert_true(gateway_judge(g, true, "status 200 (2 of 2)"));

	assert_true(gateway_drain(g, 0, true));
	assert_string_equal(gateway_why(g), "it asks for a drain");
	assert_false(gateway_drain(g, now_ms - 1, true));	/* the first time counted */
	assert_int_equal(gateway_deadline_ms(g), 0);
	assert_false(gateway_ready(g));				/* its own word is not the operator's */
	assert_true(gateway_ask_no_more(g));
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is up: it asks for no drain any more");

	assert_true(gateway_remove(g, now_ms + 5));
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is gone: the configuration names it no more");
	assert_int_equal(gateway_deadline_ms(g), now_ms + 5);
	log_to(NULL);
	gateway_unref(g);
}

static void
test_ejection(void **state)
{
	struct gateway *g = gw1();
	uint64_t now_ms = clock_coarse_ms();

	(void)state;
	assert_true(gateway_eject(g, now_ms + 30000, "5 failures in a row"));
	assert_true(gateway_is_ejected(g) && gateway_is_well(g));
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_string_equal(gateway_why(g), "5 failures in a row");
	assert_true(gateway_tick(g, now_ms + 29999));
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_false(gateway_tick(g, now_ms + 30000));
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_string_equal(gateway_why(g), "its time aside is over");

	/* it went down and came back meanwhile: that is another one */
	assert_true(gateway_eject(g, now_ms + 30000, "5 failures in a row"));
	assert_false(gateway_judge(g, false, "connect: Connection refused (3 of 3)"));
	assert_true(gateway_judge(g, true, "connected (2 of 2)"));
	assert_false(gateway_is_ejected(g));

	assert_true(gateway_eject(g, now_ms + 30000, "5 failures in a row"));
	assert_false(gateway_judge(g, true, "connected (first check)"));
	assert_true(gateway_pardon(g, "nobody else of its pool is up"));
	assert_string_equal(gateway_why(g), "nobody else of its pool is up");
	assert_true(gateway_eject(g, now_ms + 30000, "5 failures in a row"));
	assert_true(gateway_ready(g));
	gateway_unref(g);
}

/* What the causes say, in other words than gateway.c's. */
struct model {
	bool gone, ill, ejected, asks, asks_late, wish_late;
	enum gateway_wish wish;
};

static enum gateway_state
model_state(const struct model *m)
{
	if (m->gone)
		return GATEWAY_GONE;
	if (m->wish == GATEWAY_WISH_DOWN)
		return GATEWAY_DOWN;
	if ((m->wish == GATEWAY_WISH_DRAIN && m->wish_late) || (m->asks && m->asks_late))
		return GATEWAY_LEAVING;
	if (m->ill || m->ejected)
		return GATEWAY_DOWN;
	return m->wish == GATEWAY_WISH_DRAIN || m->asks ? GATEWAY_DRAINING : GATEWAY_UP;
}

static bool
model_drain(struct model *m, struct gateway *g, bool late, bool by_itself)
{
	if (by_itself) {
		m->asks_late = m->asks ? m->asks_late : late;
		m->asks = true;
	} else {
		m->wish = GATEWAY_WISH_DRAIN;
		m->wish_late = late;
	}
	return gateway_drain(g, late ? 1 : UINT64_MAX, by_itself);
}

static bool
model_judge(struct model *m, struct gateway *g, bool well)
{
	m->ejected = m->ejected && !(well && m->ill);
	m->ill = !well;
	return gateway_judge(g, well, "judged");
}

/* One cause, by a number. */
static bool
model_step(struct model *m, struct gateway *g, unsigned step)
{
	switch (step % 12) {
	case 0: case 1:
		return model_judge(m, g, step % 2);
	case 2: case 3: case 4: case 5:
		return model_drain(m, g, step & 1, step & 2);
	case 6:
		m->asks = false;
		return gateway_ask_no_more(g);
	case 7:
		m->wish = GATEWAY_WISH_DOWN;
		return gateway_take_down(g);
	case 8:
		m->wish = GATEWAY_WISH_NONE;
		m->ejected = false;
		return gateway_ready(g);
	case 9:
		m->ejected = true;
		return gateway_eject(g, UINT64_MAX, "ejected");
	case 10:
		m->ejected = false;
		return gateway_pardon(g, "pardoned");
	default:
		m->gone = m->gone || step % 60 == 11;
		return m->gone && gateway_remove(g, 0);
	}
}

/* Whatever happens in whatever order, the state is that of the first cause that holds, and each change is told once. */
static void
test_any_order(void **state)
{
	uint64_t random = 88172645463325252;

	(void)state;
	log_to(keep_log);
	for (unsigned round = 0; round < 300; round++) {
		struct gateway *g = gw1();
		struct model m = { .gone = false };
		uint64_t ups = 0, downs = 0;

		for (unsigned i = 0; i < 200; i++) {
			enum gateway_state before = gateway_state(g);
			bool changed;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			said_times = 0;
			changed = model_step(&m, g, (unsigned)(random >> 11));
			assert_int_equal(gateway_state(g), model_state(&m));
			assert_int_equal(changed, gateway_state(g) != before);
			assert_int_equal(said_times, changed);
			assert_true(gateway_why(g)[0] != '\0');
			ups += changed && gateway_state(g) == GATEWAY_UP;
			downs += changed && gateway_state(g) == GATEWAY_DOWN;
			(void)gateway_tick(g, clock_coarse_ms());
			assert_int_equal(gateway_state(g), model_state(&m));
		}
		assert_true(gateway_went_up(g) == ups && gateway_went_down(g) == downs);
		gateway_unref(g);
	}
	log_to(NULL);
}

/* Weight 3, in 10 seconds. */
static void
test_slow_start(void **state)
{
	struct gateway *g = gateway_with(&(struct conf_pool){ .slow_start_ms = 10000 }, "game", "gw1", "10.0.0.1:1");
	uint64_t begun_ms;

	(void)state;
	assert_int_equal(gateway_share(g), 3 * GATEWAY_WHOLE);	/* who was never away has nothing to catch up */
	assert_false(gateway_tick(g, clock_coarse_ms()));
	gateway_judge(g, false, "down");
	begun_ms = clock_coarse_ms();
	gateway_judge(g, true, "up");
	assert_int_equal(gateway_share(g), 3);
	assert_true(gateway_tick(g, begun_ms));
	assert_int_equal(gateway_share(g), 3);
	for (unsigned i = 0, last = 0; i < 10; i++, last = gateway_share(g)) {
		assert_true(gateway_tick(g, begun_ms + 1000 * i));
		assert_in_range(gateway_share(g), last, 3 * GATEWAY_WHOLE * (i + 1) / 10);
	}
	gateway_set_weight(g, 6);
	assert_in_range(gateway_share(g), 6 * GATEWAY_WHOLE * 8 / 10, 6 * GATEWAY_WHOLE - 1);
	assert_int_equal(gateway_weight(g), 6);
	assert_false(gateway_tick(g, begun_ms + 20000));
	assert_int_equal(gateway_share(g), 6 * GATEWAY_WHOLE);
	gateway_unref(g);
}

struct heard {
	unsigned times, states;
};

static void
on_changed(struct gateway *g, bool changed, void *arg)
{
	struct heard *h = arg;

	(void)g;
	h->times++;
	h->states += changed;
}

static void
test_on_change(void **state)
{
	struct gateway *g = gw1();
	struct heard h = { 0, 0 };

	(void)state;
	gateway_on_change(g, on_changed, &h);
	gateway_drain(g, 5, false);
	gateway_drain(g, 0, true);
	assert_true(h.times == 2 && h.states == 1);
	gateway_on_change(g, NULL, NULL);
	gateway_ready(g);
	assert_int_equal(h.times, 2);
	gateway_unref(g);
}

/* A reload says something else about it. */
static void
test_adopt(void **state)
{
	struct gateway *g = gw1(), *fresh = gateway_of("chat", "gwx", "10.0.0.11:8000");
	uint64_t tag = gateway_tag(g);
	const char *name = gateway_name(g);

	(void)state;
	log_to(keep_log);
	gateway_set_weight(g, 50);
	gateway_adopt(g, fresh);
	assert_string_equal(said, "pool game: gateway gw1 is now gateway gwx of pool chat");
	assert_string_equal(gateway_name(g), "gwx");
	assert_string_equal(gateway_pool_name(g), "chat");
	assert_string_equal(name, "gw1");			/* whoever reads it still may */
	assert_true(gateway_tag(g) == gateway_tag(fresh));
	assert_true(gateway_is_tagged(g, gateway_tag(g)));
	assert_false(gateway_is_tagged(g, tag));		/* it was another pool's */
	assert_int_equal(gateway_weight(g), 50);		/* the file says what it said before */
	gateway_unref(fresh);

	fresh = gateway_of("chat", "gwy", "10.0.0.11:8000");
	tag = gateway_tag(g);
	fresh->conf_weight = 7;
	gateway_adopt(g, fresh);
	assert_true(gateway_is_tagged(g, tag) && gateway_tag(g) != tag);
	assert_int_equal(gateway_weight(g), 7);
	said_times = 0;
	gateway_adopt(g, fresh);
	assert_int_equal(said_times, 0);
	log_to(NULL);
	gateway_unref(fresh);
	gateway_unref(g);
}

static void
test_check(void **state)
{
	struct gateway *g = gw1();
	char what[] = "status 200";
	struct gateway_check c;

	(void)state;
	gateway_note_check(g, true, 1234, what);
	what[0] = 'x';
	c = gateway_check(g);
	assert_true(c.known && c.good && c.took_us == 1234 && c.at_s != 0);
	assert_string_equal(c.what, "status 200");
	gateway_unref(g);
}

static void
test_counts(void **state)
{
	struct gateway *g = gw1();

	(void)state;
	assert_false(gateway_is_backup(g));
	assert_true(gateway_enter(g, false));
	assert_true(gateway_enter(g, true));
	assert_int_equal(gateway_load(g), 2);
	assert_int_equal(gateway_sessions(g), 1);
	assert_false(gateway_is_full(g));	/* without a limit it never is */
	gateway_leave(g, true);
	assert_int_equal(gateway_load(g), 1);
	assert_int_equal(gateway_sessions(g), 0);
	gateway_leave(g, false);
	assert_int_equal(gateway_load(g), 0);
	gateway_note_request(g);
	gateway_note_request(g);
	gateway_note_session(g);
	assert_false(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
	assert_int_equal(gateway_requests(g), 2);
	assert_int_equal(gateway_sessions_total(g), 1);
	assert_int_equal(gateway_errors(g), 1);
	gateway_unref(g);
}

static void
test_max_sessions(void **state)
{
	struct conf_gateway cf = {
		.name = (char[]){ "gw" }, .address = (char[]){ "10.0.0.1:1" }, .weight = 1, .max_sessions = 2,
		.backup = true,
	};
	struct conf_pool pool = { .name = (char[]){ "game" } };
	const char *why;
	struct gateway *g = gateway_new(&cf, &pool, &why);

	(void)state;
	assert_true(gateway_is_backup(g));
	assert_true(gateway_enter(g, true));
	assert_false(gateway_is_full(g));
	assert_true(gateway_enter(g, true));
	assert_true(gateway_is_full(g));
	assert_false(gateway_enter(g, true));
	assert_int_equal(gateway_load(g), 2);	/* who was refused left nothing behind */
	assert_true(gateway_enter(g, false));
	gateway_leave(g, true);
	assert_false(gateway_is_full(g));
	assert_true(gateway_enter(g, true));
	gateway_leave(g, false);
	gateway_leave(g, true);
	gateway_leave(g, true);
	gateway_unref(g);
}

/* Only failures in a row count, by batches. */
static void
test_failed_connects(void **state)
{
	struct gateway *g = gw1();

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 1; i < GATEWAY_CONNECTS_ARE_A_CHECK; i++)
			assert_false(gateway_note_failure(g, GATEWAY_CONNECT_FAILED));
		assert_false(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
		gateway_note_connected(g);
	}
	assert_int_equal(gateway_take_trouble(g).failed_checks, 0);
	for (unsigned i = 1; i <= 2 * GATEWAY_CONNECTS_ARE_A_CHECK + 1; i++)
		assert_int_equal(gateway_note_failure(g, GATEWAY_CONNECT_FAILED),
		    i % GATEWAY_CONNECTS_ARE_A_CHECK == 0);
	assert_int_equal(gateway_take_trouble(g).failed_checks, 2);
	assert_int_equal(gateway_take_trouble(g).failed_checks, 0);
	assert_false(gateway_take_trouble(g).eject);	/* eject_after = 0 */
	gateway_unref(g);
}

/* A row of failures of any kind; that it connects well ends none. */
static void
test_failures(void **state)
{
	struct gateway *g = gateway_with(&(struct conf_pool){ .eject_after = 5 }, "game", "gw1", "10.0.0.1:1");

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 1; i < 5; i++)
			assert_false(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
		gateway_note_ok(g);
	}
	assert_false(gateway_take_trouble(g).eject);
	for (unsigned i = 1; i <= 10; i++) {
		gateway_note_connected(g);
		assert_int_equal(gateway_note_failure(g, i % 2 ? GATEWAY_ANSWER_FAILED : GATEWAY_CONNECT_FAILED),
		    i % 5 == 0);
	}
	assert_true(gateway_take_trouble(g).eject);
	assert_false(gateway_take_trouble(g).eject);

	/* set aside, it begins anew */
	assert_false(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
	gateway_eject(g, UINT64_MAX, "ejected");
	for (unsigned i = 1; i < 5; i++)
		assert_false(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
	assert_true(gateway_note_failure(g, GATEWAY_ANSWER_FAILED));
	gateway_unref(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_ejection),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_on_change),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_max_sessions),
		cmocka_unit_test(test_failed_connects),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
