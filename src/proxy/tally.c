/* SPDX-License-Identifier: BSD-2-Clause */
/* Few pools with few selectors each, looked for at reloads only: lists will do. */
#include "proxy/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
tallies_init(struct tallies *ts)
{
	list_init(&ts->list);
}

static void
tally_free(struct tally *t)
{
	LIST_EACH (at, after, &t->rows) {
		struct tally_row *row = LIST_ENTRY_OF(at, struct tally_row, list);

		free(row->selector);
		free(row);
	}
	free(t->pool);
	free(t);
}

void
tallies_fini(struct tallies *ts)
{
	LIST_EACH (at, after, &ts->list)
		tally_free(LIST_ENTRY_OF(at, struct tally, list));
}

static struct tally *
tallies_open(struct tallies *ts, const char *pool)
{
	struct tally *t;

	LIST_EACH (at, after, &ts->list) {
		t = LIST_ENTRY_OF(at, struct tally, list);
		if (strcmp(t->pool, pool) == 0)
			return t;
	}
	t = mem_zalloc(sizeof *t);
	t->pool = mem_strdup(pool);
	list_init(&t->rows);
	list_add_tail(&ts->list, &t->list);
	return t;
}

static struct tally_row *
tally_open(struct tally *t, const char *selector)
{
	struct tally_row *row;

	LIST_EACH (at, after, &t->rows) {
		row = LIST_ENTRY_OF(at, struct tally_row, list);
		if (strcmp(row->selector, selector) == 0)
			return row;
	}
	row = mem_zalloc(sizeof *row);
	row->selector = mem_strdup(selector);
	list_add_tail(&t->rows, &row->list);
	return row;
}

struct tally_view
tally_view_new(struct tallies *ts, const char *pool, const struct affinity *a)
{
	size_t n = affinity_selectors(a);
	struct tally_view v = { tallies_open(ts, pool), mem_zalloc((n + 1) * sizeof(struct tally_row *)) };

	for (size_t i = 0; i < n; i++)
		v.row[i] = tally_open(v.tally, affinity_selector_text(a, i));
	v.row[n] = tally_open(v.tally, "none");
	return v;
}

void
tally_view_fini(struct tally_view *v)
{
	free(v->row);
}

void
tally_add(const struct tally *t, uint64_t outcome[AFFINITY_OUTCOMES])
{
	LIST_EACH (at, after, &t->rows) {
		const struct tally_row *row = LIST_ENTRY_OF(at, struct tally_row, list);

		for (unsigned o = 0; o < AFFINITY_OUTCOMES; o++)
			outcome[o] += counter_read(&row->outcome[o]);
	}
}
