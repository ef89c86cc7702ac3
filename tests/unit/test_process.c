/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel says, seen to follow what is done. */
#include "run/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define MUCH (32 << 20)

static void
test_descriptors(void **state)
{
	unsigned before = process_facts().fds;
	struct rlimit limit;
	int fd = dup(STDIN_FILENO), pair[2];

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(process_facts().fds, before + 3);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(process_facts().fds, before);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(process_facts().fds_max, (unsigned)limit.rlim_cur);
}

static void
test_memory(void **state)
{
	uint64_t before = process_resident_bytes();
	volatile char *much = malloc(MUCH);

	(void)state;
	assert_non_null(much);
	assert_true(before > 100000);
	for (size_t i = 0; i < MUCH; i += 4096)
		much[i] = 1;
	assert_true(process_resident_bytes() >= before + MUCH / 2);
	assert_true(process_facts().virtual_bytes >= process_facts().resident_bytes);
	free((void *)(uintptr_t)much);
}

static void
test_processor_time(void **state)
{
	uint64_t before = process_facts().cpu_us;

	(void)state;
	while (process_facts().cpu_us == before)
		;
	assert_true(process_facts().cpu_us > before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_processor_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
