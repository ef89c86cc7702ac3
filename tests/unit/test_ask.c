/* SPDX-License-Identifier: BSD-2-Clause */
/* The question as it goes out, answers in all framings, and those that are none. */
#include "ctl/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/unixsock.h"
#include "wire.h"

/* Asks on a connection where this answer already waits and nothing follows; *asked: what was sent. */
static bool
asked_and_told(const char *told, struct ask_answer *answer, char **why, struct wire_got *asked)
{
	int fd[2];
	bool good;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	wire_say(fd[1], told);
	assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	good = ask_on(fd[0], "PUT", "/v1/table?key=a", 1, answer, why);
	close(fd[0]);
	wire_take(fd[1], asked, SIZE_MAX);
	close(fd[1]);
	return good;
}

static void
test_answers(void **state)
{
	static const struct {
		const char *told;
		unsigned status;
		const char *body;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}and more", 200, "{}" },
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n1\r\n}\r\n0\r\n\r\n", 200, "{\"}" },
		{ "HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_got asked = { 0 };
		struct ask_answer answer;
		char *why;

		assert_true(asked_and_told(cases[i].told, &answer, &why, &asked));
		assert_int_equal(answer.status, cases[i].status);
		assert_int_equal(answer.bytes, strlen(cases[i].body));
		assert_string_equal(answer.body, cases[i].body);
		assert_memory_equal(asked.p, "PUT /v1/table?key=a HTTP/1.1\r\nHost: localhost\r\n", 47);
		free(answer.body);
		wire_got_free(&asked);
	}
}

static void
test_what_is_no_answer(void **state)
{
	static const struct {
		const char *told, *why;
	} cases[] = {
		{ "", "speak HTTP" },
		{ "SSH-2.0-x\r\n", "speak HTTP" },
		{ "HTTP/1.1 200 OK\r\n", "speak HTTP" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "cut short" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "cut short" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_got asked = { 0 };
		struct ask_answer answer;
		char *why;

		assert_false(asked_and_told(cases[i].told, &answer, &why, &asked));
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s", why);
		free(why);
		wire_got_free(&asked);
	}
}

/* The answer comes in pieces to somebody who does not wait for it. */
static void
test_without_waiting(void **state)
{
	char path[64], asked[256], *why;
	struct ask_answer answer;
	struct question *q;
	int listening, fd;

	(void)state;
	snprintf(path, sizeof path, "/tmp/stickyd-ask-%d", (int)getpid());
	listening = unixsock_listen(path);
	assert_int_not_equal(listening, -1);
	q = question_new(path, "GET", "/v1/status", &why);
	assert_non_null(q);
	fd = accept(listening, NULL, NULL);
	assert_int_not_equal(fd, -1);
	assert_true(recv(fd, asked, sizeof asked, 0) > 0);
	assert_int_equal(question_read(q, &answer, &why), QUESTION_WAITS);
	wire_say(fd, "HTTP/1.1 200 OK\r\nContent-");
	assert_int_equal(question_read(q, &answer, &why), QUESTION_WAITS);
	wire_say(fd, "Length: 2\r\n\r\n{}");
	assert_int_equal(question_read(q, &answer, &why), QUESTION_WAITS);
	close(fd);
	close(listening);
	unlink(path);
	while (question_read(q, &answer, &why) == QUESTION_WAITS)
		sched_yield();
	assert_string_equal(answer.body, "{}");
	free(answer.body);
	question_free(q);
}

static void
test_no_answer(void **state)
{
	struct ask_answer answer;
	int fd[2];
	char *why;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_false(ask_on(fd[0], "GET", "/", 0, &answer, &why));
	assert_non_null(strstr(why, "no answer in 0 seconds"));
	free(why);
	close(fd[0]);
	close(fd[1]);
}

static void
test_nobody_there(void **state)
{
	struct ask_answer answer;
	char *why;

	(void)state;
	assert_false(ask("/nowhere/admin.sock", "GET", "/", 1, &answer, &why));
	assert_non_null(strstr(why, "is stickyd running?"));
	free(why);
}

static void
test_encode(void **state)
{
	static const struct {
		struct slice text;
		const char *encoded;
	} cases[] = {
		{ SLICE_LIT(""), "" },
		{ SLICE_LIT("azAZ09-._~"), "azAZ09-._~" },
		{ SLICE_LIT("a b+c/d=e&f%"), "a%20b%2Bc%2Fd%3De%26f%25" },
		{ SLICE_LIT("\0\xff\n"), "%00%FF%0A" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *encoded = ask_encode(cases[i].text);

		assert_string_equal(encoded, cases[i].encoded);
		free(encoded);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_what_is_no_answer),
		cmocka_unit_test(test_without_waiting),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
