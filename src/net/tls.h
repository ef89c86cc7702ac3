/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.h - TLS contexts: certificates, versions, ciphers, tickets, SNI, ALPN.
 *
 * A tls_set is what a listener presents, loaded once on the main thread while the files can be read; each worker
 * makes a tls_context of it, so that threads share no SSL_CTX (its counters would be a global lock). All contexts of
 * a set share the certificate and key objects and the ticket keys, so a session that one worker gave resumes with
 * another. A reload makes a new set, which takes over the ticket keys: sessions resume over it.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include "base/counter.h"
#include "conf/conf.h"

struct tls_set;
struct tls_context;

/* One worker's, of one listener. */
struct tls_counts {
	struct counter full, resumed;	/* handshakes that came to a good end */
	struct counter failed;		/* that were begun, by at least one byte, and did not */
};

struct tls_totals {
	uint64_t full, resumed, failed;
};

/* Reads every certificate (with its chain) and key, of which there is at least one; each mistake is reported as
 * conf does, all of them. NULL then. The caller owns the result; contexts made of it may outlive it. */
struct tls_set *tls_set_new(const struct conf_listener *cf, conf_report_fn *report, void *arg) MUST_CHECK;
void tls_set_free(struct tls_set *s);		/* NULL is fine */
/* Goes on where `old` ends: the old set itself (referenced, and s is freed) where it holds the same certificates and
 * keys, else s with the old ticket keys. Before a context is made of s. Returns what is to be used; `old` is still
 * the caller's. */
struct tls_set *tls_set_adopt(struct tls_set *s, struct tls_set *old) MUST_CHECK;

/* For one thread. TLS 1.2 and 1.3; AEAD ciphers with forward secrecy; ALPN http/1.1; one stateless ticket; the first
 * certificate where SNI names none. counts: where its handshakes are counted, must outlive its connections; NULL:
 * nowhere. NULL: out of memory. */
struct tls_context *tls_context_new(const struct tls_set *s, struct tls_counts *counts) MUST_CHECK;
/* The same context once more, to be freed once more. */
struct tls_context *tls_context_ref(struct tls_context *c) MUST_CHECK;
bool tls_context_is_of(const struct tls_context *c, const struct tls_set *s) MUST_CHECK;
void tls_context_free(struct tls_context *c);	/* NULL is fine; its connections go on */
/* A server's end of a connection, in accept state, without a BIO. NULL: out of memory. */
SSL *tls_accept(struct tls_context *c) MUST_CHECK;
/* The connection is about to end: counts a handshake that will come to nothing. Of any SSL. */
void tls_note_end(const SSL *ssl);

/* As net/stream wants an SSL_CTX to be, a server's or a client's. */
void tls_ctx_set_modes(SSL_CTX *ctx);
/* The first error of this thread's queue as text, and the queue emptied. */
const char *tls_why(char *text, size_t room);

#endif
