/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - one question to a running stickyd, by its admin socket, and the answer.
 *
 * HTTP/1.1, one request on a connection. Connecting and sending block, which takes no time at such a socket; who has
 * other things to do while the answer is awaited reads it by question_read(). What went wrong is told as a sentence
 * that says what to do about it.
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

#define ASK_PATIENCE_S 30

struct question;
enum question_state { QUESTION_WAITS, QUESTION_ANSWERED, QUESTION_FAILED };

/* path NULL: where a stickyd of this machine or this user has its socket. NULL: *why (to be freed). */
struct question *question_new(const char *path, const char *method, const char *target, char **why) MUST_CHECK;
void question_free(struct question *q);		/* NULL is fine */
/* To be polled for reading. */
int question_fd(const struct question *q);
/* Does not block. QUESTION_FAILED: *why (to be freed). */
enum question_state question_read(struct question *q, struct ask_answer *answer, char **why) MUST_CHECK;

/* All of it, blocking, but for no longer than so many seconds without a byte. False: *why (to be freed). */
bool ask(const char *path, const char *method, const char *target, unsigned patience_s, struct ask_answer *answer,
    char **why) MUST_CHECK;
/* The same on a connection that is there; it stays open. */
bool ask_on(int fd, const char *method, const char *target, unsigned patience_s, struct ask_answer *answer,
    char **why) MUST_CHECK;
/* For a parameter's value: all but letters, digits and a few as %XX (RFC 3986, 2.1). The caller's. */
char *ask_encode(struct slice text) MUST_CHECK;

#endif
