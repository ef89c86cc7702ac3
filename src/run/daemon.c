/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration to things that run. */
#include "run/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

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
		const char *why;

		s->conf = cf;
		s->pool = d->pool[d->pools] = pool_new(cf, report, arg);
		if (s->pool == NULL) {
			good = false;
			continue;
		}
		s->affinity = affinity_new(cf, s->pool, &why);
		if (s->affinity == NULL) {
			char *line = mem_printf("%s:%u: [pool %s] affinity: %s", cf->place.file, cf->place.line, cf->name, why);

			report(arg, line);
			free(line);
			good = false;
		}
	}
	return good;
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

struct daemon *
daemon_prepare(const struct conf *cf, bool check_only, conf_report_fn *report, void *arg)
{
	struct daemon *d = mem_zalloc(sizeof *d);
	char *why = NULL;
	bool good;

	d->conf = cf;
	good = privilege_find(&cf->global, &d->privilege, &why);
	if (!good)
		report(arg, why);
	free(why);
	good = daemon_prepare_pools(d, report, arg) && good;
	good = daemon_prepare_listeners(d, check_only, report, arg) && good;
	if (good)
		return d;
	daemon_free(d);
	return NULL;
}

/* mkdir -p, for the directories of the user's own that may not be there yet. */
static bool
make_directory(const char *path)
{
	char *copy = mem_strdup(path);
	bool good;

	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0755);	/* what matters is the last one */
		*slash = '/';
	}
	good = mkdir(copy, 0700) == 0 || errno == EEXIST;
	free(copy);
	return good;
}

static char *
users_own_state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state != NULL && *state == '/')
		return mem_printf("%s/stickyd", state);
	if (home != NULL && *home == '/')
		return mem_printf("%s/.local/state/stickyd", home);
	return NULL;
}

/* Where the state is kept: as configured, or the default, which gives way to the user's own directory. NULL: neither
 * will do. */
static char *
state_dir_find(const struct daemon *d, char **why)
{
	const struct conf_global *cf = &d->conf->global;
	char *own;
	int saved;

	if (make_directory(cf->state_dir) && access(cf->state_dir, W_OK | X_OK) == 0)
		return mem_strdup(cf->state_dir);
	saved = errno;
	own = cf->state_dir_configured ? NULL : users_own_state_dir();
	if (own != NULL && make_directory(own) && access(own, W_OK | X_OK) == 0) {
		log_notice("state_dir: %s can't be written (%s): using %s", cf->state_dir, strerror(saved), own);
		return own;
	}
	free(own);
	*why = mem_printf("[global] state_dir: '%s' can't be written: %s", cf->state_dir, strerror(saved));
	return NULL;
}

/* The state is read and written by whom the daemon becomes. */
static bool
state_open(struct daemon *d, char **why)
{
	char *dir = state_dir_find(d, why), *key;
	bool good;

	if (dir == NULL)
		return false;
	d->ring = seal_ring_load(dir, why);
	good = d->ring != NULL;
	key = mem_printf("%s/seal.key", dir);
	if (good && d->privilege.change &&
	    (chown(dir, d->privilege.uid, d->privilege.gid) == -1 || chown(key, d->privilege.uid, d->privilege.gid) == -1)) {
		*why = mem_printf("[global] state_dir: '%s' can't be given to the user: %s", dir, strerror(errno));
		good = false;
	}
	free(key);
	free(dir);
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
	log_warn("descriptors: the limit is %zu, which holds about %zu sessions; max_connections (all listeners) asks for %zu, "
		 "which takes %zu: raise LimitNOFILE or ulimit -n, or lower max_connections",
	    limit, limit > DESCRIPTORS_OF_OUR_OWN ? (limit - DESCRIPTORS_OF_OUR_OWN) / 2 : 0,
	    (wanted - DESCRIPTORS_OF_OUR_OWN) / 2, wanted);
}

bool
daemon_open(struct daemon *d, conf_report_fn *report, void *arg)
{
	char *why = NULL;
	bool good = state_open(d, &why);

	if (good) {
		d->writer = writer_new(&d->conf->log, &why);
		good = d->writer != NULL;
	}
	if (good && d->privilege.change && !writer_chown(d->writer, d->privilege.uid, d->privilege.gid)) {
		why = mem_printf("[log]: a log file can't be given to the user: %s", strerror(errno));
		good = false;
	}
	descriptors_check(d);
	if (good && !privilege_drop(&d->privilege)) {
		why = mem_printf("[global] user: %s", strerror(errno));
		good = false;
	}
	if (!good)
		report(arg, why);
	free(why);
	return good;
}

bool
daemon_start(struct daemon *d, struct mailbox *main, mailbox_fn *on_failed_connects, mailbox_fn *on_gone, void *arg)
{
	struct worker_setup setup = { .listener = d->listener, .routes = d->routes, .listeners = d->listeners, .ring = d->ring,
		.writer = d->writer, .format = d->conf->log.format, .main = main, .on_failed_connects = on_failed_connects,
		.on_gone = on_gone, .arg = arg };
	unsigned n = d->conf->global.workers;

	d->worker = mem_zalloc(n * sizeof(struct worker *));
	for (setup.number = 0; setup.number < n; setup.number++) {
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
		worker_free(d->worker[i]);
	free(d->worker);
	d->worker = NULL;
	d->workers = 0;
}

void
daemon_free(struct daemon *d)
{
	if (d == NULL)
		return;
	daemon_end_workers(d);
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
	seal_ring_free(d->ring);
	writer_free(d->writer);
	free(d);
}
