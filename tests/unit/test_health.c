/* SPDX-License-Identifier: BSD-2-Clause */
/* Health checks against real sockets on loopback: what counts as well, after how many, and what the log says of
 * it. */
#include "pool/health.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define LIMIT_MS 10000		/* no condition takes longer, or the test has failed */
#define MANY 200

static struct event_base *base;
static char said[LOG_LINE];	/* the last warning or notice */
static unsigned said_times, rounds;

/* --- gateways to look at --- */

/* Answers whatever comes with `answer`, in two pieces, or keeps silent. */
struct server {
	struct evconnlistener *listener;
	unsigned port;
	const char *answer;		/* NULL: none */
	bool closes;			/* behind the answer */
	unsigned accepted, open, most_open;
	char request[512];		/* what came last */
	struct list held;
};

struct held {
	struct server *server;
	struct bufferevent *bev;
	bool asked;
	struct list link;
};

static void
held_close(struct held *c)
{
	list_remove(&c->link);
	c->server->open--;
	bufferevent_free(c->bev);
	free(c);
}

static void
on_held_written(struct bufferevent *bev, void *arg)
{
	struct held *c = arg;

	if (c->asked && c->server->closes && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		held_close(c);
}

static void
on_held_read(struct bufferevent *bev, void *arg)
{
	struct held *c = arg;
	struct server *s = c->server;
	size_t half = s->answer != NULL ? strlen(s->answer) / 2 : 0;

	c->asked = true;
	s->request[bufferevent_read(bev, s->request, sizeof s->request - 1)] = '\0';
	if (s->answer != NULL) {
		bufferevent_write(bev, s->answer, half);
		bufferevent_flush(bev, EV_WRITE, BEV_FLUSH);
		bufferevent_write(bev, s->answer + half, strlen(s->answer) - half);
	}
	if (s->closes && half == 0)
		held_close(c);
}

static void
on_held_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		held_close(arg);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct server *s = arg;
	struct held *c = mem_zalloc(sizeof *c);

	(void)l;
	(void)sa;
	(void)len;
	s->accepted++;
	if (++s->open > s->most_open)
		s->most_open = s->open;
	c->server = s;
	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	list_add_tail(&s->held, &c->link);
	bufferevent_setcb(c->bev, on_held_read, on_held_written, on_held_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((in_port_t)port),
	};
}

/* port 0: any */
static void
server_open(struct server *s, unsigned port)
{
	struct sockaddr_in at = loopback(port);
	struct addr bound;
	socklen_t len = sizeof bound.sa;

	s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 1024,
	    (struct sockaddr *)&at, sizeof at);
	assert_non_null(s->listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(s->listener), &bound.sa.any, &len), 0);
	bound.len = len;
	s->port = addr_port(&bound);
	if (s->held.next == NULL)
		list_init(&s->held);
}

static void
server_hang_up(struct server *s)
{
	LIST_EACH (at, after, &s->held)
		held_close(LIST_ENTRY_OF(at, struct held, link));
}

static void
server_close(struct server *s)
{
	evconnlistener_free(s->listener);
	server_hang_up(s);
}

/* --- the pool that is looked at --- */

struct made {
	char name[MANY][16], address[24];
	struct conf_gateway gateway[MANY];
	struct conf_pool cf;
	struct pool *pool;
	struct health *health;
};

static void
keep_log(enum log_level level, struct slice text)
{
	if (level > LOG_LEVEL_NOTICE)
		return;
	said_times++;
	snprintf(said, sizeof said, "%.*s", SLICE_FMT(text));
}

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void
on_first_round(void *arg)
{
	++*(unsigned *)arg;
}

static void
made_init(struct made *m, enum conf_check check, unsigned port, unsigned gateways)
{
	static char pool_name[] = "game", path[] = "/healthz?a=b", method[] = "GET";
	static struct conf_range well = { 200, 399 };

	memset(m, 0, sizeof *m);
	snprintf(m->address, sizeof m->address, "127.0.0.1:%u", port);
	for (unsigned i = 0; i < gateways; i++) {
		snprintf(m->name[i], sizeof m->name[i], "gw%u", i + 1);
		m->gateway[i] = (struct conf_gateway){ .name = m->name[i], .address = m->address, .weight = 1 };
	}
	m->cf = (struct conf_pool){
		.name = pool_name, .gateway = m->gateway, .gateways = gateways,
		.check = check, .check_path = path, .check_method = method, .check_expect = &well, .check_expects = 1,
		.check_interval_ms = 10, .check_timeout_ms = 1000, .check_rise = 2, .check_fall = 3,
	};
	said[0] = '\0';
	said_times = rounds = 0;
}

static struct gateway *
made_start(struct made *m)
{
	m->pool = pool_new(&m->cf, no_report, NULL);
	assert_non_null(m->pool);
	m->health = health_new(base, &m->pool, 1, on_first_round, &rounds);
	return m->pool->gateway[0];
}

static void
made_end(struct made *m)
{
	health_free(m->health);
	pool_free(m->pool);
}

static void
turn_once(void)
{
	struct timeval tick = { 0, 5000 };

	event_base_loopexit(base, &tick);
	event_base_loop(base, EVLOOP_ONCE);
}

#define until(cond) \
	for (uint64_t until_ms = clock_coarse_ms() + LIMIT_MS; !(cond); turn_once()) \
	assert_true(clock_coarse_ms() < until_ms)

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	log_to(keep_log);
	return base != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	log_to(NULL);
	event_base_free(base);
	return 0;
}

/* True: the last one was one too many. */
static bool
note(struct gateway *g, enum gateway_failure what, unsigned n)
{
	bool look = false;

	while (n-- > 0)
		look = gateway_note_failure(g, what);
	return look;
}

static bool
fail_connects(struct gateway *g, unsigned n)
{
	return note(g, GATEWAY_CONNECT_FAILED, n);
}

static bool
fail_answers(struct gateway *g, unsigned n)
{
	return note(g, GATEWAY_ANSWER_FAILED, n);
}

/* --- the tests --- */

static void
test_none(void **state)
{
	struct made m;
	struct gateway *g;

	(void)state;
	made_init(&m, CONF_CHECK_NONE, 1, 2);
	g = made_start(&m);
	assert_int_equal(rounds, 1);
	assert_true(fail_connects(g, 10 * GATEWAY_CONNECTS_ARE_A_CHECK));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	made_end(&m);
	health_free(NULL);
}

/* One result is enough for the first verdict; then it takes `fall`, and `rise`. */
static void
test_tcp_falls_and_rises(void **state)
{
	struct server s = { .closes = true };
	struct made m;
	struct gateway *g;
	char expected[256];

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_TCP, s.port, 1);
	g = made_start(&m);
	until(rounds == 1);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_int_equal(said_times, 0);

	server_close(&s);
	until(gateway_state(g) == GATEWAY_DOWN);
	snprintf(expected, sizeof expected,
	    "pool game: gateway gw1 (127.0.0.1:%u) is down: connect: Connection refused (3 of 3)", s.port);
	assert_string_equal(said, expected);

	server_open(&s, s.port);
	until(gateway_state(g) == GATEWAY_UP);
	snprintf(expected, sizeof expected, "pool game: gateway gw1 (127.0.0.1:%u) is up: connected (2 of 2)",
	    s.port);
	assert_string_equal(said, expected);
	assert_int_equal(said_times, 2);
	assert_int_equal(rounds, 1);
	made_end(&m);
	server_close(&s);
}

static void
test_http_answers(void **state)
{
	static char large[20000] = "HTTP/1.1 200 OK\r\nX: ";
	static const struct {
		const char *answer;
		bool closes;
		const char *why;	/* NULL: it is well */
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, NULL },
		{ "HTTP/1.0 399 Fine\r\n\r\n", true, NULL },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
		    false, NULL },
		{ "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", true, "status 503, expected 200-399" },
		{ "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false,
		    "status 101, expected 200-399" },
		{ "HTTP/1.1 199 ?\r\n\r\n", true, "closed in the middle of an answer" },
		{ "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", true, "status 400, expected 200-399" },
		{ "HTTP/1.1 200 OK\r\nContent-Len", true, "closed in the middle of an answer" },
		{ "", true, "closed without an answer" },
		{ "SSH-2.0-OpenSSH_9.2p1\r\n", false, "answer is not HTTP: " },
		{ "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", false, "answer is not HTTP: " },
		{ large, false, "" },	/* too large, in the parser's words */
		{ NULL, false, "no answer in 60 ms" },
	};

	(void)state;
	memset(large + strlen(large), 'x', sizeof large - strlen(large) - 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct server s = { .answer = cases[i].answer, .closes = cases[i].closes };
		struct made m;
		struct gateway *g;
		char expected[256];

		server_open(&s, 0);
		made_init(&m, CONF_CHECK_HTTP, s.port, 1);
		if (cases[i].answer == NULL)
			m.cf.check_timeout_ms = 60;
		g = made_start(&m);
		until(rounds == 1);
		if (gateway_state(g) != (cases[i].why == NULL ? GATEWAY_UP : GATEWAY_DOWN))
			fail_msg("%zu: %s", i, said);
		if (cases[i].why != NULL) {
			snprintf(expected, sizeof expected, "pool game: gateway gw1 (127.0.0.1:%u) is down: %s",
			    s.port, cases[i].why);
			assert_memory_equal(said, expected, strlen(expected));
			assert_non_null(strstr(said, " (first check)"));
		}
		snprintf(expected, sizeof expected,
		    "GET /healthz?a=b HTTP/1.1\r\n"
		    "Host: 127.0.0.1:%u\r\n"
		    "User-Agent: stickyd\r\n"
		    "Connection: close\r\n\r\n", s.port);
		assert_string_equal(s.request, expected);
		made_end(&m);
		server_close(&s);
	}
}

/* A queue that nobody empties: the kernel drops what would make it longer. */
static void
test_connect_times_out(void **state)
{
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0), filler[4];
	struct made m;
	struct gateway *g;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < COUNT(filler); i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[i], (struct sockaddr *)&at, sizeof at);
	}
	made_init(&m, CONF_CHECK_TCP, ntohs(at.sin_port), 1);
	m.cf.check_timeout_ms = 50;
	g = made_start(&m);
	until(rounds == 1);
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_non_null(strstr(said, "is down: connect: no answer in 50 ms (first check)"));
	made_end(&m);
	for (size_t i = 0; i < COUNT(filler); i++)
		close(filler[i]);
	close(fd);
}

/* What workers saw counts at once, and brings the next check forward: the interval here is an hour. */
static void
test_failed_connects(void **state)
{
	struct server s = { .closes = true };
	struct made m;
	struct gateway *g;
	unsigned accepted;

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_TCP, s.port, 1);
	m.cf.check_interval_ms = 3600 * 1000;
	m.cf.check_rise = 1;
	g = made_start(&m);
	until(rounds == 1 && s.accepted == 1);

	/* one batch is one failed check of three, and the good check that it calls for takes it back */
	assert_true(fail_connects(g, GATEWAY_CONNECTS_ARE_A_CHECK));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	until(s.accepted == 2);
	turn_once();
	assert_true(fail_connects(g, 2 * GATEWAY_CONNECTS_ARE_A_CHECK));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	until(s.accepted == 3);
	turn_once();

	assert_true(fail_connects(g, 3 * GATEWAY_CONNECTS_ARE_A_CHECK));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_non_null(strstr(said, "is down: 9 connects in a row failed (3 of 3)"));
	until(gateway_state(g) == GATEWAY_UP);
	assert_non_null(strstr(said, "is up: connected (1 of 1)"));

	/* nothing reported: nothing done */
	accepted = s.accepted;
	health_look(m.health);
	for (unsigned i = 0; i < 5; i++)
		turn_once();
	assert_int_equal(s.accepted, accepted);
	made_end(&m);
	server_close(&s);
}

static void
test_many_take_turns(void **state)
{
	struct server s = { .answer = NULL };
	static struct made m;

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_HTTP, s.port, MANY);
	m.cf.check_timeout_ms = m.cf.check_interval_ms = 3600 * 1000;
	made_start(&m);
	for (unsigned seen = 64; seen < MANY; seen += 64) {
		until(s.accepted == seen);
		for (unsigned i = 0; i < 5; i++)
			turn_once();
		assert_int_equal(s.accepted, seen);
		server_hang_up(&s);
	}
	until(s.accepted == MANY);
	assert_int_equal(rounds, 0);
	server_hang_up(&s);
	until(rounds == 1);
	assert_int_equal(said_times, MANY);
	made_end(&m);
	server_close(&s);
}

/* Checks are content, traffic is not: two of three are set aside, never the last, and they come back in time. */
static void
test_eject(void **state)
{
	struct made m;
	struct gateway *g;

	(void)state;
	made_init(&m, CONF_CHECK_NONE, 1, 3);
	m.cf.eject_after = 5;
	m.cf.eject_time_ms = 300;
	g = made_start(&m);
	assert_false(fail_answers(g, 4));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_true(fail_answers(g, 1));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_string_equal(gateway_why(g), "5 failures in a row: set aside for 0.3 s");
	assert_true(fail_answers(m.pool->gateway[1], 5));
	assert_true(fail_answers(m.pool->gateway[2], 5));
	health_look(m.health);
	assert_int_equal(gateway_state(m.pool->gateway[1]), GATEWAY_DOWN);
	assert_int_equal(gateway_state(m.pool->gateway[2]), GATEWAY_UP);
	until(gateway_state(g) == GATEWAY_UP);
	assert_string_equal(gateway_why(g), "its time aside is over");
	until(gateway_state(m.pool->gateway[1]) == GATEWAY_UP);
	made_end(&m);
}

/* Whoever is set aside comes back when he is the last one that could be up. */
static void
test_pardon(void **state)
{
	struct made m;
	struct gateway *g;

	(void)state;
	made_init(&m, CONF_CHECK_NONE, 1, 2);
	m.cf.eject_after = 1;
	m.cf.eject_time_ms = 3600 * 1000;
	g = made_start(&m);
	assert_true(fail_answers(g, 1));
	health_look(m.health);
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	gateway_take_down(m.pool->gateway[1]);
	until(gateway_state(g) == GATEWAY_UP);
	assert_string_equal(gateway_why(g), "nobody else of its pool is up");
	made_end(&m);
}

static void
on_state(void *arg)
{
	++*(unsigned *)arg;
}

/* Deadlines and slow starts go by without anybody asking. */
static void
test_time(void **state)
{
	struct made m;
	struct gateway *g;
	unsigned changes = 0;

	(void)state;
	made_init(&m, CONF_CHECK_NONE, 1, 2);
	m.cf.slow_start_ms = 1000;
	g = made_start(&m);
	health_on_change(m.health, on_state, &changes);
	gateway_drain(g, clock_coarse_ms() + 150, false);
	assert_int_equal(changes, 1);
	until(gateway_state(g) == GATEWAY_LEAVING);
	gateway_ready(g);
	assert_int_equal(changes, 3);
	assert_int_equal(gateway_share(g), 1);
	until(gateway_share(g) > 1 && gateway_share(g) < GATEWAY_WHOLE);
	until(gateway_share(g) == GATEWAY_WHOLE);
	until(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) == 0);	/* nothing more is due */
	made_end(&m);
}

/* Its answer asks for a drain, from the first time until it does no more. */
static void
test_asks_for_drain(void **state)
{
	static const char drain[] = "HTTP/1.1 200 OK\r\nX-Stickyd-State: drain\r\nContent-Length: 0\r\n\r\n",
	    none[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	    broken[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
	struct server s = { .answer = drain };
	struct made m;
	struct gateway *g;

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_HTTP, s.port, 1);
	m.cf.drain_deadline_ms = 3600 * 1000;
	g = made_start(&m);
	until(gateway_state(g) == GATEWAY_DRAINING);
	assert_string_equal(gateway_why(g), "it asks for a drain");
	assert_in_range(gateway_deadline_ms(g), clock_coarse_ms() + 3590 * 1000, clock_coarse_ms() + 3600 * 1000);
	assert_string_equal(gateway_check(g).what, "status 200");
	s.answer = broken;			/* it restarts: that is no other word */
	until(gateway_state(g) == GATEWAY_DOWN);
	assert_true(gateway_asks_for_drain(g));
	s.answer = none;
	until(gateway_state(g) == GATEWAY_UP);
	assert_int_equal(gateway_deadline_ms(g), 0);
	made_end(&m);
	server_close(&s);
}

/* What the lead thread does at a reload. */
static void
made_follow(struct made *m, struct made *before)
{
	m->pool = pool_new(&m->cf, no_report, NULL);
	assert_non_null(m->pool);
	pool_adopt(&m->pool, 1, &before->pool, 1);
	pool_leave_behind(&before->pool, 1, &m->pool, 1);
	m->health = before->health;
	health_update(m->health, &m->pool, 1);
	pool_free(before->pool);
}

/* A reload: who is kept keeps what was found, who is new is looked at, who is gone is not any more. */
static void
test_update(void **state)
{
	struct server s = { .closes = true }, other = { .closes = true };
	struct made was, is, then;
	struct gateway *kept;
	unsigned accepted;

	(void)state;
	server_open(&s, 0);
	server_open(&other, 0);
	made_init(&was, CONF_CHECK_TCP, s.port, 3);
	was.cf.check_interval_ms = 3600 * 1000;
	kept = made_start(&was);
	until(rounds == 1);
	gateway_judge(kept, false, "the test says so");
	accepted = s.accepted;

	made_init(&is, CONF_CHECK_TCP, s.port, 2);
	is.cf.check_interval_ms = 3600 * 1000;
	is.gateway[1].name = (char[]){ "other" };
	is.gateway[1].address = mem_printf("127.0.0.1:%u", other.port);
	made_follow(&is, &was);
	until(other.accepted == 1);
	for (unsigned i = 0; i < 10; i++)
		turn_once();
	assert_int_equal(s.accepted, accepted);
	assert_ptr_equal(is.pool->gateway[0], kept);
	assert_int_equal(gateway_state(kept), GATEWAY_DOWN);
	assert_int_equal(rounds, 0);			/* the first round was before the reload */

	/* and once more, with shorter intervals, in mid-look too */
	made_init(&then, CONF_CHECK_TCP, s.port, 3);
	made_follow(&then, &is);
	free(is.gateway[1].address);
	until(gateway_state(kept) == GATEWAY_UP);
	for (unsigned i = 0; i < 20; i++) {
		turn_once();
		health_update(then.health, &then.pool, 1);
	}

	/* then nobody is looked at: what was found is void */
	gateway_judge(kept, false, "the test says so");
	made_init(&is, CONF_CHECK_NONE, s.port, 3);
	made_follow(&is, &then);
	assert_int_equal(gateway_state(kept), GATEWAY_UP);
	assert_string_equal(gateway_why(kept), "not checked");
	turn_once();
	accepted = s.accepted;
	for (unsigned i = 0; i < 10; i++)
		turn_once();
	assert_int_equal(s.accepted, accepted);
	made_end(&is);
	server_close(&s);
	server_close(&other);
}

struct dues {
	time_t due_s[MANY];
	unsigned n;
};

static int
keep_due(const struct event_base *b, const struct event *e, void *arg)
{
	struct dues *d = arg;
	struct timeval due;

	(void)b;
	/* the test's own timers are of milliseconds */
	if (event_pending(e, EV_TIMEOUT, &due) && due.tv_sec > time(NULL) + 60)
		d->due_s[d->n++] = due.tv_sec;
	return 0;
}

static int
time_compare(const void *one, const void *two)
{
	const time_t *a = one, *b = two;

	return (*a > *b) - (*a < *b);
}

/* After the first round the checks of one interval come one by one: of fifty in an hour, one each 72 seconds. */
static void
test_spread(void **state)
{
	struct server s = { .answer = NULL };
	struct dues dues = { .n = 0 };
	static struct made m;

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_TCP, s.port, 50);
	m.cf.check_interval_ms = 3600 * 1000;
	made_start(&m);
	until(rounds == 1);
	event_base_foreach_event(base, keep_due, &dues);
	assert_int_equal(dues.n, 50);
	qsort(dues.due_s, dues.n, sizeof dues.due_s[0], time_compare);
	assert_in_range(dues.due_s[49] - time(NULL), 3550, 3601);
	for (unsigned i = 1; i < dues.n; i++)
		assert_in_range(dues.due_s[i] - dues.due_s[i - 1], 71, 73);
	made_end(&m);
	server_close(&s);
}

/* Without descriptors nothing is known of any gateway, and none is taken down. */
static void
test_own_trouble(void **state)
{
	struct server s = { .closes = true };
	struct made m;
	struct gateway *g;
	struct rlimit before, none;
	int lowest = dup(0);

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_TCP, s.port, 1);
	g = made_start(&m);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)lowest;
	close(lowest);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	until(rounds == 1);
	for (unsigned i = 0; i < 10; i++)
		turn_once();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(gateway_state(g), GATEWAY_UP);
	assert_int_equal(said_times, 1);
	assert_string_equal(said,
	    "pool game: gateway gw1: cannot be checked, its state stays: connect: Too many open files");
	until(s.accepted != 0);
	made_end(&m);
	server_close(&s);
}

static void
test_free_in_flight(void **state)
{
	struct server s = { .answer = NULL };
	struct made m;

	(void)state;
	server_open(&s, 0);
	made_init(&m, CONF_CHECK_HTTP, s.port, 3);
	made_start(&m);
	made_end(&m);			/* before any began */
	made_start(&m);
	turn_once();
	made_end(&m);			/* while connecting */
	made_start(&m);
	until(s.request[0] != '\0');
	turn_once();
	made_end(&m);			/* while reading */
	assert_int_equal(rounds, 0);
	assert_int_equal(said_times, 0);
	server_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tcp_falls_and_rises, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_http_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_connect_times_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_connects, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_eject, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pardon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asks_for_drain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_update, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_take_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_trouble, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_in_flight, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
