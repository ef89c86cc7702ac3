/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis_server.h - a redis-server of a test's own: on a Unix socket and a free port of loopback, in a directory that
 * goes with it. Where none is installed such tests are left out. Include it behind cmocka.h and wire.h.
 */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "conf/conf.h"

struct redis_server_made {
	pid_t pid; /* 0: it does not run */
	char directory[64], socket[96];
	unsigned port;
	int held; /* bound to the port, so that it is nobody else's while the server is down */
	redisContext *asker; /* NULL: not connected */
};

static inline bool
server_is_installed(void)
{
	return access("/usr/bin/redis-server", X_OK) == 0 || access("/usr/local/bin/redis-server", X_OK) == 0;
}

static inline void
server_exec(const struct redis_server_made *s, pid_t test)
{
	char port[16];

	snprintf(port, sizeof port, "%u", s->port);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that aborts leaves nothing behind */
	if (getppid() != test)
		_exit(125);
	if (freopen("/dev/null", "w", stdout) == NULL)
		_exit(126);
	execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", s->socket, "--dir",
	    s->directory, "--save", "", "--appendonly", "yes", "--appendfsync", "no", (char *)NULL);
	_exit(127);
}

/* Asks as an operator does, and waits; what is said in between is ignored. The caller frees. */
static inline redisReply *
server_ask(struct redis_server_made *s, const char *fmt, ...)
{
	uint64_t end = clock_exact_us() + WIRE_LIMIT_MS * 1000;
	redisReply *r = NULL;
	va_list args;

	while (s->asker == NULL) {
		s->asker = redisConnectUnix(s->socket);
		if (s->asker != NULL && s->asker->err != 0) {
			redisFree(s->asker);
			s->asker = NULL;
		}
		assert_true(clock_exact_us() < end);
		sched_yield();
	}
	va_start(args, fmt);
	r = redisvCommand(s->asker, fmt, args);
	va_end(args);
	assert_non_null(r);
	return r;
}

#define server_do(s, ...) freeReplyObject(server_ask(s, __VA_ARGS__))

/* At the same place with the same memory, when it has run before. */
static inline void
server_start(struct redis_server_made *s)
{
	pid_t test = getpid();
	redisReply *r;
	bool loads;

	s->pid = fork();
	assert_int_not_equal(s->pid, -1);
	if (s->pid == 0)
		server_exec(s, test);
	do {
		r = server_ask(s, "PING");
		loads = r->type == REDIS_REPLY_ERROR;
		freeReplyObject(r);
	} while (loads);
}

/* It neither answers nor hangs up, until it is thawed. */
static inline void
server_freeze(struct redis_server_made *s)
{
	kill(s->pid, SIGSTOP);
	assert_int_equal(waitpid(s->pid, NULL, WUNTRACED), s->pid);
}

static inline void
server_thaw(struct redis_server_made *s)
{
	kill(s->pid, SIGCONT);
}

static inline void
server_kill(struct redis_server_made *s)
{
	if (s->pid == 0)
		return;
	if (s->asker != NULL)
		redisFree(s->asker);
	s->asker = NULL;
	kill(s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	s->pid = 0;
}

/* Redis may bind it all the same: both say SO_REUSEADDR, and this one never listens. */
static inline void
server_hold_port(struct redis_server_made *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int on = 1;

	s->held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(s->held, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(s->held, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(s->held, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
}

static inline void
server_make(struct redis_server_made *s)
{
	*s = (struct redis_server_made){ .directory = "/tmp/stickyd-test-redis-XXXXXX" };
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->socket, sizeof s->socket, "%s/socket", s->directory);
	server_hold_port(s);
	server_start(s);
}

static inline void
server_unmake(struct redis_server_made *s)
{
	char command[128];

	server_kill(s);
	close(s->held);
	snprintf(command, sizeof command, "rm -rf '%s'", s->directory);
	assert_int_equal(system(command), 0);
}

/* What a key holds, in a buffer that the next call uses again; NULL: nothing. */
static inline const char *
server_get(struct redis_server_made *s, const char *key)
{
	static char value[512];
	redisReply *r = server_ask(s, "GET %s", key);
	bool is_there = r->type == REDIS_REPLY_STRING;

	if (is_there)
		snprintf(value, sizeof value, "%s", r->str);
	freeReplyObject(r);
	return is_there ? value : NULL;
}

/* How many commands of that name it has been given. */
static inline unsigned
server_calls(struct redis_server_made *s, const char *command)
{
	redisReply *r = server_ask(s, "INFO commandstats");
	char name[64];
	const char *at;
	unsigned n = 0;

	snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
	at = strstr(r->str, name);
	if (at != NULL)
		n = (unsigned)strtoul(at + strlen(name), NULL, 10);
	freeReplyObject(r);
	return n;
}

#endif
