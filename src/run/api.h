/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.h - what operators can ask, and how it is answered: one table of method, path, parameters and function.
 *
 * Nothing of sockets or of evhttp: a call comes in as text with the rights it came with, an answer goes out as status
 * and bytes. JSON, but for /metrics; what went wrong is {"error": "..."}. Main thread.
 */
#ifndef RUN_API_H
#define RUN_API_H

#include "run/daemon.h"

struct api;

enum api_rights {
	API_NOTHING,		/* who asks is not known */
	API_READ,
	API_CHANGE,
};

struct api_call {
	struct slice method;	/* HEAD is to come as GET */
	struct slice target;	/* path and query as they were sent */
	enum api_rights rights;
};

struct api_answer {
	unsigned status;
	const char *type;		/* of the body; static */
	char allow[32];			/* with 405: the methods that are; else empty */
	char *body;			/* bytes of it; api_answer_fini() frees it */
	size_t bytes;
};

/* d must outlive it. NULL: no memory for a cipher. */
struct api *api_new(struct daemon *d) MUST_CHECK;
void api_free(struct api *a);		/* NULL is fine */
void api_serve(struct api *a, const struct api_call *call, struct api_answer *answer);
/* {"error": "..."}; for who answers without having asked us, too. */
void api_refuse(struct api_answer *answer, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
void api_answer_fini(struct api_answer *answer);

#endif
