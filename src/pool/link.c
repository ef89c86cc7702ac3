/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's connections to gateways. What is kept of each gateway, idle links and its latest TLS session, is found
 * by its address in memory. */
#include "pool/link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* By the pointer, which no client chooses: to multiply by an odd number (2^64 by the golden ratio) is enough. */
#define HASH_FUNCTION(key, bytes, hash) \
	((hash) = (unsigned)((uint64_t)(uintptr_t)*(struct gateway *const *)(key) * 0x9e3779b97f4a7c15u >> 32))
#include <uthash.h>

#include "base/mem.h"
#include "net/sock.h"

#define LINK_MAGIC 0x1111c0de

/* Of one gateway. */
struct link_kept {
	struct gateway *gateway;	/* the key, referenced */
	struct list links;		/* the idle ones */
	unsigned n;
	SSL_SESSION *session;		/* NULL: none */
	uint64_t session_of;		/* of which tls_client */
	UT_hash_handle hh;
};

struct links {
	struct loop *loop;
	struct slab slab;
	struct link_kept *kept;
};

struct links *
links_new(struct loop *l)
{
	struct links *ls = mem_zalloc(sizeof *ls);

	ls->loop = l;
	slab_init(&ls->slab, sizeof(struct link));
	return ls;
}

static struct link_kept *
link_kept_of(struct links *ls, struct gateway *g)
{
	struct link_kept *i;

	HASH_FIND_PTR(ls->kept, &g, i);
	return i;
}

static struct link_kept *
link_kept_make(struct links *ls, struct gateway *g)
{
	struct link_kept *i = link_kept_of(ls, g);

	if (i != NULL)
		return i;
	i = mem_zalloc(sizeof *i);
	i->gateway = gateway_ref(g);
	list_init(&i->links);
	HASH_ADD_PTR(ls->kept, gateway, i);
	return i;
}

static void
link_kept_drop(struct links *ls, struct link_kept *i)
{
	must(i->n == 0);
	HASH_DEL(ls->kept, i);
	SSL_SESSION_free(i->session);
	gateway_unref(i->gateway);
	free(i);
}

static bool
is_over(const struct link_kept *i)
{
	return i->n == 0 && gateway_state(i->gateway) == GATEWAY_GONE;
}

static void
link_free(struct reap *r)
{
	struct link *k = CONTAINER(r, struct link, reap);
	struct link_kept *i = link_kept_of(k->links, k->gateway);

	if (i != NULL && is_over(i))
		link_kept_drop(k->links, i);
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
link_unidle(struct link *k, struct link_kept *i)
{
	list_remove(&k->idle);
	i->n--;
	timer_cancel(&k->timer);
}

static void
link_close_idle(struct link *k)
{
	link_unidle(k, link_kept_of(k->links, k->gateway));
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

static void
link_kept_close(struct link_kept *i)
{
	LIST_EACH (at, next, &i->links)
		link_close_idle(LIST_ENTRY_OF(at, struct link, idle));
}

void
links_close_idle(struct links *ls)
{
	struct link_kept *i, *after;

	HASH_ITER(hh, ls->kept, i, after)
		link_kept_close(i);
}

void
links_drop_gone(struct links *ls)
{
	struct link_kept *i, *after;

	HASH_ITER(hh, ls->kept, i, after) {
		if (gateway_state(i->gateway) != GATEWAY_GONE)
			continue;
		link_kept_close(i);
		link_kept_drop(ls, i);
	}
}

void
links_free(struct links *ls)
{
	struct link_kept *i, *after;

	if (ls == NULL)
		return;
	HASH_ITER(hh, ls->kept, i, after)
		link_kept_drop(ls, i);
	slab_fini(&ls->slab);
	free(ls);
}

struct link *
link_take_idle(struct links *ls, struct gateway *g, stream_fn *ready, void *owner)
{
	struct link_kept *i = link_kept_of(ls, g);
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

static void
on_session(struct tls_keeper *keeper, SSL_SESSION *session)
{
	struct link *k = CONTAINER(keeper, struct link, keeper);
	struct link_kept *i = link_kept_make(k->links, k->gateway);

	SSL_SESSION_free(i->session);
	i->session = session;
	i->session_of = keeper->client;
}

/* A session says that a certificate has been looked at: it counts for those alone whose rules these were. */
static SSL *
link_begin_tls(struct link *k, struct tls_client *tls)
{
	struct link_kept *i = link_kept_of(k->links, k->gateway);
	bool resumes = i != NULL && i->session_of == tls_client_number(tls);

	k->keeper.keep = on_session;
	return tls_client_connect(tls, gateway_authority(k->gateway), resumes ? i->session : NULL, &k->keeper);
}

/* False: no memory; the descriptor is still the caller's. */
static bool
link_begin(struct link *k, int fd, struct tls_client *tls, stream_fn *ready, void *owner)
{
	SSL *ssl = tls != NULL ? link_begin_tls(k, tls) : NULL;

	if ((tls == NULL || ssl != NULL) && stream_init(&k->stream, k->links->loop, fd, ssl, ready, owner)) {
		k->stream.connecting = true;
		return true;
	}
	SSL_free(ssl);
	return false;
}

struct link *
link_open(struct links *ls, struct gateway *g, struct tls_client *tls, stream_fn *ready, void *owner)
{
	int fd = sock_connect(gateway_address(g));
	struct link *k;

	if (fd == -1)
		return NULL;
	k = slab_get(&ls->slab);
	if (k != NULL) {
		k->links = ls;
		k->gateway = g;
	}
	if (k == NULL || !link_begin(k, fd, tls, ready, owner)) {
		slab_put(&ls->slab, k);
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	k->magic = LINK_MAGIC;
	gateway_ref(g);
	k->uses = 1;
	list_init(&k->idle);
	timer_init(&k->timer, on_idle_timeout);
	return k;
}

void
link_keep(struct link *k, unsigned most)
{
	struct link_kept *i;
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
	i = link_kept_make(k->links, k->gateway);
	now_ms = loop_now_ms(k->links->loop);
	stream_hand_over(&k->stream, on_idle_ready, k);
	timer_set(&k->links->loop->wheel, &k->timer, now_ms + (i->n < most ? LINK_IDLE_MS : LINK_SPARE_MS));
	list_add_head(&i->links, &k->idle);
	i->n++;
}
