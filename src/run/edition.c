/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration's value to what it names. */
#include "run/edition.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store.h"

static bool
edition_make_pools(struct edition *e, const struct affinity_shared *shared, conf_report_fn *report, void *arg)
{
	bool good = true;

	e->pool = mem_zalloc((e->conf->pools + 1) * sizeof(struct pool *));
	e->service = mem_zalloc((e->conf->pools + 1) * sizeof *e->service);
	for (; e->pools < e->conf->pools; e->pools++) {
		const struct conf_pool *cf = &e->conf->pool[e->pools];
		struct service *s = &e->service[e->pools];

		s->index = (unsigned)e->pools;
		s->conf = cf;
		s->pool = e->pool[e->pools] = pool_new(cf, report, arg);
		if (s->pool == NULL) {
			good = false;
			continue;
		}
		s->affinity = affinity_new(cf, s->pool, shared, report, arg);
		good = good && s->affinity != NULL;
	}
	return good;
}

static bool
edition_make_store(struct edition *e, struct table *t, conf_report_fn *report, void *arg)
{
	if (e->conf->store.type == CONF_STORE_MEMORY)
		return true;
	e->store = store_shared_new(&e->conf->store, e->pool, e->pools, t, report, arg);
	return e->store != NULL;
}

/* A listening socket is inherited by its connections, and so are its options: the pool decides before it is
 * chosen. */
static uint64_t
vanish_ms(const struct conf *cf, const struct conf_listener *l)
{
	const struct conf_pool *p = l->pool != NULL ? conf_pool_find(cf, l->pool) : NULL;

	if (p == NULL && cf->pools != 0)
		p = &cf->pool[0];
	return p != NULL ? p->tcp_user_timeout_ms : 0;
}

static bool
edition_make_listeners(struct edition *e, struct port_source *ports, bool check_only, conf_report_fn *report,
    void *arg)
{
	bool good = true;

	e->listener = mem_zalloc((e->conf->listeners + 1) * sizeof(struct listener *));
	e->routes = mem_zalloc((e->conf->listeners + 1) * sizeof(struct routes *));
	for (; e->listeners < e->conf->listeners; e->listeners++) {
		const struct conf_listener *cf = &e->conf->listener[e->listeners];

		e->listener[e->listeners] =
		    listener_new(cf, e->conf->global.workers, vanish_ms(e->conf, cf), ports, check_only, report, arg);
		e->routes[e->listeners] = routes_new(e->conf, cf, e->service);
		good = good && e->listener[e->listeners] != NULL;
	}
	return good;
}

struct edition *
edition_new(struct conf *cf, const struct affinity_shared *shared, struct port_source *ports, bool check_only,
    conf_report_fn *report, void *arg)
{
	struct edition *e = mem_zalloc(sizeof *e);
	bool good;

	e->conf = cf;
	list_init(&e->list);
	good = edition_make_pools(e, shared, report, arg);
	good = good && edition_make_store(e, shared->table, report, arg);
	good = edition_make_listeners(e, ports, check_only, report, arg) && good;
	if (good)
		return e;
	edition_free(e);
	return NULL;
}

void
edition_free(struct edition *e)
{
	if (e == NULL)
		return;
	store_shared_free(e->store);
	for (size_t i = 0; i < e->listeners; i++) {
		routes_free(e->routes[i]);
		listener_free(e->listener[i]);
	}
	free(e->routes);
	free(e->listener);
	for (size_t i = 0; i < e->pools; i++) {
		affinity_free(e->service[i].affinity);
		pool_free(e->pool[i]);
	}
	free(e->service);
	free(e->pool);
	seal_ring_free(e->ring);
	conf_free((struct conf *)(uintptr_t)e->conf);
	free(e);
}

bool
edition_listen(struct edition *e, conf_report_fn *report, void *arg)
{
	bool good = true;

	for (size_t i = 0; i < e->listeners; i++)
		good = listener_listen(e->listener[i], report, arg) && good;
	return good;
}

static struct listener *
edition_listener(const struct edition *e, const char *name)
{
	for (size_t i = 0; i < e->listeners; i++)
		if (strcmp(e->listener[i]->conf->name, name) == 0)
			return e->listener[i];
	return NULL;
}

static const struct service *
edition_service(const struct edition *e, const char *pool)
{
	for (size_t i = 0; i < e->pools; i++)
		if (strcmp(e->pool[i]->name, pool) == 0)
			return &e->service[i];
	return NULL;
}

/* Connections to the same server go on. */
static void
edition_adopt_store(struct edition *e, struct edition *before)
{
	if (e->store == NULL || before->store == NULL || !store_shared_is_same(e->store, before->store))
		return;
	store_shared_free(e->store);
	e->store = before->store;
	before->store = NULL;
	store_shared_set_pools(e->store, e->pool, e->pools);
}

void
edition_adopt(struct edition *e, struct edition *before)
{
	pool_adopt(e->pool, e->pools, before->pool, before->pools);
	for (size_t i = 0; i < e->pools; i++) {
		const struct service *s = edition_service(before, e->pool[i]->name);

		if (s != NULL)
			affinity_adopt(e->service[i].affinity, s->affinity);
	}
	pool_leave_behind(before->pool, before->pools, e->pool, e->pools);
	for (size_t i = 0; i < e->listeners; i++)
		listener_adopt(e->listener[i], edition_listener(before, e->listener[i]->conf->name));
	edition_adopt_store(e, before);
}
