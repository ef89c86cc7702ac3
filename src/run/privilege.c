/* SPDX-License-Identifier: BSD-2-Clause */
/* setuid and its companions, in the only order that leaves nothing behind. */
#include "run/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

bool
privilege_find(const struct conf_global *cf, struct privilege *p, char **why)
{
	const struct passwd *pw;
	const struct group *gr;

	*p = (struct privilege){ .uid = geteuid(), .gid = getegid(), .user = cf->user };
	if (cf->user == NULL && cf->group == NULL)
		return true;
	if (cf->user != NULL) {
		pw = getpwnam(cf->user);
		if (pw == NULL) {
			*why = mem_printf("[global] user: there is no user '%s'", cf->user);
			return false;
		}
		p->uid = pw->pw_uid;
		p->gid = pw->pw_gid;
	}
	if (cf->group != NULL) {
		gr = getgrnam(cf->group);
		if (gr == NULL) {
			*why = mem_printf("[global] group: there is no group '%s'", cf->group);
			return false;
		}
		p->gid = gr->gr_gid;
	}
	p->change = p->uid != geteuid() || p->gid != getegid();
	if (p->change && geteuid() != 0) {
		*why = mem_printf("[global] user: only root can become another user");
		return false;
	}
	return true;
}

bool
privilege_drop(const struct privilege *p)
{
	if (!p->change)
		return true;
	if (p->user != NULL ? initgroups(p->user, p->gid) == -1 : setgroups(0, NULL) == -1)
		return false;
	return setresgid(p->gid, p->gid, p->gid) == 0 && setresuid(p->uid, p->uid, p->uid) == 0;
}

size_t
privilege_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
			limit.rlim_cur = before;
	}
	return (size_t)limit.rlim_cur;
}
