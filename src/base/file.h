/* SPDX-License-Identifier: BSD-2-Clause */
/* file.h - files as a whole. All of it blocks: not for a worker's loop. Failures are in errno. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/check.h"

/* Up to `room` bytes, fewer only at the file's end; -1: it can't be read. */
ssize_t file_read(int fd, void *to, size_t room) MUST_CHECK;
/* All of it. */
bool file_write(int fd, const void *bytes, size_t n) MUST_CHECK;
/* A name given or taken in it is on the disk then. */
bool file_sync_directory(const char *directory) MUST_CHECK;

#endif
