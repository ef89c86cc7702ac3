/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers are never used twice, so a late message finds nobody else. */
#include "proxy/hold.h"

#include <stdlib.h>

/* What is found by numbers of our own making needs no keyed hash; and no memory for one more is no reason to end. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct hold {
	uint64_t number;
	struct table_key key;
	struct session *session;
	UT_hash_handle hh;
};

struct hold *
hold_new(struct proxy *p, const struct table_key *key, struct session *s)
{
	struct hold *h = calloc(1, sizeof *h);
	struct holder new = { .worker = p->number }, old;

	if (h == NULL)
		return NULL;
	new.session = h->number = ++p->hold_next;
	h->key = *key;
	h->session = s;
	HASH_ADD(hh, p->holds, number, sizeof h->number, h);
	if (h->hh.tbl == NULL) {
		free(h);
		return NULL;
	}
	if (holders_take(p->holders, key, &new, &old))
		p->on_duplicate(p->arg, &old);
	return h;
}

void
hold_free(struct proxy *p, struct hold *h)
{
	if (h == NULL)
		return;
	holders_drop(p->holders, &h->key, &(struct holder){ p->number, h->number });
	HASH_DELETE(hh, p->holds, h);
	free(h);
}

struct session *
hold_find(const struct proxy *p, uint64_t number)
{
	struct hold *h;

	HASH_FIND(hh, p->holds, &number, sizeof number, h);
	return h != NULL ? h->session : NULL;
}
