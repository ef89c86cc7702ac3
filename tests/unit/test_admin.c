/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may ask by which door, and what becomes of the socket. What is answered is in test_api.c. */
#include "run/admin.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/unixsock.h"
#include "small_daemon.h"
#include "wire.h"

#define TOKEN "0123456789abcdef"

static char directory[] = "/tmp/stickyd-admin-XXXXXX";

struct house {
	struct daemon *daemon;
	struct event_base *base;
	char *path;		/* of the socket */
	unsigned port;
};

static int
make_directory(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	return 0;
}

static char *
path_of(const char *name)
{
	return mem_printf("%s/%s", directory, name);
}

static int
remove_directory(void **state)
{
	static const char *const names[] = { "token", "taken" };

	(void)state;
	for (unsigned i = 0; i < COUNT(names); i++) {
		char *path = path_of(names[i]);

		unlink(path);
		free(path);
	}
	return rmdir(directory);	/* the sockets have gone by themselves */
}

static void
write_token(const char *text, mode_t mode)
{
	char *path = path_of("token");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static unsigned
free_port(void)
{
	struct sockaddr_in at;

	close(wire_listen(&at));
	return ntohs(at.sin_port);
}

static struct daemon *
daemon_of(const char *admin)
{
	char *ini = mem_printf("[admin]\n%s\n[listener main]\nbind = 127.0.0.1:0\npool = game\n"
	    "[pool game]\ngateway = gw1 127.0.0.1:9001\naffinity = query:id\ncheck = none\n", admin);
	struct daemon *d = small_daemon(ini);

	free(ini);
	return d;
}

static struct house
house_open(const char *listen, bool with_token)
{
	struct privilege stay = { .change = false };
	struct house h = { .path = path_of("s"), .port = free_port(), .base = event_base_new() };
	char *admin = mem_printf("socket = %s\nlisten = %s:%u\n%s%s%s", h.path, listen, h.port,
	    with_token ? "token_file = " : "", with_token ? directory : "", with_token ? "/token" : "");

	assert_non_null(h.base);
	write_token(TOKEN "\n", 0600);
	h.daemon = daemon_of(admin);
	h.daemon->admin = admin_open(h.daemon->edition->conf, &stay, NULL, small_report, NULL);
	assert_non_null(h.daemon->admin);
	admin_start(h.daemon->admin, h.base, h.daemon);
	free(admin);
	return h;
}

static void
house_close(struct house *h)
{
	admin_free(h->daemon->admin);
	h->daemon->admin = NULL;
	event_base_free(h->base);
	small_daemon_free(h->daemon);
	assert_int_equal(access(h->path, F_OK), -1);
	free(h->path);
}

/* What is answered to these bytes, until the connection ends; to be freed. */
static char *
answer_on(struct house *h, int fd, const char *text)
{
	uint64_t by_us = clock_exact_us() + WIRE_LIMIT_MS * 1000;
	struct wire_got got = { 0 };

	wire_say(fd, text);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (!got.ended && clock_exact_us() < by_us) {
		event_base_loop(h->base, EVLOOP_NONBLOCK);
		wire_take(fd, &got, SIZE_MAX);
	}
	assert_true(got.ended);
	close(fd);
	got.p = mem_realloc(got.p, got.n + 1);
	got.p[got.n] = '\0';
	return got.p;
}

static int
by_tcp(const struct house *h)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)h->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return wire_connect(&to);
}

static int
by_socket(const struct house *h)
{
	int fd = unixsock_connect(h->path);

	assert_int_not_equal(fd, -1);
	return fd;
}

/* The status of the answer. */
static unsigned
asked(struct house *h, int fd, const char *line, const char *fields)
{
	char *text = mem_printf("%s HTTP/1.1\r\n%sConnection: close\r\n\r\n", line, fields);
	char *answer = answer_on(h, fd, text);
	unsigned status = 0;

	assert_int_equal(sscanf(answer, "HTTP/1.1 %u ", &status), 1);
	free(answer);
	free(text);
	return status;
}

#define BEARER "Host: 127.0.0.1\r\nAuthorization: Bearer "
#define BASIC "Host: 127.0.0.1:9180\r\nAuthorization: Basic "
#define AS_BASIC "b3A6MDEyMzQ1Njc4OWFiY2RlZg=="	/* op:TOKEN */
#define PUT_KEY "PUT /v1/table?key=a&gateway=gw1"

static void
test_who_may(void **state)
{
	static const struct {
		const char *line, *fields;
		unsigned by_socket, by_loopback, from_afar, without_token;
	} cases[] = {
		{ "GET /v1/status", "Host: 127.0.0.1\r\n", 200, 200, 401, 200 },
		{ "GET /metrics", "Host: localhost\r\n", 200, 200, 401, 200 },
		{ "GET /metrics", "", 400, 400, 400, 400 },
		{ "GET /healthz", "Host: 127.0.0.1\r\n", 200, 200, 401, 200 },
		{ "GET /", "Host: 127.0.0.1\r\n", 200, 200, 401, 200 },
		{ "GET /nothing", "Host: 127.0.0.1\r\n", 404, 404, 401, 404 },
		{ PUT_KEY, "Host: 127.0.0.1\r\n", 200, 401, 401, 403 },
		{ PUT_KEY, BEARER TOKEN "\r\n", 200, 200, 200, 403 },
		{ PUT_KEY, "Host: [::1]\r\nAuthorization: bearer  " TOKEN "\r\n", 200, 200, 200, 403 },
		{ PUT_KEY, BEARER TOKEN "0\r\n", 200, 401, 401, 403 },
		{ PUT_KEY, BEARER "0123456789abcdeg\r\n", 200, 401, 401, 403 },
		{ PUT_KEY, BEARER "\r\n", 200, 401, 401, 403 },
		{ PUT_KEY, "Host: [::1]:1\r\nAuthorization: Basic " TOKEN "\r\n", 200, 401, 401, 403 },
		{ "GET /metrics", BEARER TOKEN "\r\n", 200, 200, 200, 200 },
		/* a browser: USER:TOKEN in base64, and where the page is from */
		{ "GET /metrics", BASIC AS_BASIC "\r\n", 200, 200, 200, 200 },
		{ "GET /metrics", BASIC "0123\r\n", 200, 200, 401, 200 },
		{ "GET /metrics", BASIC "b3A6\r\n", 200, 200, 401, 200 },
		{ PUT_KEY, BASIC AS_BASIC "\r\n", 200, 403, 403, 403 },
		{ PUT_KEY, BASIC AS_BASIC "\r\nOrigin: http://127.0.0.1:9180\r\n", 200, 200, 200, 403 },
		{ PUT_KEY, BASIC AS_BASIC "\r\nOrigin: https://127.0.0.1:9180\r\n", 200, 200, 200, 403 },
		{ PUT_KEY, BASIC AS_BASIC "\r\nOrigin: http://127.0.0.1:9181\r\n", 200, 403, 403, 403 },
		{ PUT_KEY, BASIC AS_BASIC "\r\nOrigin: null\r\n", 200, 403, 403, 403 },
		{ PUT_KEY, BEARER TOKEN "\r\nOrigin: http://other.example\r\n", 200, 403, 403, 403 },
		{ PUT_KEY, BEARER TOKEN "\r\nOrigin: http://127.0.0.1\r\n", 200, 200, 200, 403 },
		/* a site whose name points at us */
		{ "GET /v1/status", "Host: rebound.example\r\n", 200, 421, 421, 421 },
		{ "GET /v1/status", "Host: 127.0.0.1.example:80\r\n", 200, 421, 421, 421 },
		{ "GET /v1/status", "Host: localhost.example\r\n", 200, 421, 421, 421 },
		{ "GET /v1/status", "Host: LocalHost:80\r\n", 200, 200, 401, 200 },
	};
	struct house loopback = house_open("127.0.0.1", true), bare;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(asked(&loopback, by_socket(&loopback), cases[i].line, cases[i].fields),
		    cases[i].by_socket);
		assert_int_equal(asked(&loopback, by_tcp(&loopback), cases[i].line, cases[i].fields),
		    cases[i].by_loopback);
	}
	house_close(&loopback);
	bare = house_open("127.0.0.1", false);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(asked(&bare, by_tcp(&bare), cases[i].line, cases[i].fields), cases[i].without_token);
	house_close(&bare);
	bare = house_open("0.0.0.0", true);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(asked(&bare, by_tcp(&bare), cases[i].line, cases[i].fields), cases[i].from_afar);
	house_close(&bare);
}

static void
test_answers_as_http(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	char *answer;

	(void)state;
	answer = answer_on(&h, by_socket(&h), "HEAD /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(answer, "Content-Length: "));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	free(answer);
	answer = answer_on(&h, by_socket(&h), "TRACE /v1/table HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_int_equal(strncmp(answer, "HTTP/1.1 405 ", 13), 0);
	assert_non_null(strstr(answer, "Allow: GET, PUT, DELETE\r\n"));
	free(answer);
	answer = answer_on(&h, by_tcp(&h),
	    "DELETE /v1/table?key=a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	assert_non_null(strstr(answer, "WWW-Authenticate: Bearer"));
	assert_non_null(strstr(answer, "WWW-Authenticate: Basic"));
	assert_null(strstr(answer, "Allow:"));
	free(answer);
	house_close(&h);
}

static void
test_too_much_is_refused(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	char *much = mem_zalloc(100001), *text, *answer;

	(void)state;
	memset(much, 'x', 100000);
	text = mem_printf("GET /v1/table?key=%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", much);
	answer = answer_on(&h, by_socket(&h), text);
	assert_null(strstr(answer, " 200 "));
	free(answer);
	free(text);
	text = mem_printf("PUT /v1/table HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n%s", much);
	answer = answer_on(&h, by_socket(&h), text);
	assert_non_null(strstr(answer, " 413 "));
	free(answer);
	free(text);
	free(much);
	house_close(&h);
}

static void
count_reports(void *arg, const char *line)
{
	unsigned *n = arg;

	(void)line;
	++*n;
}

static void
test_tokens_that_are_refused(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
	} cases[] = { { "", 0600 }, { "\n", 0600 } };
	struct privilege stay = { .change = false };
	char *admin = mem_printf("socket = off\ntoken_file = %s/token", directory);
	struct daemon *d;

	(void)state;
	write_token(TOKEN, 0600);
	d = daemon_of(admin);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		unsigned told = 0;

		write_token(cases[i].text, cases[i].mode);
		assert_false(admin_check(&d->edition->conf->admin, count_reports, &told));
		assert_int_equal(told, 1);
		assert_null(admin_open(d->edition->conf, &stay, NULL, count_reports, &told));
		assert_int_equal(told, 2);
	}
	small_daemon_free(d);
	free(admin);
}

/* A living one's socket is not taken over, at a configured path, and is there still afterwards. */
static void
test_a_socket_that_is_taken(void **state)
{
	struct privilege stay = { .change = false };
	char *path = path_of("taken"), *admin = mem_printf("socket = %s", path);
	struct daemon *d = daemon_of(admin);
	int fd = unixsock_listen(path), client;
	unsigned told = 0;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_null(admin_open(d->edition->conf, &stay, NULL, count_reports, &told));
	assert_int_equal(told, 1);
	client = unixsock_connect(path);
	assert_int_not_equal(client, -1);
	close(client);
	close(fd);
	assert_true(admin_check(&d->edition->conf->admin, count_reports, &told));
	d->admin = admin_open(d->edition->conf, &stay, NULL, count_reports, &told);	/* now it is stale */
	assert_non_null(d->admin);
	small_daemon_free(d);
	assert_int_equal(access(path, F_OK), -1);
	free(admin);
	free(path);
}

/* The default gives way to the user's own; where neither will do it goes on without. */
static void
test_the_default_gives_way(void **state)
{
	struct privilege stay = { .change = false };
	struct conf cf = { .admin = { .socket = mem_strdup("/nowhere/at/all/admin.sock") } };
	char *own = path_of("stickyd/admin.sock"), *parent = path_of("stickyd");
	struct admin *a;

	(void)state;
	setenv("XDG_RUNTIME_DIR", directory, 1);
	a = admin_open(&cf, &stay, NULL, small_report, NULL);
	assert_non_null(a);
	assert_int_equal(access(own, F_OK), 0);
	admin_free(a);
	assert_int_equal(rmdir(parent), 0);
	unsetenv("XDG_RUNTIME_DIR");
	a = admin_open(&cf, &stay, NULL, small_report, NULL);
	assert_non_null(a);
	admin_free(a);
	free(own);
	free(parent);
	free(cf.admin.socket);
}

/* ---- reloads ---- */

/* Another [admin] section for the same house; NULL: refused. */
static struct admin_change *
prepared(const struct house *h, const char *section, conf_report_fn *report, void *arg)
{
	struct daemon *d = daemon_of(section);
	struct admin_change *change = admin_prepare(h->daemon->admin, d->edition->conf, report, arg);

	small_daemon_free(d);
	return change;
}

static void
changed(const struct house *h, const char *section)
{
	struct admin_change *change = prepared(h, section, small_report, NULL);

	assert_non_null(change);
	admin_commit(h->daemon->admin, change);
}

static bool
is_there(const char *path)
{
	int fd = unixsock_connect(path);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

/* What stays is not touched: who is connected, and its file, goes on. */
static void
test_doors_that_stay(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	char *same = mem_printf("socket = %s\nlisten = 127.0.0.1:%u\ntoken_file = %s/token", h.path, h.port,
	    directory);
	struct stat before, after;
	int kept = by_tcp(&h);

	(void)state;
	assert_int_equal(stat(h.path, &before), 0);
	wire_say(kept, "GET /metr");
	event_base_loop(h.base, EVLOOP_NONBLOCK);
	write_token("fedcba9876543210", 0600);
	changed(&h, same);
	assert_int_equal(stat(h.path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	free(answer_on(&h, kept, "ics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
	assert_int_equal(asked(&h, by_tcp(&h), PUT_KEY, BEARER TOKEN "\r\n"), 401);
	assert_int_equal(asked(&h, by_tcp(&h), PUT_KEY, BEARER "fedcba9876543210\r\n"), 200);
	free(same);
	house_close(&h);
}

static void
test_doors_that_move(void **state)
{
	struct house h = house_open("127.0.0.1", false);
	char *path = path_of("moved"), *section = mem_printf("socket = %s", path), *was = h.path;
	int idle = by_tcp(&h);
	struct wire_got got = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		event_base_loop(h.base, EVLOOP_NONBLOCK);
	changed(&h, section);
	for (unsigned i = 0; i < 4; i++)
		event_base_loop(h.base, EVLOOP_NONBLOCK);
	assert_int_equal(fcntl(idle, F_SETFL, O_NONBLOCK), 0);
	wire_take(idle, &got, SIZE_MAX);
	assert_true(got.ended);			/* its door is no more */
	wire_got_free(&got);
	close(idle);
	assert_int_equal(access(was, F_OK), -1);
	h.path = path;
	assert_int_equal(asked(&h, by_socket(&h), "GET /v1/status", "Host: a\r\n"), 200);
	free(was);
	free(section);
	house_close(&h);
}

/* All or nothing: what was opened for a change that is not to be is gone again. */
static void
test_a_change_that_is_refused(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	char *path = path_of("moved");
	char *section = mem_printf("socket = %s\nlisten = 127.0.0.1:%u\ntoken_file = %s/none", path, free_port(),
	    directory);
	struct admin_change *change;
	unsigned told = 0;

	(void)state;
	assert_null(prepared(&h, section, count_reports, &told));
	assert_int_equal(told, 1);
	assert_int_equal(access(path, F_OK), -1);
	free(section);
	section = mem_printf("socket = %s", path);
	change = prepared(&h, section, small_report, NULL);
	assert_true(is_there(path));
	admin_discard(change);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(asked(&h, by_socket(&h), "GET /v1/status", "Host: a\r\n"), 200);
	free(section);
	free(path);
	house_close(&h);
}

/* ---- upgrades ---- */

static void
test_another_process_goes_on(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	struct privilege stay = { .change = false };
	struct heirlooms inherited = { .n = 0 };
	struct bequest b = { .n = 0 };
	struct admin *heir;

	(void)state;
	admin_bequeath(h.daemon->admin, &b);
	assert_int_equal(b.n, 2);
	for (size_t i = 0; i < b.n; i++)
		heirlooms_add(&inherited, dup(b.fd[i]), "", false);
	bequest_fini(&b);
	heir = admin_open(h.daemon->edition->conf, &stay, &inherited, small_report, NULL);
	assert_non_null(heir);
	for (size_t i = 0; i < inherited.n; i++) {
		assert_int_equal(inherited.item[i].fd, -1);
		free(inherited.item[i].name);
		free(inherited.item[i].path);
	}
	free(inherited.item);
	admin_hand_over(h.daemon->admin);
	admin_free(h.daemon->admin);
	assert_int_equal(access(h.path, F_OK), 0);
	h.daemon->admin = heir;
	admin_start(heir, h.base, h.daemon);
	assert_int_equal(asked(&h, by_socket(&h), "GET /v1/status", "Host: a\r\n"), 200);
	assert_int_equal(asked(&h, by_tcp(&h), "GET /v1/status", "Host: localhost\r\n"), 200);
	house_close(&h);
}

/* ---- crowds ---- */

static bool
has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* One more than there is room for: the one who has longest asked nothing makes room. */
static void
test_a_crowd(void **state)
{
	struct house h = house_open("127.0.0.1", true);
	int crowd[ADMIN_VISITORS + 3];

	(void)state;
	for (unsigned i = 0; i < COUNT(crowd); i++) {
		crowd[i] = by_socket(&h);
		if (i % 2 == 1)
			wire_say(crowd[i], "GET /");	/* who is slow is no better */
		event_base_loop(h.base, EVLOOP_NONBLOCK);
		event_base_loop(h.base, EVLOOP_NONBLOCK);
	}
	for (unsigned i = 0; i < COUNT(crowd); i++)
		assert_int_equal(has_ended(crowd[i]), i < 3);
	assert_int_equal(asked(&h, by_socket(&h), "GET /v1/status", "Host: a\r\n"), 200);
	assert_true(has_ended(crowd[3]));
	for (unsigned i = 0; i < COUNT(crowd); i++)
		close(crowd[i]);
	house_close(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_answers_as_http),
		cmocka_unit_test(test_too_much_is_refused),
		cmocka_unit_test(test_tokens_that_are_refused),
		cmocka_unit_test(test_a_socket_that_is_taken),
		cmocka_unit_test(test_the_default_gives_way),
		cmocka_unit_test(test_doors_that_stay),
		cmocka_unit_test(test_doors_that_move),
		cmocka_unit_test(test_a_change_that_is_refused),
		cmocka_unit_test(test_another_process_goes_on),
		cmocka_unit_test(test_a_crowd),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
