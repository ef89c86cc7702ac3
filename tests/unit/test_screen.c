/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen at several sizes, of a process that is well and of one that is not, sorted and scrolled. */
#include "ctl/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/term.h"
#include "ctl/utf8.h"

#define LINES_MAX 256

struct shown {
	char *text;
	struct slice line[LINES_MAX];
	size_t lines;
};

static void
show(struct screen *s, struct shown *sh)
{
	struct slice rest;

	sh->text = screen_text(s);
	sh->lines = 0;
	for (rest = slice_of(sh->text); rest.n != 0; sh->lines++) {
		assert_true(sh->lines < LINES_MAX);
		sh->line[sh->lines] = slice_cut(&rest, '\n');
		if (s->columns != 0 && !s->has_colour)
			assert_true(utf8_width(sh->line[sh->lines]) <= s->columns);
	}
	if (s->lines != 0)
		assert_int_equal(sh->lines, s->has_keys ? s->lines : sh->lines);
}

static bool
has_text(const struct shown *sh, const char *text)
{
	return strstr(sh->text, text) != NULL;
}

/* In which line this stands first. */
static size_t
line_of(const struct shown *sh, const char *text)
{
	for (size_t i = 0; i < sh->lines; i++) {
		char line[512];

		snprintf(line, sizeof line, "%.*s", SLICE_FMT(sh->line[i]));
		if (strstr(line, text) != NULL)
			return i;
	}
	fail_msg("'%s' is not shown:\n%s", text, sh->text);
	return 0;
}

static json_t *
status_of(size_t workers)
{
	json_t *list = json_array();

	for (size_t i = 0; i < workers; i++)
		json_array_append_new(list, json_pack("{s:i, s:{s:i, s:i}}", "number", (int)i, "lag", "p99_us", (int)i * 100,
		    "max_us", (int)i * 1000));
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:{s:f, s:i}, s:o}", "version", "0.1.0", "state", "running", "pid", 42,
	    "workers", (int)workers, "sessions", 1234, "rates", "sessions_s", 1.26, "bytes_in_s", 2048, "workers_list", list);
}

static json_t *
gateways_of(int n, int round)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof name, "gw%d", i);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s}", "pool", "game", "name", name,
		    "state", i == 3 ? "draining" : i == 5 ? "down" : "up", "weight", 1, "sessions", i * 10, "requests",
		    1000 + round * (n - i) * 2, "errors", i % 4, "why", i == 5 ? "connect: Connection refused" : ""));
	}
	return json_pack("{s:o, s:[]}", "gateways", list, "pools");
}

static void
test_a_usual_one(void **state)
{
	json_t *status = status_of(4), *before = gateways_of(8, 0), *now = gateways_of(8, 1);
	struct screen s = { .lines = 24, .columns = 79, .has_keys = true, .status = status, .gateways = now, .before = before,
	    .apart_s = 2 };
	struct shown sh;

	(void)state;
	show(&s, &sh);
	assert_int_equal(line_of(&sh, "stickyd 0.1.0  running  pid 42"), 0);
	assert_true(has_text(&sh, "1234 sessions  1.3 new/s"));
	assert_true(has_text(&sh, "2 KiB/s in"));
	assert_true(has_text(&sh, "draining  game/gw3: 30 left"));
	assert_true(has_text(&sh, "  3: 300 us, 3 ms"));
	assert_true(has_text(&sh, "Connection refused"));
	assert_true(has_text(&sh, "1-8 of 8  q quit  s sorted by name"));
	assert_int_equal(line_of(&sh, "game/gw7"), line_of(&sh, "game/gw0") + 7);
	assert_int_equal(line_of(&sh, " 8 "), line_of(&sh, "game/gw0"));	/* 16 requests in 2 s */
	assert_int_equal(line_of(&sh, "q quit"), 23);
	assert_null(strchr(sh.text, '\x1b'));
	free(sh.text);
	json_decref(status);
	json_decref(before);
	json_decref(now);
}

static void
test_sorted(void **state)
{
	static const struct {
		enum screen_sort sort;
		bool is_reversed;
		const char *first, *last;
	} cases[] = {
		{ SCREEN_NAME, false, "game/gw0", "game/gw7" }, { SCREEN_NAME, true, "game/gw7", "game/gw0" },
		{ SCREEN_STATE, false, "game/gw5", "game/gw7" }, { SCREEN_SESSIONS, false, "game/gw7", "game/gw0" },
		{ SCREEN_REQUESTS, false, "game/gw0", "game/gw7" }, { SCREEN_ERRORS, false, "game/gw3", "game/gw4" },
		{ SCREEN_ERRORS, true, "game/gw0", "game/gw7" },
	};
	json_t *status = status_of(1), *before = gateways_of(8, 0), *now = gateways_of(8, 1);
	struct screen s = { .status = status, .gateways = now, .before = before, .apart_s = 1 };
	struct shown sh;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		s.sort = cases[i].sort;
		s.is_reversed = cases[i].is_reversed;
		show(&s, &sh);
		if (!slice_has_prefix(sh.line[sh.lines - 8], slice_of(cases[i].first)))
			fail_msg("case %zu:\n%s", i, sh.text);
		assert_true(slice_has_prefix(sh.line[sh.lines - 1], slice_of(cases[i].last)));
		free(sh.text);
	}
	json_decref(status);
	json_decref(before);
	json_decref(now);
}

static void
test_scrolled(void **state)
{
	static const struct {
		int key;
		const char *shows, *not_shows;
	} steps[] = {
		{ TERM_UP, "game/gw0 ", "game/gw99 " }, { TERM_DOWN, "game/gw1 ", "game/gw0 " }, { 'k', "game/gw0 ", "gw99 " },
		{ TERM_PAGE_DOWN, "game/gw20 ", "game/gw0 " }, { TERM_END, "game/gw99 ", "game/gw0 " },
		{ TERM_DOWN, "game/gw99 ", "game/gw0 " }, { TERM_PAGE_UP, "game/gw80 ", "game/gw99 " },
		{ TERM_HOME, "game/gw0 ", "game/gw99 " }, { 'G', "game/gw99 ", "game/gw0 " }, { 'x', "gw99 ", "game/gw0 " },
	};
	json_t *status = status_of(2), *now = gateways_of(100, 0);
	struct screen s = { .lines = 24, .columns = 79, .has_keys = true, .status = status, .gateways = now };
	struct shown sh;

	(void)state;
	show(&s, &sh);
	free(sh.text);
	for (size_t i = 0; i < COUNT(steps); i++) {
		screen_key(&s, steps[i].key);
		show(&s, &sh);
		line_of(&sh, steps[i].shows);
		assert_false(has_text(&sh, steps[i].not_shows));
		free(sh.text);
	}
	for (unsigned i = 0; i < SCREEN_SORTS; i++)
		screen_key(&s, 's');
	assert_int_equal(s.sort, SCREEN_NAME);
	screen_key(&s, 'r');
	assert_true(s.is_reversed);
	json_decref(status);
	json_decref(now);
}

/* No size makes it wider or higher than it is, and the keys stay in the last line. */
static void
test_all_sizes(void **state)
{
	json_t *status = status_of(64), *now = gateways_of(100, 0);

	(void)state;
	for (size_t lines = 1; lines <= 50; lines += 3) {
		for (size_t columns = 30; columns < 200; columns += 17) {
			struct screen s = { .lines = lines, .columns = columns, .has_keys = true, .status = status,
			    .gateways = now, .trouble = "cannot connect to /run/stickyd/admin.sock: No such file or directory" };
			struct shown sh;
			char *text = screen_text(&s);

			free(text);
			if (lines < 2 || columns < 60)
				continue;	/* too small for anybody; it need but not fail */
			show(&s, &sh);
			line_of(&sh, "of 100");
			free(sh.text);
		}
	}
	json_decref(status);
	json_decref(now);
}

static void
test_many_workers(void **state)
{
	json_t *status = status_of(64), *now = gateways_of(1, 0);
	struct screen s = { .lines = 24, .columns = 79, .has_keys = true, .status = status, .gateways = now };
	struct shown sh;

	(void)state;
	show(&s, &sh);
	assert_true(has_text(&sh, "the worst"));
	assert_true(has_text(&sh, "  63: 6.3 ms, 63 ms"));
	assert_false(has_text(&sh, "  0: "));
	free(sh.text);
	json_decref(status);
	json_decref(now);
}

static void
test_nothing_is_known_yet(void **state)
{
	struct screen s = { .lines = 24, .columns = 79, .has_keys = true, .has_colour = true,
	    .trouble = "NOT ANSWERED: is stickyd running?" };
	struct shown sh;

	(void)state;
	show(&s, &sh);
	assert_true(has_text(&sh, "\x1b[31mNOT ANSWERED: is stickyd running?\x1b[0m"));
	assert_true(has_text(&sh, "0-0 of 0"));
	free(sh.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_usual_one),
		cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_scrolled),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_many_workers),
		cmocka_unit_test(test_nothing_is_known_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
