/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - what one request or one session leaves behind when it has ended: the facts of its access-log line.
 *
 * A value whose slices are borrowed for the call that hands it over.
 */
#ifndef PROXY_RECORD_H
#define PROXY_RECORD_H

#include "net/addr.h"
#include "proxy/end.h"

enum record_kind { RECORD_REQUEST, RECORD_SESSION };

struct record {
	enum record_kind kind;
	uint64_t at_us;			/* when it began, the calendar's */
	struct addr client;		/* by PROXY or a trusted X-Forwarded-For, else the peer's */
	struct addr peer;		/* who is connected to us */
	const char *listener;
	const char *pool, *gateway;	/* "-" where none was chosen */
	const char *how;		/* affinity_how(), "-" where none was chosen */
	const char *because;		/* affinity_choice's; "" where nothing is to say */
	bool tls;
	struct slice method, host, target;	/* may be empty: no request was understood */
	unsigned minor;
	struct slice referer, user_agent;
	struct slice request_id;
	unsigned status;		/* 0: no answer was given */
	uint64_t bytes_in, bytes_out;	/* from and to the client: heads and bodies, or frames; no chunk sizes */
	uint64_t messages_in, messages_out;	/* of a session */
	uint64_t queue_us;		/* until a gateway was connected */
	uint64_t response_us;		/* from there until its head; 0: none came */
	uint64_t total_us;
	unsigned retries;
	unsigned close_code;		/* of a session; 0: none was seen */
	enum end_reason why;
	enum end_whose whose;		/* who ended it: the reason's, but for END_DONE and the like of a session */
};

#endif
