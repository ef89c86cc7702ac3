/* SPDX-License-Identifier: BSD-2-Clause */
/* A session's facts, kept as small as they can be: there are many, and most say nothing for minutes. */
#include "proxy/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/sock.h"
#include "proxy/closing.h"
#include "proxy/hold.h"
#include "proxy/tunnel.h"

#define SESSION_MAGIC 0x5e5510e5

/* What only log lines and operators need, in one piece of memory with the texts behind each other. */
struct session_facts {
	const char *because;			/* static */
	uint64_t begun_us;			/* clock_exact_us, of its request */
	uint32_t queue_us, response_us;
	uint16_t retries;
	/* Lengths, in this order. The address is the believed client's, where that is not the peer; what stands
	 * behind the target is only the log's. */
	uint16_t addr, how, host, request_id, target, referer, user_agent;
	char text[];
};

struct session {
	uint32_t magic;
	struct client *client;
	struct link *link;			/* its gateway's reservation is ours */
	struct session_facts *facts;
	struct hold *hold;			/* NULL: it need not be found by its key */
	struct affinity_client known;		/* by what its client is known */
	struct tally *tally;
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

/* The bytes of the believed client's address; none where it is the peer's. */
static struct slice
facts_addr(const struct exchange *x)
{
	if (addr_eq(&x->addr, &x->client->peer))
		return SLICE_NONE;
	return slice_make((const char *)&x->addr, sizeof x->addr);
}

static struct session_facts *
facts_new(const struct exchange *x)
{
	struct slice addr = facts_addr(x), how;
	struct session_facts *f;
	struct record r;
	size_t n = 0;

	exchange_describe(x, clock_exact_us(), &r);
	if (x->proxy->on_record == NULL)
		r.referer = r.user_agent = SLICE_NONE;
	how = slice_of(r.how);
	f = malloc(sizeof *f + addr.n + how.n + 1 + r.host.n + r.request_id.n + r.target.n + r.referer.n +
	    r.user_agent.n);
	if (f == NULL)
		return NULL;
	f->because = r.because;
	f->begun_us = x->begun_us;
	f->queue_us = (uint32_t)r.queue_us;
	f->response_us = (uint32_t)r.response_us;
	f->retries = (uint16_t)x->retries;
	facts_add(f, &n, &f->addr, addr);
	facts_add(f, &n, &f->how, slice_make(how.p, how.n + 1));	/* with its NUL */
	facts_add(f, &n, &f->host, r.host);
	facts_add(f, &n, &f->request_id, r.request_id);
	facts_add(f, &n, &f->target, r.target);
	facts_add(f, &n, &f->referer, r.referer);
	facts_add(f, &n, &f->user_agent, r.user_agent);
	return f;
}

static struct slice
facts_take(const struct session_facts *f, size_t *n, uint16_t length)
{
	struct slice s = slice_make(f->text + *n, length);

	*n += length;
	return s;
}

/* The first of the texts. */
static struct addr
facts_take_addr(const struct session *s, size_t *n)
{
	struct slice bytes = facts_take(s->facts, n, s->facts->addr);
	struct addr a = s->client->peer;

	if (bytes.n != 0)
		memcpy(&a, bytes.p, sizeof a);
	return a;
}

static void
session_record(const struct session *s, struct record *r)
{
	const struct session_facts *f = s->facts;
	const struct tunnel *t = &s->tunnel;
	size_t n = 0;

	*r = (struct record){
		.kind = RECORD_SESSION, .client = facts_take_addr(s, &n), .peer = s->client->peer,
		.method = SLICE_LIT("GET"), .minor = 1, .status = 101, .because = f->because,
	};
	r->total_us = clock_exact_us() - f->begun_us;
	r->at_us = clock_wall_us() - r->total_us;
	r->listener = s->client->door->name;
	r->tls = s->client->stream.ssl != NULL;
	r->pool = gateway_pool_name(s->link->gateway);
	r->gateway = gateway_name(s->link->gateway);
	r->how = facts_take(f, &n, f->how).p;
	r->host = facts_take(f, &n, f->host);
	r->request_id = facts_take(f, &n, f->request_id);
	r->target = facts_take(f, &n, f->target);
	r->referer = facts_take(f, &n, f->referer);
	r->user_agent = facts_take(f, &n, f->user_agent);
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
session_count(const struct session *s)
{
	struct proxy *p = client_proxy(s->client);

	counter_add(&p->counts.session_ends[s->tunnel.why], 1);
	histogram_note(&s->tally->sessions, histogram_of_sessions, clock_exact_us() - s->facts->begun_us);
}

static void
on_tunnel_end(struct tunnel *t)
{
	struct session *s = CONTAINER(t, struct session, tunnel);
	struct gateway *g;
	struct proxy *p;

	ALIVE(s, SESSION_MAGIC);
	p = client_proxy(s->client);
	if (p->on_record != NULL) {
		struct record r;

		session_record(s, &r);
		p->on_record(p->arg, &r);
	}
	session_count(s);
	free(s->facts);
	list_remove(&s->list);
	g = s->link->gateway;
	hold_free(p, s->hold);
	affinity_client_fini(&s->known);
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

	if (s != NULL)
		s->facts = facts_new(x);
	if (s == NULL || s->facts == NULL) {
		slab_put(&p->sessions, s);
		return false;
	}
	s->magic = SESSION_MAGIC;
	s->client = c;
	s->known = x->known;
	x->known.key_text = NULL;
	s->tally = x->scene->tally[x->service->index].tally;
	if (pool->duplicate == CONF_DUPLICATE_CLOSE_OLD && x->choice.has_key)
		s->hold = hold_new(p, &x->choice.key, s);
	must(x->choice.session);
	s->link = exchange_take_link(x);
	counter_add(&p->counts.sessions, 1);
	list_add_tail(&p->session_list, &s->list);
	sock_set_vanish(s->link->stream.fd, pool->tcp_user_timeout_ms);
	client_becomes_tunnel(c);
	tunnel_start(&s->tunnel, &(struct tunnel_setup){
		.client = &c->stream, .gateway = &s->link->stream, .idle_ms = pool->tunnel_idle_ms,
		.ping_ms = pool->ping_interval_ms, .died_close = pool->died_close, .from_client = early_client,
		.from_gateway = early_gateway, .passed = c->door->meter->bytes, .on_end = on_tunnel_end,
	});
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

struct gateway *
session_gateway(const struct session *s)
{
	return s->link->gateway;
}

bool
session_has_key(const struct session *s, const struct table_key *key)
{
	return s->known.has_key && s->known.key.high == key->high && s->known.key.low == key->low;
}

/* Texts behind each other, each with its NUL. */
static const char *
row_text(struct buf *b, struct slice s)
{
	const char *at = b->p + b->n;

	buf_add(b, s);
	buf_byte(b, '\0');
	return at;
}

void
session_describe(const struct session *s, struct session_row *row)
{
	const struct session_facts *f = s->facts;
	const struct gateway *g = s->link->gateway;
	const struct tunnel *t = &s->tunnel;
	struct slice pool = slice_of(gateway_pool_name(g)), name = slice_of(gateway_name(g));
	struct slice listener = slice_of(s->client->door->name);
	size_t n = 0, room = pool.n + name.n + listener.n + f->how + (size_t)f->host + f->target + f->request_id + 8;
	uint64_t now_ms = loop_now_ms(client_proxy(s->client)->loop);
	struct buf b;

	*row = (struct session_row){
		.client = facts_take_addr(s, &n), .tls = s->client->stream.ssl != NULL,
		.lasted_ms = (clock_exact_us() - f->begun_us) / 1000,
		.idle_ms = now_ms > t->moved_ms ? now_ms - t->moved_ms : 0,
		.bytes_in = t->end[TUNNEL_CLIENT].bytes, .bytes_out = t->end[TUNNEL_GATEWAY].bytes,
		.messages_in = t->end[TUNNEL_CLIENT].sent.messages,
		.messages_out = t->end[TUNNEL_GATEWAY].sent.messages,
		.text = mem_zalloc(room),
	};
	row->begun_s = (clock_wall_us() / 1000 - row->lasted_ms) / 1000;
	b = buf_of(row->text, room);
	row->pool = row_text(&b, pool);
	row->gateway = row_text(&b, name);
	row->listener = row_text(&b, listener);
	row->how = row_text(&b, facts_take(f, &n, f->how));
	row->host = row_text(&b, facts_take(f, &n, f->host));
	row->request_id = row_text(&b, facts_take(f, &n, f->request_id));
	row->target = row_text(&b, facts_take(f, &n, f->target));
	must(!b.full);
}

static const struct service *
session_service(const struct session *s)
{
	const struct scene *scene = client_proxy(s->client)->scene;
	const char *pool = gateway_pool_name(s->link->gateway);

	for (size_t i = 0; i < scene->setup.services; i++)
		if (strcmp(scene->setup.service[i].pool->name, pool) == 0)
			return &scene->setup.service[i];
	return NULL;
}

void
session_move(struct session *s, struct gateway *to)
{
	const struct service *service = session_service(s);
	struct scene *scene = client_proxy(s->client)->scene;

	if (service != NULL)
		affinity_move(service->affinity, &scene->tools, &s->known, s->link->gateway, to,
		    clock_wall_us() / 1000000);
}
