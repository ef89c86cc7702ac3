/* SPDX-License-Identifier: BSD-2-Clause */
/* Widths are counted in code points: what is named here has no wide characters, and no locale is needed. */
#include "ctl/grid.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GAP "  "

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
		free(g->cell[i]);
	free(g->cell);
}

/* C0, DEL, and C1 (U+0080 to U+009F), which are 0xc2 and the byte itself in UTF-8: how many bytes of it; 0: it may be
 * shown. */
static size_t
control_bytes(const char *at)
{
	unsigned char c = (unsigned char)at[0], next = (unsigned char)(c != '\0' ? at[1] : '\0');

	if (c < 0x20 || c == 0x7f)
		return 1;
	return c == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 0;
}

char *
grid_safe(const char *text)
{
	char *safe = mem_zalloc(strlen(text) * 4 + 1), *to = safe;

	while (*text != '\0') {
		size_t n = control_bytes(text);

		if (n == 0)
			*to++ = *text++;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)text[n - 1]);
		text += n;
	}
	return safe;
}

void
grid_add(struct grid *g, const char *text)
{
	g->cell = mem_realloc(g->cell, (g->cells + 1) * sizeof *g->cell);
	g->cell[g->cells++] = grid_safe(text != NULL ? text : "-");
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

static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;	/* all but continuation bytes */
	return n;
}

static void
print_blanks(size_t n, FILE *to)
{
	while (n-- != 0)
		putc(' ', to);
}

static void
print_row(const struct grid *g, size_t first, const size_t *width, FILE *to)
{
	for (unsigned i = 0; i < g->columns && first + i < g->cells; i++) {
		const char *text = g->cell[first + i];
		size_t blanks = width[i] - width_of(text);
		bool is_right = (g->right & BIT(i)) != 0, is_last = i + 1 == g->columns || first + i + 1 == g->cells;

		fputs(i != 0 ? GAP : "", to);
		print_blanks(is_right ? blanks : 0, to);
		fputs(text, to);
		print_blanks(is_right || is_last ? 0 : blanks, to);
	}
	putc('\n', to);
}

void
grid_print(const struct grid *g, const char *indent, FILE *to)
{
	size_t width[GRID_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < g->cells; i++) {
		size_t n = width_of(g->cell[i]);

		if (n > width[i % g->columns])
			width[i % g->columns] = n;
	}
	for (size_t i = 0; i < g->cells; i += g->columns) {
		fputs(indent, to);
		print_row(g, i, width, to);
	}
}
