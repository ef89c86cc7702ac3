/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin [-a ADDRESS] [-p PORT] [-t THREADS]: a gateway that costs little, to measure proxies by. Prints its port.
 *	GET /bytes/N	N bytes
 *	POST, PUT	reads the body (Content-Length or chunked), answers 200
 *	GET, upgrade	echoes WebSocket messages as they come, answers pings and a close
 * Clients are trusted: what they say is what it seems.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define BUFFER (256 * 1024)
#define BODY (1024 * 1024)
#define HEAD 14

enum what { HTTP, BODY_BY_LENGTH, BODY_BY_CHUNKS, FRAMES };

struct peer {
	int fd;
	enum what what;
	uint64_t left;			/* of the body, or of the frame's payload */
	uint64_t to_send;		/* of an answer's bytes that are all alike */
	unsigned char head[HEAD];	/* of a frame, in pieces */
	unsigned have;
	unsigned char mask[4];
	unsigned mask_at;
	bool echoes;			/* this frame */
	bool closes;			/* a close frame: behind it the gateway hangs up (RFC 6455, 7.1.1) */
	uint64_t chunk;			/* its size, as far as it has been read */
	unsigned line;			/* how long the line is, without its end */
	bool trailer;			/* these lines come behind the last chunk */
	char *part;			/* of a head that has not come whole */
	size_t part_n;
	char *kept;			/* what the socket did not take */
	size_t kept_n;
};

static struct sockaddr_in at = { .sin_family = AF_INET };
static char body[BODY];
static _Thread_local char in[BUFFER + 1], out[BUFFER + 256];

/* ---- out ---- */

static void
keep(struct peer *p, const char *bytes, size_t n)
{
	p->kept = realloc(p->kept, p->kept_n + n);
	if (p->kept == NULL)
		err(1, "memory");
	memcpy(p->kept + p->kept_n, bytes, n);
	p->kept_n += n;
}

static void
say(struct peer *p, const char *bytes, size_t n)
{
	ssize_t sent = p->kept_n == 0 ? send(p->fd, bytes, n, MSG_NOSIGNAL) : 0;

	if (sent == -1 && errno != EAGAIN)
		return;			/* its end will be seen */
	if (sent < (ssize_t)n)
		keep(p, bytes + (sent > 0 ? sent : 0), n - (sent > 0 ? (size_t)sent : 0));
}

static void
say_body(struct peer *p)
{
	while (p->to_send != 0) {
		ssize_t sent = send(p->fd, body, p->to_send < BODY ? (size_t)p->to_send : BODY, MSG_NOSIGNAL);

		if (sent == -1)
			return;
		p->to_send -= (uint64_t)sent;
	}
}

static void
go_on(struct peer *p)
{
	if (p->kept_n != 0) {
		ssize_t sent = send(p->fd, p->kept, p->kept_n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p->kept_n -= (size_t)sent;
		memmove(p->kept, p->kept + sent, p->kept_n);
		if (p->kept_n != 0)
			return;
		free(p->kept);
		p->kept = NULL;
	}
	say_body(p);
}

/* ---- WebSocket ---- */

static size_t
write_header(char *to, unsigned char first, uint64_t n)
{
	to[0] = (char)first;
	if (n < 126) {
		to[1] = (char)n;
		return 2;
	}
	if (n <= UINT16_MAX) {
		to[1] = 126;
		to[2] = (char)(n >> 8);
		to[3] = (char)n;
		return 4;
	}
	to[1] = 127;
	for (unsigned i = 0; i < 8; i++)
		to[2 + i] = (char)(n >> (56 - 8 * i));
	return 10;
}

static unsigned
header_length(const unsigned char *h)
{
	return 6 + ((h[1] & 127) == 126 ? 2 : (h[1] & 127) == 127 ? 8 : 0);
}

static uint64_t
payload_length(const unsigned char *h)
{
	unsigned n = (h[1] & 127) == 126 ? 2 : 8;
	uint64_t v = 0;

	if ((h[1] & 127) < 126)
		return h[1] & 127;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | h[2 + i];
	return v;
}

/* A whole header is there; returns how many bytes the answer's takes. */
static size_t
begin_frame(struct peer *p, char *to)
{
	unsigned char first = p->head[0], opcode = first & 15;

	p->left = payload_length(p->head);
	memcpy(p->mask, p->head + p->have - 4, 4);
	p->mask_at = p->have = 0;
	p->echoes = opcode != 10;
	p->closes = opcode == 8;
	if (opcode == 9)
		first = (unsigned char)((first & 0xf0) | 10);
	return p->echoes ? write_header(to, first, p->left) : 0;
}

static void
unmask(struct peer *p, const char *from, char *to, size_t n)
{
	size_t i = 0;
	uint64_t mask;
	unsigned char m[8];

	for (unsigned k = 0; k < 8; k++)
		m[k] = p->mask[(p->mask_at + k) & 3];
	memcpy(&mask, m, 8);
	for (; i + 8 <= n; i += 8) {
		uint64_t v;

		memcpy(&v, from + i, 8);
		v ^= mask;
		memcpy(to + i, &v, 8);
	}
	for (; i < n; i++)
		to[i] = (char)(from[i] ^ (char)m[i & 7]);
	p->mask_at = (p->mask_at + n) & 3;
}

static void
echo(struct peer *p, const char *bytes, size_t n)
{
	size_t at_in = 0, at_out = 0;

	while (at_in < n) {
		if (p->left == 0) {
			p->head[p->have++] = (unsigned char)bytes[at_in++];
			if (p->have >= 2 && p->have == header_length(p->head))
				at_out += begin_frame(p, out + at_out);
		} else {
			size_t some = p->left < n - at_in ? (size_t)p->left : n - at_in;

			if (p->echoes) {
				unmask(p, bytes + at_in, out + at_out, some);
				at_out += some;
			}
			p->left -= some;
			at_in += some;
		}
	}
	if (at_out != 0)
		say(p, out, at_out);
	if (p->closes && p->left == 0)
		shutdown(p->fd, SHUT_WR);
}

static void
upgrade(struct peer *p, const char *key)
{
	unsigned char digest[EVP_MAX_MD_SIZE], accepted[32];
	char text[128], answer[256];
	int n = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	if (EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL) != 1)
		errx(1, "no SHA-1");
	EVP_EncodeBlock(accepted, digest, 20);
	n = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", (const char *)accepted);
	say(p, answer, (size_t)n);
	p->what = FRAMES;
}

/* ---- HTTP ---- */

static void
answer_upload(struct peer *p)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

	p->what = HTTP;
	say(p, text, sizeof text - 1);
}

static void
answer_get(struct peer *p, uint64_t n)
{
	char *head = out;
	int head_n = snprintf(head, 128, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %llu\r\n\r\n", (unsigned long long)n);

	if (n <= BUFFER - 128) {
		memcpy(out + head_n, body, n);
		say(p, out, (size_t)head_n + n);
		return;
	}
	say(p, out, (size_t)head_n);
	p->to_send = n;
	say_body(p);
}

static const char *
field(const char *head, const char *name)
{
	const char *v = strcasestr(head, name);

	return v != NULL ? v + strlen(name) : NULL;
}

static void
answer(struct peer *p, const char *head)
{
	const char *key = field(head, "\r\nsec-websocket-key: "), *length = field(head, "\r\ncontent-length: ");

	if (key != NULL) {
		upgrade(p, key);
	} else if (field(head, "\r\ntransfer-encoding: chunked") != NULL) {
		p->trailer = false;
		p->line = 0;
		p->chunk = 0;
		p->what = BODY_BY_CHUNKS;
	} else if (length != NULL && atoll(length) != 0) {
		p->left = (uint64_t)atoll(length);
		p->what = BODY_BY_LENGTH;
	} else if (head[0] == 'P') {
		answer_upload(p);
	} else {
		answer_get(p, strncmp(head, "GET /bytes/", 11) == 0 ? (uint64_t)atoll(head + 11) : 128);
	}
}

static unsigned
hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Of a chunk's data as much as there is, with its CRLF; of lines a byte (RFC 9112, 7.1; no extensions). */
static size_t
take_chunks(struct peer *p, const char *bytes, size_t n)
{
	size_t some = p->left < n ? (size_t)p->left : n;

	if (p->left != 0) {
		p->left -= some;
		return some;
	}
	if (*bytes == '\n') {
		if (p->trailer && p->line == 0)
			answer_upload(p);
		p->trailer |= p->chunk == 0;
		p->left = p->chunk != 0 ? p->chunk + 2 : 0;
		p->chunk = p->line = 0;
	} else if (*bytes != '\r') {
		p->line++;
		if (!p->trailer)
			p->chunk = p->chunk << 4 | hex_digit(*bytes);
	}
	return 1;
}

static size_t
take_length(struct peer *p, size_t n)
{
	size_t some = p->left < n ? (size_t)p->left : n;

	p->left -= some;
	if (p->left == 0)
		answer_upload(p);
	return some;
}

/* Most heads come whole. */
static void
keep_part(struct peer *p, const char *bytes, size_t n)
{
	p->part = malloc(n);
	if (p->part == NULL || n == BUFFER)
		errx(1, "a head too long");
	memcpy(p->part, bytes, n);
	p->part_n = n;
}

/* To the front of in: how much it is. */
static size_t
take_part(struct peer *p)
{
	size_t n = p->part_n;

	if (n != 0)
		memcpy(in, p->part, n);
	free(p->part);
	p->part = NULL;
	p->part_n = 0;
	return n;
}

/* bytes[n] is a NUL. How many were taken. */
static size_t
take(struct peer *p, char *bytes, size_t n)
{
	bool last;
	char *end;

	switch (p->what) {
	case FRAMES:
		echo(p, bytes, n);
		return n;
	case BODY_BY_LENGTH:
		return take_length(p, n);
	case BODY_BY_CHUNKS:
		return take_chunks(p, bytes, n);
	case HTTP:
		break;
	}
	end = strstr(bytes, "\r\n\r\n");
	if (end == NULL) {
		keep_part(p, bytes, n);
		return n;
	}
	end[2] = '\0';
	last = field(bytes, "\r\nconnection: close") != NULL;
	answer(p, bytes);
	if (last && p->what == HTTP)
		shutdown(p->fd, SHUT_WR);
	return (size_t)(end + 4 - bytes);
}

/* False: it has gone. */
static bool
hear(struct peer *p)
{
	size_t most = p->what == FRAMES ? BUFFER / 2 : BUFFER;
	ssize_t n = recv(p->fd, in + p->part_n, most - p->part_n, 0);

	if (n <= 0)
		return n == -1 && errno == EAGAIN;
	n += (ssize_t)take_part(p);
	in[n] = '\0';
	for (size_t taken = 0; taken < (size_t)n;)
		taken += take(p, in + taken, (size_t)n - taken);
	return true;
}

/* ---- the loop ---- */

static void
watch(int ep, int fd, void *who, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = who };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

static void
welcome(int ep, int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct peer *p = calloc(1, sizeof *p);

		if (p == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
			err(1, "a connection");
		p->fd = fd;
		watch(ep, fd, p, EPOLLIN);
	}
}

/* Who has something to be sent is not heard meanwhile. */
static void
want(int ep, struct peer *p, bool before)
{
	bool now = p->kept_n != 0 || p->to_send != 0;
	struct epoll_event ev = { .events = now ? EPOLLOUT : EPOLLIN, .data.ptr = p };

	if (now != before && epoll_ctl(ep, EPOLL_CTL_MOD, p->fd, &ev) == -1)
		err(1, "epoll");
}

static void
peer_ready(int ep, struct peer *p, uint32_t events)
{
	bool blocked = p->kept_n != 0 || p->to_send != 0, good = true;

	if (blocked && (events & (EPOLLERR | EPOLLHUP)))
		good = false;
	else if (blocked)
		go_on(p);
	else
		good = hear(p);
	if (good) {
		want(ep, p, blocked);
		return;
	}
	close(p->fd);
	free(p->kept);
	free(p->part);
	free(p);
}

static int
open_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	socklen_t length = sizeof at;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == -1 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) == -1 || listen(fd, 8192) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &length) == -1)
		err(1, "listen");
	return fd;
}

static void *
serve(void *arg)
{
	int listener = *(int *)arg, ep = epoll_create1(EPOLL_CLOEXEC);

	watch(ep, listener, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event event[EVENTS];
		int n = epoll_wait(ep, event, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr == NULL)
				welcome(ep, listener);
			else
				peer_ready(ep, event[i].data.ptr, event[i].events);
		}
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	int option, threads = 1;

	while ((option = getopt(argc, argv, "a:p:t:")) != -1) {
		if (option == 'a')
			address = optarg;
		else if (option == 'p')
			at.sin_port = htons((uint16_t)atoi(optarg));
		else if (option == 't')
			threads = atoi(optarg);
		else
			errx(1, "usage: origin [-a ADDRESS] [-p PORT] [-t THREADS]");
	}
	if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
		errx(1, "%s: not an address", address);
	signal(SIGPIPE, SIG_IGN);
	memset(body, 'x', sizeof body);
	for (int i = 0; i < threads; i++) {
		int *listener = malloc(sizeof *listener);
		pthread_t thread;

		*listener = open_listener();
		if (pthread_create(&thread, NULL, serve, listener) != 0)
			errx(1, "no thread");
	}
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
	pause();
	return 0;
}
