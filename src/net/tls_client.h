/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_client.h - TLS towards gateways: whom we trust, whose name we expect, what is said when that is not so.
 *
 * One for each pool that asks for it, made while files can be read, never changed, and shared by all threads (OpenSSL
 * counts references to an SSL_CTX by atomics, and locks its store for a moment in a full handshake only). Sessions
 * that a gateway gives are handed to whoever opened the connection, to be offered with the next one.
 */
#ifndef NET_TLS_CLIENT_H
#define NET_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "conf/conf.h"

struct tls_client;

/* Embedded in whoever keeps sessions; lives as long as the SSL. */
struct tls_keeper;
typedef void tls_keep_fn(struct tls_keeper *k, SSL_SESSION *session);	/* takes the session over */
struct tls_keeper {
	tls_keep_fn *keep;
	uint64_t client;	/* whose sessions these are: set by tls_client_connect() */
};

/* Reads gateway_ca, or whom the system trusts; what can't be read is reported as conf does, and NULL then. Any
 * thread. The caller owns the result; its connections may outlive it. */
struct tls_client *tls_client_new(const struct conf_pool *cf, conf_report_fn *report, void *arg) MUST_CHECK;
struct tls_client *tls_client_ref(struct tls_client *t);	/* NULL is fine */
void tls_client_unref(struct tls_client *t);			/* likewise */
/* No other's, ever: what a session was given under says whether it may be offered again. */
uint64_t tls_client_number(const struct tls_client *t);
/* A client's end of a connection to a gateway, in connect state, without a BIO. TLS 1.2 and 1.3; ALPN http/1.1.
 * address: "host:port", as the configuration has it. session: offered, NULL: none; it must be of this client and
 * address. keeper NULL: sessions are not kept. NULL: out of memory. */
SSL *tls_client_connect(struct tls_client *t, const char *address, SSL_SESSION *session, struct tls_keeper *keeper)
    MUST_CHECK;
/* Why a connection failed, by the code that OpenSSL gave: what is wrong with a certificate by name. Of either end's
 * SSL. Returns text. */
const char *tls_client_why(const SSL *ssl, unsigned long code, char *text, size_t room);

#endif
