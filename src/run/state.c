/* SPDX-License-Identifier: BSD-2-Clause */
/* Found, made, handed over. */
#include "run/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/snapshot.h"

/* mkdir -p, for the directories of the user's own that may not be there yet. */
static bool
make_directory(const char *path)
{
	char *copy = mem_strdup(path);
	bool good;

	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0755);	/* what matters is the last one */
		*slash = '/';
	}
	good = mkdir(copy, 0700) == 0 || errno == EEXIST;
	free(copy);
	return good;
}

static bool
is_writable_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return false;
	if (S_ISDIR(st.st_mode))
		return access(path, W_OK | X_OK) == 0;
	errno = ENOTDIR;
	return false;
}

/* What make_directory would need: the nearest directory that is there can be written. */
static bool
could_be_made(const char *path)
{
	char *copy = mem_strdup(path), *slash;
	bool good = is_writable_directory(copy);

	while (!good && errno == ENOENT && (slash = strrchr(copy, '/')) != NULL) {
		slash[slash == copy] = '\0';	/* the root keeps its slash */
		good = is_writable_directory(copy);
		if (slash == copy)
			break;
	}
	free(copy);
	return good;
}

static char *
users_own_directory(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state != NULL && *state == '/')
		return mem_printf("%s/stickyd", state);
	if (home != NULL && *home == '/')
		return mem_printf("%s/.local/state/stickyd", home);
	return NULL;
}

static bool
can_use(const char *path, bool may_make)
{
	return may_make ? make_directory(path) && is_writable_directory(path) : could_be_made(path);
}

/* As configured, or the default, which gives way to the user's own. NULL: neither will do. */
static char *
state_find(const struct conf_global *cf, bool may_make, conf_report_fn *report, void *arg)
{
	char *own;
	int why;

	if (can_use(cf->state_dir, may_make))
		return mem_strdup(cf->state_dir);
	why = errno;
	own = cf->state_dir_configured ? NULL : users_own_directory();
	if (own != NULL && can_use(own, may_make)) {
		log_notice("state_dir: %s can't be written (%s): using %s", cf->state_dir, strerror(why), own);
		return own;
	}
	free(own);
	conf_complain(report, arg, cf->state_dir_place, "[global] state_dir: '%s' can't be written: %s",
	    cf->state_dir, strerror(why));
	return NULL;
}

static bool
state_chown(const char *directory, const struct privilege *p)
{
	char *key = mem_printf("%s/seal.key", directory), *table = mem_printf("%s/" SNAPSHOT_FILE, directory);
	bool good = chown(directory, p->uid, p->gid) == 0 && chown(key, p->uid, p->gid) == 0 &&
	    (chown(table, p->uid, p->gid) == 0 || errno == ENOENT);

	free(key);
	free(table);
	return good;
}

char *
state_open(const struct conf_global *cf, const struct privilege *p, struct seal_ring **ring, conf_report_fn *report,
    void *arg)
{
	char *directory = state_find(cf, true, report, arg), *why = NULL;

	if (directory == NULL)
		return NULL;
	*ring = seal_ring_load(directory, &why);
	if (*ring == NULL)
		conf_complain(report, arg, cf->state_dir_place, "[global] state_dir: %s", why);
	else if (!p->change || state_chown(directory, p))
		return directory;
	else
		conf_complain(report, arg, cf->state_dir_place,
		    "[global] state_dir: '%s' can't be given to the user: %s", directory, strerror(errno));
	free(why);
	free(directory);
	return NULL;
}

bool
state_check(const struct conf_global *cf, conf_report_fn *report, void *arg)
{
	char *directory = state_find(cf, false, report, arg);

	free(directory);
	return directory != NULL;
}
