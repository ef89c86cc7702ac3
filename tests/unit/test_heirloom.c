/* SPDX-License-Identifier: BSD-2-Clause */
/* What is inherited: from the service manager, from the process before us; what is claimed, and what is closed. */
#include "net/heirloom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "net/unixsock.h"
#include "wire.h"

static char warned[2048];

static void
on_log(enum log_level level, struct slice text)
{
	char line[512];

	assert_int_equal(level, LOG_LEVEL_WARN);
	snprintf(line, sizeof line, "%.*s\n", SLICE_FMT(text));
	strcat(warned, line);
}

static int
setup(void **state)
{
	(void)state;
	warned[0] = '\0';
	log_to(on_log);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_to(NULL);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv(BEQUEST_VARIABLE);
	return 0;
}

static struct addr
address(int fd)
{
	struct addr a = { .len = sizeof a.sa };

	assert_int_equal(getsockname(fd, &a.sa.any, &a.len), 0);
	return a;
}

static struct heirlooms *
nothing(void)
{
	struct heirlooms *h = heirlooms_new();

	assert_int_equal(h->n, 0);
	return h;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void
by_address(void **state)
{
	struct heirlooms *h = nothing();
	struct sockaddr_in at;
	int fd = wire_listen(&at), other = wire_listen(&at);
	struct addr a = address(fd), b = address(other);
	struct heirloom got;

	(void)state;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	heirlooms_add(h, fd, "web", true);
	heirlooms_add(h, dup(fd), "", false); /* several of one address */
	heirlooms_add(h, other, "", false);
	assert_true(heirlooms_claim(h, &a, &got));
	assert_int_equal(got.fd, fd);
	assert_true(got.is_lent);
	assert_false(got.is_mptcp);
	assert_string_equal(got.name, "web");
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(heirlooms_claim(h, &a, &got));
	assert_false(got.is_lent);
	close(got.fd);
	assert_false(heirlooms_claim(h, &a, &got));
	assert_false(heirlooms_claim(NULL, &a, &got));
	heirlooms_free(h);
	heirlooms_free(NULL);
	assert_true(is_open(fd));
	assert_false(is_open(other)); /* nobody wanted it */
	snprintf(warned + 512, 512, "inherited socket 127.0.0.1:%u is not asked for by the configuration: closed\n",
	    addr_port(&b));
	assert_string_equal(warned, warned + 512);
	close(fd);
}

/* "ListenStream=80" is one socket for both families, where the kernel has IPv6. */
static void
of_both_families(void **state)
{
	struct heirlooms *h = nothing();
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct addr a, wanted;
	struct heirloom got;
	char text[32];

	(void)state;
	if (fd == -1)
		skip();
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 1), 0);
	a = address(fd);
	heirlooms_add(h, fd, "", true);
	snprintf(text, sizeof text, "127.0.0.1:%u", addr_port(&a));
	assert_true(addr_parse(slice_of(text), &wanted));
	assert_false(heirlooms_claim(h, &wanted, &got));
	snprintf(text, sizeof text, "*:%u", addr_port(&a));
	assert_true(addr_parse(slice_of(text), &wanted));
	assert_true(heirlooms_claim(h, &wanted, &got));
	assert_int_equal(got.fd, fd);
	close(fd);
	heirlooms_free(h);
	assert_string_equal(warned, "");
}

static void
by_path(void **state)
{
	char directory[] = "/tmp/stickyd-heirloom-XXXXXX", *path;
	struct heirlooms *h = nothing();
	bool is_lent;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	path = mem_printf("%s/s", directory);
	fd = unixsock_listen(path);
	heirlooms_add(h, fd, "", true);
	assert_int_equal(heirlooms_claim_path(h, "/elsewhere", &is_lent), -1);
	assert_int_equal(heirlooms_claim_path(h, path, &is_lent), fd);
	assert_true(is_lent);
	assert_int_equal(heirlooms_claim_path(h, path, &is_lent), -1);
	assert_int_equal(heirlooms_claim_path(NULL, path, &is_lent), -1);
	heirlooms_free(h);
	close(fd);
	unlink(path);
	rmdir(directory);
	free(path);
}

/* What connections don't come to: a datagram socket, a connected one (Accept=yes), a file, nothing at all. */
static void
that_do_not_listen(void **state)
{
	struct heirlooms *h = nothing();
	int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), pair[2], null = open("/dev/null", O_CLOEXEC);

	(void)state;
	wire_pair(pair);
	heirlooms_add(h, datagrams, "dns", true);
	heirlooms_add(h, pair[0], "", true);
	heirlooms_add(h, null, "", true);
	assert_int_equal(h->n, 0);
	assert_false(is_open(datagrams));
	assert_false(is_open(pair[0]));
	assert_false(is_open(null));
	assert_non_null(strstr(warned, " dns is no socket that connections come to: closed\n"));
	close(pair[1]);
	heirlooms_free(h);
}

/* In a child, whose descriptors from 3 on are as the service manager leaves them. */
static int
heirs_of_the_manager(const char *pid, const char *names)
{
	struct sockaddr_in at;
	int fd[2] = { wire_listen(&at), wire_listen(&at) };
	struct heirlooms *h;
	int n, wrong;

	/* away from where they are to stand */
	fd[0] = fcntl(fd[0], F_DUPFD_CLOEXEC, 100);
	fd[1] = fcntl(fd[1], F_DUPFD_CLOEXEC, 100);
	dup2(fd[0], 3);
	dup2(fd[1], 4);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", names, 1);
	h = heirlooms_new();
	n = (int)h->n;
	wrong = getenv("LISTEN_PID") != NULL || getenv("LISTEN_FDS") != NULL || getenv("LISTEN_FDNAMES") != NULL;
	if (n == 2)
		wrong |= strcmp(h->item[0].name, "web") != 0 || strcmp(h->item[1].name, "") != 0 ||
		    !h->item[0].is_lent || h->item[1].fd != 4;
	heirlooms_free(h);
	return wrong ? 100 : n;
}

static void
from_the_manager(void **state)
{
	static const struct {
		bool ours;
		int n;
	} cases[] = { { true, 2 }, { false, 0 } };

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			char pid[16];

			log_to(NULL);
			log_set_level(LOG_LEVEL_ERROR);
			snprintf(pid, sizeof pid, "%d", cases[i].ours ? getpid() : 1);
			_exit(heirs_of_the_manager(pid, "web"));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), cases[i].n);
	}
}

/* What one process leaves another finds, with where it came from. */
static void
from_a_bequest(void **state)
{
	struct sockaddr_in at;
	int fd[2] = { wire_listen(&at), wire_listen(&at) };
	struct bequest b = { .n = 0 };
	struct heirlooms *h;
	struct addr a = address(fd[1]);
	struct heirloom got;
	char *text;

	(void)state;
	text = bequest_text(&b);
	assert_string_equal(text, "");
	free(text);
	bequest_add(&b, fd[0], false);
	bequest_add(&b, fd[1], true);
	text = bequest_text(&b);
	setenv(BEQUEST_VARIABLE, text, 1);
	h = heirlooms_new();
	assert_null(getenv(BEQUEST_VARIABLE));
	assert_int_equal(h->n, 2);
	assert_false(h->item[0].is_lent);
	assert_true(heirlooms_claim(h, &a, &got));
	assert_int_equal(got.fd, fd[1]);
	assert_true(got.is_lent);
	close(got.fd);
	heirlooms_free(h);
	bequest_fini(&b);
	free(text);
}

static void
not_a_bequest(void **state)
{
	static const char *const texts[] = { "", "x", "-1", "1", "5000000000", "7x" };

	(void)state;
	for (unsigned i = 0; i < COUNT(texts); i++) {
		struct heirlooms *h;

		setenv(BEQUEST_VARIABLE, texts[i], 1);
		setenv("LISTEN_PID", texts[i], 1);
		setenv("LISTEN_FDS", texts[i], 1);
		h = heirlooms_new();
		assert_int_equal(h->n, 0);
		heirlooms_free(h);
	}
	assert_true(is_open(1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_address, setup, teardown),
		cmocka_unit_test_setup_teardown(of_both_families, setup, teardown),
		cmocka_unit_test_setup_teardown(by_path, setup, teardown),
		cmocka_unit_test_setup_teardown(that_do_not_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(from_the_manager, setup, teardown),
		cmocka_unit_test_setup_teardown(from_a_bequest, setup, teardown),
		cmocka_unit_test_setup_teardown(not_a_bequest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
