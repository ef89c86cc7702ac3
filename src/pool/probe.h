/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - one look at a gateway: a connect, TLS where the pool asks for it, and for a check by HTTP or WebSocket a
 * request and its answer's head.
 *
 * Lives on the main thread's loop, one for each gateway, used again for each look. What it finds is told once,
 * from the loop and never from within probe_start. A handshake of TLS is a whole one each time, so that a certificate
 * that has expired is seen. OpenSSL writes to the socket itself, so SIGPIPE must be ignored.
 */
#ifndef POOL_PROBE_H
#define POOL_PROBE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "pool/pool.h"
#include "ws/frame.h"

enum probe_result {
	PROBE_GOOD,
	PROBE_BAD,
	PROBE_VOID,		/* our own trouble (no descriptor, no memory): it says nothing about the gateway */
};

enum probe_state {
	PROBE_IDLE,
	PROBE_FAILED_AT_ONCE,
	PROBE_CONNECTING,
	PROBE_SHAKING,		/* hands, by TLS */
	PROBE_SENDING,
	PROBE_READING,
	PROBE_CLOSING,		/* a WebSocket that is good: its close frame goes out, and the gateway closes */
};

struct probe;
/* why: what is good or bad, for a log line; valid during the call. The probe may be started again. */
typedef void probe_fn(struct probe *p, enum probe_result result, const char *why);

struct probe {
	uint32_t magic;
	const struct conf_pool *conf;
	struct tls_client *tls;		/* referenced; NULL: plain */
	struct addr addr;
	const char *address;		/* the same as it was written: whose certificate it must be */
	probe_fn *done;			/* the owner's; found by CONTAINER() */
	enum probe_state state;
	int fd;
	SSL *ssl;
	struct event_base *base;
	struct event socket, timer;
	char *request;			/* NULL: the connect is all */
	char *key;			/* in it, where it is a WebSocket's */
	const char *out;		/* what is being sent: the request, then of a WebSocket its close frame */
	size_t out_bytes, sent;
	char closing[FRAME_CONTROL_MAX];
	char *answer;			/* while reading */
	size_t got;
	short watched;			/* EV_READ or EV_WRITE */
	int error;			/* errno of what failed; -1: TLS, then */
	unsigned long tls_error;	/* OpenSSL's code */
	uint64_t begun_us;
	unsigned took_us;		/* until it was seen what the result is */
	bool asks_drain;		/* with PROBE_GOOD: the answer said X-Stickyd-State: drain */
};

/* The pool's gateway with that index, as the pool's configuration says, which must outlive the probe. */
void probe_init(struct probe *p, struct event_base *base, const struct pool *pool, unsigned index, probe_fn *done);
void probe_fini(struct probe *p);		/* ends a look under way, telling nobody */
void probe_start(struct probe *p);		/* only when none is under way */

#endif
