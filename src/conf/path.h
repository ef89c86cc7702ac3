/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.h - names of files in a configuration: a relative one begins at the directory of the file that it stands in,
 * wherever stickyd was started. What is returned is to be freed.
 */
#ifndef CONF_PATH_H
#define CONF_PATH_H

#include "base/check.h"
#include "base/slice.h"

char *path_beside(const char *file, struct slice name) MUST_CHECK;
/* The same as a pattern of glob(7): each byte of the directory stands for itself. */
char *path_beside_for_glob(const char *file, struct slice name) MUST_CHECK;
/* The same from the root on. NULL with errno where there is no working directory, or the path is too long to open. */
char *path_absolute(const char *file, struct slice name) MUST_CHECK;

#endif
