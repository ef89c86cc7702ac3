/* SPDX-License-Identifier: BSD-2-Clause */
/* Text put together: what fits, what does not, and numbers beside printf's. */
#include "base/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
assert_buf(const struct buf *b, const char *wanted)
{
	assert_int_equal(b->n, strlen(wanted));
	assert_memory_equal(b->p, wanted, b->n);
}

static void
leaves_out_what_does_not_fit(void **state)
{
	char bytes[8];
	struct buf b = buf_of(bytes, 5);

	(void)state;
	buf_add(&b, SLICE_NONE);
	buf_lit(&b, "abc");
	assert_false(b.full);
	buf_lit(&b, "def"); /* as a whole */
	assert_true(b.full);
	assert_buf(&b, "abc");
	buf_lit(&b, "de");
	assert_buf(&b, "abcde");
	buf_byte(&b, 'x');
	buf_u64(&b, 1);
	assert_true(b.full);
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("abcde")));
	b = buf_of(NULL, 0);
	buf_add(&b, SLICE_NONE);
	assert_false(b.full);
	buf_byte(&b, 'x');
	assert_true(b.full);
}

static void
numbers(void **state)
{
	static const uint64_t values[] = { 0, 1, 9, 10, 11, 99, 100, 255, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
		INT64_MAX, UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < COUNT(values); i++) {
		char bytes[64], wanted[64];
		struct buf b = buf_of(bytes, sizeof bytes);

		buf_u64(&b, values[i]);
		snprintf(wanted, sizeof wanted, "%" PRIu64, values[i]);
		assert_buf(&b, wanted);
		for (unsigned width = 0; width <= 20; width++) {
			b.n = 0;
			buf_u64_wide(&b, values[i], width);
			snprintf(wanted, sizeof wanted, "%0*" PRIu64, (int)width, values[i]);
			assert_buf(&b, wanted);
		}
		b.n = 0;
		buf_hex64(&b, values[i]);
		snprintf(wanted, sizeof wanted, "%016" PRIx64, values[i]);
		assert_buf(&b, wanted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_out_what_does_not_fit),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
