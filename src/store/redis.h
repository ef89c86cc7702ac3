/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis.h - one connection to a Redis server, made anew whenever it is lost.
 *
 * On a loop; one thread's. hiredis speaks the protocol (RESP2); the socket is a stream like any other. (hiredis' own
 * asynchronous half is not used: it asserts that a server says only what it was asked for, so that one which talks
 * nonsense would end the process.)
 *
 * Calls are answered in the order in which they were made; all calls of one turn leave in one write. A connection
 * begins with AUTH, SELECT and SCRIPT LOAD, as far as they are wanted; calls made meanwhile wait behind them, so that
 * nothing is said as the wrong user or to the wrong database. When it is lost, for whatever reason, every call is
 * answered with NULL, then the owner is told, and there is another try after a while that doubles.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "base/slice.h"
#include "conf/conf.h"
#include "net/addr.h"
#include "net/loop.h"

/* The script's command with all its keys, and what goes with each. */
#define REDIS_WORDS_MAX 48
/* What a reply may have: nothing that we ask for comes near. */
#define REDIS_ELEMENTS_MAX 16
#define REDIS_REPLY_MAX (64 * 1024)

struct redis;
struct redis_call;
/* Once. r is borrowed for the call; NULL: the connection was lost, nobody knows whether the server has heard it. May
 * make calls, must not free the connection. */
typedef void redis_reply_fn(struct redis_call *c, const redisReply *r);

/* Embedded in who calls; must stay until it is answered, or the connection is freed. */
struct redis_call {
	struct list link;
	redis_reply_fn *fn;
};

struct redis_server {
	const struct conf_url *url;
	struct addr addr;		/* of its host */
	const char *script;		/* loaded first; NULL: none */
};

/* The owner's; none may free the connection. */
struct redis_hooks {
	void (*up)(void *owner);			/* calls go to the server from now on */
	void (*down)(void *owner, const char *why);	/* lost, or a try that failed; all calls are answered */
	/* What was said unasked, as to a subscriber. NULL: nobody may. */
	void (*heard)(void *owner, const redisReply *r);
};

/* How long to wait before the next try: 50 ms first, doubled each time up to 2 s, with some chance in it, so that not
 * all proxies come at once; from the beginning again when there was no need to wait for a while. */
struct redis_patience {
	uint64_t wait_ms, last_ms;
};
uint64_t redis_patience_next(struct redis_patience *p, uint64_t now_ms);

/* Begins with the loop's next turn. server and hooks must outlive it. */
struct redis *redis_new(struct loop *l, const struct redis_server *server, const struct redis_hooks *hooks,
    void *owner) MUST_CHECK;
/* Calls under way are not answered any more. NULL is fine; not inside one of its callbacks. */
void redis_free(struct redis *r);
/* False: there is no connection and none in the making (or no memory). At most REDIS_WORDS_MAX words. */
bool redis_ask(struct redis *r, struct redis_call *c, redis_reply_fn *fn, const struct slice *word, unsigned words)
    MUST_CHECK;
/* Somebody needs it: tries now what it would try later, unless it has tried a moment ago. False: it does not. */
bool redis_hurry(struct redis *r) MUST_CHECK;
/* Reads what has come already, without waiting for the loop to say so. Not inside one of its callbacks. */
void redis_look(struct redis *r);
/* Its owner finds that what it says makes no sense. As if it was lost: from a callback too. */
void redis_give_up(struct redis *r, const char *why);

/* What cuts bytes into replies, as bounded as above. The functions are the reader's, and must stay as long. */
redisReader *redis_reader_new(redisReplyObjectFunctions *functions) MUST_CHECK;
/* The next reply, the caller's to free (freeReplyObject); NULL: it has not all come yet. False: this is no Redis. */
bool redis_reader_next(redisReader *reader, redisReply **r) MUST_CHECK;

#endif
