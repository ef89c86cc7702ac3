/* SPDX-License-Identifier: BSD-2-Clause */
/* One gateway: its tag, states and what is said of them, counts. */
#include "pool/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

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
gateway_of(const char *pool, const char *name, const char *address)
{
	struct conf_gateway cf = {
		.name = (char *)(uintptr_t)name, .address = (char *)(uintptr_t)address, .weight = 3,
	};
	const char *why;
	struct gateway *g = gateway_new(&cf, pool, 7, &why);

	assert_non_null(g);
	return g;
}

static void
test_new(void **state)
{
	struct conf_gateway cf = { .name = (char[]){ "gw" }, .address = (char[]){ "10.0.0.1" }, .weight = 1 };
	struct gateway *g = gateway_of("game", "gw1", "10.0.0.11:8000");
	const char *why = NULL;
	char text[ADDR_TEXT];

	(void)state;
	assert_string_equal(g->name, "gw1");
	assert_string_equal(g->pool_name, "game");
	assert_string_equal(addr_text(&g->addr, text), "10.0.0.11:8000");
	assert_int_equal(g->index, 7);
	assert_int_equal(gateway_weight(g), 3);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_true(gateway_takes_newcomers(g));
	assert_ptr_equal(gateway_ref(g), g);
	gateway_unref(g);
	gateway_unref(g);
	gateway_unref(NULL);

	assert_null(gateway_new(&cf, "game", 0, &why));
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

		assert_true(g->tag == cases[i].tag);
		assert_true(moved->tag == cases[i].tag);
		gateway_unref(g);
		gateway_unref(moved);
	}
}

static void
test_state(void **state)
{
	struct gateway *g = gateway_of("game", "gw1", "10.0.0.11:8000");

	(void)state;
	said_times = 0;
	log_to(keep_log);
	assert_false(gateway_set_state(g, GATEWAY_UP, "nothing new"));
	assert_int_equal(said_times, 0);
	assert_true(gateway_set_state(g, GATEWAY_DOWN, "connect: Connection refused (3 of 3)"));
	assert_int_equal(said_level, LOG_LEVEL_WARN);
	assert_string_equal(said,
	    "pool game: gateway gw1 (10.0.0.11:8000) is down: connect: Connection refused (3 of 3)");
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_false(gateway_takes_newcomers(g));
	assert_false(gateway_set_state(g, GATEWAY_DOWN, "still"));
	assert_true(gateway_set_state(g, GATEWAY_UP, "check passed (2 of 2)"));
	assert_int_equal(said_level, LOG_LEVEL_NOTICE);
	assert_string_equal(said, "pool game: gateway gw1 (10.0.0.11:8000) is up: check passed (2 of 2)");
	assert_int_equal(said_times, 2);
	log_to(NULL);
	gateway_unref(g);
}

static void
test_counts(void **state)
{
	struct gateway *g = gateway_of("game", "gw1", "10.0.0.11:8000");

	(void)state;
	assert_false(g->backup);
	assert_true(gateway_enter(g, false));
	assert_true(gateway_enter(g, true));
	assert_int_equal(gateway_load(g), 2);
	assert_int_equal(g->sessions, 1);
	assert_false(gateway_is_full(g));	/* without a limit it never is */
	gateway_leave(g, true);
	assert_int_equal(gateway_load(g), 1);
	assert_int_equal(g->sessions, 0);
	gateway_leave(g, false);
	assert_int_equal(gateway_load(g), 0);
	gateway_unref(g);
}

static void
test_max_sessions(void **state)
{
	struct conf_gateway cf = {
		.name = (char[]){ "gw" }, .address = (char[]){ "10.0.0.1:1" }, .weight = 1, .max_sessions = 2,
		.backup = true,
	};
	const char *why;
	struct gateway *g = gateway_new(&cf, "game", 0, &why);

	(void)state;
	assert_true(g->backup);
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
	struct gateway *g = gateway_of("game", "gw1", "10.0.0.11:8000");

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 1; i < GATEWAY_CONNECTS_ARE_A_CHECK; i++)
			assert_false(gateway_connect_failed(g));
		gateway_connect_ok(g);
	}
	assert_int_equal(gateway_take_failed_connects(g), 0);
	for (unsigned i = 1; i <= 2 * GATEWAY_CONNECTS_ARE_A_CHECK + 1; i++)
		assert_int_equal(gateway_connect_failed(g), i % GATEWAY_CONNECTS_ARE_A_CHECK == 0);
	assert_int_equal(gateway_take_failed_connects(g), 2);
	assert_int_equal(gateway_take_failed_connects(g), 0);
	gateway_unref(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_max_sessions),
		cmocka_unit_test(test_failed_connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
