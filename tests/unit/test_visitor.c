/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection, over a socket pair: requests in turn, answers at once and later, what is refused, how it ends. */
#include "run/visitor.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire.h"

static struct event_base *base;
static struct visitor *visitor, *owed;
static int client;
static struct wire_got got;
static unsigned asked, idles;
static bool gone, at_once;
static char target[64];

static void
answer(const char *body)
{
	visitor_answer(owed, &(struct visitor_answer){ .status = 200, .fields = "X-A: b\r\n", .body = body,
	    .bytes = strlen(body) });
	owed = NULL;
}

static void
on_ask(struct visitor *v, const struct head *head, void *arg)
{
	assert_ptr_equal(arg, &base);
	assert_null(owed);
	owed = v;
	asked++;
	snprintf(target, sizeof target, "%.*s", SLICE_FMT(slice_head(head->target, sizeof target - 1)));
	if (at_once)
		answer(target);
}

static void
on_idle(struct visitor *v, void *arg)
{
	(void)arg;
	assert_true(visitor_is_idle(v));
	idles++;
}

static void
on_gone(struct visitor *v, void *arg)
{
	(void)arg;
	assert_ptr_equal(v, visitor);
	visitor_free(v);
	visitor = NULL;
	gone = true;
}

static int
begin(void **state)
{
	const struct visitor_events events = { .ask = on_ask, .idle = on_idle, .gone = on_gone, .arg = &base };
	int pair[2];

	(void)state;
	base = event_base_new();
	assert_non_null(base);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	client = pair[0];
	visitor = visitor_new(base, pair[1], &events);
	assert_non_null(visitor);
	owed = NULL;
	asked = idles = 0;
	gone = false;
	at_once = true;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	visitor_free(visitor);
	wire_got_free(&got);
	if (client != -1)
		close(client);
	event_base_free(base);
	return 0;
}

static void
turns(void)
{
	for (unsigned i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		wire_take(client, &got, SIZE_MAX);
	}
	got.p = mem_realloc(got.p, got.n + 1);
	got.room = got.n + 1;
	got.p[got.n] = '\0';
}

static void
say(const char *text)
{
	wire_say(client, text);
	turns();
}

static unsigned
count(const char *text)
{
	unsigned n = 0;

	for (const char *at = got.p; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

#define HOST "Host: a\r\n"

static void
test_one_after_the_other(void **state)
{
	(void)state;
	say("GET /one HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(count("HTTP/1.1 200 OK\r\n"), 1);
	assert_int_equal(count("X-A: b\r\n"), 1);
	assert_int_equal(count("Content-Length: 4\r\n"), 1);
	assert_int_equal(count(" GMT\r\n"), 1);
	assert_int_equal(count("Connection:"), 0);
	assert_int_equal(count("\r\n\r\n/one"), 1);
	assert_int_equal(idles, 1);
	say("GET /two HTTP/1.1\r\n" HOST "\r\nPOST /three HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
	    "GET /four HT");
	assert_int_equal(asked, 3);
	assert_string_equal(target, "/three");
	say("TP/1.1\r\n" HOST "\r\n");
	assert_string_equal(target, "/four");
	assert_int_equal(count("HTTP/1.1 200"), 4);
	assert_false(gone);
}

/* Nothing of what comes behind a request is looked at before its answer has gone. */
static void
test_an_answer_that_comes_later(void **state)
{
	(void)state;
	at_once = false;
	say("GET /one HTTP/1.1\r\n" HOST "\r\nGET /two HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(asked, 1);
	assert_int_equal(got.n, 0);
	assert_false(visitor_is_idle(visitor));
	answer("late");
	turns();
	assert_int_equal(asked, 2);
	assert_int_equal(count("late"), 1);
	assert_int_equal(idles, 0);
	answer("later");
	turns();
	assert_int_equal(count("later"), 1);
	assert_int_equal(idles, 1);
}

/* Cut anywhere it is one request. */
static void
test_in_pieces(void **state)
{
	static const char text[] = "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc";

	(void)state;
	for (size_t cut = 1; cut < sizeof text - 1; cut++) {
		asked = 0;
		wire_write(client, text, cut);
		turns();
		assert_int_equal(asked, 0);
		say(text + cut);
		assert_int_equal(asked, 1);
	}
}

static void
test_a_head_alone(void **state)
{
	(void)state;
	say("HEAD /one HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	assert_int_equal(count("Content-Length: 4\r\n"), 1);
	assert_int_equal(count("Connection: close\r\n"), 1);
	assert_string_equal(got.p + got.n - 4, "\r\n\r\n");
	assert_true(got.ended);
	assert_false(gone);		/* it waits for the other side's end */
	close(client);
	client = -1;
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(gone);
}

static void
test_expects_to_be_told(void **state)
{
	(void)state;
	say("PUT /one HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	assert_int_equal(count("HTTP/1.1 100 Continue\r\n\r\n"), 1);
	assert_int_equal(asked, 0);
	say("ab");
	assert_int_equal(count(" 100 "), 1);
	say("c");
	assert_int_equal(asked, 1);
	assert_int_equal(count(" 200 "), 1);
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *status;
	} cases[] = {
		{ "GET /\r\n\r\n", " 400 " },
		{ "GET / HTTP/1.1\r\n\r\n", " 400 " },
		{ "GET / HTTP/2.0\r\n\r\n", " 505 " },
		{ "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", " 411 " },
		{ "PUT / HTTP/1.1\r\n" HOST "Content-Length: 4097\r\n\r\n", " 413 " },
		{ "PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", " 400 " },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		say(cases[i].text);
		assert_int_equal(count(cases[i].status), 1);
		assert_int_equal(count("\"error\": "), 1);
		assert_int_equal(count("Connection: close\r\n"), 1);
		assert_int_equal(asked, 0);
		assert_true(got.ended);
		end(state);
		begin(state);
	}
}

static void
test_a_head_without_end(void **state)
{
	char *much = mem_zalloc(VISITOR_HEAD_MAX + 1);

	(void)state;
	memset(much, 'x', VISITOR_HEAD_MAX);
	wire_say(client, "GET / HTTP/1.1\r\n" HOST "X: ");
	wire_say(client, much);
	turns();
	assert_int_equal(count(" 431 "), 1);
	free(much);
}

/* The answer gets out although much was never read. */
static void
test_unread_input_costs_no_answer(void **state)
{
	char *much = mem_zalloc(50001);

	(void)state;
	memset(much, 'x', 50000);
	wire_say(client, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
	wire_say(client, much);
	turns();
	wire_say(client, much);
	turns();
	assert_int_equal(count(" 413 "), 1);
	assert_int_equal(got.error, 0);
	free(much);
}

static void
test_leaving(void **state)
{
	(void)state;
	at_once = false;
	say("GET /one HTTP/1.1\r\n" HOST "\r\n");
	visitor_leave(visitor);
	turns();
	assert_false(gone);
	answer("goodbye");
	turns();
	assert_int_equal(count("goodbye"), 1);
	assert_int_equal(count("Connection: close\r\n"), 1);
	assert_true(got.ended);
	end(state);
	begin(state);
	visitor_leave(visitor);
	assert_false(gone);
	turns();
	assert_true(gone);
}

static void
test_one_who_goes(void **state)
{
	(void)state;
	wire_say(client, "GET /on");
	turns();
	shutdown(client, SHUT_WR);
	turns();
	assert_true(gone);
	assert_int_equal(asked, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_after_the_other, begin, end),
		cmocka_unit_test_setup_teardown(test_an_answer_that_comes_later, begin, end),
		cmocka_unit_test_setup_teardown(test_in_pieces, begin, end),
		cmocka_unit_test_setup_teardown(test_a_head_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_expects_to_be_told, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_a_head_without_end, begin, end),
		cmocka_unit_test_setup_teardown(test_unread_input_costs_no_answer, begin, end),
		cmocka_unit_test_setup_teardown(test_leaving, begin, end),
		cmocka_unit_test_setup_teardown(test_one_who_goes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
