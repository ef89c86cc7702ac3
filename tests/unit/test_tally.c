/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts stay when a pool's selectors change, and when it is left out and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "small_daemon.h"

#include "proxy/tally.h"

#define INI(affinity) "[global]\nworkers = 1\n[admin]\nsocket = off\n[pool a]\ngateway = gw1 127.0.0.1:9\naffinity = " affinity \
	"\n[listener l]\nbind = 127.0.0.1:0\npool = a\n"

static uint64_t
hits(const struct tally_view *v, size_t selector)
{
	return counter_read(&v->row[selector]->outcome[AFFINITY_HIT]);
}

static void
counts_follow_names(void **state)
{
	struct daemon *one = small_daemon(INI("header:X, cookie")), *two = small_daemon(INI("cookie, query:q, header:X"));
	struct tallies ts;
	struct tally_view before, after;
	uint64_t sum[AFFINITY_OUTCOMES] = { 0 };

	(void)state;
	tallies_init(&ts);
	before = tally_view_new(&ts, "a", one->edition->service[0].affinity);
	counter_add(&before.row[0]->outcome[AFFINITY_HIT], 3);
	counter_add(&before.row[1]->outcome[AFFINITY_HIT], 5);
	counter_add(&before.row[2]->outcome[AFFINITY_NEW], 7);
	counter_add(&before.tally->retries, 9);
	after = tally_view_new(&ts, "a", two->edition->service[0].affinity);
	assert_int_equal(hits(&after, 0), 5);
	assert_int_equal(hits(&after, 1), 0);
	assert_int_equal(hits(&after, 2), 3);
	assert_int_equal(counter_read(&after.row[3]->outcome[AFFINITY_NEW]), 7);
	assert_int_equal(counter_read(&after.tally->retries), 9);
	tally_add(after.tally, sum);
	assert_int_equal(sum[AFFINITY_HIT], 8);
	assert_int_equal(sum[AFFINITY_NEW], 7);
	assert_int_equal(sum[AFFINITY_REJECTED], 0);
	tally_view_fini(&before);
	tally_view_fini(&after);
	after = tally_view_new(&ts, "b", two->edition->service[0].affinity);
	assert_int_equal(hits(&after, 0), 0);
	tally_view_fini(&after);
	tallies_fini(&ts);
	small_daemon_free(one);
	small_daemon_free(two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(counts_follow_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
