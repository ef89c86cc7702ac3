/* SPDX-License-Identifier: BSD-2-Clause */
/* Seals: what goes in comes out, nothing else opens; key files: made, read, refused. */
#include "affinity/seal.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define KEY_LINE KEY_A "\n"
#define KEY_B "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define TEXT_BYTES 60

static const struct slice game = { "game", 4 };
static const struct seal_binding binding = { .tag = 0x0123456789abcdef, .born_s = 1700000000, .seen_s = 4294967295 };

static struct sealer *
sealer_of(const char *keys)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(slice_of(keys), &line, &why);
	struct sealer *s;

	assert_non_null(r);
	s = sealer_new(r);
	assert_non_null(s);
	seal_ring_free(r);
	return s;
}

static struct slice
close_in(struct sealer *s, struct slice pool, char text[SEAL_TEXT])
{
	size_t n = seal_close(s, pool, &binding, text);

	assert_int_equal(n, TEXT_BYTES);
	return slice_make(text, n);
}

static void
test_round_trip(void **state)
{
	static const struct seal_binding cases[] = {
		{ 0, 0, 0, false },
		{ UINT64_MAX, UINT32_MAX, UINT32_MAX, false },
		{ 0x0123456789abcdef, 0x89abcdef, 0xfedcba98, false },
	};
	struct sealer *s = sealer_of(KEY_A);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[SEAL_TEXT];
		struct seal_binding b;
		size_t n = seal_close(s, game, &cases[i], text);

		assert_int_equal(n, TEXT_BYTES);
		for (size_t k = 0; k < n; k++)
			assert_non_null(strchr(ALPHABET, text[k]));
		assert_int_equal(seal_open(s, game, slice_make(text, n), &b), SEAL_OPEN);
		assert_true(b.tag == cases[i].tag && b.born_s == cases[i].born_s && b.seen_s == cases[i].seen_s);
	}
	sealer_free(s);
	sealer_free(NULL);
}

/* Made elsewhere (by Node's crypto) from this key, so that proxies of all versions agree. */
static void
test_known_answer(void **state)
{
	static const char made[] = "AQABAgMEBQYHCAkKCxc78FHJ4gBZrGie_M4qm9CEt7QSAlCOK3Z5pKeRUGnV";
	struct sealer *s = sealer_of(KEY_A);
	struct seal_binding b;

	(void)state;
	assert_int_equal(seal_open(s, game, slice_of(made), &b), SEAL_OPEN);
	assert_true(b.tag == binding.tag && b.born_s == binding.born_s && b.seen_s == binding.seen_s);
	sealer_free(s);
}

/* Two seals of one binding have nothing in common but the version. */
static void
test_opaque(void **state)
{
	struct sealer *s = sealer_of(KEY_A);
	char one[SEAL_TEXT], two[SEAL_TEXT];
	unsigned same = 0;

	(void)state;
	close_in(s, game, one);
	close_in(s, game, two);
	for (unsigned i = 2; i < TEXT_BYTES; i++)
		same += one[i] == two[i];
	assert_true(same < 20);
	sealer_free(s);
}

static void
test_every_change_is_refused(void **state)
{
	struct sealer *s = sealer_of(KEY_A);
	char text[SEAL_TEXT], changed[SEAL_TEXT];
	struct seal_binding b;

	(void)state;
	close_in(s, game, text);
	for (unsigned at = 0; at < TEXT_BYTES; at++)
		for (int c = 0; c < 256; c++) {
			memcpy(changed, text, sizeof text);
			changed[at] = (char)c;
			assert_int_equal(seal_open(s, game, slice_make(changed, TEXT_BYTES), &b) == SEAL_OPEN,
			    changed[at] == text[at]);
		}
	/* and TLS finds no error of ours in its queue */
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(seal_open(s, game, slice_make(text, TEXT_BYTES), &b), SEAL_OPEN);
	sealer_free(s);
}

/* What has opened is remembered, and nothing that is only like it opens for that; nor does it in another pool. */
static void
test_remembered(void **state)
{
	struct sealer *s = sealer_of(KEY_A);
	char text[SEAL_TEXT];
	struct slice seal = close_in(s, game, text);
	struct seal_binding b;

	(void)state;
	assert_true(seal_is_shaped(seal));
	for (unsigned i = 0; i < 3; i++) {
		b = (struct seal_binding){ .tag = 0 };
		assert_int_equal(seal_open(s, game, seal, &b), SEAL_OPEN);
		assert_true(b.tag == binding.tag && b.born_s == binding.born_s && b.seen_s == binding.seen_s);
	}
	assert_int_equal(seal_open(s, SLICE_LIT("login"), seal, &b), SEAL_FORGED);
	for (unsigned bit = 0; bit < 8 * TEXT_BYTES; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_not_equal(seal_open(s, game, seal, &b), SEAL_OPEN);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(seal_open(s, game, seal, &b), SEAL_OPEN);
	assert_false(seal_is_shaped(slice_head(seal, TEXT_BYTES - 1)));
	assert_false(seal_is_shaped(SLICE_NONE));
	text[7] = '~';
	assert_false(seal_is_shaped(seal));
	sealer_free(s);
}

static void
test_malformed(void **state)
{
	struct sealer *s = sealer_of(KEY_A);
	char text[SEAL_TEXT + 4] = "";
	struct seal_binding b;

	(void)state;
	close_in(s, game, text);
	for (size_t n = 0; n < TEXT_BYTES; n++)
		assert_int_equal(seal_open(s, game, slice_make(text, n), &b), SEAL_MALFORMED);
	memcpy(text + TEXT_BYTES, "====", 4);
	for (size_t n = TEXT_BYTES + 1; n <= TEXT_BYTES + 4; n++)
		assert_int_equal(seal_open(s, game, slice_make(text, n), &b), SEAL_MALFORMED);
	assert_int_equal(seal_open(s, game, SLICE_NONE, &b), SEAL_MALFORMED);
	text[0] = 'B';		/* another version */
	assert_int_equal(seal_open(s, game, slice_make(text, TEXT_BYTES), &b), SEAL_MALFORMED);
	text[0] = 'A';
	text[30] = '+';		/* the other base64 */
	assert_int_equal(seal_open(s, game, slice_make(text, TEXT_BYTES), &b), SEAL_MALFORMED);
	sealer_free(s);
}

static void
test_pools_and_keys(void **state)
{
	struct sealer *a = sealer_of(KEY_A), *b = sealer_of(KEY_B);
	struct sealer *rotated = sealer_of("# the new one first\n\n" KEY_B "\n\t" KEY_A "  \n");
	char text[SEAL_TEXT];
	struct seal_binding got;
	struct slice seal = close_in(a, game, text);

	(void)state;
	assert_int_equal(seal_open(a, SLICE_LIT("login"), seal, &got), SEAL_FORGED);
	assert_int_equal(seal_open(a, SLICE_LIT("gam"), seal, &got), SEAL_FORGED);
	assert_int_equal(seal_open(b, game, seal, &got), SEAL_FORGED);
	assert_int_equal(seal_open(rotated, game, seal, &got), SEAL_OPEN);
	assert_true(got.is_outdated);
	assert_true(got.tag == binding.tag);

	/* the first key seals */
	seal = close_in(rotated, game, text);
	assert_int_equal(seal_open(a, game, seal, &got), SEAL_FORGED);
	assert_int_equal(seal_open(b, game, seal, &got), SEAL_OPEN);
	sealer_free(a);
	sealer_free(b);
	sealer_free(rotated);
}

static void
test_same_ring(void **state)
{
	static const struct { struct slice a, b; bool same; } cases[] = {
		{ SLICE_LIT(KEY_LINE), SLICE_LIT("# the key\n" KEY_A), true },
		{ SLICE_LIT(KEY_LINE KEY_B), SLICE_LIT(KEY_LINE KEY_B), true },
		{ SLICE_LIT(KEY_LINE), SLICE_LIT(KEY_B), false },
		{ SLICE_LIT(KEY_LINE KEY_B), SLICE_LIT(KEY_B "\n" KEY_A), false },
		{ SLICE_LIT(KEY_LINE KEY_B), SLICE_LIT(KEY_LINE), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why;
		unsigned line;
		struct seal_ring *a = seal_ring_parse(cases[i].a, &line, &why);
		struct seal_ring *b = seal_ring_parse(cases[i].b, &line, &why);

		assert_true(a != NULL && b != NULL);
		assert_int_equal(seal_ring_same(a, b), cases[i].same);
		seal_ring_free(a);
		seal_ring_free(b);
	}
}

static void
test_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} cases[] = {
		{ "", 0, "has no key" },
		{ "# nothing\n\n", 0, "has no key" },
		{ "00", 1, "is not a key of 64 hexadecimal digits" },
		{ "#\n" KEY_A "\n" KEY_A "0\n", 3, "is not a key of 64 hexadecimal digits" },
		{ "\n" KEY_A "\r\n", 2, "is not a key of 64 hexadecimal digits" },
		{ "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 1,
		    "is not a key of 64 hexadecimal digits" },
		{ KEY_A " # mine\n", 1, "is not a key of 64 hexadecimal digits" },
		{ KEY_LINE KEY_LINE KEY_LINE KEY_LINE KEY_LINE KEY_LINE KEY_LINE KEY_LINE KEY_LINE, 9,
		    "has more than 8 keys" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned line = 99;
		const char *why = NULL;

		assert_null(seal_ring_parse(slice_of(cases[i].text), &line, &why));
		assert_string_equal(why, cases[i].why);
		assert_int_equal(line, cases[i].line);
	}
	seal_ring_free(NULL);
}

/* --- key files --- */

static char directory[] = "/tmp/test_seal.XXXXXX";
static char *key_path;

static int
make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	key_path = mem_printf("%s/seal.key", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	unlink(key_path);
	free(key_path);
	return rmdir(directory);	/* fails when a file was left aside */
}

static void
write_key_file(const char *text, mode_t mode)
{
	FILE *file = fopen(key_path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(key_path, mode), 0);
}

static void
assert_load_refuses(const char *why_ends)
{
	char *why = NULL, *expected = mem_printf("%s%s", key_path, why_ends);

	assert_null(seal_ring_load(directory, &why));
	assert_string_equal(why, expected);
	free(why);
	free(expected);
}

static void
test_load_makes_once(void **state)
{
	char *why = NULL, text[SEAL_TEXT];
	struct seal_ring *made = seal_ring_load(directory, &why), *read;
	struct sealer *one, *two;
	struct seal_binding b;
	struct stat st;

	(void)state;
	assert_non_null(made);
	assert_null(why);
	assert_int_equal(stat(key_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 65);
	read = seal_ring_load(directory, &why);
	assert_non_null(read);
	one = sealer_new(made);
	two = sealer_new(read);
	assert_int_equal(seal_open(two, game, close_in(one, game, text), &b), SEAL_OPEN);
	sealer_free(one);
	sealer_free(two);
	seal_ring_free(made);
	seal_ring_free(read);
}

static void
test_load_refuses(void **state)
{
	char *why = NULL;

	(void)state;
	write_key_file(KEY_A "\n", 0640);
	assert_load_refuses(": has mode 0640, which is wider than 0600; others may have read the key");
	write_key_file("short\n", 0600);
	assert_load_refuses(":1: is not a key of 64 hexadecimal digits");
	write_key_file("# none\n", 0400);
	assert_load_refuses(": has no key");
	assert_int_equal(unlink(key_path), 0);
	write_key_file("#", 0600);
	assert_int_equal(truncate(key_path, 8193), 0);
	assert_load_refuses(": is longer than 8192 bytes");
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(mkfifo(key_path, 0600), 0);
	assert_load_refuses(": is not a regular file");
	assert_int_equal(unlink(key_path), 0);

	assert_null(seal_ring_load("/nowhere/at/all", &why));
	assert_string_equal(why, "/nowhere/at/all/seal.key: No such file or directory");
	free(why);
}

/* One of several processes that start at once: seals, and leaves the seal in its pipe. */
static void
seal_and_exit(int start, int to)
{
	char byte, text[SEAL_TEXT], *why;
	struct seal_ring *r;
	size_t n;

	if (read(start, &byte, 1) != 0)		/* all at once, when the pipe is closed */
		_exit(1);
	r = seal_ring_load(directory, &why);
	n = r != NULL ? seal_close(sealer_new(r), game, &binding, text) : 0;
	_exit(write(to, text, n) == TEXT_BYTES ? 0 : 1);
}

static void
test_load_at_once(void **state)
{
	enum { ROUNDS = 20, PROCESSES = 6 };

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		int start[2], sealed[2];
		char *why = NULL, text[SEAL_TEXT];
		struct seal_ring *r;
		struct sealer *s;

		unlink(key_path);
		assert_int_equal(pipe(start), 0);
		assert_int_equal(pipe(sealed), 0);
		for (unsigned i = 0; i < PROCESSES; i++)
			if (fork() == 0) {
				close(start[1]);
				seal_and_exit(start[0], sealed[1]);
			}
		close(start[0]);
		close(start[1]);
		for (unsigned i = 0; i < PROCESSES; i++) {
			int status;

			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		r = seal_ring_load(directory, &why);
		assert_non_null(r);
		s = sealer_new(r);
		for (unsigned i = 0; i < PROCESSES; i++) {
			struct seal_binding b;

			assert_int_equal(read(sealed[0], text, TEXT_BYTES), TEXT_BYTES);
			assert_int_equal(seal_open(s, game, slice_make(text, TEXT_BYTES), &b), SEAL_OPEN);
		}
		sealer_free(s);
		seal_ring_free(r);
		close(sealed[0]);
		close(sealed[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_every_change_is_refused),
		cmocka_unit_test(test_remembered),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_pools_and_keys),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_same_ring),
		cmocka_unit_test(test_load_makes_once),
		cmocka_unit_test(test_load_refuses),
		cmocka_unit_test(test_load_at_once),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
