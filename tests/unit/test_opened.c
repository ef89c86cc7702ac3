/* SPDX-License-Identifier: BSD-2-Clause */
/* Seals that were opened: found whole and for their own pool only; floods of others don't drive out who comes often. */
#include "affinity/opened.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"

static const struct slice game = { "game", 4 };
static const struct seal_binding binding = { .tag = 7, .born_s = 8, .seen_s = 9 };

/* As random as a seal's. */
static void
text_of(unsigned i, char text[OPENED_TEXT])
{
	for (unsigned k = 0; k < OPENED_TEXT; k++)
		text[k] = (char)('A' + hash_bytes(&(unsigned[2]){ i, k }, 2 * sizeof i) % 26);
}

static void
test_whole_and_own(void **state)
{
	struct opened *o = opened_new();
	char text[OPENED_TEXT], name[65] = "";
	struct seal_binding b;

	(void)state;
	text_of(1, text);
	assert_false(opened_find(o, game, text, &b));
	opened_keep(o, game, text, &binding);
	assert_true(opened_find(o, game, text, &b));
	assert_true(b.tag == 7 && b.born_s == 8 && b.seen_s == 9);
	assert_false(opened_find(o, SLICE_LIT("gam"), text, &b));
	assert_false(opened_find(o, SLICE_LIT("games"), text, &b));
	assert_false(opened_find(o, SLICE_LIT("Game"), text, &b));
	for (unsigned bit = 0; bit < 8 * OPENED_TEXT; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		assert_false(opened_find(o, game, text, &b));
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	memset(text, 0, sizeof text);
	assert_false(opened_find(o, game, text, &b));	/* an empty place is nobody's */
	text_of(2, text);
	memset(name, 'n', sizeof name);
	opened_keep(o, slice_make(name, 65), text, &binding);
	assert_false(opened_find(o, slice_make(name, 65), text, &b));
	opened_keep(o, slice_make(name, 64), text, &binding);
	assert_true(opened_find(o, slice_make(name, 64), text, &b));
	opened_free(o);
	opened_free(NULL);
}

/* A client that comes with each thousandth of a flood of others' good seals nearly always finds its own. */
static void
test_flood(void **state)
{
	struct opened *o = opened_new();
	char mine[OPENED_TEXT], other[OPENED_TEXT];
	struct seal_binding b;
	unsigned found = 0;

	(void)state;
	text_of(0, mine);
	for (unsigned i = 1; i <= 200000; i++) {
		text_of(i, other);
		if (!opened_find(o, game, other, &b))
			opened_keep(o, game, other, &binding);
		if (i % 1000 != 0)
			continue;
		if (opened_find(o, game, mine, &b))
			found++;
		else
			opened_keep(o, game, mine, &binding);
	}
	assert_in_range(found, 190, 200);
	opened_free(o);
}

/* A hundred clients that come in turn find their own: hardly three of them want the same two places. */
static void
test_crowd(void **state)
{
	struct opened *o = opened_new();
	char text[OPENED_TEXT];
	struct seal_binding b;
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 20 * 100; i++) {
		text_of(i % 100, text);
		if (opened_find(o, game, text, &b))
			found++;
		else
			opened_keep(o, game, text, &binding);
	}
	assert_in_range(found, 19 * 95, 19 * 100);
	opened_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_own),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
