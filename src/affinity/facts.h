/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts.h - what a request says about where its client belongs: all selectors together, in their order.
 *
 * Looking renews the life of keys in the table, and changes nothing else.
 */
#ifndef AFFINITY_FACTS_H
#define AFFINITY_FACTS_H

#include "affinity/moved.h"
#include "affinity/selector.h"
#include "store/store.h"

/* Where to look; immutable, a pool's. */
struct facts_source {
	const struct conf_pool *conf;
	struct pool *pool;
	struct table *table;
	struct moved *moved;			/* NULL: nobody ever is */
	struct signature *signature;		/* NULL: keys count unsigned */
	unsigned char (*legacy)[16];		/* each gateway's, by its index; NULL: no cookie_legacy */
};

struct facts_key {
	struct slice text;			/* in the head or the scratch */
	struct table_key key;
	struct table_binding binding;		/* where it is bound */
	unsigned selector;
	bool is_bound;				/* by the table */
	bool is_asked;				/* a shared store knows better than the table, and may decide */
};

struct facts {
	struct gateway *known;			/* by the first selector that knows one; borrowed */
	unsigned decided_by;			/* that one */
	bool is_legacy;				/* it was another balancer's cookie */
	uint64_t moved_from;			/* the tag in the seal that decided, whose client was moved since */
	uint64_t gone;				/* the tag of the first that is named and gone; 0: none */
	const char *invalid;			/* why the first that does not count does not; NULL: all count */
	struct gateway *cookie_names;		/* what our cookie holds; NULL: no cookie */
	struct seal_binding cookie;		/* with cookie_names; of a legacy cookie the times */
	struct slice seal;			/* with cookie_names: as it was shown */
	bool shows_legacy;			/* there is such a cookie, whatever it says */
	bool is_bare;				/* nothing of what is looked for */
	struct gateway *believed;		/* by the table, for the first key that is asked; borrowed */
	unsigned believed_by;
	unsigned keys, asks;
	struct facts_key key[STORE_KEYS_MAX];
};

/* The request is another's to keep; keys that are not in it as they are go to its scratch. store: whose word the
 * table's bindings need; NULL: nobody's. */
void facts_look(struct facts *f, const struct facts_source *src, const struct selector_request *rq,
    const struct store *store);
/* The hash by which rendezvous goes: of the first key, else of the address. */
uint64_t facts_hash(const struct facts *f, const struct addr *client);

#endif
