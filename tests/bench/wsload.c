/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wsload PORT [tls]: clients that cost little, to measure a proxy by. Does what standard input says, a line each, and
 * answers each by a line when it is done:
 *	open N		N more WebSocket sessions
 *	echo N		N round trips of a message of 125 bytes, in turn over the open sessions; each message has a number
 *			of its own, and its echo must be the next that comes
 *	churn N		N sessions, one after the other, each opened, used for one echo, and closed
 *	requests C N	N requests on C kept connections
 * At the end of its input all is closed.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE 125
#define PEERS 20000

struct peer {
	int fd;
	SSL *ssl;
};

static struct peer peers[PEERS];
static unsigned n_peers;
static struct sockaddr_in to = { .sin_family = AF_INET };
static SSL_CTX *tls;

static void
peer_send(struct peer *p, const char *bytes, size_t n)
{
	ssize_t sent = p->ssl != NULL ? SSL_write(p->ssl, bytes, (int)n) : send(p->fd, bytes, n, MSG_NOSIGNAL);

	if (sent != (ssize_t)n)
		errx(1, "the proxy did not take it");
}

static size_t
peer_receive(struct peer *p, char *bytes, size_t room)
{
	ssize_t n = p->ssl != NULL ? SSL_read(p->ssl, bytes, (int)room) : recv(p->fd, bytes, room, 0);

	if (n <= 0)
		errx(1, "the proxy closed");
	return (size_t)n;
}

static struct peer
peer_open(void)
{
	struct peer p = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	int one = 1;

	if (p.fd == -1 || connect(p.fd, (struct sockaddr *)&to, sizeof to) == -1)
		err(1, "connect");
	setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (tls != NULL) {
		p.ssl = SSL_new(tls);
		if (p.ssl == NULL || SSL_set_fd(p.ssl, p.fd) != 1 || SSL_connect(p.ssl) != 1)
			errx(1, "TLS");
	}
	return p;
}

static void
peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
}

/* An answer's head, and `body` bytes behind it. */
static void
peer_answer(struct peer *p, const char *status, size_t body)
{
	char in[4096 + 1];
	const char *end = NULL;
	size_t n = 0;

	while (end == NULL || n < (size_t)(end - in) + 4 + body) {
		n += peer_receive(p, in + n, sizeof in - 1 - n);
		in[n] = '\0';
		end = strstr(in, "\r\n\r\n");
	}
	if (strncmp(in + sizeof "HTTP/1.1", status, 3) != 0)
		errx(1, "not %s: %s", status, in);
}

static void
session_open(struct peer *p)
{
	static const char ask[] = "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

	*p = peer_open();
	peer_send(p, ask, sizeof ask - 1);
	peer_answer(p, "101", 0);
}

static void
session_echo(struct peer *p)
{
	static char message[2 + 4 + MESSAGE] = { (char)0x82, (char)(0x80 | MESSAGE) };
	static uint64_t number;
	char in[2 + MESSAGE];

	number++;
	memcpy(message + 2 + 4, &number, sizeof number);	/* masked with zero */
	peer_send(p, message, sizeof message);
	for (size_t n = 0; n < sizeof in;)
		n += peer_receive(p, in + n, sizeof in - n);
	if (memcmp(in + 2, message + 2 + 4, MESSAGE) != 0)
		errx(1, "another message came than number %llu", (unsigned long long)number);
}

static void
open_sessions(unsigned n)
{
	if (n_peers + n > PEERS)
		errx(1, "too many");
	for (; n != 0; n--)
		session_open(&peers[n_peers++]);
}

static void
churn(unsigned n)
{
	for (; n != 0; n--) {
		struct peer p;

		session_open(&p);
		session_echo(&p);
		peer_close(&p);
	}
}

static void
requests(unsigned connections, unsigned n)
{
	static const char get[] = "GET /page HTTP/1.1\r\nHost: bench\r\nUser-Agent: wsload\r\nAccept: */*\r\n\r\n";
	struct peer *p = calloc(connections, sizeof *p);

	if (p == NULL)
		err(1, NULL);
	for (unsigned i = 0; i < connections; i++)
		p[i] = peer_open();
	for (unsigned done = 0; done < n; done += connections) {
		for (unsigned i = 0; i < connections; i++)
			peer_send(&p[i], get, sizeof get - 1);
		for (unsigned i = 0; i < connections; i++)
			peer_answer(&p[i], "200", sizeof "hello" - 1);
	}
	for (unsigned i = 0; i < connections; i++)
		peer_close(&p[i]);
	free(p);
}

int
main(int argc, char **argv)
{
	char line[64];

	if (argc < 2)
		errx(2, "usage: wsload PORT [tls]");
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (argc > 2) {
		tls = SSL_CTX_new(TLS_client_method());
		if (tls == NULL)
			errx(1, "TLS");
		SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	}
	while (fgets(line, sizeof line, stdin) != NULL) {
		unsigned a, b;

		if (sscanf(line, "requests %u %u", &a, &b) == 2)
			requests(a, b);
		else if (sscanf(line, "open %u", &a) == 1)
			open_sessions(a);
		else if (sscanf(line, "churn %u", &a) == 1)
			churn(a);
		else if (sscanf(line, "echo %u", &a) == 1 && n_peers != 0)
			for (unsigned i = 0; i < a; i++)
				session_echo(&peers[i % n_peers]);
		else
			errx(2, "what is '%s'?", line);
		puts("done");
		fflush(stdout);
	}
	for (unsigned i = 0; i < n_peers; i++)
		peer_close(&peers[i]);
	SSL_CTX_free(tls);
	return 0;
}
