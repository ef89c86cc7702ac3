/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - what one pool thinks of a cookie or a key, for operators who ask.
 *
 * It looks and changes nothing: no binding is renewed, nobody is bound. What it says of the future holds for the
 * moment of asking. The text is a cookie's value, NAME=VALUE as in a Cookie or Set-Cookie field, or a client's key.
 * No sockets; the thread that owns the sealer.
 */
#ifndef AFFINITY_EXPLAIN_H
#define AFFINITY_EXPLAIN_H

#include "affinity/affinity.h"

#define EXPLAIN_MOVES 8

/* What the text was taken for. */
enum explain_kind {
	EXPLAIN_NOTHING,	/* the pool looks for nothing like it */
	EXPLAIN_SEAL,		/* a sealed cookie: ours, or of rewrite and prefix */
	EXPLAIN_LEGACY,		/* another balancer's (cookie_legacy) */
	EXPLAIN_KEY,
};

/* Where a client that shows it belongs. */
enum explain_home {
	EXPLAIN_NOWHERE,
	EXPLAIN_BOUND,		/* by the cookie, or by the table */
	EXPLAIN_HASHED,		/* by rendezvous alone */
	EXPLAIN_GONE,		/* bound to a gateway that the pool no longer has */
};

/* What would happen to it now. */
enum explain_fate {
	EXPLAIN_NEW,		/* the balance would choose */
	EXPLAIN_KEPT,
	EXPLAIN_REASSIGNED,
	EXPLAIN_WAITS,
	EXPLAIN_REFUSED,
};

struct explain_source {
	const struct conf_pool *conf;
	struct pool *pool;
	const struct affinity_shared *shared;
	struct sealer *sealer;
	const struct signature *signature;	/* NULL: keys count unsigned */
};

struct explain {
	enum explain_kind kind;
	struct slice name;		/* of the cookie, where the text told it: borrowed from there; else empty */
	struct slice text;		/* with EXPLAIN_KEY: it, without its signature; borrowed from the text */
	char network[ADDR_TEXT];	/* the key in its place: of an address, where `source` looks; else "" */
	/* Why it does not count: "malformed" "forged" "idle" "expired" "future" "signature" "unknown" (a legacy
	 * cookie that names none of our gateways); "" when it does. A key without signature is taken for signed. */
	const char *why;
	enum explain_home home;		/* shown where it can be read, though it may not count */
	bool is_moved;			/* an operator has moved its client there, whatever the cookie says */
	const struct gateway *gateway;	/* borrowed from the pool; with EXPLAIN_BOUND and EXPLAIN_HASHED */
	const struct gateway *owner;	/* with assign = hash: whose the key is by rendezvous; else NULL */
	uint32_t born_s, seen_s;	/* given or bound, last seen; 0: not known */
	uint32_t confirmed_s;		/* a shared store said so; 0: it has not */
	enum explain_fate fate;
	const char *because;		/* "down" "full" "draining" "gone" "rebalanced", or "" */
	unsigned moves;			/* the latest first: of the key, or away from the cookie's gateway */
	struct history_move move[EXPLAIN_MOVES];
};

void explain_text(const struct explain_source *src, struct slice text, uint64_t now_s, struct explain *e);
/* With EXPLAIN_KEY: as the table and a shared store know it. */
struct slice explain_key(const struct explain *e);
/* Would this selector of the pool see the text, on a request that carries it? */
bool explain_concerns(const struct explain_source *src, const struct explain *e, const struct conf_selector *s);

const char *explain_kind_name(enum explain_kind kind);
const char *explain_fate_name(enum explain_fate fate);

#endif
