/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange.h - one request and its response.
 *
 * It is there from a request's first byte until its response has been handed to the client's stream: gathers the
 * head, asks for the route and the gateway, tries others where one cannot be reached, passes both bodies on, and at
 * last hands out its record. The head's slices point into the intake, which lives as long as the exchange.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "proxy/client.h"
#include "proxy/flow.h"
#include "proxy/intake.h"

enum exchange_state {
	EXCHANGE_HEAD,		/* gathering the request's head */
	EXCHANGE_ASKING,	/* a shared store is asked where it belongs */
	EXCHANGE_QUEUED,	/* its gateway can't take it yet (queue.h) */
	EXCHANGE_CONNECTING,	/* to a gateway */
	EXCHANGE_WAITING,	/* the request's head has gone out; the response's is to come */
	EXCHANGE_RESPONDING,	/* the response's head has gone out */
	EXCHANGE_OVER,
};

/* Waiting for a gateway. */
struct exchange_wait {
	struct list link;		/* of the proxy's queue */
	uint64_t by_ms;			/* 0: it has not waited */
	uint64_t retry_ms;
	bool over;			/* it has waited long enough: any gateway will do */
};

struct exchange {
	uint32_t magic;
	enum exchange_state state;
	struct client *client;
	struct proxy *proxy;
	struct reap reap;

	char *body_in;			/* a chunked body is read into it; NULL: none has to be */
	struct slice rest;		/* read beyond the head, later beyond the body; in the intake or body_in */

	struct scene *scene;		/* NULL: it has not begun */
	const struct service *service;	/* of the scene */
	struct affinity_choice choice;	/* its gateway is ours to give back */
	bool chosen;			/* affinity was asked */
	bool newcomer;			/* and did not know it */
	struct pool_tried tried;
	struct store_ask ask;		/* while EXCHANGE_ASKING */
	struct exchange_wait wait;
	struct link *link;
	bool upgrade;			/* to WebSocket, well-formed */
	struct addr addr;		/* the believed client's */

	struct flow up, down;		/* the request's body, the response's */
	char *trailer_up, *trailer_down;
	bool up_dead;			/* the gateway takes no more of it; its answer may still come */

	struct h1 response_h1;
	char *response_in;		/* a response's head that came in pieces */
	size_t response_n;

	bool keep_client, keep_link;
	bool fresh;			/* no idle link any more: one has failed us */
	uint64_t begun_ms, begun_us, connected_us, responded_us;
	uint64_t connect_by_ms;
	uint64_t moved_ms;		/* when anything last moved */
	unsigned retries;
	unsigned status;
	struct affinity_client known;	/* of a session to be: by what its client is known */
	uint64_t head_in_bytes, head_out_bytes;
	struct slice request_id;
	char id[PROXY_REQUEST_ID];

	/* The big ones, behind what is cleared at the beginning. */
	struct intake intake;
	struct head head;		/* of the request */
};

/* rest: what was read already. NULL: out of memory. */
struct exchange *exchange_new(struct client *c, struct slice rest) MUST_CHECK;
/* Gives everything back without a record: nothing had come. */
void exchange_drop(struct exchange *x);
/* Reads on; with INTAKE_DONE exchange_begin() is due, with INTAKE_REFUSED exchange_fail() for *why. */
enum intake_result exchange_read_head(struct exchange *x, enum end_reason *why) MUST_CHECK;
void exchange_begin(struct exchange *x);
/* The client's stream has something to say while the exchange is served. */
void exchange_client_ready(struct exchange *x, unsigned what);
/* The client's timer fired: acts on what is overdue, or sets it anew. */
void exchange_timer(struct exchange *x, uint64_t now_ms);
/* Answers with the reason's status where an answer is still possible, else cuts off; records. */
void exchange_fail(struct exchange *x, enum end_reason why);
/* The process stops: a handshake that is under way is refused; other requests are finished. */
void exchange_stop(struct exchange *x);
/* No answer, no delay: records, and ends the client too. */
void exchange_abort(struct exchange *x, enum end_reason why);
/* The link and the gateway's place go over to a session. */
struct link *exchange_take_link(struct exchange *x) MUST_CHECK;
/* Fills in what is known of the request and the choice, at now_us of clock_exact_us(). */
void exchange_describe(const struct exchange *x, uint64_t now_us, struct record *r);

/* For its two halves, request.h and response.h. */

/* It has come to its end, or become a session, at now_us of clock_exact_us(): for metrics. */
void exchange_count(const struct exchange *x, uint64_t now_us, enum end_reason why);

/* Both bodies are through. */
void exchange_finish(struct exchange *x);
/* May the client's connection go on after the response? */
bool exchange_can_keep(const struct exchange *x) MUST_CHECK;
/* Who is waited for has changed. */
void exchange_next_timer(struct exchange *x);
/* The link's callback. */
void exchange_gateway_ready(struct stream *s, unsigned what);

#endif
