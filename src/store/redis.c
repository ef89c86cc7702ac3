/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection: it rests, connects, greets, is up; from each of these it may be lost, and rests again. */
#include "store/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/sock.h"
#include "net/stream.h"
#include "net/unixsock.h"

#define REDIS_MAGIC 0x4ed15c0d

#define WAIT_FIRST_MS 50
#define WAIT_MOST_MS 2000
#define WAIT_FORGOTTEN_MS 5000	/* without trouble for so long */

#define CONNECT_MS 1000
/* A server that vanished is noticed by the kernel. One that is frozen is none of these: its kernel answers, and what
 * it was told is still to be done, in order, before anything said on another connection. */
#define VANISH_MS 10000
#define READS_PER_TURN 16
#define GREETINGS 3
#define REDIS_IS_NONE "it is no Redis server: what it says makes no sense"

enum redis_state { REDIS_RESTS, REDIS_BEGINS, REDIS_CONNECTS, REDIS_GREETS, REDIS_IS_UP };

struct greeting {
	struct redis_call call;
	struct redis *redis;
};

struct redis {
	uint32_t magic;
	enum redis_state state;
	const struct redis_server *server;
	const struct redis_hooks *hooks;
	void *owner;
	struct loop *loop;
	struct stream stream;
	struct watch turn;			/* the end of a turn: what was said leaves */
	struct timer timer;
	struct redis_patience patience;
	struct reap reap;
	redisReader *reader;
	redisReplyObjectFunctions functions;
	sds out;				/* to be written when the turn ends; until it is up: held back */
	struct list calls;			/* in the order of the answers */
	struct greeting greeting[GREETINGS];
	unsigned greetings;			/* said */
	unsigned greeted;			/* answered */
};

uint64_t
redis_patience_next(struct redis_patience *p, uint64_t now_ms)
{
	uint64_t wait_ms;

	if (p->wait_ms == 0 || now_ms - p->last_ms > p->wait_ms + WAIT_FORGOTTEN_MS)
		p->wait_ms = WAIT_FIRST_MS;
	wait_ms = p->wait_ms / 2 + hash_bytes(&now_ms, sizeof now_ms) % (p->wait_ms / 2 + 1);
	p->last_ms = now_ms;
	p->wait_ms = p->wait_ms * 2 < WAIT_MOST_MS ? p->wait_ms * 2 : WAIT_MOST_MS;
	return wait_ms;
}

/* ---- replies ---- */

static void *
make_bounded_array(const redisReadTask *task, int elements)
{
	const redisReplyObjectFunctions *whole = task->privdata;

	return elements <= REDIS_ELEMENTS_MAX ? whole->createArray(task, elements) : NULL;
}

redisReader *
redis_reader_new(redisReplyObjectFunctions *functions)
{
	redisReader *reader = redisReaderCreate();

	must(reader != NULL);
	*functions = *reader->fn;
	functions->createArray = make_bounded_array;
	reader->privdata = reader->fn;
	reader->fn = functions;
	return reader;
}

bool
redis_reader_next(redisReader *reader, redisReply **r)
{
	void *reply = NULL;

	*r = NULL;
	if (redisReaderGetReply(reader, &reply) != REDIS_OK)
		return false;
	*r = reply;
	return reply != NULL || reader->len - reader->pos <= REDIS_REPLY_MAX;
}

/* ---- lost and found ---- */

static void
redis_close(struct redis *r)
{
	bool has_stream = r->state >= REDIS_CONNECTS;

	r->state = REDIS_RESTS;
	timer_cancel(&r->timer);
	list_remove(&r->turn.again);
	if (!has_stream)
		return;
	stream_close(&r->stream);
	redisReaderFree(r->reader);
}

static void
redis_tell_lost(struct redis *r)
{
	while (!list_is_empty(&r->calls)) {
		struct redis_call *c = LIST_ENTRY_OF(r->calls.next, struct redis_call, link);

		list_remove(&c->link);
		c->fn(c, NULL);
	}
}

static void
redis_rest(struct redis *r, const char *why)
{
	uint64_t now_ms = loop_now_ms(r->loop);

	sdsclear(r->out);
	redis_tell_lost(r);
	r->hooks->down(r->owner, why);
	timer_set(&r->loop->wheel, &r->timer, now_ms + redis_patience_next(&r->patience, now_ms));
}

void
redis_give_up(struct redis *r, const char *why)
{
	ALIVE(r, REDIS_MAGIC);
	if (r->state == REDIS_RESTS)
		return;
	redis_close(r);
	redis_rest(r, why);
}

static void
redis_give_up_refused(struct redis *r, const redisReply *error)
{
	char why[160];

	snprintf(why, sizeof why, "the server says: %s", error->str);
	redis_give_up(r, why);
}

static void
redis_give_up_stream(struct redis *r)
{
	char text[128], why[160];

	snprintf(why, sizeof why, "%s: %s", r->state == REDIS_CONNECTS ? "can't connect" : "the connection broke",
	    stream_why(&r->stream, text, sizeof text));
	redis_give_up(r, why);
}

/* ---- saying ---- */

static bool
redis_put(struct redis *r, const struct slice *word, unsigned words, sds *to)
{
	const char *argv[REDIS_WORDS_MAX];
	size_t len[REDIS_WORDS_MAX];
	sds command = NULL, grown;

	must(words <= REDIS_WORDS_MAX);
	for (unsigned i = 0; i < words; i++) {
		argv[i] = word[i].p != NULL ? word[i].p : "";
		len[i] = word[i].n;
	}
	if (redisFormatSdsCommandArgv(&command, (int)words, argv, len) < 0)
		return false;
	grown = sdscatsds(*to, command);
	redisFreeSdsCommand(command);
	if (grown == NULL)
		return false;
	*to = grown;
	loop_again(r->loop, &r->turn);
	return true;
}

bool
redis_ask(struct redis *r, struct redis_call *c, redis_reply_fn *fn, const struct slice *word, unsigned words)
{
	ALIVE(r, REDIS_MAGIC);
	if (r->state == REDIS_RESTS || !redis_put(r, word, words, &r->out))
		return false;
	c->fn = fn;
	list_add_tail(&r->calls, &c->link);
	return true;
}

static void
redis_flush(struct redis *r)
{
	struct slice all = slice_make(r->out, sdslen(r->out));

	if (r->state != REDIS_IS_UP || all.n == 0 || stream_is_blocked(&r->stream))
		return;
	if (stream_write(&r->stream, all) != STREAM_OK) {
		redis_give_up_stream(r);
		return;
	}
	sdsclear(r->out);
}

/* ---- the greeting ---- */

static void
redis_set_up(struct redis *r)
{
	r->state = REDIS_IS_UP;
	r->hooks->up(r->owner);
	if (r->state == REDIS_IS_UP)
		loop_again(r->loop, &r->turn);
}

static void
on_greeted(struct redis_call *c, const redisReply *reply)
{
	struct redis *r = CONTAINER(c, struct greeting, call)->redis;

	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		redis_give_up_refused(r, reply);
	else if (reply->type != REDIS_REPLY_STATUS && reply->type != REDIS_REPLY_STRING)
		redis_give_up(r, REDIS_IS_NONE);
	else if (++r->greeted == r->greetings)
		redis_set_up(r);
}

/* Before all calls that wait already. */
static bool
redis_greet_with(struct redis *r, struct list *before, sds *to, const struct slice *word, unsigned words)
{
	struct greeting *g = &r->greeting[r->greetings++];

	g->redis = r;
	g->call.fn = on_greeted;
	list_add_tail(before, &g->call.link);
	return redis_put(r, word, words, to);
}

static bool
redis_greet_all(struct redis *r, sds *to)
{
	const struct conf_url *url = r->server->url;
	struct list *before = r->calls.next;
	struct slice auth[3] = { SLICE_LIT("AUTH"), slice_of(url->user), slice_of(url->password) };
	struct slice load[3] = { SLICE_LIT("SCRIPT"), SLICE_LIT("LOAD"), slice_of(r->server->script) };
	char digits[20];
	struct buf number = buf_of(digits, sizeof digits);
	bool good = true;

	if (url->user == NULL)
		auth[1] = auth[2];
	if (url->password != NULL)
		good = redis_greet_with(r, before, to, auth, url->user != NULL ? 3 : 2);
	buf_u64(&number, url->database);
	if (url->database != 0)
		good = good &&
		    redis_greet_with(r, before, to, (struct slice[]){ SLICE_LIT("SELECT"), buf_slice(&number) }, 2);
	if (r->server->script != NULL)
		good = good && redis_greet_with(r, before, to, load, 3);
	return good;
}

static void
redis_greet(struct redis *r)
{
	sds hello = sdsempty();

	must(hello != NULL);
	timer_cancel(&r->timer);
	r->state = REDIS_GREETS;
	r->greetings = r->greeted = 0;
	if (!redis_greet_all(r, &hello))
		redis_give_up(r, "out of memory");
	else if (stream_write(&r->stream, slice_make(hello, sdslen(hello))) != STREAM_OK)
		redis_give_up_stream(r);
	else if (r->greetings == 0)
		redis_set_up(r);
	sdsfree(hello);
}

/* ---- hearing ---- */

/* What is said unasked where nobody listens: an error tells why the server is about to close. */
static void
redis_hear(struct redis *r, const redisReply *reply)
{
	if (r->state == REDIS_IS_UP && r->hooks->heard != NULL)
		r->hooks->heard(r->owner, reply);
	else if (reply->type == REDIS_REPLY_ERROR)
		redis_give_up_refused(r, reply);
	else
		redis_give_up(r, REDIS_IS_NONE);
}

static void
redis_take(struct redis *r, const redisReply *reply)
{
	struct redis_call *c;

	if (list_is_empty(&r->calls)) {
		redis_hear(r, reply);
		return;
	}
	c = LIST_ENTRY_OF(r->calls.next, struct redis_call, link);
	list_remove(&c->link);
	if (r->state == REDIS_IS_UP && reply->type != REDIS_REPLY_ERROR)
		r->patience.wait_ms = 0;	/* this server serves: the next trouble is another */
	c->fn(c, reply);
}

/* False: it has been given up. */
static bool
redis_take_all(struct redis *r)
{
	redisReply *reply = NULL;

	for (;;) {
		bool good = redis_reader_next(r->reader, &reply);

		if (good && reply == NULL)
			return true;
		if (!good)
			redis_give_up(r, REDIS_IS_NONE);
		else
			redis_take(r, reply);
		if (reply != NULL)
			freeReplyObject(reply);
		if (r->state == REDIS_RESTS)
			return false;
	}
}

static void
redis_read(struct redis *r)
{
	struct slice got;

	for (unsigned budget = READS_PER_TURN; budget != 0; budget--) {
		switch (stream_read(&r->stream, NULL, LOOP_SCRATCH, &got)) {
		case STREAM_OK:
			if (redisReaderFeed(r->reader, got.p, got.n) != REDIS_OK) {
				redis_give_up(r, "out of memory");
				return;
			}
			if (!redis_take_all(r))
				return;
			break;
		case STREAM_WAIT:
			return;
		case STREAM_END:
			redis_give_up(r, "the server closed the connection");
			return;
		case STREAM_FAILED:
			redis_give_up_stream(r);
			return;
		}
	}
	stream_again(&r->stream);
}

void
redis_look(struct redis *r)
{
	ALIVE(r, REDIS_MAGIC);
	if (r->state < REDIS_GREETS)
		return;
	r->stream.readable = true;	/* perhaps: the socket will say */
	redis_read(r);
}

static void
on_ready(struct stream *s, unsigned what)
{
	struct redis *r = s->owner;

	ALIVE(r, REDIS_MAGIC);
	if (what & STREAM_CONNECTED) {
		if (stream_is_reset(s)) {
			redis_give_up_stream(r);
			return;
		}
		redis_greet(r);
	}
	if (r->state != REDIS_RESTS && (what & STREAM_CAN_READ))
		redis_read(r);
	if (r->state != REDIS_RESTS && (what & STREAM_DRAINED))
		redis_flush(r);
}

/* ---- connecting ---- */

static int
redis_open(const struct redis_server *server)
{
	int fd;

	if (server->url->path != NULL)
		return unixsock_start(server->url->path);
	fd = sock_connect(&server->addr);
	if (fd != -1)
		sock_set_vanish(fd, VANISH_MS);
	return fd;
}

static void
redis_connect(struct redis *r)
{
	int fd = redis_open(r->server);
	char text[128], why[160];

	if (fd != -1 && stream_init(&r->stream, r->loop, fd, NULL, on_ready, r)) {
		r->stream.connecting = true;
		r->state = REDIS_CONNECTS;
		r->reader = redis_reader_new(&r->functions);
		timer_set(&r->loop->wheel, &r->timer, loop_now_ms(r->loop) + CONNECT_MS);
		return;
	}
	snprintf(why, sizeof why, "can't connect: %s", strerror_r(errno, text, sizeof text));
	if (fd != -1)
		close(fd);
	r->state = REDIS_RESTS;
	redis_rest(r, why);
}

static void
on_timer(struct timer *t, uint64_t now_ms)
{
	struct redis *r = CONTAINER(t, struct redis, timer);

	(void)now_ms;
	ALIVE(r, REDIS_MAGIC);
	if (r->state == REDIS_CONNECTS)
		redis_give_up(r, "can't connect: nobody answers");
	else
		redis_connect(r);
}

static void
on_turn(struct watch *w, uint32_t events)
{
	struct redis *r = CONTAINER(w, struct redis, turn);

	(void)events;
	ALIVE(r, REDIS_MAGIC);
	if (r->state == REDIS_BEGINS)
		redis_connect(r);
	else
		redis_flush(r);
}

bool
redis_hurry(struct redis *r)
{
	ALIVE(r, REDIS_MAGIC);
	if (r->state != REDIS_RESTS || loop_now_ms(r->loop) - r->patience.last_ms < WAIT_FIRST_MS)
		return false;
	timer_cancel(&r->timer);
	r->state = REDIS_BEGINS;
	loop_again(r->loop, &r->turn);
	return true;
}

struct redis *
redis_new(struct loop *l, const struct redis_server *server, const struct redis_hooks *hooks, void *owner)
{
	struct redis *r = mem_zalloc(sizeof *r);

	r->magic = REDIS_MAGIC;
	r->state = REDIS_BEGINS;
	r->server = server;
	r->hooks = hooks;
	r->owner = owner;
	r->loop = l;
	r->out = sdsempty();
	must(r->out != NULL);
	list_init(&r->calls);
	timer_init(&r->timer, on_timer);
	watch_init(&r->turn, on_turn);
	loop_again(l, &r->turn);
	return r;
}

/* Its stream may be meant by an event of this turn. */
static void
on_reap(struct reap *reap)
{
	struct redis *r = CONTAINER(reap, struct redis, reap);

	r->magic = 0;
	free(r);
}

void
redis_free(struct redis *r)
{
	if (r == NULL)
		return;
	ALIVE(r, REDIS_MAGIC);
	redis_close(r);
	while (!list_is_empty(&r->calls))
		list_remove(r->calls.next);
	sdsfree(r->out);
	loop_reap(r->loop, &r->reap, on_reap);
}
