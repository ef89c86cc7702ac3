/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway.h - one server that holds clients' sessions: what it is called, how it is, and counts.
 *
 * An entity: a reload matches it by name (adopt.c) and it outlives the configuration that named it.
 * Reference-counted; any thread may hold one, and read what has an accessor. Its state follows from causes that the
 * main thread keeps: the checks' verdict, failures in traffic, what an operator wishes, what it asks for itself, and
 * whether the configuration still names it. Counts are written by whoever has the exchange. Choosing reads state,
 * weight and counts of every gateway of a pool, so those readers are inline; nobody else touches the struct.
 */
#ifndef POOL_GATEWAY_H
#define POOL_GATEWAY_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "net/addr.h"

enum gateway_state {
	GATEWAY_UP,
	GATEWAY_DOWN,		/* checks, failures in traffic or an operator say so: on_down is for its clients */
	GATEWAY_DRAINING,	/* keeps its clients and gets no new ones */
	GATEWAY_LEAVING,	/* its drain's deadline has passed: on_down or not, its clients are taken elsewhere */
	GATEWAY_GONE,		/* no configuration names it any more; likewise */
};
#define GATEWAY_STATES (GATEWAY_GONE + 1)

/* What an operator has asked for; the last word counts. */
enum gateway_wish { GATEWAY_WISH_NONE, GATEWAY_WISH_DRAIN, GATEWAY_WISH_DOWN };

/* What went wrong in traffic. */
enum gateway_failure {
	GATEWAY_CONNECT_FAILED,	/* refused, or no answer in time */
	GATEWAY_ANSWER_FAILED,	/* a bad handshake, an answer that is none, an early close, none in time */
};

/* So many connects in a row that fail in traffic count as one failed check: one may be a full queue, three are
 * not. */
#define GATEWAY_CONNECTS_ARE_A_CHECK 3

#define GATEWAY_WHY_TEXT 256
/* A share is a weight times this, with all of it after a slow start. */
#define GATEWAY_WHOLE 256

/* The names it is known by, and the tag that stands for them in cookies and tables. Never changed: a rename makes
 * another, and the old one lives as long as the gateway, for whoever reads it at that moment. */
struct gateway_identity {
	const struct gateway_identity *before;	/* which it had earlier; NULL: none */
	uint64_t tag;
	char *name, *pool_name;
};

/* The last look that health had at it. */
struct gateway_check {
	bool known;		/* there was one */
	bool good;
	uint64_t at_s;		/* the calendar's */
	unsigned took_us;
	const char *what;	/* "status 200" "connect: Connection refused" */
};

/* The main thread's part. */
struct gateway_causes {
	bool ill;				/* by the checks */
	bool gone;
	bool asks;				/* for its own drain */
	enum gateway_wish wish;
	uint64_t wish_deadline_ms, asks_deadline_ms, gone_deadline_ms;	/* 0: none */
	uint64_t ejected_until_ms;		/* 0: it is not */
	char verdict_why[GATEWAY_WHY_TEXT], eject_why[GATEWAY_WHY_TEXT];
};

struct gateway;
typedef void gateway_changed_fn(struct gateway *g, bool state, void *arg);

struct gateway {
	uint32_t magic;
	atomic_uint refs;
	atomic_int state;
	atomic_uint weight;
	atomic_uint progress;			/* of its slow start, up to GATEWAY_WHOLE */
	atomic_uint max_sessions;		/* 0: no limit */
	atomic_bool backup;			/* gets newcomers only when no other can take them */
	atomic_uint load;			/* reservations: exchanges and sessions under way */
	atomic_uint sessions;			/* of them: upgraded, or in handshake; never above max_sessions */
	_Atomic uint64_t requests, errors, sessions_total;
	atomic_uint failures, failed_connects;	/* in a row */
	atomic_uint failed_connects_reported;	/* batches of GATEWAY_CONNECTS_ARE_A_CHECK not yet seen by health */
	atomic_bool eject_reported;		/* likewise a row of eject_after failures */
	atomic_uint eject_after;		/* 0: never */
	const struct gateway_identity *_Atomic identity;
	struct addr addr;
	char *authority;
	/* the main thread's alone */
	struct gateway_causes causes;
	unsigned conf_weight;			/* what the file says; an operator may have said otherwise since */
	uint64_t slow_start_ms, rises_since_ms;	/* 0: none under way */
	uint64_t since_s, went_up, went_down, ejections;
	struct gateway_check check;
	char why[GATEWAY_WHY_TEXT], check_what[GATEWAY_WHY_TEXT];
	gateway_changed_fn *changed;
	void *changed_arg;
};

/* Up until somebody says otherwise. The tag is derived from the pool's and its own name alone: the same on every
 * proxy, after any reordering. Any thread. NULL when the address can't be resolved (*why says). */
struct gateway *gateway_new(const struct conf_gateway *cf, const struct conf_pool *pool, const char **why) MUST_CHECK;
struct gateway *gateway_ref(struct gateway *g);
void gateway_unref(struct gateway *g);			/* NULL is fine */

/* ---- what it is: any thread. Texts live as long as the gateway. ---- */

static inline const struct gateway_identity *
gateway_identity(const struct gateway *g)
{
	return atomic_load_explicit(&g->identity, memory_order_acquire);
}

static inline const char *
gateway_name(const struct gateway *g)
{
	return gateway_identity(g)->name;
}

static inline const char *
gateway_pool_name(const struct gateway *g)
{
	return gateway_identity(g)->pool_name;
}

static inline uint64_t
gateway_tag(const struct gateway *g)
{
	return gateway_identity(g)->tag;
}

/* "HOST:PORT", as the configuration has it: for Host, and for whom its certificate must be. */
static inline const char *
gateway_authority(const struct gateway *g)
{
	return g->authority;
}

static inline const struct addr *
gateway_address(const struct gateway *g)
{
	return &g->addr;
}

static inline enum gateway_state
gateway_state(const struct gateway *g)
{
	return (enum gateway_state)atomic_load_explicit(&g->state, memory_order_relaxed);
}

static inline unsigned
gateway_weight(const struct gateway *g)
{
	return atomic_load_explicit(&g->weight, memory_order_relaxed);
}

/* Its weight as far as a slow start has come: what balances go by. */
static inline unsigned
gateway_share(const struct gateway *g)
{
	return gateway_weight(g) * atomic_load_explicit(&g->progress, memory_order_relaxed);
}

static inline bool
gateway_is_backup(const struct gateway *g)
{
	return atomic_load_explicit(&g->backup, memory_order_relaxed);
}

static inline unsigned
gateway_max_sessions(const struct gateway *g)
{
	return atomic_load_explicit(&g->max_sessions, memory_order_relaxed);
}

static inline unsigned
gateway_load(const struct gateway *g)
{
	return atomic_load_explicit(&g->load, memory_order_relaxed);
}

static inline unsigned
gateway_sessions(const struct gateway *g)
{
	return atomic_load_explicit(&g->sessions, memory_order_relaxed);
}

/* May it get a client that belongs nowhere yet? */
static inline bool
gateway_takes_newcomers(const struct gateway *g)
{
	return gateway_state(g) == GATEWAY_UP && gateway_weight(g) != 0;
}

/* Do its own clients go to it, if it has a place? */
static inline bool
gateway_keeps_clients(const struct gateway *g)
{
	return gateway_state(g) == GATEWAY_UP || gateway_state(g) == GATEWAY_DRAINING;
}

/* Has it no place for one more session? */
static inline bool
gateway_is_full(const struct gateway *g)
{
	unsigned most = gateway_max_sessions(g);

	return most != 0 && gateway_sessions(g) >= most;
}

/* "up" "down" "draining" "leaving" "gone" */
const char *gateway_state_name(enum gateway_state state);
/* What stands for such a gateway, whether there is one or not. */
uint64_t gateway_tag_of(const char *pool_name, struct slice name) MUST_CHECK;
/* Does the tag stand for it, under the names it has or had in the pool it is in? */
bool gateway_is_tagged(const struct gateway *g, uint64_t tag);

/* ---- counts: any thread ---- */

/* An exchange takes its share, with a session's place if it is to become one, and gives the same back once. False: it
 * is full; max_sessions is held exactly, by all workers together. Without session it can't fail. */
bool gateway_enter(struct gateway *g, bool session) MUST_CHECK;
void gateway_leave(struct gateway *g, bool session);

void gateway_note_request(struct gateway *g);		/* one has been sent to it, or is about to be */
void gateway_note_session(struct gateway *g);		/* one was upgraded */
void gateway_note_connected(struct gateway *g);		/* ends a row of failed connects, */
void gateway_note_ok(struct gateway *g);		/* has answered as it should: and one of all failures */
/* Counts an error too. True when a row has become long enough: the main thread should health_look(). */
bool gateway_note_failure(struct gateway *g, enum gateway_failure what) MUST_CHECK;
uint64_t gateway_requests(const struct gateway *g);
uint64_t gateway_errors(const struct gateway *g);
uint64_t gateway_sessions_total(const struct gateway *g);

/* ---- causes: the main thread ----
 * The first that holds decides: gone; an operator took it down; a drain's deadline has passed; checks say that it is
 * not well, or it is ejected; it drains; up. Each change of state is one line of the log with its reason. True: the
 * state has changed. */

bool gateway_judge(struct gateway *g, bool well, const char *why);	/* the checks' verdict */
bool gateway_eject(struct gateway *g, uint64_t until_ms, const char *why);
bool gateway_pardon(struct gateway *g, const char *why);		/* the end of an ejection before its time */
/* deadline_ms: clock_coarse_ms()'s, 0: none. by_itself: it asks for that; once more changes nothing. */
bool gateway_drain(struct gateway *g, uint64_t deadline_ms, bool by_itself);
bool gateway_ask_no_more(struct gateway *g);
/* An operator's word. Ready also ends an ejection; what else speaks against it stays. */
bool gateway_ready(struct gateway *g);
bool gateway_take_down(struct gateway *g);
bool gateway_remove(struct gateway *g, uint64_t deadline_ms);
void gateway_set_weight(struct gateway *g, unsigned weight);
/* A new configuration says about it what `fresh` was made of: names, limits, and the weight where the file's has
 * changed. The address is the same. */
void gateway_adopt(struct gateway *g, const struct gateway *fresh);
/* Time has passed. True: more is to come (a deadline, an ejection's end, the rest of a slow start). */
bool gateway_tick(struct gateway *g, uint64_t now_ms);
/* Called behind every change of a cause; state: with one of the state. NULL: nobody. */
void gateway_on_change(struct gateway *g, gateway_changed_fn *fn, void *arg);
void gateway_note_check(struct gateway *g, bool good, unsigned took_us, const char *what);

/* What workers have reported since the last call. */
struct gateway_trouble {
	unsigned failed_checks;		/* batches of failed connects */
	bool eject;			/* as many failures in a row as eject_after */
};
struct gateway_trouble gateway_take_trouble(struct gateway *g);

bool gateway_is_well(const struct gateway *g);			/* by the checks */
bool gateway_is_ejected(const struct gateway *g);
bool gateway_asks_for_drain(const struct gateway *g);
enum gateway_wish gateway_wish(const struct gateway *g);		/* the operator's */
/* An operator has given it another weight than the file does. */
static inline bool
gateway_is_reweighted(const struct gateway *g)
{
	return gateway_weight(g) != g->conf_weight;
}
const char *gateway_why(const struct gateway *g);		/* the reason for its state */
uint64_t gateway_since_s(const struct gateway *g);		/* the calendar's, of its state */
/* When what is left of its sessions is to be closed, the first of all drains; 0: never. */
uint64_t gateway_deadline_ms(const struct gateway *g);
uint64_t gateway_went_up(const struct gateway *g);
uint64_t gateway_went_down(const struct gateway *g);
uint64_t gateway_ejections(const struct gateway *g);
struct gateway_check gateway_check(const struct gateway *g);

#endif
