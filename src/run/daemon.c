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
#include "net/pipe.h"
#include "run/admin.h"
#include "run/events.h"
#include "run/state.h"
#include "store/snapshot.h"

/* Beside clients and gateways: logs, loops, listeners, checks. */
#define DESCRIPTORS_OF_OUR_OWN 64

/* Untouched, a table takes no memory: it is there for a check, too. */
static bool
daemon_prepare_shared(struct daemon *d, const struct conf_store *cf, conf_report_fn *report, void *arg)
{
	d->shared.table = table_new(cf->max_keys, (uint32_t)(cf->ttl_ms / 1000));
	d->shared.history = history_new();
	d->shared.moved = moved_new();
	d->shared.new_keys = iplimit_new(0, cf->new_keys_per_ip);
	d->holders = holders_new();
	if (d->shared.table != NULL)
		return true;
	conf_complain(report, arg, (struct conf_place){ NULL, 0 },
	    "[store] max_keys: there is no memory for a table of %u keys", cf->max_keys);
	return false;
}

static bool
files_check(const struct conf *cf, conf_report_fn *report, void *arg)
{
	bool good = cf->global.state_dir == NULL || state_check(&cf->global, report, arg);

	good = admin_check(&cf->admin, report, arg) && good;
	return writer_check(&cf->log, report, arg) && good;
}

struct daemon *
daemon_prepare(struct conf *cf, bool check_only, conf_report_fn *report, void *arg)
{
	struct daemon *d = mem_zalloc(sizeof *d);
	bool good;

	list_init(&d->editions);
	if (!check_only) {
		events_start();
		d->ports.inherited = d->inherited = heirlooms_new();
	}
	good = privilege_find(&cf->global, &d->privilege, report, arg);
	if (check_only)
		good = files_check(cf, report, arg) && good;
	if (!daemon_prepare_shared(d, &cf->store, report, arg)) {
		conf_free(cf);
		daemon_free(d);
		return NULL;
	}
	d->edition = edition_new(cf, &d->shared, &d->ports, check_only, report, arg);
	if (d->edition != NULL)
		list_add_tail(&d->editions, &d->edition->list);
	if (good && d->edition != NULL)
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
	l = listener_new(cf, 1, 0, NULL, true, report, arg);
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

/* A client in a session holds two descriptors, its own and the gateway's. A worker's pipes are lent to those who are
 * slow. */
static void
descriptors_check(const struct daemon *d)
{
	size_t limit = privilege_raise_descriptors();
	size_t own = DESCRIPTORS_OF_OUR_OWN + 2 * PIPES_MOST * (size_t)d->edition->conf->global.workers, wanted = own;

	for (size_t i = 0; i < d->edition->listeners; i++)
		wanted += 2 * (size_t)d->edition->conf->listener[i].max_connections;
	if (limit >= wanted)
		return;
	log_warn("descriptors: the limit is %zu, which holds about %zu sessions; max_connections (all listeners) "
		 "asks for %zu, which takes %zu: raise LimitNOFILE or ulimit -n, or lower max_connections",
	    limit, limit > own ? (limit - own) / 2 : 0, (wanted - own) / 2, wanted);
}

static bool
uses_table_alone(const struct conf *cf)
{
	return cf->store.type == CONF_STORE_MEMORY;
}

/* As the user that we have become: nothing in the directory may be another's. With a shared store it is that which
 * remembers. */
static void
daemon_restore(struct daemon *d, bool inherits)
{
	d->begun_s = clock_wall_us() / 1000000;
	if (!inherits && uses_table_alone(d->edition->conf))
		snapshot_load(d->state_dir, d->shared.table, (uint32_t)d->begun_s);
}

static void
daemon_warn_of_source(const struct daemon *d)
{
	for (size_t i = 0; i < d->edition->conf->pools; i++) {
		const struct conf_pool *cf = &d->edition->conf->pool[i];

		for (size_t k = 0; k < cf->selectors; k++)
			if (cf->selector[k].kind == CONF_SELECTOR_SOURCE)
				log_warn("pool %s: affinity: %s breaks when a client changes its network, as a phone "
					 "does between Wi-Fi and 4G", cf->name, cf->selector[k].text);
	}
}

bool
daemon_open(struct daemon *d, bool inherits, conf_report_fn *report, void *arg)
{
	const struct privilege *p = &d->privilege;

	d->state_dir = state_open(&d->edition->conf->global, p, &d->edition->ring, report, arg);
	d->writer = writer_new(&d->edition->conf->log, report, arg);
	d->admin = admin_open(d->edition->conf, p, d->inherited, report, arg);
	if (d->state_dir == NULL || d->writer == NULL || d->admin == NULL)
		return false;
	heirlooms_free(d->inherited);
	d->inherited = d->ports.inherited = NULL;
	descriptors_check(d);
	if (p->change && !writer_chown(d->writer, p->uid, p->gid)) {
		conf_complain(report, arg, d->edition->conf->global.user_place,
		    "[log]: a log file can't be given to the user: %s", strerror(errno));
		return false;
	}
	if (privilege_drop(p)) {
		daemon_restore(d, inherits);
		return true;
	}
	conf_complain(report, arg, d->edition->conf->global.user_place, "[global] user: %s", strerror(errno));
	return false;
}

/* An edition is over when it is not in force any more and nobody is left in it. */
static void
daemon_let_go(struct daemon *d, struct edition *e)
{
	if (e == d->edition || e->scenes != 0)
		return;
	list_remove(&e->list);
	edition_free(e);
}

static void
on_left(void *arg, struct edition *e)
{
	e->scenes--;
	daemon_let_go(arg, e);
}

static void
daemon_prepare_scenes(struct daemon *d)
{
	for (unsigned i = 0; i < d->workers; i++) {
		must(worker_prepare(d->worker[i], d->edition));		/* only memory can fail */
		d->edition->scenes++;
	}
}

void
daemon_show(struct daemon *d)
{
	for (unsigned i = 0; i < d->workers; i++)
		worker_show(d->worker[i]);
}

bool
daemon_start(struct daemon *d, struct mailbox *main, const struct worker_events *events, conf_report_fn *report,
    void *arg)
{
	struct worker_setup setup = {
		.proxy = { .holders = d->holders }, .writer = d->writer, .main = main, .events = *events,
	};
	unsigned n = d->edition->conf->global.workers;

	daemon_warn_of_source(d);
	setup.events.on_left = on_left;
	setup.events.left_arg = d;
	d->worker = mem_zalloc(n * sizeof(struct worker *));
	setup.worker = d->worker;
	for (setup.proxy.number = 0; setup.proxy.number < n; setup.proxy.number++) {
		struct worker *w = worker_new(&setup);

		if (w == NULL)
			return false;
		d->worker[d->workers++] = w;
	}
	daemon_prepare_scenes(d);
	if (!edition_listen(d->edition, report, arg))
		return false;
	daemon_show(d);
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

/* ---- what others take over ---- */

void
daemon_offer_ports(struct daemon *d)
{
	port_source_fini(&d->ports);
	d->ports = (struct port_source){ .inherited = NULL };
	for (size_t i = 0; i < d->edition->listeners; i++)
		listener_offer_ports(d->edition->listener[i], &d->ports);
}

void
daemon_bequeath(const struct daemon *d, struct bequest *to)
{
	for (size_t i = 0; i < d->edition->listeners; i++)
		for (size_t k = 0; k < d->edition->listener[i]->ports; k++)
			port_bequeath(d->edition->listener[i]->port[k], to);
	admin_bequeath(d->admin, to);
}

void
daemon_hand_over(struct daemon *d)
{
	snapshot_drop(d->snapshot);
	admin_hand_over(d->admin);
}

/* ---- reload ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The keys are read again, since that is how they are changed. */
static char *
daemon_prepare_state(const struct daemon *d, const struct conf *cf, struct seal_ring **ring, conf_report_fn *report,
    void *arg)
{
	static const struct privilege stay = { .change = false };
	char *why = NULL;

	if (!same_text(cf->global.state_dir, d->edition->conf->global.state_dir))
		return state_open(&cf->global, &stay, ring, report, arg);
	*ring = seal_ring_load(d->state_dir, &why);
	if (*ring != NULL)
		return mem_strdup(d->state_dir);
	conf_complain(report, arg, cf->global.state_dir_place, "[global] state_dir: %s", why);
	free(why);
	return NULL;
}

bool
daemon_prepare_change(struct daemon *d, struct conf *cf, struct daemon_change *change, conf_report_fn *report,
    void *arg)
{
	struct seal_ring *ring = NULL;
	bool good;

	*change = (struct daemon_change){ .state_dir = daemon_prepare_state(d, cf, &ring, report, arg) };
	change->writer = writer_prepare(d->writer, &cf->log, report, arg);
	change->admin = admin_prepare(d->admin, cf, report, arg);
	good = change->state_dir != NULL && change->writer != NULL && change->admin != NULL;
	change->edition = edition_new(cf, &d->shared, &d->ports, false, report, arg);
	if (change->edition != NULL)
		change->edition->ring = ring;
	else
		seal_ring_free(ring);
	if (good && change->edition != NULL && edition_listen(change->edition, report, arg))
		return true;
	daemon_drop_change(change);
	return false;
}

void
daemon_drop_change(struct daemon_change *change)
{
	edition_free(change->edition);
	writer_discard(change->writer);
	admin_discard(change->admin);
	free(change->state_dir);
	*change = (struct daemon_change){ .edition = NULL };
}

static void
daemon_adopt_snapshots(struct daemon *d)
{
	if (!uses_table_alone(d->edition->conf))
		snapshot_drop(d->snapshot);
	else if (d->snapshot != NULL)
		snapshot_change(d->snapshot, d->state_dir, d->edition->conf->store.snapshot_ms);
	else if (!daemon_begin_snapshots(d))
		log_error("the writer of snapshots can't be started: %s", strerror(errno));
}

bool
daemon_settle(struct daemon *d)
{
	const struct conf_store *cf = &d->edition->conf->store;

	return table_resize(d->shared.table, cf->max_keys, (uint32_t)(cf->ttl_ms / 1000));
}

void
daemon_adopt(struct daemon *d, struct daemon_change *change)
{
	struct edition *before = d->edition, *e = change->edition;

	edition_adopt(e, before);
	writer_commit(d->writer, change->writer);
	admin_commit(d->admin, change->admin);
	if (!d->verbose)
		log_set_level((enum log_level)e->conf->log.level);
	d->edition = e;
	list_add_tail(&d->editions, &e->list);
	free(d->state_dir);
	d->state_dir = change->state_dir;
	daemon_adopt_snapshots(d);
	iplimit_set(d->shared.new_keys, 0, e->conf->store.new_keys_per_ip);
	daemon_prepare_scenes(d);
	*change = (struct daemon_change){ .edition = NULL };
}

bool
daemon_begin_snapshots(struct daemon *d)
{
	if (!uses_table_alone(d->edition->conf))
		return true;
	d->snapshot = snapshot_begin(d->state_dir, d->shared.table, d->edition->conf->store.snapshot_ms);
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
	LIST_EACH (at, after, &d->editions)
		edition_free(LIST_ENTRY_OF(at, struct edition, list));
	holders_free(d->holders);
	iplimit_free(d->shared.new_keys);
	history_free(d->shared.history);
	moved_free(d->shared.moved);
	table_free(d->shared.table);
	free(d->state_dir);
	writer_free(d->writer);
	port_source_fini(&d->ports);
	heirlooms_free(d->inherited);
	events_stop();
	free(d);
}
