/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * visitor.h - one connection to the operator's door.
 *
 * HTTP/1.1 by the parser that clients get (h1.h): requests are taken one after the other, and nothing more is read
 * while one waits for its answer, which may come at once or later. Who is slow is not waited for: a head has to be
 * there in VISITOR_PATIENCE_S, counted from the connect or the answer before, and an answer has to move in as long.
 * On the main thread, by libevent.
 */
#ifndef RUN_VISITOR_H
#define RUN_VISITOR_H

#include <event2/event.h>

#include "base/list.h"
#include "http/head.h"

#define VISITOR_PATIENCE_S 10
/* A key of SELECTOR_KEY_MAX bytes, each as %XX, and what else stands in a request. */
#define VISITOR_HEAD_MAX 65536
#define VISITOR_BODY_MAX 4096		/* no call has one; it is dropped */

struct visitor;

struct visitor_events {
	/* A request, whose head is borrowed for the call: visitor_answer() is due, now or later, once. */
	void (*ask)(struct visitor *v, const struct head *head, void *arg);
	/* It has been answered as far as we are concerned, and waits for its next request. */
	void (*idle)(struct visitor *v, void *arg);
	/* The connection has ended, with or without an answer: v is to be freed. */
	void (*gone)(struct visitor *v, void *arg);
	void *arg;
};

struct visitor_answer {
	unsigned status;
	const char *fields;		/* each with its CRLF; Content-Length, Date and Connection are ours */
	const char *body;
	size_t bytes;
};

/* Takes over the descriptor. Nothing of events is called before this has returned. NULL: no memory, it is closed. */
struct visitor *visitor_new(struct event_base *base, int fd, const struct visitor_events *events) MUST_CHECK;
void visitor_free(struct visitor *v);		/* at any time; NULL is fine */
void visitor_answer(struct visitor *v, const struct visitor_answer *a);
/* Ends after the answer that is due, or at once, by events->gone in a later turn. */
void visitor_leave(struct visitor *v);
/* Nothing is owed to it. */
bool visitor_is_idle(const struct visitor *v);
/* The owner's list. */
struct list *visitor_list(struct visitor *v);
struct visitor *visitor_of_list(struct list *l);

#endif
