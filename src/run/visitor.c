/* SPDX-License-Identifier: BSD-2-Clause */
/* A state for each thing that is waited for: a request, our answer, its way out, the other side's goodbye. */
#include "run/visitor.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "http/h1.h"

#define VISITOR_MAGIC 0x71517012
/* What came behind our last answer is read for so long: unread, it would turn the close into a reset, and the answer
 * might be lost. */
#define LINGER_S 2
#define DATE_TEXT 30		/* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

enum visitor_state {
	VISITOR_READING,
	VISITOR_WAITING,	/* for the owner's answer */
	VISITOR_WRITING,
	VISITOR_LINGERING,
};

struct visitor {
	uint32_t magic;
	enum visitor_state state;
	struct list list;
	struct visitor_events events;
	struct bufferevent *bev;
	struct event timer;
	struct h1 h1;
	bool last;			/* nothing is read behind the answer */
	bool no_body;			/* the answer is to HEAD */
	bool continued;			/* it was told to send its body */
};

static void
visitor_wait(struct visitor *v, unsigned s)
{
	struct timeval patience = { .tv_sec = s };

	must(event_add(&v->timer, &patience) == 0);
}

static void
visitor_listen(struct visitor *v)
{
	v->state = VISITOR_READING;
	v->continued = false;
	h1_init(&v->h1, H1_REQUEST, VISITOR_HEAD_MAX);
	visitor_wait(v, VISITOR_PATIENCE_S);
	must(bufferevent_enable(v->bev, EV_READ) == 0);
}

static void
visitor_linger(struct visitor *v)
{
	struct evbuffer *in = bufferevent_get_input(v->bev);

	v->state = VISITOR_LINGERING;
	evbuffer_drain(in, evbuffer_get_length(in));
	shutdown(bufferevent_getfd(v->bev), SHUT_WR);
	visitor_wait(v, LINGER_S);
	must(bufferevent_enable(v->bev, EV_READ) == 0);
}

/* ---- a request ---- */

/* What can't be understood is answered, and nothing behind it is. */
static void
visitor_refuse(struct visitor *v, unsigned status)
{
	char *body = mem_printf("{\n  \"error\": \"%s\"\n}\n", v->h1.why != NULL ? v->h1.why : h1_reason(status));

	v->last = true;
	v->no_body = false;
	visitor_answer(v, &(struct visitor_answer){ .status = status, .fields = "Content-Type: application/json\r\n",
	    .body = body, .bytes = strlen(body) });
	free(body);
}

/* Is the body there, of which nothing is wanted? It is dropped together with the head. */
static bool
visitor_has_body(struct visitor *v, const struct head *head, size_t bytes)
{
	if (head->framing == FRAMING_NONE || bytes - v->h1.head_bytes >= head->content_length)
		return true;
	if (head->expect_continue && !v->continued) {
		v->continued = true;
		must(evbuffer_add_printf(bufferevent_get_output(v->bev), "HTTP/1.1 100 Continue\r\n\r\n") > 0);
	}
	h1_init(&v->h1, H1_REQUEST, VISITOR_HEAD_MAX);	/* it is read again with the rest */
	return false;
}

static void
visitor_ask(struct visitor *v, const struct head *head, struct evbuffer *in)
{
	size_t bytes = v->h1.head_bytes + (head->framing == FRAMING_LENGTH ? (size_t)head->content_length : 0);

	v->state = VISITOR_WAITING;
	v->last = v->last || !head->keep_alive || head->minor == 0;
	v->no_body = head->method == METHOD_HEAD;
	event_del(&v->timer);
	bufferevent_disable(v->bev, EV_READ);
	v->events.ask(v, head, v->events.arg);
	evbuffer_drain(in, bytes);
}

static void
visitor_take_head(struct visitor *v, const struct head *head, struct evbuffer *in, size_t bytes)
{
	if (head->framing == FRAMING_CHUNKED)
		visitor_refuse(v, 411);
	else if (head->framing == FRAMING_LENGTH && head->content_length > VISITOR_BODY_MAX)
		visitor_refuse(v, 413);
	else if (visitor_has_body(v, head, bytes))
		visitor_ask(v, head, in);
}

static void
visitor_read(struct visitor *v)
{
	static struct head head;	/* the main thread's: too big for a stack */
	struct evbuffer *in = bufferevent_get_input(v->bev);
	size_t bytes = evbuffer_get_length(in);

	if (bytes == 0)
		return;
	switch (h1_parse(&v->h1, slice_make((const char *)evbuffer_pullup(in, -1), bytes), &head)) {
	case H1_MORE:
		break;
	case H1_HEAD:
		visitor_take_head(v, &head, in, bytes);
		break;
	case H1_BAD:
		visitor_refuse(v, 400);
		break;
	case H1_TOO_LARGE:
		visitor_refuse(v, 431);
		break;
	case H1_URI_TOO_LONG:
		visitor_refuse(v, 414);
		break;
	case H1_VERSION:
		visitor_refuse(v, 505);
		break;
	}
}

/* ---- events ---- */

static void
visitor_end(struct visitor *v)
{
	v->events.gone(v, v->events.arg);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct visitor *v = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	ALIVE(v, VISITOR_MAGIC);
	if (v->state == VISITOR_READING)
		visitor_read(v);
	else if (v->state == VISITOR_LINGERING)
		evbuffer_drain(in, evbuffer_get_length(in));
}

/* All of an answer has gone out. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct visitor *v = arg;

	(void)bev;
	ALIVE(v, VISITOR_MAGIC);
	if (v->state != VISITOR_WRITING)
		return;			/* a 100 */
	if (v->last) {
		visitor_linger(v);
		return;
	}
	visitor_listen(v);
	visitor_read(v);		/* what came behind it already */
	if (v->state == VISITOR_READING)
		v->events.idle(v, v->events.arg);
}

/* The end of what it says while an answer is under way is noticed later, since nothing is read then. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct visitor *v = arg;

	(void)bev;
	(void)what;
	ALIVE(v, VISITOR_MAGIC);
	visitor_end(v);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *v = arg;

	(void)fd;
	(void)what;
	ALIVE(v, VISITOR_MAGIC);
	visitor_end(v);
}

/* ---- life ---- */

struct visitor *
visitor_new(struct event_base *base, int fd, const struct visitor_events *events)
{
	static const struct timeval patience = { .tv_sec = VISITOR_PATIENCE_S };
	struct visitor *v = mem_zalloc(sizeof *v);

	v->magic = VISITOR_MAGIC;
	v->events = *events;
	list_init(&v->list);
	must(event_assign(&v->timer, base, -1, 0, on_timer, v) == 0);
	v->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (v->bev == NULL) {
		evutil_closesocket(fd);
		visitor_free(v);
		return NULL;
	}
	bufferevent_setcb(v->bev, on_read, on_written, on_event, v);
	bufferevent_set_timeouts(v->bev, NULL, &patience);
	bufferevent_setwatermark(v->bev, EV_READ, 0, VISITOR_HEAD_MAX + VISITOR_BODY_MAX);
	visitor_listen(v);
	return v;
}

void
visitor_free(struct visitor *v)
{
	if (v == NULL)
		return;
	list_remove(&v->list);
	event_del(&v->timer);
	if (v->bev != NULL)
		bufferevent_free(v->bev);
	v->magic = 0;
	free(v);
}

/* RFC 9110, 5.6.7. Returns text. */
static const char *
date_now(char text[DATE_TEXT])
{
	time_t now = time(NULL);
	struct tm tm;

	must(gmtime_r(&now, &tm) != NULL && strftime(text, DATE_TEXT, "%a, %d %b %Y %H:%M:%S GMT", &tm) != 0);
	return text;
}

void
visitor_answer(struct visitor *v, const struct visitor_answer *a)
{
	struct evbuffer *out = bufferevent_get_output(v->bev);
	char date[DATE_TEXT];

	ALIVE(v, VISITOR_MAGIC);
	must(v->state == VISITOR_WAITING || v->state == VISITOR_READING);
	v->state = VISITOR_WRITING;
	event_del(&v->timer);
	bufferevent_disable(v->bev, EV_READ);
	must(evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n%s%s", a->status, h1_reason(a->status),
	    date_now(date), a->fields, v->last ? "Connection: close\r\n" : "") > 0);
	if (a->status != 304)		/* which has none, of whatever length (RFC 9110, 8.6) */
		must(evbuffer_add_printf(out, "Content-Length: %zu\r\n", a->bytes) > 0);
	must(evbuffer_add(out, "\r\n", 2) == 0);
	if (!v->no_body)
		must(evbuffer_add(out, a->body, a->bytes) == 0);
}

void
visitor_leave(struct visitor *v)
{
	static const struct timeval now = { .tv_sec = 0 };

	v->last = true;
	if (v->state == VISITOR_READING)
		must(event_add(&v->timer, &now) == 0);
}

bool
visitor_is_idle(const struct visitor *v)
{
	return v->state == VISITOR_READING;
}

struct list *
visitor_list(struct visitor *v)
{
	return &v->list;
}

struct visitor *
visitor_of_list(struct list *l)
{
	return LIST_ENTRY_OF(l, struct visitor, list);
}
