/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - one question to a running stickyd, by its admin socket, and the answer.
 *
 * HTTP/1.1, one request on a connection; blocks, for some seconds at most. What went wrong is told as a sentence that
 * says what to do about it.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include "base/check.h"
#include "base/slice.h"

struct ask_answer {
	unsigned status;
	char *body;		/* NUL-terminated; the caller's */
	size_t bytes;
};

/* path NULL: where a stickyd of this machine or this user has its socket. False: *why (to be freed). */
bool ask(const char *path, const char *method, const char *target, struct ask_answer *answer, char **why) MUST_CHECK;
/* The same on a connection that is there; it stays open. */
bool ask_on(int fd, const char *method, const char *target, struct ask_answer *answer, char **why) MUST_CHECK;
/* For a parameter's value: all but letters, digits and a few as %XX (RFC 3986, 2.1). The caller's. */
char *ask_encode(struct slice text) MUST_CHECK;

#endif
