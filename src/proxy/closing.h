/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * closing.h - what the main thread asks of all workers about their sessions: to close some of one gateway's, and to
 * say which there are.
 *
 * Both are values that the workers share while they do their parts, one after the other or at once; the main thread
 * posts them by worker_close_at() and worker_list_sessions(). Nothing waits for anything.
 */
#ifndef PROXY_CLOSING_H
#define PROXY_CLOSING_H

#include "proxy/proxy.h"

/* A frame that is under way when its session is to close may take so long to end; then the connection ends within
 * it. */
#define CLOSING_GRACE_MS 10000

/* To close a gateway's sessions, with close frames on both sides (tunnel_close), until the budget is used up. */
struct closing_order {
	atomic_uint refs;
	struct gateway *from;		/* referenced, as is */
	struct gateway *to;		/* where each client belongs from then on; NULL: that is not changed */
	enum end_reason why;
	uint64_t until_ms;		/* clock_coarse_ms: a worker that comes to it later closes nobody */
	atomic_uint budget;		/* sessions, of all workers together */
};

/* With one reference, the caller's: one more (closing_ref) for each worker that it is posted to. */
struct closing_order *closing_new(struct gateway *from, struct gateway *to, enum end_reason why, unsigned budget,
    uint64_t until_ms) MUST_CHECK;
struct closing_order *closing_ref(struct closing_order *o);
void closing_unref(struct closing_order *o);		/* NULL is fine */
/* All workers have done their parts: the only reference left is the caller's. */
bool closing_is_done(const struct closing_order *o);
/* Of its budget; final when it is done. */
unsigned closing_left(const struct closing_order *o);
/* A worker's part: on its thread; gives its reference back. */
void proxy_close_at(struct proxy *p, struct closing_order *o);

/* One session as it was at that moment. All texts are NUL-terminated and stand in one piece of memory. */
struct session_row {
	struct addr client;
	const char *pool, *gateway, *listener, *how, *host, *target, *request_id;
	unsigned worker;
	bool tls;
	uint64_t begun_s;		/* the calendar's */
	uint64_t lasted_ms, idle_ms;
	uint64_t bytes_in, bytes_out, messages_in, messages_out;	/* as record.h has them */
	char *text;
};

/* What one worker has to say. */
struct session_share {
	struct session_row *row;
	size_t rows;
	size_t matching;		/* they may be more than rows */
};

struct session_query;
/* Once, on the thread of the worker that was the last: all shares are filled. */
typedef void session_query_fn(struct session_query *q);

/* Which sessions there are. Whoever asks fills in the first part; the query is his until `done` is called. */
struct session_query {
	const struct gateway *gateway;	/* NULL: all; must stay alive */
	const char *pool;		/* by name; NULL: all */
	const struct table_key *key;	/* of clients that came with any of these, */
	size_t keys;			/* 0: whatever they came with */
	size_t limit;			/* rows, of all workers together */
	session_query_fn *done;
	void *arg;

	atomic_size_t taken;
	atomic_uint waiting;		/* workers that have not done their part */
	unsigned shares;
	struct session_share share[];	/* by the worker's number */
};

struct session_query *session_query_new(unsigned workers) MUST_CHECK;
void session_query_free(struct session_query *q);	/* NULL is fine */
/* A worker's part: on its thread. */
void proxy_list_sessions(struct proxy *p, struct session_query *q);

#endif
