/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's share of the proxy: made, stopped, taken down. */
#include "proxy/proxy.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/hold.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

/* More than that are under way only in a burst: their memory, 10 KiB each, goes back. */
#define EXCHANGES_SPARE 64

struct proxy *
proxy_new(struct loop *l, const struct proxy_setup *setup)
{
	struct proxy *p = mem_zalloc(sizeof *p);

	p->loop = l;
	p->links = links_new(l);
	p->number = setup->number;
	p->holders = setup->holders;
	tallies_init(&p->tallies);
	meters_init(&p->meters);
	list_init(&p->leaving_stores);
	queue_init(&p->queue, l);
	p->response = mem_zalloc(sizeof *p->response);
	slab_init(&p->clients, sizeof(struct client));
	slab_init_loose(&p->exchanges, sizeof(struct exchange), EXCHANGES_SPARE);
	slab_init(&p->sessions, session_bytes());
	list_init(&p->client_list);
	list_init(&p->session_list);
	must(getrandom(&p->id_base, sizeof p->id_base, 0) == sizeof p->id_base);
	return p;
}

void
proxy_free(struct proxy *p)
{
	if (p == NULL)
		return;
	store_end_leaving(&p->leaving_stores);
	slab_fini(&p->sessions);
	slab_fini(&p->exchanges);
	slab_fini(&p->clients);
	queue_fini(&p->queue);
	tallies_fini(&p->tallies);
	meters_fini(&p->meters);
	links_free(p->links);
	free(p->response);
	free(p);
}

void
proxy_leave(struct proxy *p, uint64_t by_ms)
{
	p->leaving = true;
	p->stop_by_ms = by_ms;
	links_close_idle(p->links);
}

void
proxy_stop(struct proxy *p, uint64_t by_ms)
{
	p->stopping = true;
	p->stop_by_ms = by_ms;
	links_close_idle(p->links);
	LIST_EACH (at, after, &p->client_list)
		client_stop(LIST_ENTRY_OF(at, struct client, link));
}

size_t
proxy_close_sessions(struct proxy *p, size_t most)
{
	size_t left = 0;

	LIST_EACH (at, after, &p->session_list) {
		struct session *s = session_of_list(at);

		if (session_is_closing(s))
			continue;
		if (most == 0) {
			left++;
			continue;
		}
		most--;
		session_close(s, END_STOPPING, p->stop_by_ms);
	}
	return left;
}

/* A session's end is its client's too, so the sessions go first. */
void
proxy_close_session(struct proxy *p, uint64_t number)
{
	struct session *s = hold_find(p, number);

	if (s == NULL || session_is_closing(s))
		return;
	counter_add(&p->counts.duplicates, 1);
	session_close(s, END_DUPLICATE, loop_now_ms(p->loop) + TUNNEL_CLOSE_MS);
}

bool
proxy_is_over(const struct proxy *p)
{
	return (p->stopping || p->leaving) && list_is_empty(&p->client_list);
}

void
proxy_abort(struct proxy *p)
{
	LIST_EACH (at, after, &p->session_list)
		session_abort(session_of_list(at), END_STOPPING);
	LIST_EACH (at, after, &p->client_list) {
		struct client *c = LIST_ENTRY_OF(at, struct client, link);

		if (c->state == CLIENT_SERVING)
			exchange_abort(c->exchange, END_STOPPING);
		else
			client_end(c, END_STOPPING);
	}
	links_close_idle(p->links);
}

struct slice
proxy_date(struct proxy *p)
{
	uint64_t now_s = clock_wall_s();
	time_t t = (time_t)now_s;
	struct tm tm;

	if (now_s != p->date_s) {
		/* The C locale's names, whatever the environment says: setlocale is never called. */
		must(gmtime_r(&t, &tm) != NULL);
		must(strftime(p->date, sizeof p->date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == PROXY_DATE);
		p->date_s = now_s;
	}
	return slice_make(p->date, PROXY_DATE);
}

/* Unique, not secret: a random half for this worker's life, and a count spread by an odd factor. */
void
proxy_request_id(struct proxy *p, char id[PROXY_REQUEST_ID])
{
	struct buf b = buf_of(id, PROXY_REQUEST_ID);

	buf_hex64(&b, p->id_base);
	buf_hex64(&b, ++p->id_next * 0x9e3779b97f4a7c15u ^ p->id_base);
}
