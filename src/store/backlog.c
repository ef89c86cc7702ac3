/* SPDX-License-Identifier: BSD-2-Clause */
/* Two lists and a map. What failed stays among the flying until all of these are answered, so that all of it comes
 * back in the order in which it was. */
#include "store/backlog.h"

#include <stdlib.h>

void
backlog_init(struct backlog *b)
{
	*b = (struct backlog){ .by_key = NULL };
	list_init(&b->waiting);
	list_init(&b->flying);
}

static void
told_free(struct backlog *b, struct told *t)
{
	list_remove(&t->link);
	HASH_DEL(b->by_key, t);
	b->n--;
	gateway_unref(t->gateway);
	free(t);
}

void
backlog_fini(struct backlog *b)
{
	struct told *t, *after;

	HASH_ITER(hh, b->by_key, t, after)
		told_free(b, t);
}

/* The same key again: the later one counts, and waits for its own turn. */
static void
told_replace(struct backlog *b, struct told *t, struct gateway *g)
{
	gateway_ref(g);
	gateway_unref(t->gateway);
	t->gateway = g;
	t->again = t->flies;
	if (t->flies)
		return;
	list_remove(&t->link);
	list_add_tail(&b->waiting, &t->link);
}

static struct told *
told_new(const struct table_key *key, struct slice pool, struct slice text, struct gateway *g)
{
	struct told *t = calloc(1, sizeof *t + text.n + pool.n);

	if (t == NULL)
		return NULL;
	t->key = *key;
	t->gateway = gateway_ref(g);
	t->n = text.n;
	if (text.n != 0)
		memcpy(t->text, text.p, text.n);
	memcpy(t->text + text.n, pool.p, pool.n);
	t->pool = slice_make(t->text + text.n, pool.n);
	list_init(&t->call.link);
	return t;
}

bool
backlog_add(struct backlog *b, const struct table_key *key, struct slice pool, struct slice text,
    struct gateway *g)
{
	struct told *t;

	HASH_FIND(hh, b->by_key, key, sizeof *key, t);
	if (t != NULL) {
		told_replace(b, t, g);
		return true;
	}
	t = told_new(key, pool, text, g);
	if (t == NULL)
		return false;
	list_add_tail(&b->waiting, &t->link);
	HASH_ADD(hh, b->by_key, key, sizeof t->key, t);
	b->n++;
	return true;
}

struct told *
backlog_next(struct backlog *b)
{
	struct told *t;

	if (list_is_empty(&b->waiting))
		return NULL;
	t = LIST_ENTRY_OF(b->waiting.next, struct told, link);
	list_remove(&t->link);
	list_add_tail(&b->flying, &t->link);
	t->flies = true;
	b->out++;
	return t;
}

static void
told_land(struct told *t)
{
	list_remove(&t->link);
	t->flies = t->again = false;
}

/* All are answered, so whoever still flies has failed. */
static void
backlog_return_failed(struct backlog *b)
{
	while (b->out == 0 && !list_is_empty(&b->flying)) {
		struct told *last = LIST_ENTRY_OF(b->flying.prev, struct told, link);

		told_land(last);
		list_add_head(&b->waiting, &last->link);
	}
}

void
backlog_done(struct backlog *b, struct told *t)
{
	b->out--;
	if (t->again) {
		told_land(t);
		list_add_tail(&b->waiting, &t->link);
	} else {
		told_free(b, t);
	}
	backlog_return_failed(b);
}

void
backlog_failed(struct backlog *b, struct told *t)
{
	must(t->flies);
	b->out--;
	backlog_return_failed(b);
}

void
backlog_ground(struct backlog *b)
{
	b->out = 0;
	backlog_return_failed(b);
}

bool
backlog_drop(struct backlog *b)
{
	if (list_is_empty(&b->waiting))
		return false;
	told_free(b, LIST_ENTRY_OF(b->waiting.next, struct told, link));
	return true;
}
