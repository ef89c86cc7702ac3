/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of keys, the words of a command, and what counts as an answer. */
#include "store/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
names(void **state)
{
	static char key[SCRIPT_KEY_MAX + 1];
	char text[SCRIPT_NAME_MAX];
	struct buf b;

	(void)state;
	memset(key, 'k', sizeof key);
	for (size_t n = 0; n <= sizeof key; n++) {
		b = buf_of(text, sizeof text);
		script_name(SLICE_LIT("game"), slice_make(key, n), &b);
		assert_false(b.full);
		assert_memory_equal(text, n <= SCRIPT_KEY_MAX ? "stickyd:game:" : "stickyd:game:sha256:", n <= SCRIPT_KEY_MAX ? 13 : 20);
		assert_int_equal(b.n, n <= SCRIPT_KEY_MAX ? 13 + n : 20 + 64);
	}
	b = buf_of(text, sizeof text);
	script_name(SLICE_LIT("game"), SLICE_LIT("sha256:x"), &b); /* nobody can name another's long key */
	assert_int_equal(b.n, 20 + 64);
}

static bool
is_word(const struct script_command *c, unsigned i, const char *text)
{
	return i < c->words && slice_eq(c->word[i], slice_of(text));
}

static void
words(void **state)
{
	struct slice key[STORE_KEYS_MAX] = { SLICE_LIT("a"), SLICE_LIT("sha256:") };
	struct script_request rq = {
		.pool = SLICE_LIT("game"), .key = key, .keys = 2, .asked = 1, .proposed = SLICE_LIT("gw1"),
		.sender = SLICE_LIT("me"), .ttl_ms = 60000,
	};
	struct script_command c;
	char sha[SCRIPT_SHA];

	(void)state;
	script_sha(sha);
	script_write(&c, &rq, slice_make(sha, sizeof sha));
	assert_int_equal(c.words, 12);
	assert_true(is_word(&c, 0, "EVALSHA") && c.word[1].n == 40 && is_word(&c, 2, "2"));
	assert_true(is_word(&c, 3, "stickyd:game:a") && c.word[4].n == 20 + 64);
	assert_true(is_word(&c, 5, "gw1") && is_word(&c, 6, "1") && is_word(&c, 7, "60000"));
	assert_true(is_word(&c, 8, "me") && is_word(&c, 9, "game"));
	assert_true(is_word(&c, 10, "") && is_word(&c, 11, "sha256:"));
	script_write(&c, &rq, SLICE_NONE);
	assert_true(is_word(&c, 0, "EVAL") && is_word(&c, 1, script_text));
	rq.keys = STORE_KEYS_MAX;
	script_write(&c, &rq, SLICE_NONE);
	assert_int_equal(c.words, 8 + 2 * STORE_KEYS_MAX);
}

/* One reply of these bytes; the caller frees. */
static redisReply *
reply_of(const char *bytes)
{
	redisReplyObjectFunctions functions;
	redisReader *reader = redis_reader_new(&functions);
	redisReply *r;

	assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
	assert_true(redis_reader_next(reader, &r));
	assert_non_null(r);
	redisReaderFree(reader);
	return r;
}

static void
answers(void **state)
{
	static const struct {
		const char *bytes;
		bool good, written;
		unsigned which;
		const char *gateway, *error;
	} cases[] = {
		{ "*4\r\n:2\r\n$3\r\ngw1\r\n:1\r\n$0\r\n\r\n", true, true, 2, "gw1", "" },
		{ "*4\r\n:0\r\n$3\r\ngw1\r\n:0\r\n$4\r\nFULL\r\n", true, false, 0, "gw1", "FULL" },
		{ "*4\r\n:3\r\n$3\r\ngw1\r\n:1\r\n$0\r\n\r\n", false, false, 0, NULL, NULL },
		{ "*4\r\n:-1\r\n$3\r\ngw1\r\n:1\r\n$0\r\n\r\n", false, false, 0, NULL, NULL },
		{ "*4\r\n:1\r\n$3\r\ngw1\r\n:2\r\n$0\r\n\r\n", false, false, 0, NULL, NULL },
		{ "*4\r\n:1\r\n$-1\r\n:1\r\n$0\r\n\r\n", false, false, 0, NULL, NULL },
		{ "*3\r\n:1\r\n$3\r\ngw1\r\n:1\r\n", false, false, 0, NULL, NULL },
		{ "*-1\r\n", false, false, 0, NULL, NULL },
		{ "-ERR\r\n", false, false, 0, NULL, NULL },
		{ "+OK\r\n", false, false, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		redisReply *r = reply_of(cases[i].bytes);
		struct script_answer a;

		assert_int_equal(script_parse_answer(r, 2, &a), cases[i].good);
		if (cases[i].good) {
			assert_int_equal(a.which, cases[i].which);
			assert_int_equal(a.written, cases[i].written);
			assert_true(slice_eq(a.gateway, slice_of(cases[i].gateway)));
			assert_true(slice_eq(a.error, slice_of(cases[i].error)));
		}
		freeReplyObject(r);
	}
	assert_int_equal(script_parse_error(SLICE_LIT("NOSCRIPT No matching script.")), SCRIPT_UNKNOWN);
	assert_int_equal(script_parse_error(SLICE_LIT("ERR NOSCRIPT")), SCRIPT_REFUSED);
}

static void
messages(void **state)
{
	static const struct {
		const char *text;
		const char *sender, *pool, *key; /* NULL: it is none */
	} cases[] = {
		{ "me game:a", "me", "game", "a" },
		{ "me game:", "me", "game", "" },
		{ "me game:a:b c", "me", "game", "a:b c" },
		{ "me game", NULL, NULL, NULL },
		{ "game:a", NULL, NULL, NULL },
		{ "", NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char bytes[256], text[64];
		struct buf b = buf_of(text, sizeof text);
		struct script_moved m;
		redisReply *r;

		snprintf(bytes, sizeof bytes, "*3\r\n$7\r\nmessage\r\n$13\r\n%s\r\n$%zu\r\n%s\r\n", SCRIPT_CHANNEL,
		    strlen(cases[i].text), cases[i].text);
		r = reply_of(bytes);
		assert_int_equal(script_parse_moved(r, &m), cases[i].sender != NULL);
		assert_false(script_parse_subscribed(r));
		if (cases[i].sender != NULL) {
			assert_true(slice_eq(m.sender, slice_of(cases[i].sender)));
			assert_true(slice_eq(m.pool, slice_of(cases[i].pool)));
			assert_true(slice_eq(m.key, slice_of(cases[i].key)));
			assert_true(script_message(&m, &b) && slice_eq(buf_slice(&b), slice_of(cases[i].text)));
		}
		freeReplyObject(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(words),
		cmocka_unit_test(answers),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
