/* SPDX-License-Identifier: BSD-2-Clause */
/* From top to bottom: lines of pieces, of which those that do not fit are left out; the table of gateways, as far as
 * there is room; the keys. */
#include "ctl/screen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/sheet.h"
#include "ctl/term.h"
#include "ctl/utf8.h"
#include "ctl/words.h"

#define LAG_LINES 3
#define LAG_COLUMNS 25
#define ROWS_LEAST 3		/* even where the rest has to go */

struct row {
	const json_t *o;
	double rate;		/* requests a second; below 0: not known */
	double worth;		/* by which it is sorted, the most first */
	size_t place;		/* among all, as it came */
};

/* ---- lines of pieces ---- */

struct strip {
	const struct screen *screen;
	FILE *to;
	size_t used;
	bool is_full;
};

static struct strip
strip_begin(const struct screen *s, FILE *to)
{
	return (struct strip){ .screen = s, .to = to };
}

static void PRINTF_LIKE(3, 4)
strip_add(struct strip *strip, enum grid_paint paint, const char *fmt, ...)
{
	bool painted = strip->screen->has_colour && paint != GRID_PLAIN;
	size_t gap = strip->used != 0 ? 2 : 0, width;
	char *text, *safe;
	va_list args;

	va_start(args, fmt);
	text = mem_vprintf(fmt, args);
	va_end(args);
	safe = utf8_safe(text);
	width = gap + utf8_width(slice_of(safe));
	strip->is_full |= strip->screen->columns != 0 && strip->used + width > strip->screen->columns;
	if (!strip->is_full) {
		fprintf(strip->to, "%*s%s%s%s", (int)gap, "", painted ? grid_colour(paint) : "", safe,
		    painted ? grid_colour(GRID_PLAIN) : "");
		strip->used += width;
	}
	free(safe);
	free(text);
}

static void
strip_end(struct strip *strip)
{
	putc('\n', strip->to);
	*strip = strip_begin(strip->screen, strip->to);
}

/* ---- the process ---- */

static void
put_process(const struct screen *s, FILE *to)
{
	const char *version = field_text(s->status, "version"), *state = field_text(s->status, "state"),
	    *started = field_text(s->status, "started_words");
	struct strip strip = strip_begin(s, to);

	strip_add(&strip, GRID_HEAD, "stickyd %s", version != NULL ? version : "");
	if (state != NULL)
		strip_add(&strip, strcmp(state, "running") == 0 ? GRID_GOOD : GRID_WARNING, "%s", state);
	strip_add(&strip, GRID_PLAIN, "pid %lld", field_number(s->status, "pid"));
	if (started != NULL)
		strip_add(&strip, GRID_PLAIN, "started %s", started);
	strip_add(&strip, GRID_PLAIN, "%lld workers", field_number(s->status, "workers"));
	strip_end(&strip);
}

static void
put_trouble(const struct screen *s, FILE *to)
{
	struct grid g;

	if (s->trouble == NULL)
		return;
	grid_init(&g, 1, 0);
	grid_add(&g, s->trouble);
	grid_paint(&g, GRID_BAD);
	g.has_colour = s->has_colour;
	g.is_cut = s->lines != 0;
	grid_fit(&g, s->columns, NULL, 0);
	grid_print(&g, "", to);
	grid_fini(&g);
}

static void
put_traffic(const struct screen *s, FILE *to)
{
	const json_t *rates = json_object_get(s->status, "rates"), *table = json_object_get(s->status, "table");
	struct strip strip = strip_begin(s, to);
	char text[WORDS], more[WORDS];

	strip_add(&strip, GRID_HEAD, "%lld sessions", field_number(s->status, "sessions"));
	strip_add(&strip, GRID_PLAIN, "%s new/s", words_rate(field_real(rates, "sessions_s"), text));
	strip_add(&strip, GRID_PLAIN, "%s connections/s", words_rate(field_real(rates, "connections_s"), text));
	strip_add(&strip, GRID_PLAIN, "%s requests/s", words_rate(field_real(rates, "requests_s"), text));
	strip_end(&strip);
	strip_add(&strip, GRID_PLAIN, "%s/s in, %s/s out",
	    words_bytes((uint64_t)field_real(rates, "bytes_in_s"), text),
	    words_bytes((uint64_t)field_real(rates, "bytes_out_s"), more));
	if (field_is(s->status, "memory_bytes"))
		strip_add(&strip, GRID_PLAIN, "memory %s",
		    words_bytes((uint64_t)field_number(s->status, "memory_bytes"), text));
	strip_add(&strip, GRID_PLAIN, "%lld keys of %lld", field_number(table, "keys"),
	    field_number(table, "max_keys"));
	strip_end(&strip);
}

/* ---- workers ---- */

static long long
lag_of(const json_t *worker, const char *field)
{
	return field_number(json_object_get(worker, "lag"), field);
}

static int
compare_lag(const void *a, const void *b)
{
	long long one = lag_of(*(json_t *const *)a, "p99_us"), other = lag_of(*(json_t *const *)b, "p99_us");

	return (one < other) - (one > other);
}

static void
put_lag(const json_t *worker, FILE *to)
{
	char often[WORDS], most[WORDS], text[LAG_COLUMNS * 4];
	int n = snprintf(text, sizeof text, "  %lld: %s, %s", field_number(worker, "number"),
	    words_us((uint64_t)lag_of(worker, "p99_us"), often), words_us((uint64_t)lag_of(worker, "max_us"), most));

	fprintf(to, "%s%*s", text, n < LAG_COLUMNS ? LAG_COLUMNS - n : 0, "");
}

/* In their order if there is room for all of them, else those that lag most. */
static void
put_workers(const struct screen *s, FILE *to)
{
	const json_t *list = json_object_get(s->status, "workers_list");
	size_t n = json_array_size(list), a_line = s->columns > LAG_COLUMNS ? s->columns / LAG_COLUMNS : 1,
	    shown = s->columns == 0 ? n : LAG_LINES * a_line;
	struct strip strip = strip_begin(s, to);
	json_t **worker;

	if (n == 0)
		return;
	worker = mem_zalloc(n * sizeof(json_t *));
	for (size_t i = 0; i < n; i++)
		worker[i] = json_array_get(list, i);
	if (n > shown)
		qsort(worker, n, sizeof(json_t *), compare_lag);
	strip_add(&strip, GRID_PLAIN, "loops' lag, 99 of 100 turns and the longest%s",
	    n > shown ? "; the worst" : "");
	strip_end(&strip);
	for (size_t i = 0; i < n && i < shown; i++) {
		put_lag(worker[i], to);
		if ((i + 1) % a_line == 0 || i + 1 == n || i + 1 == shown)
			putc('\n', to);
	}
	free(worker);
}

/* ---- what is under way ---- */

static bool
is_draining(const json_t *gateway)
{
	const char *state = field_text(gateway, "state");

	return state != NULL && (strcmp(state, "draining") == 0 || strcmp(state, "leaving") == 0 ||
	    (strcmp(state, "gone") == 0 && field_number(gateway, "sessions") != 0));
}

static void
add_drains(const struct screen *s, struct strip *strip)
{
	const json_t *list = json_object_get(s->gateways, "gateways"), *at;
	size_t i;

	json_array_foreach(list, i, at) {
		const char *deadline = field_text(at, "deadline_words");

		if (!is_draining(at))
			continue;
		if (strip->used == 0)
			strip_add(strip, GRID_WARNING, "draining");
		strip_add(strip, GRID_PLAIN, "%s/%s: %lld left%s%s", field_text(at, "pool"), field_text(at, "name"),
		    field_number(at, "sessions"), deadline != NULL ? ", deadline " : "",
		    deadline != NULL ? deadline : "");
	}
}

static void
add_rebalances(const struct screen *s, struct strip *strip)
{
	const json_t *list = json_object_get(s->gateways, "pools"), *at;
	size_t i;

	json_array_foreach(list, i, at) {
		const json_t *rebalancing = json_object_get(at, "rebalancing");

		if (json_is_object(rebalancing))
			strip_add(strip, GRID_PLAIN, "rebalancing %s: %lld to move", field_text(at, "name"),
			    field_number(rebalancing, "left"));
	}
}

static void
put_progress(const struct screen *s, FILE *to)
{
	struct strip strip = strip_begin(s, to);

	add_drains(s, &strip);
	add_rebalances(s, &strip);
	if (strip.used != 0)
		strip_end(&strip);
}

/* ---- gateways ---- */

static const char *const sort_names[SCREEN_SORTS] = {
	[SCREEN_NAME] = "name", [SCREEN_STATE] = "state", [SCREEN_SESSIONS] = "sessions",
	[SCREEN_REQUESTS] = "requests", [SCREEN_ERRORS] = "errors",
};

static bool
is_same(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "pool"), json_object_get(b, "pool")) &&
	    json_equal(json_object_get(a, "name"), json_object_get(b, "name"));
}

/* The same gateway earlier; it stands at the same place unless a reload has come between. */
static const json_t *
earlier(const struct screen *s, const json_t *gateway, size_t place)
{
	const json_t *list = json_object_get(s->before, "gateways"), *at = json_array_get(list, place);
	size_t i;

	if (at != NULL && is_same(at, gateway))
		return at;
	json_array_foreach(list, i, at)
		if (is_same(at, gateway))
			return at;
	return NULL;
}

static double
rate_of(const struct screen *s, const json_t *gateway, size_t place)
{
	const json_t *before = earlier(s, gateway, place);
	long long n = field_number(gateway, "requests") - field_number(before, "requests");

	return before == NULL || n < 0 || s->apart_s <= 0 ? -1 : (double)n / s->apart_s;
}

/* What an operator looks at first: the worst. */
static double
state_worth(const json_t *gateway)
{
	static const char *const states[] = { "up", "full", "draining", "leaving", "gone", "down" };
	const char *state = field_text(gateway, "state");

	for (size_t i = 0; state != NULL && i < COUNT(states); i++)
		if (strcmp(states[i], state) == 0)
			return (double)i;
	return COUNT(states);
}

static double
worth_of(const struct screen *s, const struct row *r)
{
	switch (s->sort) {
	case SCREEN_STATE:
		return state_worth(r->o);
	case SCREEN_SESSIONS:
		return field_real(r->o, "sessions");
	case SCREEN_REQUESTS:
		return r->rate;
	case SCREEN_ERRORS:
		return field_real(r->o, "errors");
	case SCREEN_NAME:
	default:
		return -(double)r->place;
	}
}

static int
compare_rows(const void *a, const void *b)
{
	const struct row *one = a, *other = b;

	if (one->worth != other->worth)
		return one->worth < other->worth ? 1 : -1;
	return one->place < other->place ? -1 : 1;
}

/* The caller's. */
static struct row *
sorted_rows(const struct screen *s, size_t *n)
{
	const json_t *list = json_object_get(s->gateways, "gateways"), *at;
	struct row *row;
	size_t i;

	*n = json_array_size(list);
	row = mem_zalloc((*n + 1) * sizeof *row);
	json_array_foreach(list, i, at) {
		row[i] = (struct row){ .o = at, .rate = rate_of(s, at, i), .place = i };
		row[i].worth = worth_of(s, &row[i]) * (s->is_reversed ? -1 : 1);
	}
	qsort(row, *n, sizeof *row, compare_rows);
	return row;
}

enum { NAME, STATE, WEIGHT, SESSIONS, REQUESTS, ERRORS, CHECK, WHY, COLUMNS };

static void
add_row(struct grid *g, const struct row *r)
{
	const char *pool = field_text(r->o, "pool"), *name = field_text(r->o, "name");
	char text[WORDS];

	grid_addf(g, "%s/%s", pool != NULL ? pool : "?", name != NULL ? name : "?");
	sheet_state(g, field_text(r->o, "state"));
	grid_addf(g, "%lld", field_number(r->o, "weight"));
	grid_addf(g, "%lld", field_number(r->o, "sessions"));
	grid_add(g, r->rate >= 0 ? words_rate(r->rate, text) : NULL);
	grid_addf(g, "%lld", field_number(r->o, "errors"));
	sheet_own(g, sheet_check(json_object_get(r->o, "check")));
	sheet_own(g, sheet_why(r->o));
}

static void
fill_grid(const struct screen *s, struct grid *g, const struct row *row, size_t n)
{
	static const char *const heads[] = {
		[NAME] = "GATEWAY", [STATE] = "STATE", [WEIGHT] = "WEIGHT", [SESSIONS] = "SESSIONS",
		[REQUESTS] = "REQ/S", [ERRORS] = "ERRORS", [CHECK] = "CHECK", [WHY] = "WHY",
	};
	static const unsigned char spare[] = { CHECK, WEIGHT, ERRORS };

	grid_init(g, COLUMNS, BIT(WEIGHT) | BIT(SESSIONS) | BIT(REQUESTS) | BIT(ERRORS));
	sheet_heads(g, heads, COUNT(heads));
	for (size_t i = 0; i < n; i++)
		add_row(g, &row[i]);
	g->has_colour = s->has_colour;
	g->is_cut = s->lines != 0;
	grid_fit(g, s->columns, spare, COUNT(spare));
}

static void
put_keys(const struct screen *s, size_t n, FILE *to)
{
	struct strip strip = strip_begin(s, to);
	size_t last = s->first + s->rows < n ? s->first + s->rows : n;

	strip_add(&strip, GRID_FAINT, "%zu-%zu of %zu", n != 0 ? s->first + 1 : 0, last, n);
	strip_add(&strip, GRID_FAINT, "q quit");
	strip_add(&strip, GRID_FAINT, "s sorted by %s%s", sort_names[s->sort], s->is_reversed ? ", reversed" : "");
	strip_add(&strip, GRID_FAINT, "r reverse");
	strip_add(&strip, GRID_FAINT, "arrows, page keys: scroll");
	putc('\n', to);
}

/* How many rows there is room for behind so many lines, the heads and the keys. */
static size_t
rows_behind(const struct screen *s, size_t used, size_t n)
{
	size_t room;

	if (s->lines == 0)
		return n;
	used += 1 + (s->has_keys ? 1 : 0);
	room = s->lines > used ? s->lines - used : 0;
	return room < n ? room : n;
}

static void
put_gateways(struct screen *s, size_t used, FILE *to)
{
	struct grid g;
	size_t n;
	struct row *row = sorted_rows(s, &n);

	s->rows = rows_behind(s, used, n);
	if (s->first > n - s->rows)
		s->first = n - s->rows;
	fill_grid(s, &g, row, n);
	grid_print_rows(&g, "", 0, 1, to);
	grid_print_rows(&g, "", 1 + s->first, s->rows, to);
	grid_fini(&g);
	free(row);
	for (used += 1 + s->rows; s->has_keys && used + 1 < s->lines; used++)
		putc('\n', to);
	if (s->has_keys)
		put_keys(s, n, to);
}

/* ---- all of it ---- */

static size_t
lines_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* What stands above the gateways; on a low screen the first of it. */
static char *
top_text(const struct screen *s)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	must(to != NULL);
	put_process(s, to);
	put_trouble(s, to);
	put_traffic(s, to);
	put_progress(s, to);
	put_workers(s, to);
	must(fclose(to) == 0);
	return text;
}

static size_t
lines_above(const struct screen *s, const char *top)
{
	size_t n = lines_of(top), rows = ROWS_LEAST + 1 + (s->has_keys ? 1 : 0), most;

	if (s->lines == 0)
		return n;
	most = s->lines > rows ? s->lines - rows : 0;
	return n < most ? n : most;
}

char *
screen_text(struct screen *s)
{
	char *top = top_text(s), *text;
	struct slice rest = slice_of(top);
	size_t n, above = lines_above(s, top);
	FILE *to = open_memstream(&text, &n);

	must(to != NULL);
	for (size_t i = 0; i < above; i++) {
		struct slice line = slice_cut(&rest, '\n');

		fprintf(to, "%.*s\n", SLICE_FMT(line));
	}
	put_gateways(s, above, to);
	must(fclose(to) == 0);
	free(top);
	return text;
}

static void
scroll(struct screen *s, size_t rows, bool is_down)
{
	if (is_down)
		s->first += rows;
	else
		s->first -= rows < s->first ? rows : s->first;
}

void
screen_key(struct screen *s, int key)
{
	switch (key) {
	case 's':
		s->sort = (s->sort + 1) % SCREEN_SORTS;
		break;
	case 'r':
		s->is_reversed = !s->is_reversed;
		break;
	case TERM_UP:
	case 'k':
		scroll(s, 1, false);
		break;
	case TERM_DOWN:
	case 'j':
		scroll(s, 1, true);
		break;
	case TERM_PAGE_UP:
		scroll(s, s->rows, false);
		break;
	case TERM_PAGE_DOWN:
	case ' ':
		scroll(s, s->rows, true);
		break;
	case TERM_HOME:
	case 'g':
		s->first = 0;
		break;
	case TERM_END:
	case 'G':
		s->first = SIZE_MAX / 2;	/* no row stands there: what is shown is the end */
		break;
	default:
		break;
	}
}
