/* SPDX-License-Identifier: BSD-2-Clause */
/* One key, one session. */
#include "proxy/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct holder told;
static unsigned times;

static void
on_duplicate(void *arg, const struct holder *old)
{
	(void)arg;
	told = *old;
	times++;
}

static void
takes_over(void **state)
{
	struct holders *all = holders_new();
	struct proxy one = { .number = 1, .holders = all, .on_duplicate = on_duplicate };
	struct proxy two = { .number = 2, .holders = all, .on_duplicate = on_duplicate };
	struct session *s = (struct session *)&one, *t = (struct session *)&two;	/* never looked into */
	struct table_key key = { 1, 2 }, other = { 1, 3 };
	struct hold *first, *second, *third;

	(void)state;
	times = 0;
	first = hold_new(&one, &key, s);
	third = hold_new(&one, &other, t);
	assert_int_equal(times, 0);
	second = hold_new(&two, &key, t);
	assert_int_equal(times, 1);
	assert_int_equal(told.worker, 1);
	assert_ptr_equal(hold_find(&one, told.session), s);
	assert_null(hold_find(&two, 99));

	/* the old one ends after: the key stays the new one's */
	hold_free(&one, first);
	assert_null(hold_find(&one, told.session));
	assert_int_equal(holders_count(all), 2);
	hold_free(&two, second);
	hold_free(&one, third);
	hold_free(&one, NULL);
	assert_int_equal(holders_count(all), 0);
	holders_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
