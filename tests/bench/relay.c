/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay [-s] [-w PROCESSES] [-T CERTIFICATE KEY] PORT: the floor beside which proxies are measured. Accepts, connects
 * to 127.0.0.1:PORT for each client, and passes bytes both ways without looking at them: one wake-up, one read, one
 * write a message, and nothing else. -s moves them by splice(2), -T ends TLS with all that makes OpenSSL cheap.
 * Prints its port.
 *
 * What a socket refuses is kept in memory, and its peer not read meanwhile.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER 65536
#define EVENTS 256

struct end {
	int fd;
	bool tls_up;		/* the handshake is over */
	bool dead;		/* closed in this turn */
	bool ends;		/* its end has come: to be read up to there */
	SSL *ssl;
	struct end *other;
	char *kept;		/* what the other said and this one does not take */
	size_t kept_n, kept_at;
	int pipe[2];		/* to this one, with -s, while there is something in it */
	size_t piped;
	struct end *next_dead;
};

static char buffer[BUFFER];
static struct sockaddr_in gateway = { .sin_family = AF_INET };
static SSL_CTX *tls;
static bool splices;
static struct end *dead;
static int spare_pipe[2] = { -1, -1 };

/* Empty, it may serve another; not so that of a connection that broke. */
static void
pipe_leave(struct end *e)
{
	if (e->piped == 0 && spare_pipe[0] == -1) {
		memcpy(spare_pipe, e->pipe, sizeof spare_pipe);
	} else {
		close(e->pipe[0]);
		close(e->pipe[1]);
	}
}

static void
end_close(struct end *e)
{
	if (e->dead)
		return;
	e->dead = true;
	if (e->ssl != NULL && e->tls_up)
		SSL_shutdown(e->ssl);
	SSL_free(e->ssl);
	close(e->fd);
	if (e->piped != 0)
		pipe_leave(e);
	free(e->kept);
	e->next_dead = dead;
	dead = e;
}

static void
pair_close(struct end *e)
{
	end_close(e->other);
	end_close(e);
}

/* As far as it goes; -1: broken. */
static ssize_t
end_write(struct end *e, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t sent;

		if (e->ssl != NULL) {
			sent = SSL_write(e->ssl, p + done, (int)(n - done));
			if (sent <= 0)
				return SSL_get_error(e->ssl, (int)sent) == SSL_ERROR_WANT_WRITE ? (ssize_t)done : -1;
		} else {
			sent = send(e->fd, p + done, n - done, MSG_NOSIGNAL);
			if (sent == -1)
				return errno == EAGAIN ? (ssize_t)done : -1;
		}
		done += (size_t)sent;
	}
	return (ssize_t)done;
}

static bool
end_is_held(const struct end *e)
{
	return e->kept_n != 0 || e->piped != 0;
}

static bool
end_keep(struct end *e, const char *p, size_t n)
{
	e->kept = malloc(n);
	if (e->kept == NULL)
		return false;
	memcpy(e->kept, p, n);
	e->kept_n = n;
	e->kept_at = 0;
	return true;
}

/* False: broken. */
static bool
end_flush(struct end *e)
{
	ssize_t n;

	if (e->piped != 0) {
		n = splice(e->pipe[0], NULL, e->fd, NULL, e->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n == -1)
			return errno == EAGAIN;
		e->piped -= (size_t)n;
		if (e->piped == 0)
			pipe_leave(e);
		return true;
	}
	n = end_write(e, e->kept + e->kept_at, e->kept_n - e->kept_at);
	if (n == -1)
		return false;
	e->kept_at += (size_t)n;
	if (e->kept_at == e->kept_n) {
		free(e->kept);
		e->kept = NULL;
		e->kept_n = 0;
	}
	return true;
}

/* 1: some, 0: nothing now, -1: broken, or all has come. */
static int
pass_spliced(struct end *from)
{
	struct end *to = from->other;
	ssize_t n, sent;

	if (spare_pipe[0] == -1 && pipe2(spare_pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		err(1, "pipe");
	n = splice(from->fd, NULL, spare_pipe[1], NULL, BUFFER, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0)
		return n == -1 && errno == EAGAIN ? 0 : -1;
	sent = splice(spare_pipe[0], NULL, to->fd, NULL, (size_t)n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (sent == -1 && errno != EAGAIN)
		return -1;
	to->piped = (size_t)(n - (sent > 0 ? sent : 0));
	if (to->piped != 0) {
		memcpy(to->pipe, spare_pipe, sizeof to->pipe);
		spare_pipe[0] = -1;
	}
	return 1;
}

/* Likewise; *more: the socket may have more. */
static int
pass_copied(struct end *from, bool *more)
{
	ssize_t n, sent;

	if (from->ssl != NULL) {
		n = SSL_read(from->ssl, buffer, sizeof buffer);
		if (n <= 0)
			return SSL_get_error(from->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
		/* it reads ahead what there is, but not more than a record's worth */
		*more = SSL_has_pending(from->ssl) || n == SSL3_RT_MAX_PLAIN_LENGTH;
	} else {
		n = recv(from->fd, buffer, sizeof buffer, 0);
		if (n <= 0)
			return n == -1 && errno == EAGAIN ? 0 : -1;
		*more = (size_t)n == sizeof buffer;
	}
	sent = end_write(from->other, buffer, (size_t)n);
	if (sent == -1 || (sent < n && !end_keep(from->other, buffer + sent, (size_t)(n - sent))))
		return -1;
	return 1;
}

static void
end_pump(struct end *from)
{
	bool plain = from->ssl == NULL && from->other->ssl == NULL, more = true;
	int r = 1;

	while (r == 1 && (more || from->ends) && !end_is_held(from->other))
		r = splices && plain ? pass_spliced(from) : pass_copied(from, &more);
	if (r == -1)
		pair_close(from);
}

static void
end_ready(struct end *e, uint32_t events)
{
	if (e->ssl != NULL && !e->tls_up) {
		int r = SSL_do_handshake(e->ssl);

		if (r != 1) {
			if (SSL_get_error(e->ssl, r) != SSL_ERROR_WANT_READ)
				pair_close(e);
			return;
		}
		e->tls_up = true;
		end_pump(e->other);
		events |= EPOLLIN;	/* the handshake may have read what follows it */
	}
	if (!e->dead && end_is_held(e)) {
		if (!end_flush(e))
			pair_close(e);
		else if (!end_is_held(e))
			end_pump(e->other);
	}
	e->ends |= (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
	if (!e->dead && (e->ends || (events & EPOLLIN)))
		end_pump(e);
}

static void
watch(int ep, int fd, void *what, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = what };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

static struct end *
end_new(int fd)
{
	struct end *e = calloc(1, sizeof *e);
	int one = 1;

	if (e == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		err(1, "a connection");
	e->fd = fd;
	e->tls_up = true;
	return e;
}

static void
pair_new(int ep, int fd)
{
	int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct end *client = end_new(fd), *server = end_new(up);

	if (connect(up, (struct sockaddr *)&gateway, sizeof gateway) == -1 && errno != EINPROGRESS)
		err(1, "connect");
	client->other = server;
	server->other = client;
	if (tls != NULL) {
		client->ssl = SSL_new(tls);
		client->tls_up = false;
		SSL_set_fd(client->ssl, fd);
		SSL_set_accept_state(client->ssl);
	}
	watch(ep, fd, client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	watch(ep, up, server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void
welcome(int ep, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		pair_new(ep, fd);
}

static void
bury(void)
{
	while (dead != NULL) {
		struct end *e = dead;

		dead = e->next_dead;
		free(e);
	}
}

static void
serve(int listener)
{
	int ep = epoll_create1(0);

	watch(ep, listener, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event event[EVENTS];
		int n = epoll_wait(ep, event, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct end *e = event[i].data.ptr;

			if (e == NULL)
				welcome(ep, listener);
			else if (!e->dead)
				end_ready(e, event[i].events);
		}
		bury();
	}
}

static void
set_tls(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s, %s: no certificate and key", certificate, key);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls, 1);
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static int
open_listener(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	socklen_t length = sizeof *at;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == -1 ||
	    bind(fd, (struct sockaddr *)at, sizeof *at) == -1 || listen(fd, 8192) == -1 ||
	    getsockname(fd, (struct sockaddr *)at, &length) == -1)
		err(1, "listen");
	return fd;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int option, processes = 1, listener;
	const char *certificate = NULL;

	while ((option = getopt(argc, argv, "sw:T:")) != -1) {
		if (option == 's')
			splices = true;
		else if (option == 'w')
			processes = atoi(optarg);
		else if (option == 'T')
			certificate = optarg;
		else
			return 1;
	}
	if (argc - optind != (certificate != NULL ? 2 : 1))
		errx(1, "usage: relay [-s] [-w PROCESSES] [-T CERTIFICATE KEY] PORT");
	if (certificate != NULL)
		set_tls(certificate, argv[optind++]);
	gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	gateway.sin_port = htons((uint16_t)atoi(argv[optind]));
	signal(SIGPIPE, SIG_IGN);
	listener = open_listener(&at);
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
	for (int i = 1; i < processes; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);	/* not to outlive the one that was started */
			serve(open_listener(&at));
		}
	}
	serve(listener);
}
