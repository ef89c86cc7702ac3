/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * below [-b BYTES] [-u MICROSECONDS] MODE PORT: relays that try to cost less than the floor (relay.c), which pays one
 * wake-up, one read and one write a message. All accept, connect to 127.0.0.1:PORT for each client, pass bytes both ways
 * without looking at them, keep what a socket refuses, and print their port.
 *	copy		the floor itself: edge-triggered epoll, recv and send
 *	splice		splice(2) through a pipe
 *	batch		all sockets that are ready are read first, then all that was read is sent
 *	sends		the same, but all writes are one system call, of io_uring
 *	gather		the same, and all reads another
 *	uring		io_uring alone: receives that stay armed, and what was received sent by the call that waits for more
 *	sockmap		the kernel redirects by a program of five lines (BPF_MAP_TYPE_SOCKHASH); this process sees ends only
 *	poll		copy, but spins for -u microseconds before it sleeps, as long as that pays
 *	late		copy, but sleeps for -u microseconds before it asks what is ready, that it be more
 *	busy		copy with SO_BUSY_POLL of -u microseconds
 *	zerocopy	copy, but sends with MSG_ZEROCOPY, and waits with a buffer's reuse until the kernel has done with it
 * -b: bytes read at once (a buffer's size, or a pipe's).
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define RING 4096		/* entries of io_uring's submission queue */
#define BUFFERS 1024		/* that wait to be filled, or sent; a power of two */
#define SOCKETS 40000		/* in the map */
#define NONE UINT16_MAX

struct end {
	int fd;
	bool dead;		/* closed in this turn */
	bool ends;		/* its end has come: to be read up to there */
	struct end *other;
	char *kept;		/* what the other said and this one does not take */
	size_t kept_n, kept_at;
	int pipe[2];		/* to this one, while there is something in it */
	size_t piped;
	uint16_t first, last;	/* buffers: to be sent (uring), or that the kernel still reads from (zerocopy) */
	unsigned operations;	/* the ring's, under way */
	bool sending;
	struct end *next;	/* of the dead, or of those whose receive waits for a buffer */
};

enum passed { NOTHING, SOME, MORE, BROKEN };		/* MORE: the socket may have more */

struct mode {
	const char *name;
	void (*serve)(const struct mode *m, int listener);
	enum passed (*pass)(struct end *from);
	int (*wait)(int ep, struct epoll_event *event);
	size_t buffers;
	void (*read)(void);	/* where all sockets' turns are one */
	void (*write)(void);
};

static struct sockaddr_in gateway = { .sin_family = AF_INET };
static size_t bytes = 65536;
static unsigned patience_us = 50;
static const struct mode *mode;
static struct end *dead;
static int spare_pipe[2] = { -1, -1 };

/* Buffers, all alike, in a chain or in chains of their ends. */
static char *memory;
static uint16_t next_buffer[BUFFERS], free_buffer;
static uint32_t filled[BUFFERS];

static char *
buffer_at(uint16_t b)
{
	return memory + b * bytes;
}

static void
buffers_new(size_t n)
{
	memory = mmap(NULL, n * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "buffers");
	for (size_t i = 0; i < n; i++)
		next_buffer[i] = i + 1 < n ? (uint16_t)(i + 1) : NONE;
}

static void
chain_put(struct end *e, uint16_t b)
{
	next_buffer[b] = NONE;
	if (e->first == NONE)
		e->first = b;
	else
		next_buffer[e->last] = b;
	e->last = b;
}

static uint16_t
chain_take(struct end *e)
{
	uint16_t b = e->first;

	e->first = next_buffer[b];
	return b;
}

/* Connections. */

static struct end *
end_new(int fd)
{
	struct end *e = calloc(1, sizeof *e);
	int one = 1;

	if (e == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		err(1, "a connection");
	e->fd = fd;
	e->first = NONE;
	return e;
}

static struct end *
pair_new(int fd, int flags)
{
	int up = socket(AF_INET, SOCK_STREAM, 0);
	struct end *client = end_new(fd), *server = end_new(up);

	if (connect(up, (struct sockaddr *)&gateway, sizeof gateway) == -1 || fcntl(up, F_SETFL, flags) == -1)
		err(1, "connect");
	client->other = server;
	server->other = client;
	return client;
}

static void
end_close(struct end *e)
{
	if (e->dead)
		return;
	e->dead = true;
	close(e->fd);
	if (e->piped != 0) {
		close(e->pipe[0]);
		close(e->pipe[1]);
	}
	free(e->kept);
	e->next = dead;
	dead = e;
}

static void
pair_close(struct end *e)
{
	end_close(e->other);
	end_close(e);
}

static void
bury(void)
{
	while (dead != NULL) {
		struct end *e = dead;

		dead = e->next;
		while (e->first != NONE) {
			uint16_t b = chain_take(e);

			next_buffer[b] = free_buffer;
			free_buffer = b;
		}
		free(e);
	}
}

/* What is kept. */

static bool
end_is_held(const struct end *e)
{
	return e->kept_n != 0 || e->piped != 0;
}

static enum passed
end_keep(struct end *e, const char *p, size_t n)
{
	e->kept = malloc(n);
	if (e->kept == NULL)
		return BROKEN;
	memcpy(e->kept, p, n);
	e->kept_n = n;
	e->kept_at = 0;
	return SOME;
}

/* False: broken. */
static bool
end_flush_pipe(struct end *e)
{
	ssize_t n = splice(e->pipe[0], NULL, e->fd, NULL, e->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n == -1)
		return errno == EAGAIN;
	e->piped -= (size_t)n;
	if (e->piped == 0) {
		close(e->pipe[0]);
		close(e->pipe[1]);
	}
	return true;
}

static bool
end_flush(struct end *e)
{
	ssize_t n;

	if (e->piped != 0)
		return end_flush_pipe(e);
	n = send(e->fd, e->kept + e->kept_at, e->kept_n - e->kept_at, MSG_NOSIGNAL);
	if (n == -1)
		return errno == EAGAIN;
	e->kept_at += (size_t)n;
	if (e->kept_at == e->kept_n) {
		free(e->kept);
		e->kept = NULL;
		e->kept_n = 0;
	}
	return true;
}

/* copy, poll, busy */

static enum passed
pass_on(struct end *to, const char *p, size_t n)
{
	ssize_t sent = send(to->fd, p, n, MSG_NOSIGNAL);

	if (sent == -1 && errno != EAGAIN)
		return BROKEN;
	if (sent == -1)
		sent = 0;
	return (size_t)sent == n ? SOME : end_keep(to, p + sent, n - (size_t)sent);
}

static enum passed
pass_copied(struct end *from)
{
	ssize_t n = recv(from->fd, memory, bytes, 0);

	if (n <= 0)
		return n == -1 && errno == EAGAIN ? NOTHING : BROKEN;
	if (pass_on(from->other, memory, (size_t)n) == BROKEN)
		return BROKEN;
	return (size_t)n == bytes ? MORE : SOME;
}

/* splice */

static void
pipe_new(void)
{
	if (spare_pipe[0] != -1)
		return;
	if (pipe2(spare_pipe, O_NONBLOCK | O_CLOEXEC) == -1 ||
	    (bytes != 65536 && fcntl(spare_pipe[0], F_SETPIPE_SZ, bytes) == -1))
		err(1, "pipe");
}

static enum passed
pass_spliced(struct end *from)
{
	struct end *to = from->other;
	ssize_t n, sent;

	pipe_new();
	n = splice(from->fd, NULL, spare_pipe[1], NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0)
		return n == -1 && errno == EAGAIN ? NOTHING : BROKEN;
	sent = splice(spare_pipe[0], NULL, to->fd, NULL, (size_t)n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (sent == -1 && errno != EAGAIN)
		return BROKEN;
	to->piped = (size_t)(n - (sent > 0 ? sent : 0));
	if (to->piped != 0) {
		memcpy(to->pipe, spare_pipe, sizeof to->pipe);
		spare_pipe[0] = -1;
	}
	return MORE;		/* a short read does not say that it is all: pages count, not bytes */
}

/* zerocopy */

static unsigned long notified, copied_after_all;

/* What the kernel has done with: the oldest. */
static void
end_reclaim(struct end *e)
{
	char control[128];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof control };

	while (recvmsg(e->fd, &m, MSG_ERRQUEUE) != -1) {
		const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		struct sock_extended_err said;

		memcpy(&said, CMSG_DATA(c), sizeof said);
		for (uint32_t i = said.ee_info; i <= said.ee_data && e->first != NONE; i++) {
			uint16_t b = chain_take(e);

			next_buffer[b] = free_buffer;
			free_buffer = b;
			notified++;
			copied_after_all += said.ee_code == SO_EE_CODE_ZEROCOPY_COPIED;
		}
		m.msg_controllen = sizeof control;
	}
}

static enum passed
pass_uncopied(struct end *from)
{
	uint16_t b = free_buffer;
	ssize_t n, sent;

	if (b == NONE)
		return pass_copied(from);	/* into the first, which is none of the chain */
	n = recv(from->fd, buffer_at(b), bytes, 0);
	if (n <= 0)
		return n == -1 && errno == EAGAIN ? NOTHING : BROKEN;
	sent = send(from->other->fd, buffer_at(b), (size_t)n, MSG_NOSIGNAL | MSG_ZEROCOPY);
	if (sent == -1)
		return errno == EAGAIN || errno == ENOBUFS ? pass_on(from->other, buffer_at(b), (size_t)n) : BROKEN;
	free_buffer = next_buffer[b];
	chain_put(from->other, b);
	if (sent < n && end_keep(from->other, buffer_at(b) + sent, (size_t)(n - sent)) == BROKEN)
		return BROKEN;
	return (size_t)n == bytes ? MORE : SOME;
}

/* An epoll loop. */

static void
end_pump(struct end *from)
{
	enum passed p = MORE;

	while ((p == MORE || (p == SOME && from->ends)) && !end_is_held(from->other))
		p = mode->pass(from);
	if (p == BROKEN)
		pair_close(from);
}

/* False: it is dead. */
static bool
end_prepare(struct end *e, uint32_t events)
{
	if (mode->pass == pass_uncopied && (events & EPOLLERR)) {
		end_reclaim(e);
		events &= ~(uint32_t)EPOLLERR;
	}
	if (end_is_held(e)) {
		if (!end_flush(e))
			pair_close(e);
		else if (!end_is_held(e))
			end_pump(e->other);
	}
	e->ends |= (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
	return !e->dead;
}

static void
end_ready(struct end *e, uint32_t events)
{
	if (end_prepare(e, events) && (e->ends || (events & EPOLLIN)))
		end_pump(e);
}

static void
watch(int ep, int fd, void *what, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = what };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll");
}

static void
end_option(struct end *e)
{
	int one = 1;

	if (mode->pass == pass_uncopied && setsockopt(e->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) == -1)
		err(1, "SO_ZEROCOPY");
	if (strcmp(mode->name, "busy") == 0 &&
	    setsockopt(e->fd, SOL_SOCKET, SO_BUSY_POLL, &patience_us, sizeof patience_us) == -1)
		err(1, "SO_BUSY_POLL");
}

static void
welcome(int ep, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct end *client = pair_new(fd, O_NONBLOCK), *server = client->other;

		end_option(client);
		end_option(server);
		watch(ep, client->fd, client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
		watch(ep, server->fd, server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	}
}

static int
wait_asleep(int ep, struct epoll_event *event)
{
	return epoll_wait(ep, event, EVENTS, -1);
}

static int
wait_late(int ep, struct epoll_event *event)
{
	struct timespec t = { .tv_nsec = 1000L * patience_us };

	nanosleep(&t, NULL);
	return wait_asleep(ep, event);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A spin in vain makes the next ones rarer. */
static int
wait_awake(int ep, struct epoll_event *event)
{
	static unsigned rarer, skip;
	uint64_t end_us;
	int n;

	if (skip > 0) {
		skip--;
		return wait_asleep(ep, event);
	}
	end_us = now_us() + patience_us;
	do {
		n = epoll_wait(ep, event, EVENTS, 0);
		if (n != 0) {
			rarer = 0;
			return n;
		}
	} while (now_us() < end_us);
	rarer = rarer < 64 ? 2 * rarer + 1 : rarer;
	skip = rarer;
	return wait_asleep(ep, event);
}

static void
serve(const struct mode *m, int listener)
{
	int ep = epoll_create1(0);

	buffers_new(m->buffers);
	free_buffer = m->buffers > 1 ? 1 : NONE;
	watch(ep, listener, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event event[EVENTS];
		int n = m->wait(ep, event);

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

/* io_uring, by its system calls. */

static struct {
	int fd;
	unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask, pending;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring_buf_ring *buffers;
	uint16_t buffers_tail;
} ring;

static void *
ring_map(size_t size, off_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);

	if (p == MAP_FAILED)
		err(1, "io_uring's memory");
	return p;
}

static void
ring_new(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL, .cq_entries = 4 * RING };
	unsigned *array;
	size_t queues_bytes;
	char *queues;

	ring.fd = (int)syscall(SYS_io_uring_setup, RING, &p);
	if (ring.fd == -1)
		err(1, "io_uring_setup");
	/* one mapping for both queues: IORING_FEAT_SINGLE_MMAP, since Linux 5.4 */
	queues_bytes = p.cq_off.cqes + p.cq_entries * sizeof *ring.cqe;
	if (queues_bytes < p.sq_off.array + p.sq_entries * sizeof *array)
		queues_bytes = p.sq_off.array + p.sq_entries * sizeof *array;
	queues = ring_map(queues_bytes, IORING_OFF_SQ_RING);
	ring.sqe = ring_map(p.sq_entries * sizeof *ring.sqe, IORING_OFF_SQES);
	ring.sq_tail = (unsigned *)(queues + p.sq_off.tail);
	ring.sq_mask = p.sq_entries - 1;
	ring.cq_head = (unsigned *)(queues + p.cq_off.head);
	ring.cq_tail = (unsigned *)(queues + p.cq_off.tail);
	ring.cq_mask = p.cq_entries - 1;
	ring.cqe = (struct io_uring_cqe *)(queues + p.cq_off.cqes);
	array = (unsigned *)(queues + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
}

/* Submits what is pending and waits for so many completions. */
static void
ring_enter(unsigned wanted)
{
	long n;

	do
		n = syscall(SYS_io_uring_enter, ring.fd, ring.pending, wanted, IORING_ENTER_GETEVENTS, NULL, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		err(1, "io_uring_enter");
	ring.pending -= (unsigned)n;
}

static struct io_uring_sqe *
ring_operation(uint8_t operation, int fd, uint64_t about)
{
	unsigned tail = *ring.sq_tail;
	struct io_uring_sqe *s = &ring.sqe[tail & ring.sq_mask];

	if (ring.pending == RING)
		ring_enter(0);
	memset(s, 0, sizeof *s);
	s->opcode = operation;
	s->fd = fd;
	s->user_data = about;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	ring.pending++;
	return s;
}

static void
ring_transfer(uint8_t operation, int fd, uint64_t about, const char *p, size_t n, unsigned flags)
{
	struct io_uring_sqe *s = ring_operation(operation, fd, about);

	s->addr = (uintptr_t)p;
	s->len = (unsigned)n;
	s->msg_flags = flags;
}

/* NULL: none; valid until the next. */
static const struct io_uring_cqe *
ring_completion(void)
{
	static struct io_uring_cqe c;
	unsigned head = *ring.cq_head;

	if (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
		return NULL;
	c = ring.cqe[head & ring.cq_mask];
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	return &c;
}

/* batch, gather: EVENTS sockets' turns at once, a buffer each. */

static struct { struct end *from; ssize_t n, sent; } turn[EVENTS];
static unsigned turns;

static void
read_each(void)
{
	for (unsigned i = 0; i < turns; i++) {
		turn[i].n = recv(turn[i].from->fd, buffer_at((uint16_t)i), bytes, 0);
		if (turn[i].n == -1)
			turn[i].n = -errno;
	}
}

static void
write_each(void)
{
	for (unsigned i = 0; i < turns; i++) {
		if (turn[i].n <= 0)
			continue;
		turn[i].sent = send(turn[i].from->other->fd, buffer_at((uint16_t)i), (size_t)turn[i].n, MSG_NOSIGNAL);
		if (turn[i].sent == -1)
			turn[i].sent = -errno;
	}
}

/* None of them waits: as many completions as there are operations come with the call. */
static void
read_gathered(void)
{
	const struct io_uring_cqe *c;

	if (turns < 2) {
		read_each();
		return;
	}
	for (unsigned i = 0; i < turns; i++)
		ring_transfer(IORING_OP_RECV, turn[i].from->fd, i, buffer_at((uint16_t)i), bytes, MSG_DONTWAIT);
	ring_enter(turns);
	while ((c = ring_completion()) != NULL)
		turn[c->user_data].n = c->res;
}

static void
write_gathered(void)
{
	const struct io_uring_cqe *c;
	unsigned n = 0;

	if (turns < 2) {
		write_each();
		return;
	}
	for (unsigned i = 0; i < turns; i++) {
		if (turn[i].n <= 0)
			continue;
		ring_transfer(IORING_OP_SEND, turn[i].from->other->fd, i, buffer_at((uint16_t)i), (size_t)turn[i].n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		n++;
	}
	ring_enter(n);
	while ((c = ring_completion()) != NULL)
		turn[c->user_data].sent = c->res;
}

static enum passed
turn_passed(unsigned i)
{
	ssize_t n = turn[i].n, sent = turn[i].sent;

	if (n <= 0)
		return n == -EAGAIN ? NOTHING : BROKEN;
	if (sent < 0 && sent != -EAGAIN)
		return BROKEN;
	if (sent < 0)
		sent = 0;
	if (sent < n && end_keep(turn[i].from->other, buffer_at((uint16_t)i) + sent, (size_t)(n - sent)) == BROKEN)
		return BROKEN;
	return (size_t)n == bytes || turn[i].from->ends ? MORE : SOME;
}

/* What has more, or comes to its end, goes on as in copy: its buffer is the first one then. */
static void
turns_over(void)
{
	for (unsigned i = 0; i < turns; i++) {
		struct end *from = turn[i].from;
		enum passed p = from->dead ? NOTHING : turn_passed(i);

		if (p == BROKEN)
			pair_close(from);
		turn[i].n = p;
	}
	for (unsigned i = 0; i < turns; i++)
		if (turn[i].n == MORE && !turn[i].from->dead)
			end_pump(turn[i].from);
	turns = 0;
}

static void
serve_in_turns(const struct mode *m, int listener)
{
	int ep = epoll_create1(0);

	buffers_new(m->buffers);
	if (m->write == write_gathered)
		ring_new();
	watch(ep, listener, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event event[EVENTS];
		int n = m->wait(ep, event);

		for (int i = 0; i < n; i++) {
			struct end *e = event[i].data.ptr;

			if (e == NULL)
				welcome(ep, listener);
			else if (!e->dead && end_prepare(e, event[i].events) && !end_is_held(e->other) &&
			    (e->ends || (event[i].events & EPOLLIN)))
				turn[turns++].from = e;
		}
		m->read();
		m->write();
		turns_over();
		bury();
	}
}

/* uring: receives stay armed and take buffers from a ring; an end has one send under way, the others in its chain. */

enum { RECEIVED, SENT, ACCEPTED, ABOUT = 3 };		/* in an address's lowest bits */

static struct end *starved;

static void
buffer_give(uint16_t b)
{
	struct io_uring_buf *to = &ring.buffers->bufs[ring.buffers_tail & (BUFFERS - 1)];

	to->addr = (uintptr_t)buffer_at(b);
	to->len = (unsigned)bytes;
	to->bid = b;
	ring.buffers_tail++;
	__atomic_store_n(&ring.buffers->tail, ring.buffers_tail, __ATOMIC_RELEASE);
}

static void
ring_lend_buffers(void)
{
	struct io_uring_buf_reg r = { .ring_entries = BUFFERS };

	ring.buffers = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	r.ring_addr = (uintptr_t)ring.buffers;
	if (ring.buffers == MAP_FAILED || syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &r, 1) == -1)
		err(1, "io_uring's buffers");
	for (uint16_t b = 0; b < BUFFERS; b++)
		buffer_give(b);
}

static void
end_receive(struct end *e)
{
	struct io_uring_sqe *s = ring_operation(IORING_OP_RECV, e->fd, (uintptr_t)e | RECEIVED);

	s->ioprio = IORING_RECV_MULTISHOT;
	s->flags = IOSQE_BUFFER_SELECT;
	e->operations++;
}

static void
end_send(struct end *e)
{
	/* all of it, or it is broken: the ring waits where the socket is full */
	ring_transfer(IORING_OP_SEND, e->fd, (uintptr_t)e | SENT, buffer_at(e->first), filled[e->first],
	    MSG_NOSIGNAL | MSG_WAITALL);
	e->sending = true;
	e->operations++;
}

static void
pair_leave(struct end *e)
{
	struct end *o = e->other;

	if (!e->ends) {
		shutdown(e->fd, SHUT_RDWR);
		shutdown(o->fd, SHUT_RDWR);
		e->ends = o->ends = true;
	}
	if (e->operations != 0 || o->operations != 0)
		return;
	for (struct end *side = e; side != NULL; side = side == e ? o : NULL)
		while (side->first != NONE)
			buffer_give(chain_take(side));
	pair_close(e);
}

static void
end_received(struct end *e, const struct io_uring_cqe *c)
{
	if (!(c->flags & IORING_CQE_F_MORE))
		e->operations--;
	if (c->res > 0) {
		uint16_t b = (uint16_t)(c->flags >> IORING_CQE_BUFFER_SHIFT);

		filled[b] = (uint32_t)c->res;
		chain_put(e->other, b);
		if (!e->other->sending && !e->ends)
			end_send(e->other);
	}
	if (c->res <= 0 && c->res != -ENOBUFS) {
		pair_leave(e);
	} else if (!(c->flags & IORING_CQE_F_MORE) && !e->ends) {
		e->operations++;		/* nobody frees it meanwhile */
		e->next = starved;
		starved = e;
	} else if (e->ends) {
		pair_leave(e);
	}
}

static void
end_sent(struct end *e, const struct io_uring_cqe *c)
{
	uint16_t b = e->first;
	bool all = c->res == (int)filled[b];

	e->operations--;
	e->sending = false;
	chain_take(e);
	buffer_give(b);
	if (!all || e->ends)
		pair_leave(e);
	else if (e->first != NONE)
		end_send(e);
}

static void
end_accepted(const struct io_uring_cqe *c)
{
	struct end *client;

	if (c->res < 0)
		errx(1, "accept: %s", strerror(-c->res));
	client = pair_new(c->res, 0);		/* the ring itself does not block */
	end_receive(client);
	end_receive(client->other);
}

static void
end_completed(const struct io_uring_cqe *c)
{
	struct end *e = (struct end *)(uintptr_t)(c->user_data & ~(uint64_t)ABOUT);

	switch (c->user_data & ABOUT) {
	case RECEIVED:
		end_received(e, c);
		break;
	case SENT:
		end_sent(e, c);
		break;
	default:
		end_accepted(c);
	}
}

static void
feed_starved(void)
{
	struct end *e = starved;

	starved = NULL;
	for (struct end *next; e != NULL; e = next) {
		next = e->next;
		e->operations--;
		if (e->ends)
			pair_leave(e);
		else
			end_receive(e);
	}
}

static void
serve_ring(const struct mode *m, int listener)
{
	fcntl(listener, F_SETFL, 0);
	buffers_new(m->buffers);
	ring_new();
	ring_lend_buffers();
	ring_operation(IORING_OP_ACCEPT, listener, ACCEPTED)->ioprio = IORING_ACCEPT_MULTISHOT;
	for (;;) {
		const struct io_uring_cqe *c;

		ring_enter(1);
		while ((c = ring_completion()) != NULL)
			end_completed(c);
		feed_starved();
		bury();
	}
}

/* sockmap: under each socket's cookie stands the socket that is to get what it receives. */

static int
bpf(int command, union bpf_attr *attr, const char *what)
{
	int r = (int)syscall(SYS_bpf, command, attr, sizeof *attr);

	if (r == -1)
		err(1, "%s", what);
	return r;
}

static int
program_new(int map)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_socket_cookie },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 2, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ .code = 0 },		/* its upper half */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_redirect_hash },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static char log[65536];
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SK_SKB, .insns = (uintptr_t)code,
		.insn_cnt = sizeof code / sizeof *code, .license = (uintptr_t)"Dual BSD/GPL",
		.log_buf = (uintptr_t)log, .log_size = sizeof log, .log_level = 1 };
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);

	if (fd == -1)
		err(1, "BPF_PROG_LOAD: %s", log);
	return fd;
}

static int
map_new(void)
{
	union bpf_attr make = { .map_type = BPF_MAP_TYPE_SOCKHASH, .key_size = 8, .value_size = 4,
		.max_entries = SOCKETS };
	int map = bpf(BPF_MAP_CREATE, &make, "BPF_MAP_CREATE");
	union bpf_attr attach = { .target_fd = (uint32_t)map, .attach_bpf_fd = (uint32_t)program_new(map),
		.attach_type = BPF_SK_SKB_VERDICT };

	bpf(BPF_PROG_ATTACH, &attach, "BPF_PROG_ATTACH");
	return map;
}

/* What `from` receives from now on goes to the other. False: that one is not connected any more. */
static bool
map_redirect(int map, const struct end *from)
{
	uint64_t cookie;
	socklen_t n = sizeof cookie;
	uint32_t fd = (uint32_t)from->other->fd;
	union bpf_attr update = { .map_fd = (uint32_t)map, .key = (uintptr_t)&cookie, .value = (uintptr_t)&fd };

	if (getsockopt(from->fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) == -1)
		err(1, "SO_COOKIE");
	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &update, sizeof update) == 0;
}

/* The gateway's goes in first: it says nothing before the client does. What the client said before its own was in is
 * passed on from here. No EPOLLIN: this would wake us for every message that the kernel has redirected. */
static void
welcome_mapped(int ep, int listener, int map)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct end *client = pair_new(fd, O_NONBLOCK), *server = client->other;

		watch(ep, client->fd, client, EPOLLRDHUP | EPOLLET);
		watch(ep, server->fd, server, EPOLLRDHUP | EPOLLET);
		if (!map_redirect(map, client) || !map_redirect(map, server) || pass_copied(client) == BROKEN)
			pair_close(client);
	}
}

static void
serve_mapped(const struct mode *m, int listener)
{
	int ep = epoll_create1(0), map = map_new();

	buffers_new(m->buffers);
	watch(ep, listener, NULL, EPOLLIN);
	for (;;) {
		struct epoll_event event[EVENTS];
		int n = m->wait(ep, event);

		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr == NULL)
				welcome_mapped(ep, listener, map);
			else
				pair_close(event[i].data.ptr);
		}
		bury();
	}
}

static const struct mode modes[] = {
	{ "copy", serve, pass_copied, wait_asleep, 1, NULL, NULL },
	{ "splice", serve, pass_spliced, wait_asleep, 1, NULL, NULL },
	{ "batch", serve_in_turns, pass_copied, wait_asleep, EVENTS, read_each, write_each },
	{ "sends", serve_in_turns, pass_copied, wait_asleep, EVENTS, read_each, write_gathered },
	{ "gather", serve_in_turns, pass_copied, wait_asleep, EVENTS, read_gathered, write_gathered },
	{ "uring", serve_ring, NULL, NULL, BUFFERS, NULL, NULL },
	{ "sockmap", serve_mapped, pass_copied, wait_asleep, 1, NULL, NULL },
	{ "poll", serve, pass_copied, wait_awake, 1, NULL, NULL },
	{ "late", serve, pass_copied, wait_late, 1, NULL, NULL },
	{ "busy", serve, pass_copied, wait_asleep, 1, NULL, NULL },
	{ "zerocopy", serve, pass_uncopied, wait_asleep, BUFFERS, NULL, NULL },
};

static int
open_listener(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t length = sizeof at;

	if (fd == -1 || bind(fd, (struct sockaddr *)&at, sizeof at) == -1 || listen(fd, 8192) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &length) == -1)
		err(1, "listen");
	printf("%u\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void
on_end(int signal)
{
	(void)signal;
	if (notified != 0)
		dprintf(2, "zerocopy: %lu of %lu copied after all\n", copied_after_all, notified);
	_exit(0);
}

static void
usage(void)
{
	fprintf(stderr, "usage: below [-b BYTES] [-u MICROSECONDS] MODE PORT; modes:");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		fprintf(stderr, " %s", modes[i].name);
	fputc('\n', stderr);
	exit(1);
}

int
main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "b:u:")) != -1) {
		if (option == 'b')
			bytes = strtoul(optarg, NULL, 10);
		else if (option == 'u')
			patience_us = (unsigned)atoi(optarg);
		else
			usage();
	}
	for (size_t i = 0; argc - optind == 2 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(modes[i].name, argv[optind]) == 0)
			mode = &modes[i];
	if (mode == NULL)
		usage();
	gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	gateway.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_end);
	mode->serve(mode, open_listener());
}
