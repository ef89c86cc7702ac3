/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ways in, the Unix socket and TCP, each with its own visitors, so that it is known by which a request came.
 * What is asked and answered is api.c's affair; here it is decided who may ask.
 */
#include "run/admin.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "net/sock.h"
#include "net/unixsock.h"
#include "run/api.h"
#include "run/visitor.h"

#define TCP_BACKLOG 64

/* Nobody is let in for so long when it has failed, and it is said this often. */
#define REST_S 1
#define SAID_EVERY_MS 60000

/* One way in. Once it is no more it stays until its last visitor has got what he is owed. */
struct way {
	struct admin *admin;
	int fd;				/* -1: closed */
	char *path;			/* of the Unix socket; NULL: it is TCP */
	char *listen;			/* what was asked for; NULL: it is no TCP */
	dev_t device;			/* the path's file, as we made it */
	ino_t inode;
	bool is_lent;			/* the service manager's */
	bool is_open;			/* who comes in so may read without a token */
	bool is_retired;
	struct evconnlistener *listener;	/* NULL: not yet, or no more */
	struct event rest;		/* of letting nobody in */
	struct list visitors;		/* who came or was answered last is at the end */
	unsigned visitors_n;
	struct list list;		/* of the admin's ways that are no more */
};

struct token {
	bool there;
	struct secret secret;
};

struct admin {
	struct way *socket, *tcp;	/* NULL: there is none */
	struct token token;
	struct list retired;
	struct event_base *base;	/* NULL: it has not begun */
	struct api *api;
};

struct admin_change {
	struct way *socket, *tcp;	/* new ones, or those in force; NULL: none */
	bool keeps_socket, keeps_tcp;
	struct token token;
};

/* ---- ways ---- */

static struct way *
way_new(int fd)
{
	struct way *w = mem_zalloc(sizeof *w);

	w->fd = fd;
	list_init(&w->visitors);
	list_init(&w->list);
	return w;
}

static void
way_close(struct way *w)
{
	if (w->listener != NULL) {
		event_del(&w->rest);
		evconnlistener_free(w->listener);
	}
	w->listener = NULL;
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
}

static void
way_free(struct way *w)
{
	if (w == NULL)
		return;
	way_close(w);
	LIST_EACH (at, after, &w->visitors)
		visitor_free(visitor_of_list(at));
	list_remove(&w->list);
	free(w->path);
	free(w->listen);
	free(w);
}

/* Unless it is the service manager's, or somebody has put another in its place. */
static void
way_remove_path(const struct way *w)
{
	struct stat st;

	if (w->path == NULL || w->is_lent || lstat(w->path, &st) == -1 || st.st_dev != w->device ||
	    st.st_ino != w->inode)
		return;
	if (unlink(w->path) == -1)
		log_warn("admin: %s can't be removed: %s", w->path, strerror(errno));
}

/* What was never in force, or is so no more. */
static void
way_drop(struct way *w)
{
	if (w == NULL)
		return;
	way_remove_path(w);
	way_free(w);
}

/* ---- the Unix socket ---- */

/* NULL with errno. */
static struct way *
socket_open(const char *path, const struct privilege *p, struct heirlooms *inherited)
{
	bool is_lent = false;
	int fd = heirlooms_claim_path(inherited, path, &is_lent);
	bool is_new = fd == -1;
	struct way *w;
	struct stat st;

	if (is_new)
		fd = unixsock_listen(path);
	if (fd == -1)
		return NULL;
	w = way_new(fd);
	w->path = mem_strdup(path);
	w->is_open = true;
	w->is_lent = is_lent;
	if ((is_new && p->change && lchown(path, p->uid, p->gid) == -1) || lstat(path, &st) == -1) {
		int why = errno;

		way_free(w);
		errno = why;
		return NULL;
	}
	w->device = st.st_dev;
	w->inode = st.st_ino;
	return w;
}

/* The directory of a default path may not be there yet; it is the user's then, so that the socket can be removed at
 * the end. */
static void
make_directory_of(const char *path, mode_t mode, const struct privilege *p)
{
	char *directory = mem_slicedup(slice_make(path, (size_t)(strrchr(path, '/') - path)));

	if (mkdir(directory, mode) == 0 && p->change && lchown(directory, p->uid, p->gid) == -1)
		log_warn("admin: %s can't be given to the user: %s", directory, strerror(errno));
	free(directory);
}

static char *
users_own_path(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	return runtime != NULL && *runtime == '/' ? mem_printf("%s/stickyd/admin.sock", runtime) : NULL;
}

/* Not there, or not allowed, or another stickyd's: it runs without (NULL), since nobody asked for it by name. */
static struct way *
socket_open_default(const char *path, const struct privilege *p, struct heirlooms *inherited)
{
	char *own = users_own_path();
	struct way *w;
	int why;

	make_directory_of(path, 0755, p);
	w = socket_open(path, p, inherited);
	why = errno;
	if (w == NULL && own != NULL) {
		make_directory_of(own, 0700, p);
		w = socket_open(own, p, inherited);
		if (w != NULL)
			log_notice("admin: %s: %s: using %s", path, strerror(why), own);
	}
	if (w == NULL)
		log_notice("admin: %s: %s: there is no socket for stickyctl; [admin] socket says where", path,
		    strerror(why));
	free(own);
	return w;
}

/* *w: NULL where there is to be none. False: reported. */
static bool
admin_open_socket(const struct conf_admin *cf, const struct privilege *p, struct heirlooms *inherited, struct way **w,
    conf_report_fn *report, void *arg)
{
	*w = NULL;
	if (cf->socket == NULL)
		return true;
	if (!cf->socket_configured) {
		*w = socket_open_default(cf->socket, p, inherited);
		return true;
	}
	*w = socket_open(cf->socket, p, inherited);
	if (*w != NULL)
		return true;
	conf_complain(report, arg, cf->socket_place, "[admin] socket: '%s': %s", cf->socket,
	    errno == EADDRINUSE ? "another process answers there" : strerror(errno));
	return false;
}

/* ---- TCP ---- */

static bool
is_loopback(const struct addr *a)
{
	struct addr_net v4, v6;

	must(addr_net_parse(SLICE_LIT("127.0.0.0/8"), &v4) && addr_net_parse(SLICE_LIT("::1/128"), &v6));
	return addr_is_in(a, &v4) || addr_is_in(a, &v6);
}

/* -1 with errno. */
static int
tcp_listen(const struct addr *at)
{
	bool fell_back;
	int fd = sock_bind(at, false, false, &fell_back), why;

	if (fd == -1 || listen(fd, TCP_BACKLOG) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

static bool
admin_open_tcp(const struct conf_admin *cf, struct heirlooms *inherited, struct way **w, conf_report_fn *report,
    void *arg)
{
	struct heirloom h = { .fd = -1 };
	struct addr at;

	*w = NULL;
	if (cf->listen == NULL)
		return true;
	must(addr_parse(slice_of(cf->listen), &at));	/* conf has checked it */
	if (!heirlooms_claim(inherited, &at, &h))
		h.fd = tcp_listen(&at);
	if (h.fd == -1) {
		conf_complain(report, arg, cf->listen_place, "[admin] listen: '%s': %s", cf->listen, strerror(errno));
		return false;
	}
	*w = way_new(h.fd);
	(*w)->listen = mem_strdup(cf->listen);
	(*w)->is_open = is_loopback(&at);
	(*w)->is_lent = h.is_lent;
	return true;
}

/* ---- the token ---- */

/* NULL, or what is wrong. */
static char *
token_load(struct secret *token, const char *file)
{
	int fd = secret_open(file);
	char *why = NULL;

	if (fd == -1)
		return mem_printf("%s: %s", file, strerror(errno));
	(void)!secret_read(token, fd, file, SECRET_OPERATORS, &why);	/* why says it all */
	close(fd);
	return why;
}

/* False: reported. Without a file: no token. */
static bool
token_read(struct token *token, const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	char *why;

	token->there = cf->token_file != NULL;
	if (!token->there)
		return true;
	why = token_load(&token->secret, cf->token_file);
	if (why == NULL)
		return true;
	conf_complain(report, arg, cf->token_file_place, "[admin] token_file: %s", why);
	free(why);
	return false;
}

/* ---- life ---- */

struct admin *
admin_open(const struct conf *cf, const struct privilege *p, struct heirlooms *inherited, conf_report_fn *report,
    void *arg)
{
	struct admin *a = mem_zalloc(sizeof *a);
	bool good;

	list_init(&a->retired);
	good = admin_open_socket(&cf->admin, p, inherited, &a->socket, report, arg);
	good = admin_open_tcp(&cf->admin, inherited, &a->tcp, report, arg) && good;
	good = token_read(&a->token, &cf->admin, report, arg) && good;
	if (good)
		return a;
	admin_free(a);
	return NULL;
}

void
admin_free(struct admin *a)
{
	if (a == NULL)
		return;
	api_free(a->api);		/* whoever still waits is not answered any more */
	way_drop(a->socket);
	way_drop(a->tcp);
	LIST_EACH (at, after, &a->retired)
		way_free(LIST_ENTRY_OF(at, struct way, list));
	secret_wipe(&a->token.secret);
	free(a);
}

/* ---- who may ---- */

/* A page of some other site, whose name was made to point at us (DNS rebinding), is to a browser of the same origin
 * as this server, and could read all of it and send what it likes. It can't do that under an address or localhost. */
static bool
host_is_ours(struct slice host)
{
	struct slice port = host, name = slice_cut(&port, ':');
	struct addr a;

	return host.n == 0 || slice_eq_nocase(name, SLICE_LIT("localhost")) || addr_parse_host(host, &a);
}

static bool
is_right(const struct token *token, struct slice given)
{
	struct slice right = secret_alone(&token->secret);

	return token->there && given.n == right.n && CRYPTO_memcmp(given.p, right.p, right.n) == 0;
}

/* Of "USER:PASSWORD" in base64 (RFC 7617, 2), whoever the user is. */
static bool
basic_is_right(const struct token *token, struct slice given)
{
	unsigned char plain[SECRET_BYTES + 256];
	struct slice rest;
	bool good;
	int n;

	if (given.n == 0 || given.n % 4 != 0 || given.n / 4 * 3 > sizeof plain)
		return false;
	n = EVP_DecodeBlock(plain, (const unsigned char *)given.p, (int)given.n);	/* padding comes as zeros */
	if (n < 0)
		return false;
	for (size_t i = given.n; i > given.n - 2 && given.p[i - 1] == '='; i--)
		n--;
	rest = slice_make((const char *)plain, (size_t)n);
	(void)slice_cut(&rest, ':');
	good = rest.p != NULL && is_right(token, rest);
	OPENSSL_cleanse(plain, sizeof plain);
	return good;
}

/* Who asks, as far as the request tells. */
struct manners {
	enum api_rights rights;
	bool is_foreign;	/* a browser sends it for another site's page, or may do so */
};

static const char *const schemes[] = { "http://", "https://" };

/* "https" where a proxy stands before us. */
static bool
origin_is_ours(struct slice origin, struct slice host)
{
	for (unsigned i = 0; i < COUNT(schemes); i++) {
		struct slice scheme = slice_of(schemes[i]);

		if (slice_has_prefix(origin, scheme) && slice_eq_nocase(slice_skip(origin, scheme.n), host))
			return true;
	}
	return false;
}

/* NULL: there is none. */
static const struct field *
find_field(const struct head *head, const char *name)
{
	for (unsigned i = 0; i < head->fields; i++)
		if (slice_eq_nocase(head->field[i].name, slice_of(name)))
			return &head->field[i];
	return NULL;
}

/* Browsers say Origin with whatever may change something, and send along by themselves what they were given for
 * Basic. Who has the token and no browser may say Bearer. */
static struct manners
way_judge(const struct way *w, const struct head *head)
{
	const struct field *authorization = find_field(head, "Authorization"), *origin = find_field(head, "Origin");
	const struct token *token = &w->admin->token;
	struct manners m = { .rights = w->is_open ? API_READ : API_NOTHING };
	struct slice given, scheme;
	bool is_basic = false, good;

	if (w->path != NULL)
		return (struct manners){ .rights = API_CHANGE };
	if (authorization != NULL) {
		given = authorization->value;
		scheme = slice_cut(&given, ' ');
		given = slice_trim(given);
		is_basic = slice_eq_nocase(scheme, SLICE_LIT("Basic"));
		good = is_basic ? basic_is_right(token, given)
				: slice_eq_nocase(scheme, SLICE_LIT("Bearer")) && is_right(token, given);
		if (good)
			m.rights = API_CHANGE;
	}
	m.is_foreign = origin != NULL ? !origin_is_ours(origin->value, head->host) : is_basic;
	return m;
}

/* ---- one request ---- */

static void
answer_send(struct visitor *v, const struct api_answer *answer)
{
	char *fields = mem_printf("Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n%s%s%s%s%s%s%s%s",
	    answer->type, answer->page != NULL ? "Cache-Control: no-cache\r\nReferrer-Policy: no-referrer\r\n"
		"Content-Security-Policy: " PAGE_POLICY "\r\nETag: " : "Cache-Control: no-store",
	    answer->page != NULL ? answer->page->etag : "", "\r\n", answer->allow[0] != '\0' ? "Allow: " : "",
	    answer->allow, answer->allow[0] != '\0' ? "\r\n" : "",
	    answer->status == 401 ? "WWW-Authenticate: Bearer realm=\"stickyd\"\r\n" : "",
	    answer->status == 401 ? "WWW-Authenticate: Basic realm=\"stickyd\", charset=\"UTF-8\"\r\n" : "");

	visitor_answer(v, &(struct visitor_answer){ .status = answer->status, .fields = fields,
	    .body = answer->page != NULL ? (const char *)answer->page->bytes : answer->body,
	    .bytes = answer->bytes });
	free(fields);
}

/* One that took its time. */
static void
on_answer(void *arg, const struct api_answer *answer)
{
	answer_send(arg, answer);
}

static void
on_ask(struct visitor *v, const struct head *head, void *arg)
{
	const struct way *w = arg;
	const struct field *known = find_field(head, "If-None-Match");
	struct manners m = way_judge(w, head);
	struct api_call call = {
		.method = head->method == METHOD_HEAD ? SLICE_LIT("GET") : head->method_text,
		.target = head->target, .rights = m.rights, .is_foreign = m.is_foreign,
		.known = known != NULL ? known->value : SLICE_NONE, .on_answer = on_answer, .arg = v,
	};
	struct api_answer answer = { .status = 0 };

	if (w->path == NULL && !host_is_ours(head->host))
		api_refuse(&answer, 421, "ask by address, or as localhost");
	else if (!api_serve(w->admin->api, &call, &answer))
		return;
	answer_send(v, &answer);
	api_answer_fini(&answer);
}

/* ---- who is in ---- */

/* A listener that was shut since all were busy, or for a rest. */
static void
way_go_on(struct way *w)
{
	if (w->listener != NULL && !event_pending(&w->rest, EV_TIMEOUT, NULL))
		evconnlistener_enable(w->listener);
}

static void
on_idle(struct visitor *v, void *arg)
{
	struct way *w = arg;

	list_remove(visitor_list(v));
	list_add_tail(&w->visitors, visitor_list(v));
	way_go_on(w);
}

static void
on_gone(struct visitor *v, void *arg)
{
	struct way *w = arg;

	api_forget(w->admin->api, v);
	visitor_free(v);
	w->visitors_n--;
	if (w->is_retired && w->visitors_n == 0)
		way_free(w);
	else
		way_go_on(w);
}

/* Whoever has longest asked nothing. NULL: all wait for answers. */
static struct visitor *
way_find_idle(const struct way *w)
{
	LIST_EACH (at, after, &w->visitors)
		if (visitor_is_idle(visitor_of_list(at)))
			return visitor_of_list(at);
	return NULL;
}

static void
way_make_room(struct way *w)
{
	struct visitor *idle;

	if (w->visitors_n < ADMIN_VISITORS)
		return;
	idle = way_find_idle(w);
	if (idle != NULL)
		on_gone(idle, w);
	else
		evconnlistener_disable(w->listener);	/* the one who is coming is the last for now */
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct way *w = arg;
	const struct visitor_events events = { .ask = on_ask, .idle = on_idle, .gone = on_gone, .arg = w };
	struct visitor *v;

	(void)sa;
	(void)len;
	way_make_room(w);
	v = visitor_new(evconnlistener_get_base(listener), fd, &events);
	if (v == NULL)
		return;
	list_add_tail(&w->visitors, visitor_list(v));
	w->visitors_n++;
}

/* ---- when nobody can be let in ---- */

static void
on_rest_is_over(evutil_socket_t fd, short what, void *arg)
{
	struct way *w = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(w->listener);
}

/* Out of descriptors, most likely: who knocks is still there, so libevent would try again at once and for ever. */
static void
on_accept_failed(struct evconnlistener *listener, void *arg)
{
	static const struct timeval rest = { .tv_sec = REST_S };
	static uint64_t said_ms;		/* the main thread's */
	uint64_t now_ms = clock_coarse_ms();
	int failed = EVUTIL_SOCKET_ERROR();
	struct way *w = arg;

	evconnlistener_disable(listener);
	must(event_add(&w->rest, &rest) == 0);
	if (said_ms != 0 && now_ms - said_ms < SAID_EVERY_MS)
		return;
	said_ms = now_ms;
	log_warn("admin: nobody can be let in: %s", strerror(failed));
}

/* ---- begin ---- */

static void
way_say(const struct way *w)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr at;
	char text[ADDR_TEXT];

	if (w->path != NULL) {
		log_notice("admin: listening on %s", w->path);
		return;
	}
	if (getsockname(w->fd, (struct sockaddr *)&ss, &len) == -1)
		return;
	addr_from_sockaddr(&at, (struct sockaddr *)&ss, len);
	log_notice("admin: listening on %s", addr_text(&at, text));
}

static void
way_start(struct way *w, struct admin *a)
{
	if (w == NULL || w->listener != NULL)
		return;
	w->admin = a;
	way_say(w);
	must(event_assign(&w->rest, a->base, -1, 0, on_rest_is_over, w) == 0);
	w->listener = evconnlistener_new(a->base, on_accept, w, LEV_OPT_CLOSE_ON_EXEC, 0, w->fd);
	must(w->listener != NULL);
	evconnlistener_set_error_cb(w->listener, on_accept_failed);
}

void
admin_start(struct admin *a, struct event_base *base, struct daemon *d)
{
	a->base = base;
	a->api = api_new(base, d);
	way_start(a->socket, a);
	way_start(a->tcp, a);
}

/* ---- a reload ---- */

/* Nobody is let in any more; who is owed an answer gets it. */
static void
way_retire(struct admin *a, struct way *w)
{
	if (w == NULL)
		return;
	way_remove_path(w);
	way_close(w);
	if (w->visitors_n == 0) {
		way_free(w);
		return;
	}
	w->is_retired = true;
	list_add_tail(&a->retired, &w->list);
	LIST_EACH (at, after, &w->visitors)
		visitor_leave(visitor_of_list(at));
}

static bool
same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Where the default gave way to the user's own it stays there. */
static bool
socket_stays(const struct way *w, const struct conf_admin *cf)
{
	char *own = cf->socket != NULL && !cf->socket_configured ? users_own_path() : NULL;
	bool stays = w != NULL && (same_text(w->path, cf->socket) || same_text(w->path, own));

	free(own);
	return stays;
}

struct admin_change *
admin_prepare(const struct admin *a, const struct conf *cf, conf_report_fn *report, void *arg)
{
	static const struct privilege stay = { .change = false };
	struct admin_change *c = mem_zalloc(sizeof *c);
	bool good = true;

	c->keeps_socket = socket_stays(a->socket, &cf->admin);
	c->keeps_tcp = a->tcp != NULL && same_text(a->tcp->listen, cf->admin.listen);
	if (!c->keeps_socket)
		good = admin_open_socket(&cf->admin, &stay, NULL, &c->socket, report, arg);
	if (!c->keeps_tcp)
		good = admin_open_tcp(&cf->admin, NULL, &c->tcp, report, arg) && good;
	good = token_read(&c->token, &cf->admin, report, arg) && good;
	if (good)
		return c;
	admin_discard(c);
	return NULL;
}

static void
way_replace(struct admin *a, struct way **w, struct way *by)
{
	way_retire(a, *w);
	*w = by;
	way_start(by, a);
}

void
admin_commit(struct admin *a, struct admin_change *c)
{
	if (!c->keeps_socket)
		way_replace(a, &a->socket, c->socket);
	if (!c->keeps_tcp)
		way_replace(a, &a->tcp, c->tcp);
	a->token = c->token;
	secret_wipe(&c->token.secret);
	free(c);
}

void
admin_discard(struct admin_change *c)
{
	if (c == NULL)
		return;
	way_drop(c->socket);
	way_drop(c->tcp);
	secret_wipe(&c->token.secret);
	free(c);
}

/* ---- an upgrade ---- */

static void
way_bequeath(const struct way *w, struct bequest *to)
{
	if (w != NULL)
		bequest_add(to, w->fd, w->is_lent);
}

void
admin_bequeath(const struct admin *a, struct bequest *to)
{
	way_bequeath(a->socket, to);
	way_bequeath(a->tcp, to);
}

void
admin_hand_over(struct admin *a)
{
	if (a->socket != NULL)
		a->socket->is_lent = true;	/* its file is that process's to remove */
	way_retire(a, a->socket);
	way_retire(a, a->tcp);
	a->socket = a->tcp = NULL;
}

/* ---- looking before ---- */

static bool
admin_check_socket(const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	const char *slash = cf->socket != NULL ? strrchr(cf->socket, '/') : NULL;
	char *directory;
	bool good;

	if (slash == NULL || !cf->socket_configured)
		return true;
	directory = mem_slicedup(slice_make(cf->socket, slash != cf->socket ? (size_t)(slash - cf->socket) : 1));
	errno = ENAMETOOLONG;
	good = unixsock_path_fits(cf->socket) && access(directory, W_OK | X_OK) == 0;
	if (!good)
		conf_complain(report, arg, cf->socket_place, "[admin] socket: '%s': %s", cf->socket, strerror(errno));
	free(directory);
	return good;
}

static bool
admin_check_tcp(const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	struct addr at;
	bool fell_back;
	int fd;

	if (cf->listen == NULL || !addr_parse(slice_of(cf->listen), &at))
		return true;	/* of a mistake in it conf has told */
	fd = sock_bind(&at, false, false, &fell_back);
	if (fd != -1)
		close(fd);
	if (fd != -1 || errno == EADDRINUSE)
		return true;
	conf_complain(report, arg, cf->listen_place, "[admin] listen: '%s': %s", cf->listen, strerror(errno));
	return false;
}

bool
admin_check(const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	bool good = admin_check_socket(cf, report, arg);
	struct token token;

	good = admin_check_tcp(cf, report, arg) && good;
	good = token_read(&token, cf, report, arg) && good;
	secret_wipe(&token.secret);
	return good;
}
