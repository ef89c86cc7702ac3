/* SPDX-License-Identifier: BSD-2-Clause */
/* A terminal of our own in place of standard input and output: what is written there, and what is typed. */
#include "ctl/term.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

struct desk {
	int keyboard;		/* the other side of the terminal */
	int in, out;		/* what was there before */
	struct termios before;
};

static void
desk_open(struct desk *d)
{
	struct winsize size = { .ws_row = 5, .ws_col = 40 };
	int terminal;

	assert_int_equal(openpty(&d->keyboard, &terminal, NULL, NULL, &size), 0);
	assert_int_equal(fcntl(d->keyboard, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(tcgetattr(terminal, &d->before), 0);
	d->before.c_oflag &= ~(tcflag_t)OPOST;
	assert_int_equal(tcsetattr(terminal, TCSANOW, &d->before), 0);
	d->in = dup(STDIN_FILENO);
	d->out = dup(STDOUT_FILENO);
	dup2(terminal, STDIN_FILENO);
	dup2(terminal, STDOUT_FILENO);
	close(terminal);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
}

/* So that failures are told where they can be read. */
static void
desk_close(struct desk *d)
{
	dup2(d->in, STDIN_FILENO);
	dup2(d->out, STDOUT_FILENO);
	close(d->in);
	close(d->out);
	close(d->keyboard);
}

/* Of what was written since the last look. */
static void
desk_read(struct desk *d, char text[1024])
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(d->keyboard, text + n, 1023 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
}

static void
test_what_is_drawn(void **state)
{
	char entered[1024], first[1024], second[1024], none[1024], resized[1024], left[1024];
	struct winsize size = { .ws_row = 6, .ws_col = 50 };
	struct termios raw, after;
	size_t columns, lines;
	bool good, restored;
	const char *why;
	struct desk d;
	struct term *t;

	(void)state;
	desk_open(&d);
	t = term_new(&why);
	columns = term_columns(t);
	desk_read(&d, entered);
	tcgetattr(STDIN_FILENO, &raw);
	good = term_draw(t, "one\ntwo\nthree\n");
	desk_read(&d, first);
	good &= term_draw(t, "one\n2\nthree\nfour\n");
	desk_read(&d, second);
	good &= term_draw(t, "one\n2\nthree\nfour\n");
	desk_read(&d, none);
	ioctl(STDOUT_FILENO, TIOCSWINSZ, &size);
	term_resize(t);
	lines = term_lines(t);
	good &= term_draw(t, "one\n");
	desk_read(&d, resized);
	term_free(t);
	desk_read(&d, left);
	tcgetattr(STDIN_FILENO, &after);
	restored = after.c_lflag == d.before.c_lflag && after.c_iflag == d.before.c_iflag;
	desk_close(&d);

	assert_true(good);
	assert_int_equal(columns, 40);
	assert_int_equal(lines, 6);
	assert_non_null(strstr(entered, "\x1b[?1049h"));
	assert_int_equal(raw.c_lflag & (ICANON | ECHO), 0);
	assert_string_equal(first, "\x1b[2J\x1b[1;1Hone\x1b[0m\x1b[K\x1b[2;1Htwo\x1b[0m\x1b[K\x1b[3;1Hthree\x1b[0m\x1b[K");
	assert_string_equal(second, "\x1b[2;1H2\x1b[0m\x1b[K\x1b[4;1H" "four\x1b[0m\x1b[K");
	assert_string_equal(none, "");
	assert_string_equal(resized, "\x1b[2J\x1b[1;1Hone\x1b[0m\x1b[K");
	assert_non_null(strstr(left, "\x1b[?25h\x1b[?1049l"));
	assert_true(restored);
}

static void
test_keys(void **state)
{
	static const struct {
		const char *typed;
		int key[4];
	} cases[] = {
		{ "q", { 'q', TERM_NONE } },
		{ "qs", { 'q', 's', TERM_NONE } },
		{ "\x1b[A\x1b[B", { TERM_UP, TERM_DOWN, TERM_NONE } },
		{ "\x1bOA\x1b[H", { TERM_UP, TERM_HOME, TERM_NONE } },
		{ "\x1b[5~\x1b[6~\x1b[4~", { TERM_PAGE_UP, TERM_PAGE_DOWN, TERM_END, TERM_NONE } },
		{ "\x1b[1;5Cq", { TERM_UNKNOWN, 'q', TERM_NONE } },
		{ "\x1bq", { TERM_UNKNOWN, 'q', TERM_NONE } },
		{ "\x1b", { TERM_NONE } },		/* more may come, and it does */
		{ "[A", { TERM_UP, TERM_NONE } },
	};
	int key[COUNT(cases)][4];
	const char *why;
	struct desk d;
	struct term *t;
	bool good = true;

	(void)state;
	desk_open(&d);
	t = term_new(&why);
	for (size_t i = 0; i < COUNT(cases); i++) {
		good &= write(d.keyboard, cases[i].typed, strlen(cases[i].typed)) > 0 && term_read(t);
		for (size_t k = 0; k < 4; k++)
			key[i][k] = term_key(t);
	}
	term_free(t);
	desk_close(&d);
	assert_true(good);
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t k = 0; k == 0 || cases[i].key[k - 1] != TERM_NONE; k++)
			assert_int_equal(key[i][k], cases[i].key[k]);
}

static void
test_terminals_that_will_not_do(void **state)
{
	bool colour, no_colour, dumb_colour, dumb;
	const char *why = NULL;
	struct desk d;
	size_t width;

	(void)state;
	desk_open(&d);
	width = term_width(STDOUT_FILENO);
	colour = term_has_colour(STDOUT_FILENO);
	setenv("NO_COLOR", "1", 1);
	no_colour = term_has_colour(STDOUT_FILENO);
	setenv("NO_COLOR", "", 1);
	setenv("TERM", "dumb", 1);
	dumb_colour = term_has_colour(STDOUT_FILENO);
	dumb = term_new(&why) == NULL;
	desk_close(&d);
	assert_int_equal(width, 40);
	assert_true(colour);
	assert_false(no_colour);
	assert_false(dumb_colour);
	assert_true(dumb);
	assert_non_null(strstr(why, "dumb"));
	assert_int_equal(term_width(-1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_drawn),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_terminals_that_will_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
