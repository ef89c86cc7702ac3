/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.h - what operators can ask, and how it is answered: one table of method, path, parameters and function.
 *
 * Nothing of sockets: a call comes in as text with the rights it came with, an answer goes out as status and bytes.
 * JSON, but for /metrics, the two probes and the page; what went wrong is {"error": "..."}. Most is answered at
 * once, what others have to do first (a reload, each worker's list of sessions) later, by a callback. Main thread.
 */
#ifndef RUN_API_H
#define RUN_API_H

#include "run/daemon.h"
#include "run/page.h"

struct api;
struct event_base;

enum api_rights {
	API_NOTHING,		/* who asks is not known */
	API_READ,
	API_CHANGE,
};

struct api_answer {
	unsigned status;
	const char *type;		/* of the body; static */
	char allow[32];			/* with 405: the methods that are; else empty */
	const struct page *page;	/* which this is; NULL: none */
	char *body;			/* bytes of it, but a page's; api_answer_fini() frees it */
	size_t bytes;
};

/* Borrowed for the call. */
typedef void api_answer_fn(void *arg, const struct api_answer *answer);

struct api_call {
	struct slice method;	/* HEAD is to come as GET */
	struct slice target;	/* path and query as they were sent */
	enum api_rights rights;
	bool is_foreign;	/* another site's page may have made the browser ask: nothing is changed */
	struct slice known;	/* If-None-Match; p == NULL: none */
	api_answer_fn *on_answer;	/* of an answer that comes later */
	void *arg;
};

/* d must outlive it. */
struct api *api_new(struct event_base *base, struct daemon *d) MUST_CHECK;
/* Who still waits is not answered. Workers and reloads must have ended. NULL is fine. */
void api_free(struct api *a);
/* True: *answer is filled in. False: call->on_answer has it, now or later, once. */
bool api_serve(struct api *a, const struct api_call *call, struct api_answer *answer) MUST_CHECK;
/* Whoever gave this arg is not there any more. */
void api_forget(struct api *a, const void *arg);
/* {"error": "..."}; for who answers without having asked us, too. */
void api_refuse(struct api_answer *answer, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);
void api_answer_fini(struct api_answer *answer);

#endif
