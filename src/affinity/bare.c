/* SPDX-License-Identifier: BSD-2-Clause */
/* Counted in a row, so that one client without is no news where others carry what they should. */
#include "affinity/bare.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* The first request without is news where clients bring their keys along. Where the cookie is handed out on the way,
 * newcomers have none, and only many in a row are. */
#define ROW_OF_KEYS 1
#define ROW_OF_COOKIES 50
#define SAID_EVERY_MS 60000

struct bare {
	const struct conf_pool *conf;
	unsigned enough;
	atomic_uint row;
	_Atomic uint64_t said_ms;	/* 0: never */
};

struct bare *
bare_new(const struct conf_pool *cf)
{
	struct bare *b = mem_zalloc(sizeof *b);

	b->conf = cf;
	b->enough = ROW_OF_KEYS;
	for (size_t i = 0; i < cf->selectors; i++)
		if (cf->selector[i].kind <= CONF_SELECTOR_PREFIX)
			b->enough = ROW_OF_COOKIES;
	return b;
}

void
bare_free(struct bare *b)
{
	free(b);
}

void
bare_adopt(struct bare *new, const struct bare *old)
{
	atomic_store_explicit(&new->row, atomic_load_explicit(&old->row, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&new->said_ms, atomic_load_explicit(&old->said_ms, memory_order_relaxed),
	    memory_order_relaxed);
}

static void
bare_say(const struct bare *b, unsigned row)
{
	char list[512];
	struct buf names = buf_of(list, sizeof list);

	for (size_t i = 0; i < b->conf->selectors; i++) {
		if (i != 0)
			buf_lit(&names, ", ");
		buf_add(&names, slice_of(b->conf->selector[i].text));
	}
	log_warn("pool %s: clients carry none of what affinity looks for (%.*s): %u request%s in a row",
	    b->conf->name, SLICE_FMT(buf_slice(&names)), row, row == 1 ? "" : "s");
}

/* Has nobody said it lately? Then the caller is to. */
static bool
bare_may_say(struct bare *b)
{
	uint64_t now_ms = clock_coarse_ms(), said_ms = atomic_load_explicit(&b->said_ms, memory_order_relaxed);

	if (said_ms != 0 && now_ms - said_ms < SAID_EVERY_MS)
		return false;
	return atomic_compare_exchange_strong(&b->said_ms, &said_ms, now_ms);
}

void
bare_note(struct bare *b, bool carries_nothing)
{
	unsigned row;

	if (!carries_nothing) {
		/* Read first: a line that nobody writes stays in every processor's cache. */
		if (atomic_load_explicit(&b->row, memory_order_relaxed) != 0)
			atomic_store_explicit(&b->row, 0, memory_order_relaxed);
		return;
	}
	row = atomic_fetch_add_explicit(&b->row, 1, memory_order_relaxed) + 1;
	if (row >= b->enough && bare_may_say(b))
		bare_say(b, row);
}
