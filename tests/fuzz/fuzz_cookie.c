/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Cookie line, and the same bytes as a Set-Cookie line. Every pair lies in the line. Edited, with one name taken
 * out and all that stands before a "~" in values, it is exactly the other pairs, in order and but for that as they
 * were, in no more room than the line had. What is kept as it is stays so byte by byte.
 */
#include "http/cookie.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

static void
must_lie_in(struct slice s, struct slice bytes)
{
	must(s.n == 0 || (s.p >= bytes.p && s.p + s.n <= bytes.p + bytes.n));
}

static void
iterate(struct slice value, struct cookie_iter *it, struct head *head)
{
	head->field[0] = (struct field){ .name = SLICE_LIT("Cookie"), .value = slice_trim(value), .id = FIELD_COOKIE };
	head->fields = 1;
	cookie_iter_init(it, head);
}

/* What arg names goes. */
static enum cookie_fate
edit(void *arg, struct cookie_pair *pair)
{
	const struct slice *name = arg;
	size_t at = slice_find(pair->value, '~');

	if (slice_eq(pair->name, *name))
		return COOKIE_DROP;
	if (pair->name.n == 0 || at == pair->value.n)
		return COOKIE_KEEP;
	pair->value = slice_skip(pair->value, at + 1);
	return COOKIE_REPLACE;
}

static enum cookie_fate
keep(void *arg, struct cookie_pair *pair)
{
	(void)arg;
	*pair = (struct cookie_pair){ .name = SLICE_NONE };
	return COOKIE_KEEP;
}

/* The pair as it must be afterwards: the bytes around the value, and what is left of it. */
static void
must_be_edited(const struct cookie_pair *was, struct slice left, const struct cookie_pair *is)
{
	size_t before = (size_t)(was->value.p - was->whole.p);
	char *text = mem_realloc(NULL, was->whole.n);
	struct buf b = buf_of(text, was->whole.n);

	buf_add(&b, slice_head(was->whole, before));
	buf_add(&b, left);
	buf_add(&b, slice_skip(was->whole, before + was->value.n));
	must(slice_eq(is->whole, slice_trim(buf_slice(&b))) && slice_eq(is->name, was->name));
	free(text);
}

static void
check_edit(struct slice value, struct slice name)
{
	static struct head before, after;
	char *to = mem_realloc(NULL, value.n + 1);
	size_t n = cookie_edit(value, edit, &name, to);
	struct cookie_iter old, new;
	struct cookie_pair was, is;

	must(n <= value.n);
	iterate(value, &old, &before);
	iterate(slice_make(to, n), &new, &after);
	while (cookie_next(&old, &was)) {
		struct cookie_pair wanted = was;

		if (edit(&name, &wanted) == COOKIE_DROP)
			continue;
		must(cookie_next(&new, &is));
		must_be_edited(&was, wanted.value, &is);
	}
	must(!cookie_next(&new, &is));
	free(to);
}

static void
check_keep(struct slice value)
{
	char *to = mem_realloc(NULL, value.n + 1), *again = mem_realloc(NULL, value.n + 1);
	size_t n = cookie_edit(value, keep, NULL, to);

	must(cookie_edit(slice_make(to, n), keep, NULL, again) == n && memcmp(to, again, n) == 0);
	free(again);
	free(to);
}

static void
check_set(struct slice value)
{
	struct cookie_set set = cookie_set_split(value);

	must(set.before.n + set.value.n + set.after.n == value.n);
	must(slice_eq(set.before, slice_head(value, set.before.n)));
	must(slice_eq(set.value, slice_head(slice_skip(value, set.before.n), set.value.n)));
	must(slice_eq(set.after, slice_skip(value, set.before.n + set.value.n)));
	must(set.name.n < set.before.n || set.name.n == 0);
	must_lie_in(set.name, set.before);
	must(!cookie_set_is_end(&set) || set.after.n >= sizeof ";Max-Age=0" - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head head;
	struct slice value = slice_make((const char *)data, size);
	struct cookie_iter it;
	struct cookie_pair pair;

	iterate(value, &it, &head);
	while (cookie_next(&it, &pair)) {
		must(pair.whole.n != 0 && slice_eq(slice_trim(pair.whole), pair.whole));
		must_lie_in(pair.whole, value);
		must_lie_in(pair.value, pair.whole);
		must_lie_in(pair.name, pair.whole);
		must(pair.name.n + pair.value.n <= pair.whole.n);
	}
	cookie_iter_init(&it, &head);
	for (unsigned i = 0; i < 4 && cookie_next(&it, &pair); i++)
		check_edit(value, pair.name);
	check_edit(value, SLICE_LIT("STICKYD"));
	check_keep(value);
	check_set(value);
	return 0;
}
