/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.h - one worker's share of the proxy: what its clients, exchanges and sessions need from around them.
 *
 * Made by the worker on the main thread, then used by that worker's thread alone. What it points to and others share
 * is immutable or atomic.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/counter.h"
#include "net/listener.h"
#include "net/loop.h"
#include "pool/link.h"
#include "proxy/queue.h"
#include "proxy/record.h"
#include "proxy/scene.h"
#include "store/holders.h"

#define PROXY_REQUEST_ID 32
#define PROXY_DATE 29		/* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* What a worker counts; added up by whoever reads it, at any time. */
struct proxy_counts {
	struct counter connections;
	struct counter requests;
	struct counter sessions;
	struct counter bad_requests;
	struct counter duplicates;		/* sessions closed since another came with their key */
	struct counter request_ends[END_REASONS_N], session_ends[END_REASONS_N];
};

/* A request or session has ended. Must not block. */
typedef void proxy_record_fn(void *arg, const struct record *r);
/* Something that the main thread should see to: failed connects (health_look). */
typedef void proxy_notice_fn(void *arg);
/* A session, of any worker, has to close: its key is another's now. proxy_close_session() there. */
typedef void proxy_duplicate_fn(void *arg, const struct holder *old);

/* Nobody is left in a scene that is shown no more. */
typedef void proxy_scene_fn(void *arg, struct scene *s);

struct hold;

struct proxy {
	struct loop *loop;
	struct links *links;
	struct scene *scene;			/* that is shown */
	struct slab clients, exchanges, sessions;
	struct list client_list;		/* all clients, for stopping */
	struct list session_list;		/* all upgraded sessions */
	struct head *response;			/* a gateway's, while it is passed on: too big for the stack */
	proxy_record_fn *on_record;		/* NULL: nobody wants them */
	proxy_notice_fn *on_failed_connects;
	proxy_duplicate_fn *on_duplicate;
	proxy_scene_fn *on_scene_over;
	void *arg;				/* the callbacks' */
	struct queue queue;			/* exchanges that wait for their gateway */
	unsigned number;			/* of the worker */
	struct holders *holders;		/* the process's */
	struct hold *holds;			/* of this worker's sessions, by number */
	uint64_t hold_next;
	bool leaving;				/* another process takes over: nobody is to come */
	bool stopping;
	uint64_t stop_by_ms;			/* with either: what is not over by then is aborted */
	uint64_t id_base, id_next;		/* of request ids */
	uint64_t date_s;
	char date[PROXY_DATE + 1];
	struct proxy_counts counts;
	struct list leaving_stores;		/* of scenes that are over (store_retire) */
	struct tallies tallies;			/* the main thread's books, */
	struct meters meters;			/* and likewise */
};

struct proxy_setup {
	unsigned number;			/* of the worker */
	struct holders *holders;
};

struct proxy *proxy_new(struct loop *l, const struct proxy_setup *setup) MUST_CHECK;
/* All clients must be gone. NULL is fine. */
void proxy_free(struct proxy *p);

/* Acceptor's callback (acceptor.h); arg is a struct door. */
void proxy_accept(void *arg, struct listener *l, int fd, const struct addr *peer);
/* From now on each client's next answer is its last, since others serve the next connections. Nobody is hurried:
 * sessions go on, handshakes that come are served, idle clients may speak once more. */
void proxy_leave(struct proxy *p, uint64_t by_ms);
/* From now on: clients that are idle between two requests are closed, others after their answer, nothing is kept;
 * handshakes are refused. Sessions go on. */
void proxy_stop(struct proxy *p, uint64_t by_ms);
/* Closes up to `most` sessions properly (1001) that are not on their way out yet; returns how many were left open. */
size_t proxy_close_sessions(struct proxy *p, size_t most);
/* A session whose key is another's now (1008). One that has ended is fine. */
void proxy_close_session(struct proxy *p, uint64_t number);
/* It is to end, and nobody is left. */
bool proxy_is_over(const struct proxy *p);
/* Ends whatever is left at once. */
void proxy_abort(struct proxy *p);

/* The Date field's value (RFC 9110, 5.6.7) of this second. */
struct slice proxy_date(struct proxy *p);
/* A new one: lower-case hexadecimal digits, not terminated. */
void proxy_request_id(struct proxy *p, char id[PROXY_REQUEST_ID]);

#endif
