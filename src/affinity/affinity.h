/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * affinity.h - where does this client belong? One rule:
 *
 * The first selector that knows a gateway decides; where nothing is known, the pool's balance chooses. Then every key
 * on the request is bound to the gateway that was chosen, and the cookie is issued if `cookie` is listed and the
 * client does not already hold one that names it (or holds one whose idle time slides on). A client whose gateway is
 * down or full is dealt with as on_down and on_full say; one whose gateway is gone, or drains and its deadline has
 * passed, is taken elsewhere. It stays where it was taken. A gateway that drains keeps its own until then.
 *
 * What was not known is bound as soon as it is decided, so that two requests with one new key can't part; what was
 * bound elsewhere is bound anew only when the new gateway has answered (affinity_settle), so that a gateway's bad
 * moment, which ends in an error for the client, does not cost it its place.
 *
 * assign = hash: a key that is not in the table belongs by rendezvous hashing, and only exceptions are put into the
 * table. With a shared store (store.h) what the table does not know is asked there, and answered later; without its
 * answer keys go by rendezvous, so that all proxies choose alike.
 *
 * Immutable once made, one for each pool; any thread, with tools of its own.
 */
#ifndef AFFINITY_AFFINITY_H
#define AFFINITY_AFFINITY_H

#include "affinity/issue.h"
#include "affinity/moved.h"
#include "affinity/selector.h"
#include "store/history.h"
#include "store/store.h"

enum affinity_outcome {
	AFFINITY_HIT,		/* to where it belongs */
	AFFINITY_NEW,		/* it said nothing, or what nobody knew yet */
	AFFINITY_REASSIGNED,	/* its gateway is down, full, drained, gone, or was tried in vain */
	AFFINITY_INVALID,	/* what it showed does not count; treated as new */
	AFFINITY_REJECTED,	/* no gateway can take it */
};
#define AFFINITY_OUTCOMES (AFFINITY_REJECTED + 1)

struct affinity;

/* What all pools share. */
struct affinity_shared {
	struct table *table;
	struct history *history;
	struct moved *moved;		/* NULL: nobody ever is */
	struct iplimit *new_keys;	/* NULL: no limit */
};

/* What a thread brings along; its own. */
struct affinity_tools {
	struct sealer *sealer;
	struct store *store;		/* NULL: the table is all there is */
	char *scratch;			/* SELECTOR_KEY_MAX */
};

struct affinity_request {
	const struct head *head;
	const struct addr *client;
	const struct pool_tried *tried;	/* gateways that this request already failed at; nobody's wish counts there */
	bool session;			/* it is to become one: it needs a place among max_sessions */
	bool waited;			/* it has waited as long as on_down or on_full allow */
	bool again;			/* it has been chosen for before: it is not counted as another one */
	bool newcomer;			/* it was placed before as one: who failed it then was nobody's home */
	uint64_t now_s;			/* the calendar's */
	const struct store_answer *answer;	/* to the question that AFFINITY_ASKED announced; NULL: none yet */
	struct store_ask *ask;		/* for such a question, and */
	store_answer_fn *on_answer;	/* who hears the answer, after the call has returned */
};

enum affinity_verdict {
	AFFINITY_GO,		/* to choice->gateway */
	AFFINITY_ASKED,		/* wait for the answer, then choose again with it; choice is to be kept until then */
	AFFINITY_WAIT,		/* for choice->home, choice->wait_ms in all; then choose again */
	AFFINITY_REFUSE,	/* choice->because says why */
};

struct affinity_choice {
	struct gateway *gateway;	/* entered and referenced for the caller: affinity_release() */
	bool session;			/* entered with a session's place */
	enum affinity_outcome outcome;
	unsigned decided_by;		/* the selector's index, or the number of selectors: none of them */
	const char *selector;		/* its text; "balance" in a pool without any; else "" */
	/* Why not the gateway it belongs to: "down" "failed" "full" "draining" "gone"; or why what it showed does not
	 * count, as selector.h says; "legacy" when another balancer's cookie decided, "rebalanced" when an
	 * operator has moved it away; "" when there is nothing to say. */
	const char *because;
	bool issue;			/* the answer must carry affinity_set_cookie() */
	bool end_legacy;		/* likewise ISSUE_END_OF_LEGACY */
	bool rebind;			/* keys are bound elsewhere until affinity_settle() */
	bool bare;			/* the request carried nothing of what the pool looks for */
	uint32_t born_s;		/* what a renewed cookie keeps */
	uint64_t from;			/* REASSIGNED: the tag of the gateway it belonged to */
	struct gateway *home;		/* with WAIT and REFUSE, borrowed: where it belongs; NULL: any would do */
	uint64_t wait_ms;
	bool has_key;
	struct table_key key;		/* of the first key it carries */
};

/* What becomes now of a client that belongs to a gateway. */
enum affinity_prospect { AFFINITY_KEEPS, AFFINITY_IS_REASSIGNED, AFFINITY_IS_REFUSED, AFFINITY_HAS_TO_WAIT };

/* What a cookie's name means to a pool. */
enum affinity_cookie {
	AFFINITY_COOKIE_FOREIGN,
	AFFINITY_COOKIE_OURS,		/* never reaches the gateway, and is not the gateway's to set */
	AFFINITY_COOKIE_REWRITTEN,	/* its value is replaced on the way out */
	AFFINITY_COOKIE_PREFIXED,	/* ours stands before its value, and is taken off again on the way in */
};

/* Reports (like conf) a secret that can't be read, cookies that are too long; NULL then. cf, pool and what shared
 * points to must outlive the result. */
struct affinity *affinity_new(const struct conf_pool *cf, struct pool *pool, const struct affinity_shared *shared,
    conf_report_fn *report, void *arg) MUST_CHECK;
void affinity_free(struct affinity *a);		/* NULL is fine */
/* Of a pool of the same name, which a reload replaces: takes over what is no configuration. Main thread; the old one
 * may still be in use. */
void affinity_adopt(struct affinity *new, const struct affinity *old);
/* key_secret_file alone, to be freed; NULL where there is none. False: reported. */
bool affinity_load_secret(const struct conf_pool *cf, struct signature **secret, conf_report_fn *report, void *arg)
    MUST_CHECK;

/* *choice is cleared first, but after AFFINITY_ASKED, whose choice it needs again. */
enum affinity_verdict affinity_choose(const struct affinity *a, struct affinity_tools *tools,
    const struct affinity_request *rq, struct affinity_choice *choice) MUST_CHECK;
/* The gateway has answered: binds anew what was bound elsewhere, learns what the answer names. */
void affinity_settle(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice, const struct head *answer);
/* Gives back the gateway, if there is one. */
void affinity_release(struct affinity_choice *choice);
/* Some of what a choice waits for (AFFINITY_WAIT) is there now. */
bool affinity_is_worth_a_try(const struct affinity *a, const struct affinity_choice *choice);

/* A client that is connected, as its session remembers it. */
struct affinity_client {
	bool has_key, has_cookie;
	struct table_key key;		/* the first that its request carried */
	char *key_text;			/* where a shared store has to be told; owned, NULL: it need not */
	struct table_key cookie;	/* moved_key() of the one that it holds */
};

/* Of a request that has been chosen for. issued: the seal that it was given with the answer; none: the one that it
 * showed. To be ended by affinity_client_fini(). */
void affinity_know_client(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice, struct slice issued, struct affinity_client *c);
void affinity_client_fini(struct affinity_client *c);
/* It belongs there from now on, as far as there is anything by which it will be known again. */
void affinity_move(const struct affinity *a, struct affinity_tools *tools, const struct affinity_client *c,
    const struct gateway *from, struct gateway *to, uint64_t now_s);
/* The seal in a Set-Cookie field's value that affinity_set_cookie() has made. */
struct slice affinity_issued(struct slice set_cookie);

/* The value of a Set-Cookie field for a choice that says `issue`; by_tls: the client came so. Returns its length; 0:
 * there is no such cookie, or it can't be made. */
size_t affinity_set_cookie(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    enum issue_which which, bool by_tls, uint64_t now_s, char to[ISSUE_TEXT]) MUST_CHECK;
/* The sealed name of the chosen gateway, for a rewritten or prefixed cookie; its length, 0 when it can't be made. */
size_t affinity_seal(const struct affinity *a, struct sealer *sealer, const struct affinity_choice *choice,
    uint64_t now_s, char to[SEAL_TEXT]) MUST_CHECK;
enum affinity_cookie affinity_cookie_named(const struct affinity *a, struct slice name);
/* Is there any cookie that is not foreign? */
bool affinity_knows_cookies(const struct affinity *a);
/* A prefixed cookie's value without what we put before it; all of it when that is not there. */
struct slice affinity_unprefixed(struct slice value);

/* NULL: keys count unsigned. */
const struct signature *affinity_signature(const struct affinity *a);
/* For operators. *why: "down" "full" "draining" "gone", or "" when it keeps it. */
enum affinity_prospect affinity_prospect(const struct conf_pool *cf, const struct gateway *g, bool session,
    const char **why);
size_t affinity_selectors(const struct affinity *a);
const char *affinity_selector_text(const struct affinity *a, size_t i);
const char *affinity_outcome_name(enum affinity_outcome outcome);
/* The word of the access log: the selector's name on a hit, else the outcome's; "balance" in a pool without
 * selectors. */
const char *affinity_how(const struct affinity_choice *choice);

#endif
