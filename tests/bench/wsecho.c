/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wsecho: a gateway that costs little, to measure a proxy by. Prints its port; answers GET by a short page on a kept
 * connection, upgrades to WebSocket, and echoes messages of up to 64 KiB that come in one piece each. One thread,
 * epoll.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS 65536
#define BUFFER (128 * 1024)

static bool upgraded[FDS];
static char in[BUFFER + 1], out[BUFFER];

static void
send_all(int fd, const char *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE && errno != ECONNRESET)
		warnx("an echo was not taken in one piece");
}

static void
answer_upgrade(int fd, const char *key)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char accept[32];
	char text[128];
	int n = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	if (EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL) != 1)
		errx(1, "no SHA-1");
	EVP_EncodeBlock(accept, digest, 20);
	n = snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                              "Sec-WebSocket-Accept: %s\r\n\r\n", (const char *)accept);
	send_all(fd, out, (size_t)n);
	upgraded[fd] = true;
}

static void
answer(int fd)
{
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
	const char *key = strcasestr(in, "\r\nSec-WebSocket-Key: ");

	if (key != NULL)
		answer_upgrade(fd, key + sizeof "\r\nSec-WebSocket-Key: " - 1);
	else
		send_all(fd, page, sizeof page - 1);
}

/* Masked frames in, the same unmasked out. False: a close frame, or a frame in pieces. */
static bool
echo(int fd, size_t n)
{
	size_t at = 0, to = 0;

	while (at < n) {
		unsigned char *head = (unsigned char *)in + at, *mask = head + 2;
		size_t length = head[1] & 0x7f;

		if (length == 126) {
			length = (size_t)(head[2] << 8 | head[3]);
			mask += 2;
		}
		if (mask + 4 + length > (unsigned char *)in + n || (head[0] & 15) == 8)
			return false;
		out[to++] = (char)head[0];
		out[to++] = (char)(head[1] & 0x7f);
		if (mask != head + 2) {
			memcpy(out + to, head + 2, 2);
			to += 2;
		}
		for (size_t i = 0; i < length; i++)
			out[to++] = (char)(mask[4 + i] ^ mask[i & 3]);
		at = (size_t)((char *)mask + 4 + length - in);
	}
	send_all(fd, out, to);
	return true;
}

static void
serve(int fd)
{
	ssize_t n = recv(fd, in, BUFFER, 0);

	if (n > 0) {
		in[n] = '\0';
		if (!upgraded[fd])
			answer(fd);
		else if (!echo(fd, (size_t)n))
			n = 0;
	}
	if (n <= 0)
		close(fd);
}

static void
welcome(int ep, int listener)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };

	if (fd == -1 || fd >= FDS)
		err(1, "accept");
	upgraded[fd] = false;
	ev.data.fd = fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

int
main(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof sin;
	int listener = socket(AF_INET, SOCK_STREAM, 0), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener };

	if (bind(listener, (struct sockaddr *)&sin, sizeof sin) == -1 || listen(listener, 4096) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &length) == -1 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) == -1)
		err(1, "listen");
	printf("%u\n", ntohs(sin.sin_port));
	fflush(stdout);
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				welcome(ep, listener);
			else
				serve(events[i].data.fd);
		}
	}
}
