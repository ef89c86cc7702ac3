/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - one way in which a request can say where it belongs.
 *
 * The kinds stand in one table in selector.c: a further kind is one more row. A sealed kind finds
 * a gateway's name in a cookie; the others find the client's key, which is the table's to know. Keys are compared
 * decoded (percent-encoding in the path and the query, "+" too in the query); the same key counts as one
 * wherever it is carried, so that a browser's query and a native client's header can mean the same.
 *
 * With key_secret_file a key counts only as KEY.SIGNATURE (signature.h), KEY being what is found; but for `source`
 * and `learn:`, which no client makes up.
 *
 * Of several fields, cookies, parameters or subprotocols that would do, the first that counts does. An empty one is
 * none.
 */
#ifndef AFFINITY_SELECTOR_H
#define AFFINITY_SELECTOR_H

#include "affinity/seal.h"
#include "affinity/signature.h"
#include "base/buf.h"
#include "http/head.h"
#include "net/addr.h"
#include "pool/pool.h"

/* A longer one is no key. Also the scratch's room for decoded keys of one request. */
#define SELECTOR_KEY_MAX 16384

/* What stands between our part of a prefixed cookie and the gateway's own value; no seal holds it. */
#define SELECTOR_PREFIX_END '~'

enum selector_sight {
	SELECTOR_NOTHING,	/* the request carries none */
	SELECTOR_INVALID,	/* it carries one that does not count: forged, cut, expired, unsigned */
	SELECTOR_GATEWAY,	/* it names a gateway of the pool */
	SELECTOR_GONE,		/* it names one that the pool no longer has */
	SELECTOR_KEY,		/* it carries a key */
};

/* What a selector may look at. */
struct selector_request {
	const struct head *head;
	const struct addr *client;
	struct pool *pool;			/* its configuration names our cookie and its twin */
	struct sealer *sealer;
	const struct signature *signature;	/* NULL: keys count unsigned */
	struct buf *scratch;			/* for keys that are not in the head as they are */
	uint64_t now_s;				/* the calendar's */
};

struct selector_found {
	struct gateway *gateway;	/* borrowed from the pool */
	struct seal_binding binding;	/* with SELECTOR_GATEWAY and SELECTOR_GONE */
	struct slice seal;		/* likewise: as it was shown */
	struct slice key;		/* with SELECTOR_KEY: in the head or the scratch */
	/* With SELECTOR_INVALID: "malformed" "forged" "idle" "expired" "future" "unsigned" "signature" "too-long". */
	const char *why;
};

enum selector_sight selector_look(const struct conf_selector *s, const struct selector_request *rq,
    struct selector_found *found) MUST_CHECK;
/* learn: the key that a gateway's answer names; false: this kind learns nothing, or the answer names none. */
bool selector_learn(const struct conf_selector *s, const struct head *answer, struct slice *key) MUST_CHECK;
/* By key or sealed? */
bool selector_has_key(const struct conf_selector *s);

/* Opens a seal of this pool and holds its times against the cookie's; NULL: it counts, *b is filled. What it says
 * otherwise is as in selector_found. *b is filled, too, where only its times speak against it ("idle" "expired"
 * "future"). */
const char *selector_open(struct sealer *sealer, struct slice pool, const struct conf_cookie *cf, struct slice text,
    uint64_t now_s, struct seal_binding *b) MUST_CHECK;
/* What its times alone say against a binding ("idle" "expired" "future"); NULL: nothing. */
const char *selector_times_refused(const struct seal_binding *b, const struct conf_cookie *cf, uint64_t now_s)
    MUST_CHECK;

#endif
