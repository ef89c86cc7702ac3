/* SPDX-License-Identifier: BSD-2-Clause */
/* Files with a secret: what is read of them, and which are refused. */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char path[] = "/tmp/test_secret.XXXXXX";

static bool
load(const char *text, size_t n, mode_t mode, enum secret_care care, struct secret *s, char **why)
{
	FILE *file = fopen(path, "w");
	int fd;
	bool good;

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
	fd = secret_open(path);
	assert_true(fd != -1);
	good = secret_read(s, fd, path, care, why);
	close(fd);
	return good;
}

static void
test_read(void **state)
{
	static const struct {
		const char *text, *alone;
	} cases[] = {
		{ "", "" }, { "\n", "" }, { "\r\n", "" }, { "a", "a" }, { "a\n", "a" }, { "a\r\n", "a" }, { "a\r", "a\r" },
		{ "a\n\n", "a\n" }, { " a b \n", " a b " },
	};
	struct secret s;
	char *why;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(load(cases[i].text, strlen(cases[i].text), 0600, SECRET_OURS, &s, &why));
		assert_true(slice_eq(slice_make(s.text, s.n), slice_of(cases[i].text)));
		assert_true(slice_eq(secret_alone(&s), slice_of(cases[i].alone)));
		secret_wipe(&s);
		assert_int_equal(s.text[0], 0);
	}
}

static void
test_refused(void **state)
{
	static const char bytes[SECRET_BYTES + 1];
	struct secret s;
	char *why;
	int fd;

	(void)state;
	assert_true(load(bytes, SECRET_BYTES, 0400, SECRET_OURS, &s, &why));
	assert_false(load(bytes, SECRET_BYTES + 1, 0600, SECRET_OURS, &s, &why));
	assert_string_equal(why + strlen(path), ": is longer than 8192 bytes");
	free(why);
	assert_false(load("a", 1, 0604, SECRET_OURS, &s, &why));
	assert_string_equal(why + strlen(path),
	    ": has mode 0604, which is wider than 0600; others may have read the key");
	free(why);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = secret_open(path);
	assert_false(secret_read(&s, fd, path, SECRET_OURS, &why));
	assert_string_equal(why + strlen(path), ": is not a regular file");
	free(why);
	close(fd);
	unlink(path);
	assert_int_equal(secret_open(path), -1);
}

static unsigned warnings;

static void
on_line(enum log_level level, struct slice text)
{
	(void)text;
	warnings += level == LOG_LEVEL_WARN;
}

/* What is the operator's is used, and talked about. */
static void
test_operators(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		unsigned warnings;
		bool good;
	} cases[] = {
		{ "0123456789abcdef\n", 0640, 0, true },
		{ "0123456789abcdef\n", 0644, 1, true },
		{ "0123456789abcde\n", 0644, 2, true },
		{ "\n", 0600, 0, false },
		{ "", 0600, 0, false },
	};
	struct secret s;
	char *why;

	(void)state;
	log_to(on_line);
	for (size_t i = 0; i < COUNT(cases); i++) {
		warnings = 0;
		assert_int_equal(load(cases[i].text, strlen(cases[i].text), cases[i].mode, SECRET_OPERATORS, &s, &why),
		    cases[i].good);
		assert_int_equal(warnings, cases[i].warnings);
		if (!cases[i].good)
			assert_string_equal(why + strlen(path), ": is empty");
		free(why);
		secret_wipe(&s);
	}
	log_to(NULL);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_operators),
	};

	close(mkstemp(path));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
