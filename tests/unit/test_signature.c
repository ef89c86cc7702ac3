/* SPDX-License-Identifier: BSD-2-Clause */
/* Signed keys: signatures made by `openssl dgst`, everything that does not count, files that are no secret. */
#include "affinity/signature.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define PLAYER "4oqdRC-TzBT5WNy_KOfLFDFcuQUVMmpNf3vynr4Zhyo"
#define DOTTED "QJG4bxXyGslDd4-tGOVop9GVnu-RMOEJsgYnvoI2aEo"
#define OTHER_SECRET "LM2F38jRjLXYT-9LGYVUaZ_s5uhpLJFHsNqYP1t71BM"
#define OF_EMPTY "eWzTB4rxRjZ1PSaztVVUIv9Vo-Jhz4R7SOlTcbm9CqI"
#define OF_8000_X "4SH-GgxCAgdZ72p3qa69uYy6ExOTdBxmw5xcduA51jY"

static const char *
check(const char *secret, struct slice text, struct slice *key)
{
	struct signature *s = signature_new(slice_of(secret));
	const char *why = signature_check(s, text, key);

	signature_free(s);
	return why;
}

static void
test_counts(void **state)
{
	static char long_key[8000 + 1 + SIGNATURE_TEXT];
	static const struct {
		const char *secret, *text, *key;
	} cases[] = {
		{ SECRET, "player-1." PLAYER, "player-1" },
		{ SECRET, "a.b.c." DOTTED, "a.b.c" },
		{ "JefeJefeJefeJefe", "what do ya want for nothing?." OTHER_SECRET, "what do ya want for nothing?" },
	};
	struct slice key;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_null(check(cases[i].secret, slice_of(cases[i].text), &key));
		assert_true(slice_eq(key, slice_of(cases[i].key)));
	}
	memset(long_key, 'x', 8000);
	memcpy(long_key + 8000, "." OF_8000_X, 1 + SIGNATURE_TEXT);
	assert_null(check(SECRET, slice_make(long_key, sizeof long_key), &key));
	assert_int_equal(key.n, 8000);
}

static void
test_does_not_count(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "unsigned" },
		{ "player-1", "unsigned" },
		{ "player-1" PLAYER, "unsigned" },			/* no dot */
		{ PLAYER, "unsigned" },
		{ "player-1.", "signature" },
		{ "player-2." PLAYER, "signature" },
		{ "player-1." DOTTED, "signature" },
		{ "player-1." PLAYER "==", "signature" },
		{ "player-1." PLAYER "A=", "signature" },
		{ "player-1." PLAYER ".", "signature" },
		{ "player-1.." PLAYER, "signature" },
		{ "player-1 ." PLAYER, "signature" },
		{ "player-1." OTHER_SECRET, "signature" },
		{ "." OF_EMPTY, "signature" },				/* an empty key */
		{ "." PLAYER, "signature" },
		{ "a.b.c", "signature" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice key;
		const char *why = check(SECRET, slice_of(cases[i].text), &key);

		assert_non_null(why);
		assert_string_equal(why, cases[i].why);
	}
	assert_string_equal(check(SECRET, SLICE_NONE, &(struct slice){ NULL, 0 }), "unsigned");
}

/* Neither another character, nor one of the other base64, nor one that only differs in the bits to spare. */
static void
test_every_change_is_refused(void **state)
{
	struct signature *s = signature_new(SLICE_LIT(SECRET));
	char text[] = "player-1." PLAYER;
	struct slice key, whole = SLICE_LIT("player-1." PLAYER);

	(void)state;
	for (size_t at = 0; at < whole.n; at++)
		for (int c = 0; c < 256; c++) {
			memcpy(text, whole.p, whole.n);
			text[at] = (char)c;
			assert_int_equal(signature_check(s, slice_make(text, whole.n), &key) == NULL,
			    text[at] == whole.p[at]);
		}
	for (size_t n = 0; n < whole.n; n++)
		assert_non_null(signature_check(s, slice_head(whole, n), &key));
	assert_int_equal(ERR_peek_error(), 0);
	signature_free(s);
	signature_free(NULL);
}

static void
test_make(void **state)
{
	struct signature *s = signature_new(SLICE_LIT(SECRET));
	char text[SIGNATURE_TEXT];

	(void)state;
	signature_make(s, SLICE_LIT("player-1"), text);
	assert_memory_equal(text, PLAYER, SIGNATURE_TEXT);
	signature_make(s, SLICE_NONE, text);
	assert_memory_equal(text, OF_EMPTY, SIGNATURE_TEXT);
	signature_free(s);
}

static void
test_load(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *why;		/* NULL: it is taken */
	} cases[] = {
		{ SECRET, 0600, NULL },
		{ SECRET "\n", 0400, NULL },
		{ SECRET "\r\n", 0600, NULL },
		{ SECRET, 0644, NULL },			/* talked about (test_secret) */
		{ "", 0600, ": is empty" },
		{ "\n", 0600, ": is empty" },
	};
	char path[] = "/tmp/test_signature.XXXXXX", *why;
	int fd = mkstemp(path);
	struct slice key;

	(void)state;
	assert_true(fd != -1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct signature *s;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, cases[i].text, strlen(cases[i].text), 0), strlen(cases[i].text));
		assert_int_equal(fchmod(fd, cases[i].mode), 0);
		s = signature_load(path, &why);
		assert_int_equal(s != NULL, cases[i].why == NULL);
		if (s != NULL) {
			assert_null(signature_check(s, SLICE_LIT("player-1." PLAYER), &key));
			assert_null(signature_check(s, SLICE_LIT("player-1." PLAYER "="), &key));
		} else
			assert_string_equal(why + strlen(path), cases[i].why);
		free(why);
		signature_free(s);
	}
	close(fd);
	unlink(path);
	assert_null(signature_load(path, &why));
	assert_string_equal(why + strlen(path), ": No such file or directory");
	free(why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_does_not_count),
		cmocka_unit_test(test_every_change_is_refused),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
