/* SPDX-License-Identifier: BSD-2-Clause */
/* Times in words, and a binding with what a shared store says of it. What the calls show otherwise is in test_api.c. */
#include "run/view.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/events.h"
#include "small_daemon.h"

static void
test_words(void **state)
{
	static const struct {
		int64_t ago_s;
		const char *words;
	} cases[] = {
		{ 0, "now" }, { 1, "1 second ago" }, { 59, "59 seconds ago" }, { 60, "1 minute ago" },
		{ 3599, "59 minutes ago" }, { 3600, "1 hour ago" }, { 48 * 3600 - 1, "47 hours ago" },
		{ 48 * 3600, "2 days ago" }, { SMALL_NOW, "20779 days ago" }, { -1, "in 1 second" }, { -7200, "in 2 hours" },
	};
	char text[VIEW_WORDS];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(view_words((uint64_t)(SMALL_NOW - cases[i].ago_s), SMALL_NOW, text),
		    cases[i].words);
	assert_string_equal(view_words(UINT64_MAX, 0, text), "in 213503982334601 days");
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text != NULL ? text : "-";
}

static void
test_a_binding(void **state)
{
	struct daemon *d = small_daemon("[listener main]\nbind = 127.0.0.1:0\npool = game\n"
	    "[pool game]\ngateway = gw1 127.0.0.1:9001\naffinity = query:id\ncheck = none\n");
	struct table_binding b = {
		.tag = gateway_tag(small_gateway(d, 0, "gw1")), .born_s = SMALL_NOW - 60, .seen_s = SMALL_NOW,
	};
	json_t *o = view_binding(d->edition->pool[0], &b, NULL, SMALL_NOW);

	(void)state;
	assert_string_equal(text_of(o, "gateway"), "gw1");
	assert_string_equal(text_of(o, "since"), "2026-11-22T16:36:41Z");
	assert_string_equal(text_of(o, "since_words"), "1 minute ago");
	assert_string_equal(text_of(o, "confirmed"), "-");
	assert_true(json_is_null(json_object_get(o, "store")));
	json_decref(o);
	b.tag++;
	o = view_binding(d->edition->pool[0], &b, view_stored("gw1", NULL), SMALL_NOW);
	assert_string_equal(text_of(o, "gateway"), "-");
	assert_string_equal(text_of(o, "state"), "gone");
	assert_string_equal(text_of(json_object_get(o, "store"), "gateway"), "gw1");
	json_decref(o);
	o = view_binding(d->edition->pool[0], NULL, view_stored(NULL, "no answer"), SMALL_NOW);
	assert_string_equal(text_of(o, "state"), "-");
	assert_string_equal(text_of(json_object_get(o, "store"), "error"), "no answer");
	json_decref(o);
	small_daemon_free(d);
}

/* Bytes that are no UTF-8 are in logs and requests, and never in JSON. */
static void
test_events(void **state)
{
	json_t *o, *list;

	(void)state;
	events_start();
	log_set_level(LOG_LEVEL_NOTICE);
	log_notice("caf\xc3\xa9");
	log_warn("caf\xe9");
	o = view_events(0);
	list = json_object_get(o, "events");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_of(json_array_get(list, 0), "text"), "caf\xc3\xa9");
	assert_string_equal(text_of(json_array_get(list, 0), "level"), "notice");
	assert_string_equal(text_of(json_array_get(list, 1), "text"), "caf?");
	assert_int_equal(strlen(text_of(json_array_get(list, 1), "at")), CLOCK_TEXT);
	assert_int_equal(json_integer_value(json_object_get(o, "last")), 2);
	json_decref(o);
	events_stop();
}

static void
test_a_gateway(void **state)
{
	struct daemon *d = small_daemon("[listener main]\nbind = 127.0.0.1:0\npool = game\n"
	    "[pool game]\ngateway = gw1 127.0.0.1:9001 max_sessions=1\naffinity =\ncheck = http\n");
	struct gateway *g = small_gateway(d, 0, "gw1");
	json_t *o = view_gateway(d, d->edition->pool[0], g, SMALL_NOW), *check = json_object_get(o, "check");

	(void)state;
	assert_string_equal(text_of(o, "state"), "up");
	assert_string_equal(text_of(check, "kind"), "http");
	assert_true(json_is_null(json_object_get(check, "good")));
	assert_true(json_is_null(json_object_get(o, "deadline")));
	json_decref(o);
	assert_true(gateway_enter(g, true));
	gateway_note_check(g, true, 1500, "status 200");
	o = view_gateway(d, d->edition->pool[0], g, SMALL_NOW);
	check = json_object_get(o, "check");
	assert_string_equal(text_of(o, "state"), "full");
	assert_true(json_is_true(json_object_get(check, "good")));
	assert_string_equal(text_of(check, "what"), "status 200");
	assert_int_equal(json_integer_value(json_object_get(check, "took_us")), 1500);
	json_decref(o);
	gateway_drain(g, clock_coarse_ms() + 600000, false);
	o = view_gateway(d, d->edition->pool[0], g, SMALL_NOW);
	assert_string_equal(text_of(o, "state"), "draining");
	assert_string_equal(text_of(o, "deadline_words"), "in 10 minutes");
	json_decref(o);
	gateway_leave(g, true);
	small_daemon_free(d);
}

static void
test_phases(void **state)
{
	struct daemon d = { .phase = DAEMON_STARTING };

	(void)state;
	assert_string_equal(view_phase(&d), "starting");
	d.phase = DAEMON_RUNNING;
	assert_string_equal(view_phase(&d), "running");
	d.phase = DAEMON_UPGRADING;
	assert_string_equal(view_phase(&d), "upgrading");
	d.phase = DAEMON_STOPPING;
	assert_string_equal(view_phase(&d), "stopping");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_a_binding),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_a_gateway),
		cmocka_unit_test(test_phases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
