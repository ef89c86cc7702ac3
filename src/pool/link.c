/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's connections to gateways. The idle ones hang on a list for each gateway, found by its address in
 * memory. */
#include "pool/link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uthash.h>

#include "base/mem.h"
#include "net/sock.h"

#define LINK_MAGIC 0x1111c0de

/* One for each gateway that this worker ever kept a link to. */
struct link_idle {
	struct gateway *gateway;	/* the key, referenced */
	struct list links;
	unsigned n;
	UT_hash_handle hh;
};

struct links {
	struct loop *loop;
	struct slab slab;
	struct link_idle *idle;		/* by the pointer: no client chooses it, so uthash's own hash will do */
};

struct links *
links_new(struct loop *l)
{
	struct links *ls = mem_zalloc(sizeof *ls);

	ls->loop = l;
	slab_init(&ls->slab, sizeof(struct link));
	return ls;
}

static struct link_idle *
link_idle_of(struct links *ls, struct gateway *g)
{
	struct link_idle *i;

	HASH_FIND_PTR(ls->idle, &g, i);
	return i;
}

static struct link_idle *
link_idle_make(struct links *ls, struct gateway *g)
{
	struct link_idle *i = link_idle_of(ls, g);

	if (i != NULL)
		return i;
	i = mem_zalloc(sizeof *i);
	i->gateway = gateway_ref(g);
	list_init(&i->links);
	HASH_ADD_PTR(ls->idle, gateway, i);
	return i;
}

static void
link_free(struct reap *r)
{
	struct link *k = CONTAINER(r, struct link, reap);

	gateway_unref(k->gateway);
	k->magic = 0;
	slab_put(&k->links->slab, k);
}

void
link_close(struct link *k)
{
	if (k == NULL)
		return;
	ALIVE(k, LINK_MAGIC);
	timer_cancel(&k->timer);
	stream_close(&k->stream);
	loop_reap(k->links->loop, &k->reap, link_free);
}

static void
link_unidle(struct link *k, struct link_idle *i)
{
	list_remove(&k->idle);
	i->n--;
	timer_cancel(&k->timer);
}

static void
link_close_idle(struct link *k)
{
	link_unidle(k, link_idle_of(k->links, k->gateway));
	link_close(k);
}

/* Whatever an idle gateway says, it ends the link: there is no request that it could answer. */
static void
on_idle_ready(struct stream *s, unsigned what)
{
	struct link *k = s->owner;
	struct slice got;

	(void)what;
	ALIVE(k, LINK_MAGIC);
	if (stream_read(s, NULL, LOOP_SCRATCH, &got) != STREAM_WAIT)
		link_close_idle(k);
}

static void
on_idle_timeout(struct timer *t, uint64_t now_ms)
{
	struct link *k = CONTAINER(t, struct link, timer);

	(void)now_ms;
	ALIVE(k, LINK_MAGIC);
	link_close_idle(k);
}

void
links_close_idle(struct links *ls)
{
	struct link_idle *i, *after;

	HASH_ITER(hh, ls->idle, i, after) {
		LIST_EACH (at, next, &i->links)
			link_close_idle(LIST_ENTRY_OF(at, struct link, idle));
	}
}

void
links_free(struct links *ls)
{
	struct link_idle *i, *after;

	if (ls == NULL)
		return;
	HASH_ITER(hh, ls->idle, i, after) {
		must(i->n == 0);
		HASH_DEL(ls->idle, i);
		gateway_unref(i->gateway);
		free(i);
	}
	slab_fini(&ls->slab);
	free(ls);
}

struct link *
link_take_idle(struct links *ls, struct gateway *g, stream_fn *ready, void *owner)
{
	struct link_idle *i = link_idle_of(ls, g);
	struct link *k;

	if (i == NULL || list_is_empty(&i->links))
		return NULL;
	k = LIST_ENTRY_OF(i->links.next, struct link, idle);
	ALIVE(k, LINK_MAGIC);
	link_unidle(k, i);
	k->uses++;
	stream_hand_over(&k->stream, ready, owner);
	return k;
}

struct link *
link_open(struct links *ls, struct gateway *g, stream_fn *ready, void *owner)
{
	int fd = sock_connect(&g->addr);
	struct link *k;

	if (fd == -1)
		return NULL;
	k = slab_get(&ls->slab);
	if (k == NULL || !stream_init(&k->stream, ls->loop, fd, NULL, ready, owner)) {
		slab_put(&ls->slab, k);
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	k->stream.connecting = true;
	k->magic = LINK_MAGIC;
	k->links = ls;
	k->gateway = gateway_ref(g);
	k->uses = 1;
	list_init(&k->idle);
	timer_init(&k->timer, on_idle_timeout);
	return k;
}

void
link_keep(struct link *k, unsigned most)
{
	struct link_idle *i;
	uint64_t now_ms;

	ALIVE(k, LINK_MAGIC);
	/* What it said beyond its answer would be taken for the next one's; what it has not taken of a request would
	 * stand before the next. */
	if (most == 0 || stream_has_failed(&k->stream) || k->stream.ended || k->stream.hup ||
	    stream_is_blocked(&k->stream) ||
	    (stream_may_have_more(&k->stream) && !stream_is_quiet(&k->stream))) {
		link_close(k);
		return;
	}
	i = link_idle_make(k->links, k->gateway);
	now_ms = loop_now_ms(k->links->loop);
	stream_hand_over(&k->stream, on_idle_ready, k);
	timer_set(&k->links->loop->wheel, &k->timer, now_ms + (i->n < most ? LINK_IDLE_MS : LINK_SPARE_MS));
	list_add_head(&i->links, &k->idle);
	i->n++;
}
