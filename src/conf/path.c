/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths are joined, not tidied: what the operator wrote is what messages show. */
#include "conf/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* With its slash; empty for names that need none. */
static struct slice
directory_for(const char *file, struct slice name)
{
	const char *slash = slice_has_prefix(name, SLICE_LIT("/")) ? NULL : strrchr(file, '/');

	return slash != NULL ? slice_make(file, (size_t)(slash - file) + 1) : SLICE_NONE;
}

char *
path_beside(const char *file, struct slice name)
{
	struct slice directory = directory_for(file, name);

	return mem_printf("%.*s%.*s", SLICE_FMT(directory), SLICE_FMT(name));
}

char *
path_beside_for_glob(const char *file, struct slice name)
{
	struct slice directory = directory_for(file, name);
	char *path = mem_zalloc(2 * directory.n + name.n + 1), *to = path;

	for (size_t i = 0; i < directory.n; i++) {
		if (strchr("*?[\\", directory.p[i]) != NULL)
			*to++ = '\\';
		*to++ = directory.p[i];
	}
	memcpy(to, name.p, name.n);
	return path;
}

/* Takes the path over. */
static char *
below_working_directory(char *path)
{
	char *working = getcwd(NULL, 0), *whole = NULL;

	if (working != NULL)
		whole = mem_printf("%s/%s", strcmp(working, "/") == 0 ? "" : working, path);
	free(working);
	free(path);
	return whole;
}

char *
path_absolute(const char *file, struct slice name)
{
	char *path = path_beside(file, name);

	if (*path != '/')
		path = below_working_directory(path);
	if (path == NULL || strlen(path) < PATH_MAX)
		return path;
	free(path);
	errno = ENAMETOOLONG;
	return NULL;
}
