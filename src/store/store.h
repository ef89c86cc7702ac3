/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - bindings that several proxies share, beyond this process's table.
 *
 * One for each worker, on its loop, with a connection of its own to Redis; in a process whose store is the memory
 * alone there is none (NULL), and the table is all. It answers at once or later, never both. The table is its cache:
 * whoever asks looks there first (store_trusts), and every answer is put there by the store before it is told.
 *
 * A question is given up when the server has said nothing at all for the time-out: not since it was asked, nor since
 * the last answer to any other on this connection. (One that goes on answering others is given four time-outs.) Only
 * time that this thread has watched counts (vigil.h), and what has come unread is read first: on a busy machine to be
 * late ourselves is no fault of the server's. Such a silence, not one late answer among others, makes the server
 * unwell; with its first word it is probed, and questions wait for what comes of that.
 *
 * When the server is slow, away, full, read-only or talks nonsense, the store is unwell: questions are answered
 * "decide yourself" at once, what was decided is kept (in order, bounded, the oldest dropped and counted) and told
 * when the server is back; one that is full or read-only is asked on for what it knows. Each change of health is
 * logged once by whoever sees it first in the process; everything is counted.
 *
 * What all workers share (the configuration, the script's text, the counters, whether the others' changes are heard)
 * is a struct store_shared; it also has a connection on the main thread that hears when another proxy binds a key
 * anew, and forgets it here.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/list.h"
#include "net/loop.h"
#include "pool/pool.h"
#include "store/table.h"

struct event_base;
struct store;
struct store_shared;

/* Keys that one request can carry: an affinity list has no more key selectors. */
#define STORE_KEYS_MAX 16

enum store_outcome {
	STORE_FOUND,		/* the key was bound: *gateway, or NULL when this pool has none of that name */
	STORE_BOUND,		/* none was known: all are bound to what was proposed */
	STORE_SILENT,		/* no answer in time, or none that makes sense: decide yourself, and tell */
};

struct store_answer {
	enum store_outcome outcome;
	struct gateway *gateway;	/* borrowed from the pool */
	unsigned which;			/* with STORE_FOUND: of the asked keys */
};

struct store_question {
	struct pool *pool;
	struct slice key[STORE_KEYS_MAX];	/* in the order of the selectors; borrowed for the call */
	unsigned keys;
	unsigned asked;				/* the first so many may decide, the others are bound only */
	struct gateway *proposed;		/* what they are bound to where none decides */
};

struct store_ask;
/* Once, from the loop, unless it was cancelled; the ask may be used again. */
typedef void store_answer_fn(struct store_ask *ask, const struct store_answer *a);

/* One question under way; embedded in who asks. All its fields are the store's. */
struct store_ask {
	struct store *store;
	store_answer_fn *fn;
	struct list link;
	void *internal;
};

struct store_counts {
	uint64_t asked, found, bound, silent, errors, told, dropped, reconnects;
	uint64_t answer_us;		/* all answers' times together */
	uint64_t waiting;		/* bindings that the server has still to be told */
	bool well;			/* all workers' connections are */
};

/* Any thread; resolves the server's name. Keeps nothing of cf and pools, of these only the names. NULL: reported. */
struct store_shared *store_shared_new(const struct conf_store *cf, struct pool *const *pools, size_t pools_n,
    struct table *t, conf_report_fn *report, void *arg) MUST_CHECK;
/* From now on the others' changes are heard, by libevent on the main thread. */
void store_shared_listen(struct store_shared *sh, struct event_base *base);
void store_shared_deafen(struct store_shared *sh);	/* NULL is fine */
/* Main thread; it stays for as long as workers' stores need it. NULL is fine. */
void store_shared_free(struct store_shared *sh);
/* The same server and the same settings: then a reload keeps the one that is there, and */
bool store_shared_is_same(const struct store_shared *a, const struct store_shared *b) MUST_CHECK;
/* tells it which pools there are now. Main thread. */
void store_shared_set_pools(struct store_shared *sh, struct pool *const *pools, size_t n);
/* Any thread. */
void store_shared_count(const struct store_shared *sh, struct store_counts *c);
/* For operators, on the main thread; waits for the server, time-out at most. False: *why (static). An empty name: the
 * key is not bound. */
bool store_shared_look(struct store_shared *sh, struct slice pool, struct slice key, char name[256], const char **why)
    MUST_CHECK;
/* gateway NULL: the binding is deleted. */
bool store_shared_set(struct store_shared *sh, struct slice pool, struct slice key, const char *gateway,
    const char **why) MUST_CHECK;

/* A worker's; connects, and again with back-off. Its user is who made it; */
struct store *store_new(struct loop *l, struct store_shared *sh) MUST_CHECK;
/* and one more: the same store. Nobody counts with atomics: all users are the worker's. NULL is fine. */
struct store *store_share(struct store *s);
/* A user less. The last one's asks are all over: what the server was not told yet is told from the loop, within the
 * time-out, then the store is gone; meanwhile it stands among the leaving, a list of its loop's. Nobody waits, and
 * one of its own callbacks may be up the stack. After store_end() it is gone at once, on any thread. NULL is fine. */
void store_retire(struct store *s, struct list *leaving);
/* The loop's turns are over, all asks too or cancelled: tells the server what it was not told, if that can be
 * done within the time-out. On the worker's thread, so that all workers wait for it together. NULL is fine. */
void store_end(struct store *s);
/* The same for all that are leaving, which are gone then. */
void store_end_leaving(struct list *leaving);

/* May a binding of the table be followed without asking? Not while others' changes go unheard, unless the server is
 * unwell anyway. With NULL always. */
bool store_trusts(const struct store *s, const struct table_binding *b, uint32_t now_s);
/* Get or bind, one atomic step. False: unwell, nothing was asked: decide yourself, and tell. */
bool store_ask(struct store *s, struct store_ask *ask, const struct store_question *q, store_answer_fn *fn)
    MUST_CHECK;
/* Who asked no longer wants to know; not under way is fine. */
void store_cancel(struct store_ask *ask);
/* These keys belong to this gateway now, whatever was said before. Nobody waits; kept until the server knows. NULL is
 * fine. */
void store_tell(struct store *s, const struct pool *p, const struct slice *key, unsigned keys,
    struct gateway *g);
/* The binding is in use: its life there is prolonged when a good part of it has passed. NULL is fine. */
void store_renew(struct store *s, const struct pool *p, struct slice key, const struct table_binding *b,
    uint32_t now_s);

#endif
