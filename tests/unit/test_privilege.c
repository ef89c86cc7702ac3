/* SPDX-License-Identifier: BSD-2-Clause */
/* Who we become: names looked up, root needed, nothing left behind (seen in a child). */
#include "run/privilege.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "root", nobody[] = "nobody", nogroup[] = "nogroup", unknown[] = "no-such-user-here";

static void
on_mistake(void *arg, const char *line)
{
	strcat(arg, line);
	strcat(arg, "\n");
}

static void
stays_who_it_is(void **state)
{
	struct conf_global cf = { 0 };
	struct privilege p;
	char said[256] = "";

	(void)state;
	assert_true(privilege_find(&cf, &p, on_mistake, said));
	assert_false(p.change);
	assert_int_equal(p.uid, geteuid());
	assert_true(privilege_drop(&p));
	assert_int_equal(p.uid, geteuid());
	assert_string_equal(said, "");
}

static void
unknown_names(void **state)
{
	struct conf_global cf = {
		.user = unknown, .user_place = { "a.ini", 2 }, .group = unknown, .group_place = { "a.ini", 3 },
	};
	struct privilege p;
	char said[256] = "";

	(void)state;
	assert_false(privilege_find(&cf, &p, on_mistake, said));
	assert_string_equal(said, "a.ini:2: [global] user: there is no user 'no-such-user-here'\n"
	    "a.ini:3: [global] group: there is no group 'no-such-user-here'\n");
}

/* In a child: 0 when nobody's rights are all that is left. */
static int
become_nobody(void)
{
	struct conf_global cf = { .user = nobody, .group = nogroup };
	struct privilege p;
	char said[256] = "";
	uid_t u[3];
	gid_t g[3], groups[64];
	int n;

	if (!privilege_find(&cf, &p, on_mistake, said) || !p.change || !privilege_drop(&p))
		return 1;
	if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
		return 2;
	for (unsigned i = 0; i < 3; i++)
		if (u[i] != p.uid || g[i] != p.gid || u[i] == 0)
			return 3;
	n = getgroups(COUNT(groups), groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == 0)
			return 4;
	if (setuid(0) == 0 || seteuid(0) == 0)
		return 5;
	/* and who is not root becomes nobody else */
	cf.user = root;
	if (privilege_find(&cf, &p, on_mistake, said) || strstr(said, "only root") == NULL)
		return 6;
	return 0;
}

static void
becomes_another_for_good(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0)
		_exit(become_nobody());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
descriptors(void **state)
{
	struct rlimit before, limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = before.rlim_max < 64 ? before.rlim_max : 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(privilege_raise_descriptors(), before.rlim_max);
	assert_int_equal(privilege_raise_descriptors(), before.rlim_max); /* nothing to do */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_who_it_is),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(becomes_another_for_good),
		cmocka_unit_test(descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
