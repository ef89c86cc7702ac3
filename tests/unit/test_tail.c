/* SPDX-License-Identifier: BSD-2-Clause */
/* Each event is told once, and a daemon that has begun anew is noticed however far it has come. */
#include "ctl/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* What is told of this answer. */
static char *
told_of(struct tail *t, const char *answer, bool as_json, bool *good)
{
	json_t *value = json_loads(answer, 0, NULL);
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(value);
	*good = tail_take(t, value, as_json, to);
	fclose(to);
	json_decref(value);
	return text;
}

static void
test_a_story(void **state)
{
	static const struct {
		const char *answer;
		bool as_json, good;
		const char *told;
		long long after;	/* then */
	} steps[] = {
		{ "{\"events\": [], \"last\": 0}", false, true, "", 0 },
		{ "{\"events\": [{\"number\": 1, \"at\": \"A\", \"level\": \"notice\", \"text\": \"one\"}], \"last\": 1}",
		  false, true, "A notice one\n", 0 },
		{ "{\"events\": [{\"number\": 1, \"at\": \"A\", \"level\": \"notice\", \"text\": \"one\"}], \"last\": 1}",
		  false, true, "", 0 },
		{ "{\"events\": [{\"number\": 1, \"at\": \"A\", \"level\": \"notice\", \"text\": \"one\"},"
		  " {\"number\": 2, \"at\": \"B\", \"level\": \"warn\", \"text\": \"two\"}], \"last\": 2}",
		  true, true, "{\"number\":2,\"at\":\"B\",\"level\":\"warn\",\"text\":\"two\"}\n", 1 },
		/* events have been lost in between */
		{ "{\"events\": [{\"number\": 9, \"at\": \"C\", \"level\": \"warn\", \"text\": \"nine\"}], \"last\": 9}",
		  false, true, "C warn   nine\n", 8 },
		/* it has begun anew: fewer, or as many but others */
		{ "{\"events\": [], \"last\": 3}", false, false, "", 0 },
		{ "{\"events\": [{\"number\": 4, \"at\": \"D\", \"level\": \"error\", \"text\": \"four\"}], \"last\": 4}",
		  false, true, "D error  four\n", 3 },
		{ "{\"events\": [{\"number\": 4, \"at\": \"E\", \"level\": \"error\", \"text\": \"x\"}], \"last\": 4}",
		  false, false, "", 0 },
	};
	struct tail t;

	(void)state;
	tail_init(&t);
	for (size_t i = 0; i < COUNT(steps); i++) {
		bool good;
		char *told = told_of(&t, steps[i].answer, steps[i].as_json, &good);

		assert_int_equal(good, steps[i].good);
		assert_string_equal(told, steps[i].told);
		assert_int_equal(tail_after(&t), steps[i].after);
		free(told);
	}
	tail_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_story),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
