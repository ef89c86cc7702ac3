/* SPDX-License-Identifier: BSD-2-Clause */
/* setuid and its companions, in the only order that leaves nothing behind. */
#include "run/privilege.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

bool
privilege_find(const struct conf_global *cf, struct privilege *p, conf_report_fn *report, void *arg)
{
	const struct passwd *pw = cf->user != NULL ? getpwnam(cf->user) : NULL;
	const struct group *gr = cf->group != NULL ? getgrnam(cf->group) : NULL;

	*p = (struct privilege){ .uid = geteuid(), .gid = getegid(), .user = cf->user };
	if (pw != NULL) {
		p->uid = pw->pw_uid;
		p->gid = pw->pw_gid;
	} else if (cf->user != NULL) {
		conf_complain(report, arg, cf->user_place, "[global] user: there is no user '%s'", cf->user);
	}
	if (gr != NULL)
		p->gid = gr->gr_gid;
	else if (cf->group != NULL)
		conf_complain(report, arg, cf->group_place, "[global] group: there is no group '%s'", cf->group);
	if ((pw == NULL && cf->user != NULL) || (gr == NULL && cf->group != NULL))
		return false;
	p->change = p->uid != geteuid() || p->gid != getegid();
	if (!p->change || geteuid() == 0)
		return true;
	conf_complain(report, arg, cf->user != NULL ? cf->user_place : cf->group_place,
	    "[global] %s: only root can become another user", cf->user != NULL ? "user" : "group");
	return false;
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
