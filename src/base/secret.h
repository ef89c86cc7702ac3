/* SPDX-License-Identifier: BSD-2-Clause */
/* secret.h - a small file that holds a key or a token, and that nobody else should read. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/check.h"
#include "base/slice.h"

/* A file of more than this is none: eight keys and a page of comments. */
#define SECRET_BYTES 8192

struct secret {
	size_t n;
	char text[SECRET_BYTES + 1];
};

/* A key that only we write has no reason to be open to others; what an operator writes may have to be read by more
 * than us, so that is not refused, but talked about. */
enum secret_care { SECRET_OURS, SECRET_OPERATORS };
/* One of the operator's that is shorter can be guessed, and is talked about. */
#define SECRET_SHORT 16

/* -1 with errno. Never blocks. */
int secret_open(const char *path) MUST_CHECK;
/* The whole file; path is for *why (to be freed), which says what is wrong. Refuses what is no regular file, is too
 * long, is ours and has a mode wider than 0600, or is the operator's and empty. To be wiped by secret_wipe() also
 * after a failure. */
bool secret_read(struct secret *s, int fd, const char *path, enum secret_care care, char **why) MUST_CHECK;
/* What was read, but for one line end at its end. */
struct slice secret_alone(const struct secret *s);
void secret_wipe(struct secret *s);

#endif
