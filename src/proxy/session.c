/* SPDX-License-Identifier: BSD-2-Clause */
/* A session's facts, kept as small as they can be: there are many, and most say nothing for minutes. */
#include "proxy/session.h"

#include <stdlib.h>

#include "net/sock.h"

#define SESSION_MAGIC 0x5e5510e5

/* What the log line needs of the request, in one piece of memory behind each other. */
struct session_facts {
	uint16_t host, target, referer, user_agent, request_id;		/* lengths, in this order */
	char text[];
};

struct session {
	uint32_t magic;
	struct client *client;
	struct link *link;
	struct gateway *gateway;		/* ours to release */
	const struct service *service;
	const char *how;
	struct session_facts *facts;
	uint64_t begun_us;			/* clock_exact_us */
	uint32_t queue_us, response_us;
	uint8_t retries;
	struct addr addr;
	struct list list;
	struct reap reap;
	struct tunnel tunnel;
};

static void
facts_add(struct session_facts *f, size_t *n, uint16_t *length, struct slice s)
{
	if (s.n > UINT16_MAX)
		s.n = UINT16_MAX;
	if (s.n != 0)
		memcpy(f->text + *n, s.p, s.n);
	*n += s.n;
	*length = (uint16_t)s.n;
}

static struct session_facts *
facts_new(const struct record *r)
{
	size_t n = 0;
	struct session_facts *f =
	    malloc(sizeof *f + r->host.n + r->target.n + r->referer.n + r->user_agent.n + r->request_id.n);

	if (f == NULL)
		return NULL;
	facts_add(f, &n, &f->host, r->host);
	facts_add(f, &n, &f->target, r->target);
	facts_add(f, &n, &f->referer, r->referer);
	facts_add(f, &n, &f->user_agent, r->user_agent);
	facts_add(f, &n, &f->request_id, r->request_id);
	return f;
}

static struct slice
facts_take(const struct session_facts *f, size_t *n, uint16_t length)
{
	struct slice s = slice_make(f->text + *n, length);

	*n += length;
	return s;
}

static void
session_record(const struct session *s, struct record *r)
{
	const struct tunnel *t = &s->tunnel;
	size_t n = 0;

	*r = (struct record){ .kind = RECORD_SESSION, .client = s->addr, .peer = s->client->peer, .method = SLICE_LIT("GET"),
		.minor = 1, .status = 101, .how = s->how };
	r->total_us = clock_exact_us() - s->begun_us;
	r->at_us = clock_wall_us() - r->total_us;
	r->listener = s->client->door->listener->conf->name;
	r->tls = s->client->stream.ssl != NULL;
	r->pool = s->service->conf->name;
	r->gateway = s->gateway->name;
	r->host = facts_take(s->facts, &n, s->facts->host);
	r->target = facts_take(s->facts, &n, s->facts->target);
	r->referer = facts_take(s->facts, &n, s->facts->referer);
	r->user_agent = facts_take(s->facts, &n, s->facts->user_agent);
	r->request_id = facts_take(s->facts, &n, s->facts->request_id);
	r->bytes_in = t->end[TUNNEL_CLIENT].bytes;
	r->bytes_out = t->end[TUNNEL_GATEWAY].bytes;
	r->messages_in = t->end[TUNNEL_CLIENT].sent.messages;
	r->messages_out = t->end[TUNNEL_GATEWAY].sent.messages;
	r->queue_us = s->queue_us;
	r->response_us = s->response_us;
	r->retries = s->retries;
	r->close_code = t->close_code;
	r->why = t->why;
	r->whose = end_info(t->why)->whose;
}

static void
session_free(struct reap *r)
{
	struct session *s = CONTAINER(r, struct session, reap);

	s->magic = 0;
	slab_put(&client_proxy(s->client)->sessions, s);
}

static void
on_tunnel_end(struct tunnel *t)
{
	struct session *s = CONTAINER(t, struct session, tunnel);
	struct proxy *p;

	ALIVE(s, SESSION_MAGIC);
	p = client_proxy(s->client);
	if (p->on_record != NULL) {
		struct record r;

		session_record(s, &r);
		p->on_record(p->arg, &r);
	}
	list_remove(&s->list);
	gateway_session_ended(s->gateway);
	gateway_release(s->gateway);
	gateway_unref(s->gateway);
	link_close(s->link);
	free(s->facts);
	/* The client's memory, through which session_free finds the slab, is reaped after this. */
	loop_reap(p->loop, &s->reap, session_free);
	client_end(s->client, t->why);
}

bool
session_start(struct exchange *x, struct slice early_client, struct slice early_gateway)
{
	const struct conf_pool *pool = x->service->conf;
	struct client *c = x->client;
	struct session *s = slab_get_raw(&x->proxy->sessions);
	struct record r;

	exchange_describe(x, &r);
	if (s == NULL || (s->facts = facts_new(&r)) == NULL) {
		slab_put(&x->proxy->sessions, s);
		return false;
	}
	s->magic = SESSION_MAGIC;
	s->client = c;
	s->gateway = x->choice.gateway;
	s->service = x->service;
	s->how = r.how;
	s->begun_us = x->begun_us;
	s->queue_us = (uint32_t)r.queue_us;
	s->response_us = (uint32_t)r.response_us;
	s->retries = (uint8_t)x->retries;
	s->addr = x->addr;
	s->link = exchange_take_link(x);
	x->proxy->counts.sessions++;
	gateway_session_began(s->gateway);
	list_add_tail(&x->proxy->session_list, &s->list);
	sock_set_vanish(s->link->stream.fd, pool->tcp_user_timeout_ms);
	client_becomes_tunnel(c, s);
	tunnel_start(&s->tunnel, x->proxy->loop, &c->stream, &s->link->stream, pool->tunnel_idle_ms, pool->ping_interval_ms,
	    early_client, early_gateway, on_tunnel_end);
	return true;
}

void
session_close(struct session *s, enum end_reason why)
{
	ALIVE(s, SESSION_MAGIC);
	tunnel_close(&s->tunnel, why);
}

void
session_abort(struct session *s, enum end_reason why)
{
	ALIVE(s, SESSION_MAGIC);
	tunnel_abort(&s->tunnel, why);
}

struct session *
session_of_list(struct list *link)
{
	return LIST_ENTRY_OF(link, struct session, list);
}

size_t
session_bytes(void)
{
	return sizeof(struct session);
}

bool
session_is_closing(const struct session *s)
{
	return s->tunnel.end_by_ms != 0;
}
