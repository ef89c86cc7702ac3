/* SPDX-License-Identifier: BSD-2-Clause */
/* Where standard output goes is asked for each grid: it costs nothing here. */
#include "ctl/sheet.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/term.h"
#include "ctl/utf8.h"
#include "ctl/words.h"

void
sheet_init(struct grid *g)
{
	grid_init(g, 2, 0);
}

void
sheet_line(struct grid *g, const char *name, const char *value)
{
	if (value == NULL)
		return;
	grid_add(g, name);
	grid_add(g, value);
}

void
sheet_number(struct grid *g, const char *name, const json_t *o, const char *field)
{
	grid_add(g, name);
	grid_addf(g, "%lld", field_number(o, field));
}

void
sheet_time(struct grid *g, const char *name, const json_t *o, const char *field)
{
	char *words_name = mem_printf("%s_words", field);
	const char *at = field_text(o, field), *words = field_text(o, words_name);

	if (at != NULL) {
		grid_add(g, name);
		grid_addf(g, "%s (%s)", at, words != NULL ? words : "?");
	}
	free(words_name);
}

void
sheet_heads(struct grid *g, const char *const *heads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		grid_add(g, heads[i]);
		grid_paint(g, GRID_HEAD);
	}
}

void
sheet_state(struct grid *g, const char *state)
{
	static const struct {
		const char *state;
		enum grid_paint paint;
	} paints[] = {
		{ "up", GRID_GOOD }, { "full", GRID_WARNING }, { "draining", GRID_WARNING },
		{ "leaving", GRID_WARNING }, { "down", GRID_BAD }, { "gone", GRID_BAD },
	};

	grid_add(g, state);
	for (size_t i = 0; state != NULL && i < COUNT(paints); i++)
		if (strcmp(paints[i].state, state) == 0)
			grid_paint(g, paints[i].paint);
}

char *
sheet_check(const json_t *check)
{
	const char *kind = field_text(check, "kind");
	char took[WORDS];

	if (kind == NULL)
		return NULL;
	if (!field_is(check, "good"))
		return mem_printf("%s: not yet", kind);
	return field_flag(check, "good")
	    ? mem_printf("%s: %s", kind, words_us((uint64_t)field_number(check, "took_us"), took))
	    : mem_printf("%s: failed", kind);
}

char *
sheet_why(const json_t *o)
{
	const char *why = field_text(o, "why"), *deadline = field_text(o, "deadline_words");
	long long closing = field_number(o, "closing");
	char *text = mem_strdup(why != NULL ? why : ""), *longer;

	if (deadline != NULL && closing == 0) {
		longer = mem_printf("%s%sdeadline %s", text, *text != '\0' ? "; " : "", deadline);
		free(text);
		text = longer;
	}
	if (closing != 0) {
		longer = mem_printf("%s%s%lld still to close", text, *text != '\0' ? "; " : "", closing);
		free(text);
		text = longer;
	}
	return text;
}

/* Takes over the text. */
void
sheet_own(struct grid *g, char *text)
{
	grid_add(g, text != NULL && *text != '\0' ? text : NULL);
	free(text);
}

static void
print_fitted(struct grid *g, const char *indent, const unsigned char *spare, size_t spares)
{
	size_t width = term_width(STDOUT_FILENO), left = strlen(indent);

	g->has_colour = term_has_colour(STDOUT_FILENO);
	grid_fit(g, width > left ? width - left : width, spare, spares);
	grid_print(g, indent, stdout);
	grid_fini(g);
}

void
sheet_print(struct grid *g, const char *indent)
{
	print_fitted(g, indent, NULL, 0);
}

void
sheet_print_table(struct grid *g, const unsigned char *spare, size_t spares)
{
	print_fitted(g, "", spare, spares);
}

void
sheet_say(FILE *to, const char *before, const char *text)
{
	char *safe;

	if (text == NULL)
		return;
	safe = utf8_safe(text);
	fprintf(to, "%s%s\n", before, safe);
	free(safe);
}
