/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script.h - how bindings are kept in Redis: names of keys, the one script, its answer. Pure: no socket, no clock.
 *
 * A binding is the string key `stickyd:POOL:KEY` with the gateway's name as its value and the table's ttl as its life
 * (PX). A client's key is there as it is, bytes and all, up to SCRIPT_KEY_MAX of them; a longer one, and one that
 * looks like that, as `sha256:` and 64 hexadecimal digits. Pools' names have no colon, so no two are one.
 *
 * All that is ever done to bindings is one script, so one atomic step. It is given the keys of one request, of which
 * the first `asked` may decide: the first of these that is bound does, otherwise what is proposed does. All keys are
 * then bound so, for the whole ttl. A question asks for all or some of its keys; what is told is the same with none;
 * to prolong a life is to ask for one.
 *
 * Whenever a binding is replaced by another, `SENDER POOL:KEY` is published on the channel `stickyd:moved`, with the
 * key in full: whoever remembers the binding forgets it. Each process has its own sender's word.
 *
 * The answer has four parts: which key decided (from 1; 0: none), the gateway's name, whether all could be written
 * (1 or 0), and the last error (empty: none). A server that is full or read-only so still tells what it knows; a
 * foreign thing in a key's place counts as nothing, and is overwritten.
 */
#ifndef STORE_SCRIPT_H
#define STORE_SCRIPT_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "store/redis.h"
#include "store/store.h"

#define SCRIPT_CHANNEL "stickyd:moved"
#define SCRIPT_KEY_MAX 256
/* "stickyd:", the pool's name of 64 at most, a colon, the key. */
#define SCRIPT_NAME_MAX (8 + 64 + 1 + SCRIPT_KEY_MAX)
#define SCRIPT_SHA 40

extern const char script_text[];

struct script_request {
	struct slice pool;
	const struct slice *key;
	unsigned keys, asked;
	struct slice proposed;		/* the gateway's name */
	struct slice sender;
	uint64_t ttl_ms;
};

/* A command, put together here; it points to the request's slices too. */
struct script_command {
	struct slice word[REDIS_WORDS_MAX];
	unsigned words;
	char numbers[64];
	char names[STORE_KEYS_MAX * SCRIPT_NAME_MAX];
};

struct script_answer {
	unsigned which;			/* from 1; 0: none was bound */
	struct slice gateway;		/* borrowed from the reply */
	bool written;
	struct slice error;		/* empty: none */
};

struct script_moved {
	struct slice sender, pool, key;
};

enum script_error {
	SCRIPT_UNKNOWN,			/* the server has lost the script: say it in full */
	SCRIPT_REFUSED,
};

/* What EVALSHA wants: the script's SHA-1. */
void script_sha(char to[SCRIPT_SHA]);
/* As Redis knows a key. At most SCRIPT_NAME_MAX bytes. */
void script_name(struct slice pool, struct slice key, struct buf *to);
/* sha: of the script; empty: it is sent in full. */
void script_write(struct script_command *c, const struct script_request *rq, struct slice sha);
/* What is published when a key is replaced by other means than the script. False: it does not fit. */
bool script_message(const struct script_moved *m, struct buf *to) MUST_CHECK;

/* False: it makes no sense. */
bool script_parse_answer(const redisReply *r, unsigned asked, struct script_answer *a) MUST_CHECK;
enum script_error script_parse_error(struct slice text);
/* A message of the channel's; false: it is something else. */
bool script_parse_moved(const redisReply *r, struct script_moved *m) MUST_CHECK;
/* The server's confirmation that the channel is listened to. */
bool script_parse_subscribed(const redisReply *r) MUST_CHECK;

#endif
