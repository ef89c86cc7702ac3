/* SPDX-License-Identifier: BSD-2-Clause */
/* A screen is drawn line by line, each where it belongs, and only those that have changed, in one write. */
#include "ctl/term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"

#define WIDTH_UNKNOWN 80
#define LINES_UNKNOWN 24
#define TYPED_MAX 256

/* the second screen, without a cursor and without wrapping at the right edge */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

struct term {
	struct termios before;
	size_t lines, columns;
	char *shown;			/* the text that stands there; NULL: not known */
	char typed[TYPED_MAX];
	size_t typed_n, taken;
};

/* ---- any terminal ---- */

static void
ask_size(int fd, size_t *lines, size_t *columns)
{
	struct winsize size;

	*lines = LINES_UNKNOWN;
	*columns = WIDTH_UNKNOWN;
	if (ioctl(fd, TIOCGWINSZ, &size) == -1)
		return;
	if (size.ws_row != 0)
		*lines = size.ws_row;
	if (size.ws_col != 0)
		*columns = size.ws_col;
}

size_t
term_width(int fd)
{
	size_t lines, columns;

	if (!isatty(fd))
		return 0;
	ask_size(fd, &lines, &columns);
	return columns;
}

/* Knows none of the escapes. */
static bool
is_dumb(void)
{
	const char *name = getenv("TERM");

	return name == NULL || *name == '\0' || strcmp(name, "dumb") == 0;
}

bool
term_has_colour(int fd)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fd) && !is_dumb() && (no == NULL || *no == '\0');
}

/* ---- the screen ---- */

static bool
write_all(struct slice text)
{
	while (text.n != 0) {
		ssize_t n = write(STDOUT_FILENO, text.p, text.n);

		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return false;
		text = slice_skip(text, n > 0 ? (size_t)n : 0);
	}
	return true;
}

struct term *
term_new(const char **why)
{
	struct term *t;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		*why = "a live screen needs a terminal";
		return NULL;
	}
	if (is_dumb()) {
		*why = "the terminal has no screen (TERM is not set, or dumb)";
		return NULL;
	}
	t = mem_zalloc(sizeof *t);
	if (tcgetattr(STDIN_FILENO, &t->before) == -1) {
		*why = strerror(errno);
		free(t);
		return NULL;
	}
	term_enter(t);
	return t;
}

void
term_enter(struct term *t)
{
	struct termios raw = t->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);	/* ISIG stays: ^C and ^Z are signals */
	raw.c_iflag &= ~(tcflag_t)IXON;
	raw.c_cc[VMIN] = 0;				/* a read never blocks */
	raw.c_cc[VTIME] = 0;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	(void)write_all(SLICE_LIT(ENTER));
	term_resize(t);
}

void
term_leave(struct term *t)
{
	(void)write_all(SLICE_LIT(LEAVE));
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

void
term_free(struct term *t)
{
	if (t == NULL)
		return;
	term_leave(t);
	free(t->shown);
	free(t);
}

void
term_resize(struct term *t)
{
	ask_size(STDOUT_FILENO, &t->lines, &t->columns);
	free(t->shown);
	t->shown = NULL;
}

size_t
term_lines(const struct term *t)
{
	return t->lines;
}

size_t
term_columns(const struct term *t)
{
	return t->columns;
}

/* What differs from what is shown, line by line; each is cleared behind its end. */
static void
draw_changes(const struct term *t, struct slice text, FILE *to)
{
	struct slice shown = slice_of(t->shown);

	fputs(t->shown == NULL ? "\x1b[2J" : "", to);
	for (size_t i = 1; i <= t->lines; i++) {
		struct slice line = slice_cut(&text, '\n'), there = slice_cut(&shown, '\n');

		if (t->shown == NULL ? line.n != 0 : !slice_eq(line, there))
			fprintf(to, "\x1b[%zu;1H%.*s\x1b[0m\x1b[K", i, SLICE_FMT(line));
	}
}

bool
term_draw(struct term *t, const char *text)
{
	char *bytes;
	size_t n;
	FILE *to = open_memstream(&bytes, &n);
	bool good;

	must(to != NULL);
	draw_changes(t, slice_of(text), to);
	must(fclose(to) == 0);
	good = write_all(slice_make(bytes, n));
	free(bytes);
	free(t->shown);
	t->shown = mem_strdup(text);
	return good;
}

/* ---- keys ---- */

bool
term_read(struct term *t)
{
	ssize_t n;

	memmove(t->typed, t->typed + t->taken, t->typed_n - t->taken);
	t->typed_n -= t->taken;
	t->taken = 0;
	n = read(STDIN_FILENO, t->typed + t->typed_n, TYPED_MAX - t->typed_n);
	if (n == -1)
		return errno == EINTR || errno == EAGAIN;
	t->typed_n += (size_t)n;
	return true;
}

/* ECMA-48, 5.4: "ESC [", or "ESC O" from a keypad; parameters up to 0x3f; one byte that ends it. Bytes of it; 0:
 * there are more to come. */
static size_t
sequence_bytes(struct slice s)
{
	if (s.n < 3)
		return 0;
	for (size_t i = 2; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x40)
			return i + 1;
	return 0;
}

static int
sequence_key(struct slice s)
{
	static const struct {
		const char *text;
		int key;
	} keys[] = {
		{ "A", TERM_UP }, { "B", TERM_DOWN }, { "5~", TERM_PAGE_UP }, { "6~", TERM_PAGE_DOWN },
		{ "H", TERM_HOME }, { "1~", TERM_HOME }, { "7~", TERM_HOME },
		{ "F", TERM_END }, { "4~", TERM_END }, { "8~", TERM_END },
	};

	for (size_t i = 0; i < COUNT(keys); i++)
		if (slice_eq(slice_skip(s, 2), slice_of(keys[i].text)))
			return keys[i].key;
	return TERM_UNKNOWN;
}

int
term_key(struct term *t)
{
	struct slice s = slice_make(t->typed + t->taken, t->typed_n - t->taken);
	size_t n;

	if (s.n == 0)
		return TERM_NONE;
	if (s.p[0] != '\x1b' || (s.n > 1 && s.p[1] != '[' && s.p[1] != 'O')) {
		t->taken++;
		return s.p[0] == '\x1b' ? TERM_UNKNOWN : (unsigned char)s.p[0];
	}
	n = sequence_bytes(s);
	if (n == 0 && s.n < TYPED_MAX)
		return TERM_NONE;
	t->taken += n != 0 ? n : s.n;
	return sequence_key(slice_head(s, n));
}
