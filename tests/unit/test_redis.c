/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection: who it greets as, in which order it answers, how it is lost and found; against a real server, and
 * against one that talks nonsense. */
#include "store/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

#include "redis_server.h"

#define TEXT 160

static struct redis_server_made made;
static struct loop *loop;
static char user[] = "joe", password[] = "p w:1", no_path[] = "/nowhere/at/all";
static unsigned ups, downs, heard;
static char why_down[TEXT], last_heard[TEXT];

static void
on_up(void *owner)
{
	(void)owner;
	ups++;
}

static void
on_down(void *owner, const char *why)
{
	(void)owner;
	downs++;
	snprintf(why_down, sizeof why_down, "%s", why);
}

static void
on_heard(void *owner, const redisReply *r)
{
	(void)owner;
	heard++;
	if (r->type == REDIS_REPLY_ARRAY && r->elements == 3)
		snprintf(last_heard, sizeof last_heard, "%s", r->element[2]->str);
}

static const struct redis_hooks hooks = { .up = on_up, .down = on_down };
static const struct redis_hooks listening = { .up = on_up, .down = on_down, .heard = on_heard };

/* A call, and what came back. */
struct asked {
	struct redis_call call;
	unsigned answered, turn;
	int type; /* 0: lost */
	char text[TEXT];
};

static unsigned turn_of_answers;

static void
on_reply(struct redis_call *c, const redisReply *r)
{
	struct asked *a = CONTAINER(c, struct asked, call);

	a->answered++;
	a->turn = ++turn_of_answers;
	a->type = r != NULL ? r->type : 0;
	if (r != NULL && r->str != NULL)
		snprintf(a->text, sizeof a->text, "%s", r->str);
}

static bool
ask(struct redis *r, struct asked *a, const char *one, const char *two)
{
	struct slice word[] = { slice_of(one), slice_of(two) };

	*a = (struct asked){ .answered = 0 };
	return redis_ask(r, &a->call, on_reply, word, two != NULL ? 2 : 1);
}

static struct redis_server
by_port(const struct conf_url *url, unsigned port)
{
	struct redis_server s = { .url = url };
	char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	assert_true(addr_parse(slice_of(text), &s.addr));
	return s;
}

static int
setup(void **state)
{
	(void)state;
	loop = loop_new();
	ups = downs = heard = turn_of_answers = 0;
	why_down[0] = last_heard[0] = '\0';
	return loop == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(loop);
	redis_free(NULL);
	return 0;
}

static int
make_server(void **state)
{
	(void)state;
	server_make(&made);
	return 0;
}

static int
end_server(void **state)
{
	(void)state;
	server_unmake(&made);
	return 0;
}

/* --- with a server --- */

static void
calls_are_answered_in_their_order(void **state)
{
	struct conf_url url = { .path = made.socket };
	struct redis_server server = { .url = &url, .script = "return 1" };
	struct redis *r = redis_new(loop, &server, &hooks, NULL);
	struct asked a[3];

	(void)state;
	assert_true(ask(r, &a[0], "ECHO", "one")); /* before there is a connection */
	WIRE_UNTIL(loop, ups == 1);
	assert_true(ask(r, &a[1], "NONSENSE", NULL));
	assert_true(ask(r, &a[2], "ECHO", ""));
	WIRE_UNTIL(loop, a[2].answered == 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(a[i].turn, i + 1);
	assert_string_equal(a[0].text, "one");
	assert_int_equal(a[1].type, REDIS_REPLY_ERROR);
	assert_int_equal(a[2].type, REDIS_REPLY_STRING);
	redis_free(r);
}

static void
it_speaks_as_a_user_to_a_database(void **state)
{
	struct conf_url url = { .user = user, .password = password, .database = 3 };
	struct redis_server server = by_port(&url, made.port);
	struct redis *r;
	struct asked a[2];

	(void)state;
	server_do(&made, "ACL SETUSER joe on >%s ~* &* +@all", password);
	server_do(&made, "ACL SETUSER default off");
	r = redis_new(loop, &server, &hooks, NULL);
	assert_true(ask(r, &a[0], "ACL", "WHOAMI"));
	assert_true(ask(r, &a[1], "CLIENT", "INFO"));
	WIRE_UNTIL(loop, a[1].answered == 1);
	assert_string_equal(a[0].text, "joe");
	assert_non_null(strstr(a[1].text, "addr=127.0.0.1"));
	redis_free(r);
	server_do(&made, "ACL SETUSER default on");
}

/* Nothing may be said as somebody else, or to another database. */
static void
what_fails_to_greet_says_nothing(void **state)
{
	static const struct {
		unsigned database;
		bool has_password;
		const char *why;
	} cases[] = {
		{ 99, false, "out of range" },
		{ 0, true, "WRONGPASS" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_url url = { .path = made.socket, .database = cases[i].database };
		struct redis_server server = { .url = &url };
		struct redis *r;
		struct asked a;

		url.password = cases[i].has_password ? no_path : NULL;
		url.user = cases[i].has_password ? user : NULL;
		downs = 0;
		r = redis_new(loop, &server, &hooks, NULL);
		assert_true(ask(r, &a, "INCR", "touched"));
		WIRE_UNTIL(loop, downs == 1);
		assert_non_null(strstr(why_down, cases[i].why));
		assert_int_equal(a.answered, 1);
		assert_int_equal(a.type, 0);
		assert_false(ask(r, &a, "PING", NULL));
		assert_int_equal(ups, 0);
		assert_null(server_get(&made, "touched"));
		redis_free(r);
		wire_turn(loop);
	}
}

static void
a_lost_connection_is_made_anew(void **state)
{
	struct conf_url url = { .path = NULL };
	struct redis_server server = by_port(&url, made.port);
	struct redis *r = redis_new(loop, &server, &hooks, NULL);
	struct asked a;

	(void)state;
	WIRE_UNTIL(loop, ups == 1);
	server_freeze(&made);
	assert_true(ask(r, &a, "PING", NULL));
	wire_turns(loop, 3);
	server_kill(&made);
	WIRE_UNTIL(loop, downs >= 3);
	assert_int_equal(a.answered, 1);
	assert_int_equal(a.type, 0);
	assert_string_equal(why_down, "can't connect: Connection refused");
	server_start(&made);
	WIRE_UNTIL(loop, ups == 2);
	assert_true(ask(r, &a, "PING", NULL));
	WIRE_UNTIL(loop, a.answered == 1);
	assert_string_equal(a.text, "PONG");
	redis_free(r);
}

static void
a_subscriber_hears(void **state)
{
	struct conf_url url = { .path = made.socket };
	struct redis_server server = { .url = &url };
	struct redis *r = redis_new(loop, &server, &listening, NULL);
	struct asked a;

	(void)state;
	assert_true(ask(r, &a, "SUBSCRIBE", "news"));
	WIRE_UNTIL(loop, a.answered == 1);
	server_do(&made, "PUBLISH news hello");
	WIRE_UNTIL(loop, heard == 1);
	assert_string_equal(last_heard, "hello");
	server_do(&made, "CLIENT KILL TYPE pubsub");
	WIRE_UNTIL(loop, downs == 1 && ups == 2);
	redis_free(r);
}

static void
many_calls_of_one_turn(void **state)
{
	static struct asked a[2000];
	struct conf_url url = { .path = made.socket };
	struct redis_server server = { .url = &url };
	struct redis *r = redis_new(loop, &server, &hooks, NULL);

	(void)state;
	WIRE_UNTIL(loop, ups == 1);
	for (size_t i = 0; i < COUNT(a); i++)
		assert_true(ask(r, &a[i], "ECHO", "0123456789abcdef"));
	WIRE_UNTIL(loop, a[COUNT(a) - 1].answered == 1);
	for (size_t i = 0; i < COUNT(a); i++)
		assert_int_equal(a[i].turn, i + 1);
	redis_free(r);
}

/* --- without one --- */

static void
nobody_is_there(void **state)
{
	struct conf_url url = { .path = no_path };
	struct redis_server server = { .url = &url };
	struct redis *r = redis_new(loop, &server, &hooks, NULL);
	struct asked a;

	(void)state;
	assert_true(ask(r, &a, "PING", NULL));
	assert_int_equal(downs, 0); /* not inside the call */
	WIRE_UNTIL(loop, downs == 2);
	assert_int_equal(a.answered, 1);
	assert_string_equal(why_down, "can't connect: No such file or directory");
	redis_free(r);
}

/* All that it says is given up on, and tried again. */
static void
a_server_that_talks_nonsense(void **state)
{
	static const char *const nonsense[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"*1\r\n$1\r\nx\r\n",			  /* to SCRIPT LOAD */
		":1\r\n",
		"$-1\r\n",
		"*2147483647\r\n",
		"$2147483647\r\n",
		"+OK\r\n+OK\r\n",			  /* one too many */
		"+OK\r\n-ERR max number of clients reached\r\n",
		"-LOADING Redis is loading the dataset in memory\r\n",
		"\377\376\375",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+x\r\n",
	};
	struct sockaddr_in at;
	int server_fd = wire_listen(&at), fd;

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		struct conf_url url = { .path = NULL };
		struct redis_server server = by_port(&url, ntohs(at.sin_port));
		struct redis *r;

		server.script = "return 1";
		downs = 0;
		r = redis_new(loop, &server, &hooks, NULL);
		WIRE_UNTIL(loop, (fd = accept4(server_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
		wire_say(fd, nonsense[i]);
		if (nonsense[i][0] == '$' && nonsense[i][1] == '2') {
			char much[REDIS_REPLY_MAX];

			memset(much, 'x', sizeof much);
			wire_write(fd, much, sizeof much);
		}
		WIRE_UNTIL(loop, downs == 1);
		assert_int_not_equal(why_down[0], '\0');
		redis_free(r);
		wire_turn(loop);
		close(fd);
	}
	close(server_fd);
}

static void
patience(void **state)
{
	static const uint64_t most[] = { 50, 100, 200, 400, 800, 1600, 2000, 2000 };
	struct redis_patience p = { .wait_ms = 0 };
	uint64_t now_ms = 1000, wait_ms;

	(void)state;
	for (size_t i = 0; i < COUNT(most); i++) {
		wait_ms = redis_patience_next(&p, now_ms);
		assert_in_range(wait_ms, most[i] / 2, most[i]);
		now_ms += wait_ms;
	}
	assert_in_range(redis_patience_next(&p, now_ms + 10000), 25, 50);
}

int
main(void)
{
	const struct CMUnitTest with_server[] = {
		cmocka_unit_test_setup_teardown(calls_are_answered_in_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(it_speaks_as_a_user_to_a_database, setup, teardown),
		cmocka_unit_test_setup_teardown(what_fails_to_greet_says_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_connection_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_subscriber_hears, setup, teardown),
		cmocka_unit_test_setup_teardown(many_calls_of_one_turn, setup, teardown),
	};
	const struct CMUnitTest without[] = {
		cmocka_unit_test_setup_teardown(nobody_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_server_that_talks_nonsense, setup, teardown),
		cmocka_unit_test(patience),
	};
	int failed = cmocka_run_group_tests(without, NULL, NULL);

	return server_is_installed() ? failed + cmocka_run_group_tests(with_server, make_server, end_server) : failed;
}
