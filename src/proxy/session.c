/* SPDX-License-Identifier: BSD-2-Clause */
/* A session's facts, kept as small as they can be: there are many, and most say nothing for minutes. */
#include "proxy/session.h"

#include <stdlib.h>
#include <string.h>

#include "net/sock.h"
#include "proxy/hold.h"
#include "proxy/tunnel.h"

#define SESSION_MAGIC 0x5e5510e5

/* What only the log line needs, in one piece of memory with the texts behind each other; none where nobody logs. */
struct session_facts {
	const struct service *service;
	const char *how, *because;
	struct addr addr;			/* the believed client's */
	uint64_t begun_us;			/* clock_exact_us */
	uint32_t queue_us, response_us;
	uint16_t retries;
	uint16_t host, target, referer, user_agent, request_id;		/* lengths, in this order */
	char text[];
};

struct session {
	uint32_t magic;
	struct client *client;
	struct link *link;			/* its gateway's reservation is ours */
	struct session_facts *facts;		/* NULL: nobody wants a record */
	struct hold *hold;			/* NULL: it need not be found by its key */
	union {
		struct list list;		/* of proxy->session_list, or */
		struct reap reap;		/* afterwards */
	};
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
facts_new(const struct exchange *x)
{
	struct session_facts *f;
	struct record r;
	size_t n = 0;

	exchange_describe(x, &r);
	f = malloc(sizeof *f + r.host.n + r.target.n + r.referer.n + r.user_agent.n + r.request_id.n);
	if (f == NULL)
		return NULL;
	f->service = x->service;
	f->how = r.how;
	f->because = r.because;
	f->addr = x->addr;
	f->begun_us = x->begun_us;
	f->queue_us = (uint32_t)r.queue_us;
	f->response_us = (uint32_t)r.response_us;
	f->retries = (uint16_t)x->retries;
	facts_add(f, &n, &f->host, r.host);
	facts_add(f, &n, &f->target, r.target);
	facts_add(f, &n, &f->referer, r.referer);
	facts_add(f, &n, &f->user_agent, r.user_agent);
	facts_add(f, &n, &f->request_id, r.request_id);
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
	const struct session_facts *f = s->facts;
	const struct tunnel *t = &s->tunnel;
	size_t n = 0;

	*r = (struct record){
		.kind = RECORD_SESSION, .client = f->addr, .peer = s->client->peer, .method = SLICE_LIT("GET"),
		.minor = 1, .status = 101, .how = f->how, .because = f->because,
	};
	r->total_us = clock_exact_us() - f->begun_us;
	r->at_us = clock_wall_us() - r->total_us;
	r->listener = s->client->door->listener->conf->name;
	r->tls = s->client->stream.ssl != NULL;
	r->pool = f->service->conf->name;
	r->gateway = s->link->gateway->name;
	r->host = facts_take(f, &n, f->host);
	r->target = facts_take(f, &n, f->target);
	r->referer = facts_take(f, &n, f->referer);
	r->user_agent = facts_take(f, &n, f->user_agent);
	r->request_id = facts_take(f, &n, f->request_id);
	r->bytes_in = t->end[TUNNEL_CLIENT].bytes;
	r->bytes_out = t->end[TUNNEL_GATEWAY].bytes;
	r->messages_in = t->end[TUNNEL_CLIENT].sent.messages;
	r->messages_out = t->end[TUNNEL_GATEWAY].sent.messages;
	r->queue_us = f->queue_us;
	r->response_us = f->response_us;
	r->retries = f->retries;
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
	struct gateway *g;
	struct proxy *p;

	ALIVE(s, SESSION_MAGIC);
	p = client_proxy(s->client);
	if (s->facts != NULL) {
		struct record r;

		session_record(s, &r);
		p->on_record(p->arg, &r);
		free(s->facts);
	}
	list_remove(&s->list);
	g = s->link->gateway;
	hold_free(p, s->hold);
	gateway_leave(g, true);
	link_close(s->link);
	/* The client's memory, through which session_free finds the slab, is reaped after this. */
	loop_reap(p->loop, &s->reap, session_free);
	client_end(s->client, t->why);
}

bool
session_start(struct exchange *x, struct slice early_client, struct slice early_gateway)
{
	const struct conf_pool *pool = x->service->conf;
	struct client *c = x->client;
	struct proxy *p = x->proxy;
	struct session *s = slab_get(&p->sessions);

	if (s != NULL && p->on_record != NULL)
		s->facts = facts_new(x);
	if (s == NULL || (p->on_record != NULL && s->facts == NULL)) {
		slab_put(&p->sessions, s);
		return false;
	}
	s->magic = SESSION_MAGIC;
	s->client = c;
	if (pool->duplicate == CONF_DUPLICATE_CLOSE_OLD && x->choice.has_key)
		s->hold = hold_new(p, &x->choice.key, s);
	must(x->choice.session);
	s->link = exchange_take_link(x);
	counter_add(&p->counts.sessions, 1);
	list_add_tail(&p->session_list, &s->list);
	sock_set_vanish(s->link->stream.fd, pool->tcp_user_timeout_ms);
	client_becomes_tunnel(c);
	tunnel_start(&s->tunnel, p->loop, &c->stream, &s->link->stream, pool->tunnel_idle_ms, pool->ping_interval_ms,
	    early_client, early_gateway, on_tunnel_end);
	return true;
}

void
session_close(struct session *s, enum end_reason why, uint64_t by_ms)
{
	ALIVE(s, SESSION_MAGIC);
	tunnel_close(&s->tunnel, why, by_ms);
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
