/* SPDX-License-Identifier: BSD-2-Clause */
/* Affinity's verdicts, and what an exchange does about each. */
#include "proxy/placement.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "proxy/request.h"

static void on_store_answer(struct store_ask *ask, const struct store_answer *answer);

static struct affinity_request
placement_request(struct exchange *x, const struct store_answer *answer)
{
	return (struct affinity_request){
		.head = &x->head,
		.client = &x->addr,
		.tried = &x->tried,
		.session = x->upgrade,
		.waited = x->wait.over,
		.newcomer = x->newcomer,
		.again = x->chosen || x->wait.by_ms != 0,
		.now_s = clock_wall_s(),
		.answer = answer,
		.ask = &x->ask,
		.on_answer = on_store_answer,
	};
}

static const struct tally_view *
placement_tally(const struct exchange *x)
{
	return &x->scene->tally[x->service->index];
}

/* Each request once: by what was said of it first. */
static void
placement_note(struct exchange *x)
{
	const struct tally_view *v = placement_tally(x);

	if (x->chosen)
		return;
	x->chosen = true;
	x->newcomer = x->choice.outcome == AFFINITY_NEW || x->choice.outcome == AFFINITY_INVALID;
	counter_add(&v->row[x->choice.decided_by]->outcome[x->choice.outcome], 1);
	if (x->choice.bare)
		counter_add(&v->tally->bare, 1);
	if (x->wait.by_ms != 0)
		counter_add(&v->tally->waited, 1);
}

static void
placement_say_invalid(const struct exchange *x)
{
	char text[ADDR_TEXT];

	if (x->choice.outcome == AFFINITY_INVALID)
		log_info("pool %s: what %s shows is not believed: %s (request %.*s)", x->service->conf->name,
		    addr_text(&x->addr, text), x->choice.because, SLICE_FMT(x->request_id));
}

/* Nobody can take it. tried: the answer of the last one that was is the truest. */
static enum end_reason
placement_refusal(const struct exchange *x)
{
	if (strcmp(x->choice.because, "full") == 0)
		return END_GATEWAY_FULL;
	if (x->choice.home != NULL || x->wait.over)
		return END_GATEWAY_DOWN;
	return x->tried.n != 0 ? END_GATEWAY_CONNECT : END_NO_GATEWAY;
}

static void
placement_act(struct exchange *x, enum affinity_verdict verdict)
{
	switch (verdict) {
	case AFFINITY_GO:
		queue_leave(x);
		placement_note(x);
		placement_say_invalid(x);
		request_connect(x);
		break;
	case AFFINITY_ASKED:
		x->state = EXCHANGE_ASKING;
		break;
	case AFFINITY_WAIT:
		x->state = EXCHANGE_QUEUED;
		queue_add(&x->proxy->queue, x, x->choice.wait_ms);
		break;
	case AFFINITY_REFUSE:
		placement_note(x);
		exchange_fail(x, placement_refusal(x));
		break;
	}
}

static void
on_store_answer(struct store_ask *ask, const struct store_answer *answer)
{
	struct exchange *x = CONTAINER(ask, struct exchange, ask);
	struct affinity_request rq = placement_request(x, answer);

	must(x->state == EXCHANGE_ASKING);
	placement_act(x, affinity_choose(x->service->affinity, &x->scene->tools, &rq, &x->choice));
}

void
placement_find(struct exchange *x)
{
	struct affinity_request rq = placement_request(x, NULL);

	placement_act(x, affinity_choose(x->service->affinity, &x->scene->tools, &rq, &x->choice));
}

static bool
may_try_another(const struct exchange *x)
{
	return x->retries != x->service->conf->retries && x->tried.n != COUNT(x->tried.gateway);
}

/* on_down = wait: its own gateway is waited for, which is no further try. */
static bool
placement_can_wait(const struct exchange *x)
{
	return x->choice.outcome == AFFINITY_HIT && x->service->conf->on_down.kind == CONF_POLICY_WAIT &&
	    !x->wait.over && x->tried.n != COUNT(x->tried.gateway);
}

static void
placement_leave(struct exchange *x)
{
	link_close(x->link);
	x->link = NULL;
	x->tried.gateway[x->tried.n++] = x->choice.gateway;	/* the pool keeps it alive */
	affinity_release(&x->choice);
}

static void
placement_count_retry(struct exchange *x)
{
	x->retries++;
	counter_add(&placement_tally(x)->tally->retries, 1);
}

static void
placement_note_failure(struct exchange *x, enum gateway_failure what)
{
	if (gateway_note_failure(x->choice.gateway, what))
		x->proxy->on_failed_connects(x->proxy->arg);
}

/* What the gateway itself makes of a request (500, 503) says nothing against it: anybody may ask for that. */
static bool
is_bad_gateway(unsigned status)
{
	return status == 502 || status == 504;
}

void
placement_note_end(struct exchange *x, enum end_reason why)
{
	bool counted = why == END_GATEWAY_CONNECT || why == END_GATEWAY_TIMEOUT;

	if (x->choice.gateway == NULL || counted)
		return;
	if (why == END_DONE && !is_bad_gateway(x->status))
		gateway_note_ok(x->choice.gateway);
	else if (why == END_DONE || end_info(why)->whose == END_BY_GATEWAY)
		placement_note_failure(x, GATEWAY_ANSWER_FAILED);
}

void
placement_connect_failed(struct exchange *x, enum end_reason why)
{
	struct gateway *g = x->choice.gateway;
	bool waits = placement_can_wait(x);
	char detail[128];

	log_info("pool %s: gateway %s: connect failed: %s (request %.*s)", x->service->conf->name, gateway_name(g),
	    why == END_GATEWAY_TIMEOUT ? "no answer in time"
	    : x->link != NULL          ? stream_why(&x->link->stream, detail, sizeof detail)
	                               : strerror(errno),
	    SLICE_FMT(x->request_id));
	placement_note_failure(x, GATEWAY_CONNECT_FAILED);
	if (!waits && !may_try_another(x)) {
		exchange_fail(x, why);
		return;
	}
	placement_leave(x);
	if (!waits)
		placement_count_retry(x);
	placement_find(x);
}

bool
placement_try_another(struct exchange *x, unsigned status)
{
	static const struct store_answer silent = { .outcome = STORE_SILENT };	/* who has to go on now asks nobody */
	struct affinity_request rq = placement_request(x, &silent);
	struct affinity_choice next = { .gateway = NULL };
	enum affinity_verdict verdict;

	if (!may_try_another(x))
		return false;
	x->tried.gateway[x->tried.n++] = x->choice.gateway;
	verdict = affinity_choose(x->service->affinity, &x->scene->tools, &rq, &next);
	if (verdict == AFFINITY_REFUSE) {
		x->tried.n--;
		return false;
	}
	log_info("pool %s: gateway %s: no session there, another is tried (request %.*s)", x->service->conf->name,
	    gateway_name(x->choice.gateway), SLICE_FMT(x->request_id));
	if (status == 0 || is_bad_gateway(status))
		placement_note_failure(x, GATEWAY_ANSWER_FAILED);
	link_close(x->link);
	x->link = NULL;
	affinity_release(&x->choice);
	x->choice = next;
	placement_count_retry(x);
	placement_act(x, verdict);
	return true;
}

void
placement_settle(struct exchange *x, const struct head *answer)
{
	struct affinity_request rq = placement_request(x, NULL);

	affinity_settle(x->service->affinity, &x->scene->tools, &rq, &x->choice, answer);
}

void
placement_know_client(struct exchange *x, struct slice issued)
{
	struct affinity_request rq = placement_request(x, NULL);

	affinity_client_fini(&x->known);
	affinity_know_client(x->service->affinity, &x->scene->tools, &rq, &x->choice, affinity_issued(issued),
	    &x->known);
}
