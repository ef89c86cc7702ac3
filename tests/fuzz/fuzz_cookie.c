/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Cookie line. Every pair lies in the line; taking a name out leaves exactly the other pairs, in order and as they
 * were, in no more room than the line had; taking it out again changes nothing.
 */
#include "http/cookie.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"

static void
iterate(struct slice value, struct cookie_iter *it, struct head *head)
{
	head->field[0] = (struct field){ .name = SLICE_LIT("Cookie"), .value = slice_trim(value), .id = FIELD_COOKIE };
	head->fields = 1;
	cookie_iter_init(it, head);
}

/* The next pair that has another name. */
static bool
next_other(struct cookie_iter *it, struct slice name, struct cookie_pair *pair)
{
	while (cookie_next(it, pair))
		if (!slice_eq(pair->name, name))
			return true;
	return false;
}

static void
check_without(struct slice value, struct slice name)
{
	static struct head before, after;
	char *to = mem_realloc(NULL, value.n + 1), *again = mem_realloc(NULL, value.n + 1);
	size_t n = cookie_without(value, name, to);
	struct cookie_iter old, new;
	struct cookie_pair was, is;

	must(n <= value.n);
	iterate(value, &old, &before);
	iterate(slice_make(to, n), &new, &after);
	while (next_other(&old, name, &was)) {
		must(cookie_next(&new, &is));
		must(slice_eq(was.name, is.name) && slice_eq(was.value, is.value) && slice_eq(was.whole, is.whole));
	}
	must(!cookie_next(&new, &is));
	must(cookie_without(slice_make(to, n), name, again) == n && memcmp(to, again, n) == 0);
	free(again);
	free(to);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head head;
	struct slice value = slice_make((const char *)data, size), set;
	struct cookie_iter it;
	struct cookie_pair pair;

	iterate(value, &it, &head);
	while (cookie_next(&it, &pair)) {
		must(pair.whole.n != 0 && pair.whole.p >= value.p && pair.whole.p + pair.whole.n <= value.p + value.n);
		must(pair.name.n + pair.value.n <= pair.whole.n && slice_eq(slice_trim(pair.whole), pair.whole));
	}
	cookie_iter_init(&it, &head);
	for (unsigned i = 0; i < 4 && cookie_next(&it, &pair); i++)
		check_without(value, pair.name);
	check_without(value, SLICE_LIT("STICKYD"));
	set = cookie_set_name(value);
	must(set.n <= value.n && (set.n == 0 || (set.p >= value.p && set.p + set.n <= value.p + value.n)));
	return 0;
}
