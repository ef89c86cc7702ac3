/* SPDX-License-Identifier: BSD-2-Clause */
/* A connected client, by what it would be known again, and how it is bound elsewhere. */
#include <stdlib.h>
#include <string.h>

#include "affinity/rule.h"
#include "base/mem.h"

struct slice
affinity_issued(struct slice set_cookie)
{
	struct slice value = slice_cut(&set_cookie, ';');

	(void)slice_cut(&value, '=');
	return value;
}

static struct slice
source_pool_name(const struct affinity *a)
{
	return slice_of(a->source.pool->name);
}

void
affinity_know_client(const struct affinity *a, struct affinity_tools *tools, const struct affinity_request *rq,
    const struct affinity_choice *choice, struct slice issued, struct affinity_client *c)
{
	bool tells = choice->has_key && affinity_is_shared(a, tools);
	struct facts f;

	*c = (struct affinity_client){ .has_key = choice->has_key, .key = choice->key };
	if (tells || (issued.n == 0 && a->knows_cookies)) {
		affinity_gather(a, tools, rq, &f);
		if (issued.n == 0)
			issued = f.seal;
		if (tells && f.keys != 0)
			c->key_text = mem_printf("%.*s", SLICE_FMT(f.key[0].text));
	}
	c->has_cookie = issued.n != 0;
	if (c->has_cookie)
		c->cookie = moved_key(a->source.table, source_pool_name(a), issued);
}

void
affinity_client_fini(struct affinity_client *c)
{
	free(c->key_text);
	c->key_text = NULL;
}

void
affinity_move(const struct affinity *a, struct affinity_tools *tools, const struct affinity_client *c,
    const struct gateway *from, struct gateway *to, uint64_t now_s)
{
	struct history_move m = {
		.key = c->key, .from = gateway_tag(from), .to = gateway_tag(to), .at_s = now_s, .why = "rebalanced",
	};

	if (c->has_key)
		table_bind(a->source.table, &c->key, m.to, (uint32_t)now_s, c->key_text != NULL, NULL);
	if (c->key_text != NULL) {
		struct slice text = slice_of(c->key_text);

		store_tell(tools->store, a->source.pool, &text, 1, to);
	}
	if (c->has_cookie)
		moved_note(a->source.moved, a->source.table, &c->cookie, m.to, now_s);
	if (c->has_key)
		history_add(a->shared->history, &m);	/* who has but a cookie: when it comes back */
}
