/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of reasons: every row is whole, and its codes are such that may be sent. */
#include "proxy/end.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1.h"

static void
every_reason_is_whole(void **state)
{
	(void)state;
	for (int i = END_NONE; i < END_REASONS_N; i++) {
		const struct end_info *e = end_info((enum end_reason)i);

		assert_non_null(e->word);
		assert_true(strlen(e->word) > 0);
		for (const char *c = e->word; *c != '\0'; c++)
			assert_true(islower((unsigned char)*c) || *c == '-');
		for (int k = i + 1; k < END_REASONS_N; k++)
			assert_string_not_equal(e->word, end_info((enum end_reason)k)->word);
		assert_true(e->http == 0 || (e->http >= 400 && e->http <= 505));
		if (e->http != 0) {
			assert_string_not_equal(h1_reason(e->http), "Unknown");
			assert_int_equal(
			    e->http >= 500, e->whose != END_BY_CLIENT || e->http == 501 || e->http == 505);
		}
		/* RFC 6455, 7.4: what may stand in a close frame */
		assert_true(e->ws == 0 ||
		    (e->ws >= 1000 && e->ws <= 1015 && e->ws != 1004 && e->ws != 1005 && e->ws != 1006 &&
			e->ws != 1015));
	}
}

static void
whose_doing(void **state)
{
	(void)state;
	assert_string_equal(end_whose_name(END_BY_CLIENT), "client");
	assert_string_equal(end_whose_name(END_BY_GATEWAY), "gateway");
	assert_string_equal(end_whose_name(END_BY_SELF), "stickyd");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_is_whole),
		cmocka_unit_test(whose_doing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
