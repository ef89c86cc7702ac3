/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring of links: order, taking off twice, taking off while walking. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 4

struct item {
	char name;
	struct list link;
};

static struct list head;
static struct item items[ITEMS];

static int
setup(void **state)
{
	(void)state;
	list_init(&head);
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i].name = (char)('a' + i);
		list_init(&items[i].link);
	}
	return 0;
}

static void
assert_order(const char *wanted)
{
	char forward[ITEMS + 1] = "", backward[ITEMS + 1] = "";
	size_t n = 0;

	LIST_EACH(at, after, &head)
		forward[n++] = LIST_ENTRY_OF(at, struct item, link)->name;
	assert_string_equal(forward, wanted);
	for (struct list *at = head.prev; at != &head; at = at->prev)
		backward[--n] = LIST_ENTRY_OF(at, struct item, link)->name;
	assert_string_equal(backward, wanted);
	assert_int_equal(list_is_empty(&head), *wanted == '\0');
}

static void
keeps_the_order(void **state)
{
	(void)state;
	assert_order("");
	list_add_tail(&head, &items[1].link);
	list_add_tail(&head, &items[2].link);
	list_add_head(&head, &items[0].link);
	assert_order("abc");
	list_remove(&items[1].link);
	assert_order("ac");
	list_remove(&items[1].link); /* twice is fine */
	assert_order("ac");
	list_add_head(&head, &items[1].link);
	assert_order("bac");
}

static void
taken_off_while_walking(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITEMS; i++)
		list_add_tail(&head, &items[i].link);
	LIST_EACH(at, after, &head)
		if (LIST_ENTRY_OF(at, struct item, link)->name != 'c')
			list_remove(at);
	assert_order("c");
	LIST_EACH(at, after, &head)
		list_remove(at);
	assert_order("");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keeps_the_order, setup),
		cmocka_unit_test_setup(taken_off_while_walking, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
