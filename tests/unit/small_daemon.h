/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * small_daemon.h - a daemon without threads, of an INI text: pools, the table, its history, a key to seal with. Include
 * it behind cmocka.h.
 */
#ifndef TESTS_UNIT_SMALL_DAEMON_H
#define TESTS_UNIT_SMALL_DAEMON_H

#include <stdlib.h>
#include <string.h>

#include "run/daemon.h"

#define SMALL_NOW 1795365461	/* 2026-11-22T16:37:41Z */

static inline void
small_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

/* Both are the caller's: small_daemon_free(). */
static inline struct daemon *
small_daemon(const char *ini)
{
	static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
	struct conf *cf = conf_load_bytes(ini, strlen(ini), "test.ini", small_report, NULL);
	struct daemon *d;
	const char *why;
	unsigned line;

	assert_non_null(cf);
	d = daemon_prepare(cf, false, small_report, NULL);
	assert_non_null(d);
	d->edition->ring = seal_ring_parse(slice_of(key), &line, &why);
	assert_non_null(d->edition->ring);
	d->begun_s = SMALL_NOW - 3600;
	return d;
}

static inline void
small_daemon_free(struct daemon *d)
{
	daemon_free(d);
}

/* The gateway of that name in that pool. */
static inline struct gateway *
small_gateway(const struct daemon *d, size_t pool, const char *name)
{
	struct gateway *g = pool_find_name(d->edition->pool[pool], slice_of(name));

	assert_non_null(g);
	return g;
}

/* Binds a key as if a client had come with it then. */
static inline void
small_bind(const struct daemon *d, size_t pool, const char *key, uint64_t tag, uint32_t at_s)
{
	struct table_key k = table_key(d->shared.table, slice_of(d->edition->pool[pool]->name), slice_of(key));

	table_bind(d->shared.table, &k, tag, at_s, false, NULL);
}

#endif
