/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - one connected socket, plain or TLS, edge-triggered.
 *
 * Embedded in whoever owns it; one thread's. The socket is added to the loop once, for both directions, so relaying a
 * message costs one read and one write and no epoll_ctl. An edge does not repeat itself: whoever was told CAN_READ
 * reads until STREAM_WAIT, or stops because its sink is blocked and comes back when the sink has DRAINED, or says
 * stream_again().
 *
 * A read that came back short has emptied the socket, so the EAGAIN after it is not asked for. The end of the peer's
 * stream and errors are announced by events of their own (EPOLLRDHUP, EPOLLHUP, EPOLLERR): after one of these
 * everything is read until the end has been seen.
 *
 * Writing keeps what the socket refuses; a stream with nothing pending owns no buffer. Whoever writes while
 * stream_is_blocked() makes memory grow: check first.
 *
 * Bytes that nobody has to see can be moved from one plain stream to another without being copied (stream_move).
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <openssl/ssl.h>

#include "base/slice.h"
#include "net/loop.h"

enum stream_result {
	STREAM_OK,
	STREAM_WAIT,		/* nothing now; an event will come */
	STREAM_END,		/* the peer has sent all it will (its half is closed) */
	STREAM_FAILED,		/* reset, timed out, broken TLS: errno or TLS text by stream_why() */
};

/* What an event says. */
enum { STREAM_CAN_READ = BIT(0), STREAM_DRAINED = BIT(1), STREAM_CONNECTED = BIT(2) };

struct stream;
typedef void stream_fn(struct stream *s, unsigned what);

struct stream {
	struct watch watch;
	uint32_t magic;
	int fd;				/* -1: closed */
	struct loop *loop;
	stream_fn *ready;		/* the owner's */
	void *owner;
	SSL *ssl;			/* NULL: plain */
	struct chunk *out;		/* refused by the socket, to be sent when it takes more: the last of a ring */
	int error;			/* errno of what failed; -1: TLS, then */
	uint32_t tls_error;		/* OpenSSL's code */
	uint32_t unread;		/* by the peer, when stream_progresses was last asked */
	bool connecting;		/* ends with the first EPOLLOUT, or with our handshake where it is by TLS */
	bool readable;			/* the socket may have more */
	bool hup;			/* the peer's end or an error has come: read until it is seen */
	bool broken;			/* by an error, which recv tells behind what was said, behind a FIN never */
	bool more;			/* TLS: behind what is written now comes more at once */
	bool corked;			/* what was written last waits in the kernel for more, or for the end */
	bool read_needs_write;		/* TLS wants to write before it can read on */
	bool shut_wanted, shut_done;
	bool ended;			/* STREAM_END was returned */
};

/* Takes over the descriptor (non-blocking). ssl: taken over too, in accept or connect state; NULL: plain. False: the
 * loop refuses it, the descriptor and the SSL are then still the caller's. */
bool stream_init(struct stream *s, struct loop *l, int fd, SSL *ssl, stream_fn *ready, void *owner) MUST_CHECK;
/* From now on TLS; only before anything was read or written. */
void stream_set_tls(struct stream *s, SSL *ssl);
/* Closes at once: what the socket refused is lost (TLS: with a close_notify where it can be sent). Twice is fine.
 * Memory that holds the stream must outlive the turn (loop_reap). */
void stream_close(struct stream *s);
/* Another owner takes the stream over. */
void stream_hand_over(struct stream *s, stream_fn *ready, void *owner);

/* Reads at most `most` bytes into `to`, or into the loop's scratch where `to` is NULL (most <= LOOP_SCRATCH then). */
enum stream_result stream_read(struct stream *s, char *to, size_t most, struct slice *got) MUST_CHECK;
/* STREAM_OK or STREAM_FAILED; what the socket refuses is copied and kept. */
enum stream_result stream_write(struct stream *s, struct slice bytes) MUST_CHECK;
/* The same, and more follows at once: a short segment need not leave on its own. */
enum stream_result stream_write_more(struct stream *s, struct slice bytes) MUST_CHECK;
/* Can bytes be moved from the one to the other, unseen? Both must be plain (nothing changes that), and the other not
 * blocked. */
bool stream_can_ever_move(const struct stream *from, const struct stream *to);
bool stream_can_move(const struct stream *from, const struct stream *to);
/* Moves at most `most` bytes, less than what has come perhaps. Answers as a read of `from` would, but for STREAM_OK
 * with *n = 0: not this time, read it. What `to` refuses is kept for it, so it may be blocked afterwards; that it has
 * failed is told by stream_has_failed(to). */
enum stream_result stream_move(struct stream *from, struct stream *to, size_t most, size_t *n) MUST_CHECK;
/* When all that is pending has been sent, the peer is told that nothing follows. */
void stream_shut(struct stream *s);
/* Call ready(CAN_READ) again when others have had their turn. */
void stream_again(struct stream *s);
/* Would a read be worth while? False: an event will come. */
bool stream_may_have_more(const struct stream *s);
/* The owner does not want data now: has the peer broken off, whatever it said before that? */
bool stream_is_reset(struct stream *s);
/* What is there, by TLS as it came, left unread; empty when nothing has come. False: it ended or failed. */
bool stream_peek(struct stream *s, char *to, size_t most, struct slice *got) MUST_CHECK;
/* Nothing has come and the peer has not closed: asks the socket. */
bool stream_is_quiet(struct stream *s);
/* Is the peer still reading? Whether it has taken anything since this was last asked (the first time: yes, if it has
 * something to take).
 * The kernel says writable only when a third of its buffer, which may be megabytes, is free: for a slow reader that
 * is too late. */
bool stream_progresses(struct stream *s);
/* TLS: the handshake is over. Plain: true. */
bool stream_is_established(const struct stream *s);
/* Why it failed, for a log line; static or in text. */
const char *stream_why(const struct stream *s, char *text, size_t room);

static inline bool
stream_is_blocked(const struct stream *s)
{
	return s->out != NULL;
}

static inline bool
stream_has_failed(const struct stream *s)
{
	return s->error != 0;
}

#endif
