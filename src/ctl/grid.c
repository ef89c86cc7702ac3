/* SPDX-License-Identifier: BSD-2-Clause */
/* The widths of all columns are measured anew for each printing: tables are short. */
#include "ctl/grid.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/utf8.h"

#define GAP "  "
/* before the last column becomes narrower than this, others are left out; more where it cannot go on below */
#define LAST_LEAST 20
#define LAST_LEAST_CUT 28
#define LAST_TINY 8		/* narrower than this it never gets */
#define ELLIPSIS "\xe2\x80\xa6"

void
grid_init(struct grid *g, unsigned columns, unsigned right)
{
	must(columns <= GRID_COLUMNS_MAX);
	*g = (struct grid){ .columns = columns, .right = right };
}

void
grid_fini(struct grid *g)
{
	for (size_t i = 0; i < g->cells; i++)
		free(g->cell[i].text);
	free(g->cell);
}

void
grid_add(struct grid *g, const char *text)
{
	g->cell = mem_realloc(g->cell, (g->cells + 1) * sizeof *g->cell);
	g->cell[g->cells++] = (struct grid_cell){ .text = utf8_safe(text != NULL ? text : "-") };
}

void
grid_addf(struct grid *g, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = mem_vprintf(fmt, args);
	va_end(args);
	grid_add(g, text);
	free(text);
}

void
grid_paint(struct grid *g, enum grid_paint paint)
{
	g->cell[g->cells - 1].paint = paint;
}

const char *
grid_colour(enum grid_paint paint)
{
	static const char *const escapes[] = {
		[GRID_PLAIN] = "\x1b[0m", [GRID_HEAD] = "\x1b[1m", [GRID_GOOD] = "\x1b[32m",
		[GRID_WARNING] = "\x1b[33m", [GRID_BAD] = "\x1b[31m", [GRID_FAINT] = "\x1b[2m",
	};

	return escapes[paint];
}

/* ---- widths ---- */

static bool
is_shown(const struct grid *g, unsigned column)
{
	return (g->hidden & BIT(column)) == 0;
}

static unsigned
last_column(const struct grid *g)
{
	unsigned last = g->columns - 1;

	while (last != 0 && !is_shown(g, last))
		last--;
	return last;
}

static size_t
width_of(const char *text)
{
	return utf8_width(slice_of(text));
}

static void
measure(const struct grid *g, size_t width[GRID_COLUMNS_MAX])
{
	memset(width, 0, GRID_COLUMNS_MAX * sizeof *width);
	for (size_t i = 0; i < g->cells; i++) {
		size_t n = width_of(g->cell[i].text);

		if (n > width[i % g->columns])
			width[i % g->columns] = n;
	}
}

/* Of the columns before the last, with all gaps. */
static size_t
width_before_last(const struct grid *g, const size_t *width)
{
	unsigned last = last_column(g);
	size_t n = 0;

	for (unsigned i = 0; i < last; i++)
		if (is_shown(g, i))
			n += width[i] + strlen(GAP);
	return n;
}

void
grid_fit(struct grid *g, size_t width, const unsigned char *spare, size_t spares)
{
	size_t widths[GRID_COLUMNS_MAX], before, last, least = g->is_cut ? LAST_LEAST_CUT : LAST_LEAST;

	measure(g, widths);
	last = widths[last_column(g)];
	before = width_before_last(g, widths);
	for (size_t i = 0; i < spares && width != 0 && before + (last < least ? last : least) > width; i++) {
		g->hidden |= BIT(spare[i]);
		last = widths[last_column(g)];
		before = width_before_last(g, widths);
	}
	if (width != 0 && before + last > width)
		g->room = before + LAST_TINY < width ? width - before : LAST_TINY;
}

/* ---- printing ---- */

static void
print_blanks(size_t n, FILE *to)
{
	while (n-- != 0)
		putc(' ', to);
}

static void
print_painted(const struct grid *g, struct slice text, enum grid_paint paint, FILE *to)
{
	bool painted = g->has_colour && paint != GRID_PLAIN && text.n != 0;

	fputs(painted ? grid_colour(paint) : "", to);
	fwrite(text.p, 1, text.n, to);
	fputs(painted ? grid_colour(GRID_PLAIN) : "", to);
}

/* The first so many characters. */
static struct slice
head_of(struct slice text, size_t characters)
{
	size_t n = 0;

	while (n < text.n && characters != 0) {
		n++;
		while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
			n++;
		characters--;
	}
	return slice_head(text, n);
}

/* What fits into the room, up to a blank if there is one. */
static struct slice
line_of(struct slice text, size_t room)
{
	struct slice line = head_of(text, room);
	size_t n = line.n;

	if (line.n == text.n || text.p[n] == ' ')
		return line;
	while (n != 0 && text.p[n - 1] != ' ')
		n--;
	return n > 1 ? slice_head(text, n - 1) : line;
}

/* Below one another, from the second on that far from the left. */
static void
print_lines(const struct grid *g, struct slice text, enum grid_paint paint, size_t left, FILE *to)
{
	for (;;) {
		struct slice line = line_of(text, g->room);

		print_painted(g, line, paint, to);
		text = slice_trim(slice_skip(text, line.n));
		if (text.n == 0)
			return;
		putc('\n', to);
		print_blanks(left, to);
	}
}

/* The cell of the last column, which stands that far from the left where it goes on below. */
static void
print_last(const struct grid *g, const struct grid_cell *cell, size_t left, FILE *to)
{
	struct slice rest = slice_of(cell->text);

	if (g->room == 0 || utf8_width(rest) <= g->room) {
		print_painted(g, rest, cell->paint, to);
	} else if (g->is_cut) {
		print_painted(g, head_of(rest, g->room - 1), cell->paint, to);
		fputs(ELLIPSIS, to);
	} else {
		print_lines(g, rest, cell->paint, left, to);
	}
}

static void
print_row(const struct grid *g, size_t first, const size_t *width, size_t left, FILE *to)
{
	unsigned last = last_column(g);
	const char *gap = "";

	for (unsigned i = 0; i <= last && first + i < g->cells; i++) {
		const struct grid_cell *cell = &g->cell[first + i];
		size_t blanks = width[i] - width_of(cell->text);
		bool is_right = (g->right & BIT(i)) != 0, is_last = i == last || first + i + 1 == g->cells;

		if (!is_shown(g, i))
			continue;
		fputs(gap, to);
		print_blanks(is_right ? blanks : 0, to);
		if (i == last)
			print_last(g, cell, left, to);
		else
			print_painted(g, slice_of(cell->text), cell->paint, to);
		print_blanks(is_right || is_last ? 0 : blanks, to);
		gap = GAP;
	}
	putc('\n', to);
}

void
grid_print_rows(const struct grid *g, const char *indent, size_t first, size_t rows, FILE *to)
{
	size_t width[GRID_COLUMNS_MAX], left;

	measure(g, width);
	left = strlen(indent) + width_before_last(g, width);
	for (size_t i = first * g->columns; i < g->cells && rows != 0; i += g->columns, rows--) {
		fputs(indent, to);
		print_row(g, i, width, left, to);
	}
}

void
grid_print(const struct grid *g, const char *indent, FILE *to)
{
	grid_print_rows(g, indent, 0, g->cells, to);
}
