/* SPDX-License-Identifier: BSD-2-Clause */
/* Silence is what was watched, not what the clock says. */
#include "store/vigil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS 1000000

static struct vigil
begun(void)
{
	struct vigil v = { .looked_ms = 0 };

	vigil_look(&v, START_MS);
	return v;
}

static void
silence_is_measured(void **state)
{
	struct vigil v = begun();
	uint64_t since_ms = v.now_ms;

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		vigil_look(&v, START_MS + i * WHEEL_SLOT_MS);
		assert_int_equal(vigil_silence_ms(&v, since_ms), i * WHEEL_SLOT_MS);
	}
}

static void
of_a_pause_little_counts(void **state)
{
	struct vigil v = begun();
	uint64_t since_ms = v.now_ms;

	(void)state;
	vigil_look(&v, START_MS + 3000);
	assert_int_equal(vigil_silence_ms(&v, since_ms), VIGIL_PAUSE_MS);
	vigil_look(&v, START_MS + 3010);
	assert_int_equal(vigil_silence_ms(&v, since_ms), VIGIL_PAUSE_MS + 10);
	vigil_look(&v, START_MS + 2000); /* another thread's clock */
	assert_int_equal(vigil_silence_ms(&v, since_ms), VIGIL_PAUSE_MS + 10);
}

static void
a_word_ends_it_for_all(void **state)
{
	struct vigil v = begun();
	uint64_t first_ms = v.now_ms, second_ms;

	(void)state;
	vigil_look(&v, START_MS + 10);
	second_ms = v.now_ms;
	vigil_hear(&v, START_MS + 15);
	assert_int_equal(vigil_silence_ms(&v, first_ms), 0);
	vigil_look(&v, START_MS + 20);
	assert_int_equal(vigil_silence_ms(&v, first_ms), 5);
	assert_int_equal(vigil_silence_ms(&v, second_ms), 5);
	assert_int_equal(vigil_silence_ms(&v, v.now_ms), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_measured),
		cmocka_unit_test(of_a_pause_little_counts),
		cmocka_unit_test(a_word_ends_it_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
