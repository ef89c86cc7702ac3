/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ways in, the Unix socket and TCP, each with an evhttp of its own, so that it is known by which a request came.
 * What is asked and answered is api.c's affair; here it is decided who may ask.
 */
#include "run/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/crypto.h>
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
#include "http/h1.h"
#include "net/sock.h"
#include "net/unixsock.h"
#include "run/api.h"

/* A key of SELECTOR_KEY_MAX bytes, each as %XX, and what else stands in a request. */
#define HEAD_BYTES_MAX 65536
#define BODY_BYTES_MAX 4096		/* no call has one */
#define TIMEOUT_S 10
#define TCP_BACKLOG 64

/* Nobody is let in for so long when it has failed, and it is said this often. */
#define REST_S 1
#define SAID_EVERY_MS 60000

/* One way in. */
struct way {
	struct admin *admin;
	int fd;				/* -1: there is none, or evhttp has it */
	struct evhttp *http;
	bool is_tcp;
	bool is_open;			/* who comes in so may read without a token */
};

struct admin {
	struct way socket, tcp;
	char *path;			/* of the Unix socket; NULL: none */
	dev_t device;			/* that file, as we made it */
	ino_t inode;
	struct secret token;
	bool has_token;
	struct api *api;
};

/* ---- the Unix socket ---- */

static bool
admin_bind_socket(struct admin *a, const char *path, const struct privilege *p)
{
	struct stat st;

	a->socket.fd = unixsock_listen(path);
	if (a->socket.fd == -1)
		return false;
	a->path = mem_strdup(path);
	if ((p->change && lchown(path, p->uid, p->gid) == -1) || lstat(path, &st) == -1)
		return false;
	a->device = st.st_dev;
	a->inode = st.st_ino;
	return true;
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

/* Not there, or not allowed, or another stickyd's: it runs without, since nobody asked for it by name. */
static void
admin_open_default(struct admin *a, const char *path, const struct privilege *p)
{
	char *own = users_own_path();
	int why;

	make_directory_of(path, 0755, p);
	if (admin_bind_socket(a, path, p)) {
		free(own);
		return;
	}
	why = errno;
	if (own != NULL)
		make_directory_of(own, 0700, p);
	if (own != NULL && admin_bind_socket(a, own, p))
		log_notice("admin: %s: %s: using %s", path, strerror(why), own);
	else
		log_notice("admin: %s: %s: there is no socket for stickyctl; [admin] socket says where", path,
		    strerror(why));
	free(own);
}

static bool
admin_open_socket(struct admin *a, const struct conf_admin *cf, const struct privilege *p, conf_report_fn *report,
    void *arg)
{
	if (cf->socket == NULL)
		return true;
	if (!cf->socket_configured) {
		admin_open_default(a, cf->socket, p);
		return true;
	}
	if (admin_bind_socket(a, cf->socket, p))
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

static bool
admin_open_tcp(struct admin *a, const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	struct addr at;
	bool fell_back;

	if (cf->listen == NULL)
		return true;
	must(addr_parse(slice_of(cf->listen), &at));	/* conf has checked it */
	a->tcp.is_open = is_loopback(&at);
	a->tcp.fd = sock_bind(&at, false, false, &fell_back);
	if (a->tcp.fd != -1 && listen(a->tcp.fd, TCP_BACKLOG) == 0)
		return true;
	conf_complain(report, arg, cf->listen_place, "[admin] listen: '%s': %s", cf->listen, strerror(errno));
	return false;
}

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

static bool
token_read(struct secret *token, const struct conf_admin *cf, conf_report_fn *report, void *arg)
{
	char *why = token_load(token, cf->token_file);

	if (why == NULL)
		return true;
	conf_complain(report, arg, cf->token_file_place, "[admin] token_file: %s", why);
	free(why);
	return false;
}

/* ---- life ---- */

struct admin *
admin_open(const struct conf *cf, const struct privilege *p, conf_report_fn *report, void *arg)
{
	struct admin *a = mem_zalloc(sizeof *a);
	bool good;

	a->socket = (struct way){ .admin = a, .fd = -1, .is_open = true };
	a->tcp = (struct way){ .admin = a, .fd = -1, .is_tcp = true };
	good = admin_open_socket(a, &cf->admin, p, report, arg);
	good = admin_open_tcp(a, &cf->admin, report, arg) && good;
	a->has_token = cf->admin.token_file != NULL;
	if (a->has_token)
		good = token_read(&a->token, &cf->admin, report, arg) && good;
	if (good)
		return a;
	admin_free(a);
	return NULL;
}

static void
way_close(struct way *w)
{
	if (w->http != NULL)
		evhttp_free(w->http);
	if (w->fd != -1)
		close(w->fd);
}

/* Unless somebody has put another in its place. */
static void
admin_remove_socket(const struct admin *a)
{
	struct stat st;

	if (a->path == NULL || lstat(a->path, &st) == -1 || st.st_dev != a->device || st.st_ino != a->inode)
		return;
	if (unlink(a->path) == -1)
		log_warn("admin: %s can't be removed: %s", a->path, strerror(errno));
}

void
admin_free(struct admin *a)
{
	if (a == NULL)
		return;
	way_close(&a->socket);
	way_close(&a->tcp);
	api_free(a->api);
	admin_remove_socket(a);
	free(a->path);
	secret_wipe(&a->token);
	free(a);
}

/* ---- who may ---- */

/* A page of some other site, whose name was made to point at us (DNS rebinding), is to a browser of the same origin
 * as this server, and could read all of it and send what it likes. It can't do that under an address or localhost. */
static bool
host_is_ours(const char *host)
{
	struct slice port = slice_of(host), name = slice_cut(&port, ':');
	struct addr a;

	return slice_eq_nocase(name, SLICE_LIT("localhost")) || addr_parse_host(slice_of(host), &a);
}

static bool
token_is_right(const struct secret *token, const char *authorization)
{
	struct slice given = slice_of(authorization), scheme = slice_cut(&given, ' '), right = secret_alone(token);

	given = slice_trim(given);
	return slice_eq_nocase(scheme, SLICE_LIT("Bearer")) && given.n == right.n &&
	    CRYPTO_memcmp(given.p, right.p, right.n) == 0;
}

static enum api_rights
way_rights(const struct way *w, const char *authorization)
{
	const struct admin *a = w->admin;

	if (!w->is_tcp || (a->has_token && authorization != NULL && token_is_right(&a->token, authorization)))
		return API_CHANGE;
	return w->is_open ? API_READ : API_NOTHING;
}

/* ---- one request ---- */

static struct slice
method_of(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		return SLICE_LIT("GET");
	case EVHTTP_REQ_PUT:
		return SLICE_LIT("PUT");
	case EVHTTP_REQ_POST:
		return SLICE_LIT("POST");
	case EVHTTP_REQ_DELETE:
		return SLICE_LIT("DELETE");
	default:
		return SLICE_NONE;	/* no call has another */
	}
}

static void
way_reply(struct evhttp_request *rq, const struct api_answer *answer)
{
	struct evkeyvalq *fields = evhttp_request_get_output_headers(rq);
	struct evbuffer *body = evbuffer_new();
	char length[24];

	must(body != NULL);
	if (evhttp_request_get_command(rq) != EVHTTP_REQ_HEAD)	/* evhttp would send it (RFC 9110, 9.3.2) */
		must(evbuffer_add(body, answer->body, answer->bytes) == 0);
	snprintf(length, sizeof length, "%zu", answer->bytes);
	evhttp_add_header(fields, "Content-Length", length);
	evhttp_add_header(fields, "Content-Type", answer->type);
	evhttp_add_header(fields, "Cache-Control", "no-store");
	evhttp_add_header(fields, "X-Content-Type-Options", "nosniff");
	if (answer->allow[0] != '\0')
		evhttp_add_header(fields, "Allow", answer->allow);
	if (answer->status == 401)
		evhttp_add_header(fields, "WWW-Authenticate", "Bearer realm=\"stickyd\"");
	evhttp_send_reply(rq, (int)answer->status, h1_reason(answer->status), body);
	evbuffer_free(body);
}

static void
on_request(struct evhttp_request *rq, void *arg)
{
	const struct way *w = arg;
	const struct evkeyvalq *fields = evhttp_request_get_input_headers(rq);
	const char *host = evhttp_find_header(fields, "Host");
	struct api_call call = {
		.method = method_of(evhttp_request_get_command(rq)),
		.target = slice_of(evhttp_request_get_uri(rq)),
		.rights = way_rights(w, evhttp_find_header(fields, "Authorization")),
	};
	struct api_answer answer = { .status = 0 };

	if (w->is_tcp && host != NULL && !host_is_ours(host))
		api_refuse(&answer, 421, "ask by address, or as localhost");
	else
		api_serve(w->admin->api, &call, &answer);
	way_reply(rq, &answer);
	api_answer_fini(&answer);
}

/* ---- when nobody can be let in ---- */

static void
on_rest_is_over(evutil_socket_t fd, short what, void *arg)
{
	struct evconnlistener *listener = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(listener);
}

/* Out of descriptors, most likely: who knocks is still there, so libevent would try again at once and for ever. The
 * base outlives no way, so the listener is there when the rest is over, or the base is gone too. */
static void
on_accept_failed(struct evconnlistener *listener, void *arg)
{
	static const struct timeval rest = { .tv_sec = REST_S };
	static uint64_t said_ms;		/* the main thread's */
	uint64_t now_ms = clock_coarse_ms();
	int failed = EVUTIL_SOCKET_ERROR();

	(void)arg;
	evconnlistener_disable(listener);
	if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_rest_is_over, listener,
		&rest) == -1)
		evconnlistener_enable(listener);
	if (said_ms != 0 && now_ms - said_ms < SAID_EVERY_MS)
		return;
	said_ms = now_ms;
	log_warn("admin: nobody can be let in: %s", strerror(failed));
}

static void
way_start(struct way *w, struct event_base *base)
{
	struct evhttp_bound_socket *bound;

	if (w->fd == -1)
		return;
	w->http = evhttp_new(base);
	must(w->http != NULL);
	evhttp_set_max_headers_size(w->http, HEAD_BYTES_MAX);
	evhttp_set_max_body_size(w->http, BODY_BYTES_MAX);
	evhttp_set_timeout(w->http, TIMEOUT_S);
	evhttp_set_allowed_methods(w->http, UINT16_MAX);	/* which of them a path takes is told by it */
	evhttp_set_gencb(w->http, on_request, w);
	bound = evhttp_accept_socket_with_handle(w->http, w->fd);
	must(bound != NULL);
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_failed);
	w->fd = -1;
}

static void
admin_say_where(const struct admin *a)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr at;
	char text[ADDR_TEXT];

	if (a->path != NULL)
		log_notice("admin: listening on %s", a->path);
	if (a->tcp.fd == -1 || getsockname(a->tcp.fd, (struct sockaddr *)&ss, &len) == -1)
		return;
	addr_from_sockaddr(&at, (struct sockaddr *)&ss, len);
	log_notice("admin: listening on %s", addr_text(&at, text));
}

void
admin_start(struct admin *a, struct event_base *base, struct daemon *d)
{
	a->api = api_new(d);
	must(a->api != NULL);
	admin_say_where(a);
	way_start(&a->socket, base);
	way_start(&a->tcp, base);
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
	struct secret token;

	good = admin_check_tcp(cf, report, arg) && good;
	if (cf->token_file == NULL)
		return good;
	good = token_read(&token, cf, report, arg) && good;
	secret_wipe(&token);
	return good;
}
