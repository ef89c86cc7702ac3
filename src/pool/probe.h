/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - one look at a gateway: a connect and, for an HTTP check, a request and its answer's head.
 *
 * Lives on the main thread's loop, one for each gateway, used again for each look. What it finds is told once,
 * from the loop and never from within probe_start.
 */
#ifndef POOL_PROBE_H
#define POOL_PROBE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "conf/conf.h"
#include "net/addr.h"

enum probe_result {
	PROBE_GOOD,
	PROBE_BAD,
	PROBE_VOID,		/* our own trouble (no descriptor, no memory): it says nothing about the gateway */
};

enum probe_state { PROBE_IDLE, PROBE_FAILED_AT_ONCE, PROBE_CONNECTING, PROBE_SENDING, PROBE_READING };

struct probe;
/* why: what is bad, for a log line; valid during the call. The probe may be started again. */
typedef void probe_fn(struct probe *p, enum probe_result result, const char *why);

struct probe {
	uint32_t magic;
	const struct conf_pool *conf;
	struct addr addr;
	probe_fn *done;			/* the owner's; found by CONTAINER() */
	enum probe_state state;
	int fd;
	struct event_base *base;
	struct event socket, timer;
	char *request;			/* NULL: the connect is all */
	size_t request_bytes, sent;
	char *answer;			/* while reading */
	size_t got;
	int error;			/* errno, with PROBE_FAILED_AT_ONCE */
};

/* host: for the request's Host field. cf must outlive the probe. */
void probe_init(struct probe *p, struct event_base *base, const struct conf_pool *cf, const struct addr *addr,
    const char *host, probe_fn *done);
void probe_fini(struct probe *p);		/* ends a look under way, telling nobody */
void probe_start(struct probe *p);		/* only when none is under way */

#endif
