/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration to things that run. */
#include "run/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/iplimit.h"
#include "run/admin.h"
#include "run/state.h"
#include "store/snapshot.h"

/* Beside clients and gateways: logs, loops, listeners, checks. */
#define DESCRIPTORS_OF_OUR_OWN 64

static bool
daemon_prepare_pools(struct daemon *d, conf_report_fn *report, void *arg)
{
	bool good = true;

	d->pool = mem_zalloc((d->conf->pools + 1) * sizeof(struct pool *));
	d->service = mem_zalloc((d->conf->pools + 1) * sizeof *d->service);
	for (; d->pools < d->conf->pools; d->pools++) {
		const struct conf_pool *cf = &d->conf->pool[d->pools];
		struct service *s = &d->service[d->pools];

		s->index = (unsigned)d->pools;
		s->conf = cf;
		s->pool = d->pool[d->pools] = pool_new(cf, report, arg);
		if (s->pool == NULL) {
			good = false;
			continue;
		}
		s->affinity = affinity_new(cf, s->pool, &d->shared, report, arg);
		good = good && s->affinity != NULL;
	}
	return good;
}

/* Untouched, a table takes no memory: it is there for a check, too. */
static bool
daemon_prepare_shared(struct daemon *d, conf_report_fn *report, void *arg)
{
	const struct conf_store *cf = &d->conf->store;

	d->shared.table = table_new(cf->max_keys, (uint32_t)(cf->ttl_ms / 1000));
	d->shared.history = history_new();
	d->shared.new_keys = iplimit_new(0, cf->new_keys_per_ip);
	d->holders = holders_new();
	if (d->shared.table != NULL)
		return true;
	conf_complain(report, arg, (struct conf_place){ NULL, 0 },
	    "[store] max_keys: there is no memory for a table of %u keys", cf->max_keys);
	return false;
}

static bool
daemon_prepare_store(struct daemon *d, conf_report_fn *report, void *arg)
{
	if (d->conf->store.type == CONF_STORE_MEMORY)
		return true;
	d->store = store_shared_new(&d->conf->store, d->pool, d->pools, d->shared.table, report, arg);
	return d->store != NULL;
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
daemon_prepare_listeners(struct daemon *d, bool check_only, conf_report_fn *report, void *arg)
{
	bool good = true;

	d->listener = mem_zalloc((d->conf->listeners + 1) * sizeof(struct listener *));
	d->routes = mem_zalloc((d->conf->listeners + 1) * sizeof(struct routes *));
	for (; d->listeners < d->conf->listeners; d->listeners++) {
		const struct conf_listener *cf = &d->conf->listener[d->listeners];

		d->listener[d->listeners] =
		    listener_new(cf, d->conf->global.workers, vanish_ms(d->conf, cf), check_only, report, arg);
		d->routes[d->listeners] = routes_new(d->conf, cf, d->service);
		good = good && d->listener[d->listeners] != NULL;
	}
	return good;
}

static bool
files_check(const struct conf *cf, conf_report_fn *report, void *arg)
{
	bool good = cf->global.state_dir == NULL || state_check(&cf->global, report, arg);

	good = admin_check(&cf->admin, report, arg) && good;
	return writer_check(&cf->log, report, arg) && good;
}

struct daemon *
daemon_prepare(const struct conf *cf, bool check_only, conf_report_fn *report, void *arg)
{
	struct daemon *d = mem_zalloc(sizeof *d);
	bool good;

	d->conf = cf;
	good = privilege_find(&cf->global, &d->privilege, report, arg);
	if (check_only)
		good = files_check(cf, report, arg) && good;
	if (!daemon_prepare_shared(d, report, arg)) {
		daemon_free(d);
		return NULL;
	}
	good = daemon_prepare_pools(d, report, arg) && good;
	good = good && daemon_prepare_store(d, report, arg);
	good = daemon_prepare_listeners(d, check_only, report, arg) && good;
	if (good)
		return d;
	daemon_free(d);
	return NULL;
}

static bool
pool_check(const struct conf_pool *cf, conf_report_fn *report, void *arg)
{
	struct pool *p = pool_new(cf, report, arg);
	struct signature *secret = NULL;
	bool good = affinity_load_secret(cf, &secret, report, arg) && p != NULL;

	signature_free(secret);
	pool_free(p);
	return good;
}

static bool
listener_check(const struct conf_listener *cf, conf_report_fn *report, void *arg)
{
	struct listener *l;
	bool good;

	if (cf->tls && cf->certificates == 0)
		return false;		/* has been told */
	l = listener_new(cf, 1, 0, true, report, arg);
	good = l != NULL;
	listener_free(l);
	return good;
}

bool
daemon_check_parts(const struct conf *cf, conf_report_fn *report, void *arg)
{
	struct privilege p;
	bool good = privilege_find(&cf->global, &p, report, arg);

	good = files_check(cf, report, arg) && good;
	for (size_t i = 0; i < cf->pools; i++)
		good = pool_check(&cf->pool[i], report, arg) && good;
	for (size_t i = 0; i < cf->listeners; i++)
		good = listener_check(&cf->listener[i], report, arg) && good;
	return good;
}

/* A client in a session holds two descriptors, its own and the gateway's. */
static void
descriptors_check(const struct daemon *d)
{
	size_t limit = privilege_raise_descriptors(), wanted = DESCRIPTORS_OF_OUR_OWN;

	for (size_t i = 0; i < d->listeners; i++)
		wanted += 2 * (size_t)d->conf->listener[i].max_connections;
	if (limit >= wanted)
		return;
	log_warn("descriptors: the limit is %zu, which holds about %zu sessions; max_connections (all listeners) "
		 "asks for %zu, which takes %zu: raise LimitNOFILE or ulimit -n, or lower max_connections",
	    limit, limit > DESCRIPTORS_OF_OUR_OWN ? (limit - DESCRIPTORS_OF_OUR_OWN) / 2 : 0,
	    (wanted - DESCRIPTORS_OF_OUR_OWN) / 2, wanted);
}

static bool
uses_table_alone(const struct conf *cf)
{
	return cf->store.type == CONF_STORE_MEMORY;
}

/* As the user that we have become: nothing in the directory may be another's. With a shared store it is that which
 * remembers. */
static void
daemon_restore(struct daemon *d)
{
	d->begun_s = clock_wall_us() / 1000000;
	if (uses_table_alone(d->conf))
		snapshot_load(d->state_dir, d->shared.table, (uint32_t)d->begun_s);
}

static void
daemon_warn_of_source(const struct daemon *d)
{
	for (size_t i = 0; i < d->conf->pools; i++) {
		const struct conf_pool *cf = &d->conf->pool[i];

		for (size_t k = 0; k < cf->selectors; k++)
			if (cf->selector[k].kind == CONF_SELECTOR_SOURCE)
				log_warn("pool %s: affinity: %s breaks when a client changes its network, as a phone "
					 "does between Wi-Fi and 4G", cf->name, cf->selector[k].text);
	}
}

bool
daemon_open(struct daemon *d, conf_report_fn *report, void *arg)
{
	const struct privilege *p = &d->privilege;

	d->state_dir = state_open(&d->conf->global, p, &d->ring, report, arg);
	d->writer = writer_new(&d->conf->log, report, arg);
	d->admin = admin_open(d->conf, p, report, arg);
	if (d->state_dir == NULL || d->writer == NULL || d->admin == NULL)
		return false;
	descriptors_check(d);
	if (p->change && !writer_chown(d->writer, p->uid, p->gid)) {
		conf_complain(report, arg, d->conf->global.user_place,
		    "[log]: a log file can't be given to the user: %s", strerror(errno));
		return false;
	}
	if (privilege_drop(p)) {
		daemon_restore(d);
		return true;
	}
	conf_complain(report, arg, d->conf->global.user_place, "[global] user: %s", strerror(errno));
	return false;
}

bool
daemon_start(struct daemon *d, struct mailbox *main, mailbox_fn *on_failed_connects, mailbox_fn *on_gone, void *arg)
{
	struct worker_setup setup = {
		.listener = d->listener, .routes = d->routes, .listeners = d->listeners,
		.proxy = { .ring = d->ring, .store = d->store, .holders = d->holders, .service = d->service,
		    .services = d->pools },
		.writer = d->writer, .format = d->conf->log.format,
		.main = main, .on_failed_connects = on_failed_connects, .on_gone = on_gone, .arg = arg,
	};
	unsigned n = d->conf->global.workers;

	daemon_warn_of_source(d);
	d->worker = mem_zalloc(n * sizeof(struct worker *));
	setup.worker = d->worker;
	for (setup.proxy.number = 0; setup.proxy.number < n; setup.proxy.number++) {
		struct worker *w = worker_new(&setup);

		if (w == NULL)
			return false;
		d->worker[d->workers++] = w;
	}
	for (size_t i = 0; i < d->listeners; i++)
		if (!listener_listen(d->listener[i]))
			return false;
	for (unsigned i = 0; i < n; i++)
		if (!worker_start(d->worker[i]))
			return false;
	return true;
}

void
daemon_end_workers(struct daemon *d)
{
	for (unsigned i = 0; i < d->workers; i++)
		worker_join(d->worker[i]);
	for (unsigned i = 0; i < d->workers; i++)
		worker_free(d->worker[i]);
	free(d->worker);
	d->worker = NULL;
	d->workers = 0;
}

bool
daemon_begin_snapshots(struct daemon *d)
{
	if (!uses_table_alone(d->conf))
		return true;
	d->snapshot = snapshot_begin(d->state_dir, d->shared.table, d->conf->store.snapshot_ms);
	return d->snapshot != NULL;
}

void
daemon_free(struct daemon *d)
{
	if (d == NULL)
		return;
	daemon_end_workers(d);
	snapshot_end(d->snapshot);
	admin_free(d->admin);
	store_shared_free(d->store);
	for (size_t i = 0; i < d->listeners; i++) {
		routes_free(d->routes[i]);
		listener_free(d->listener[i]);
	}
	free(d->routes);
	free(d->listener);
	for (size_t i = 0; i < d->pools; i++) {
		affinity_free(d->service[i].affinity);
		pool_free(d->pool[i]);
	}
	free(d->service);
	free(d->pool);
	holders_free(d->holders);
	iplimit_free(d->shared.new_keys);
	history_free(d->shared.history);
	table_free(d->shared.table);
	seal_ring_free(d->ring);
	free(d->state_dir);
	writer_free(d->writer);
	free(d);
}
