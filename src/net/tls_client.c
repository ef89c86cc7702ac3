/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS towards gateways: one SSL_CTX, and for each connection the name that its certificate must be for. */
#include "net/tls_client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/tls.h"

#define TLS_CLIENT_MAGIC 0x71c11e47
#define HOST_TEXT 256

struct tls_client {
	uint32_t magic;
	atomic_uint refs;
	uint64_t number;
	SSL_CTX *ctx;
	char *name;		/* expected of all; NULL: each gateway's own */
	bool verify;
};

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_keeper *k = SSL_get_app_data(ssl);

	if (k == NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	k->keep(k, session);
	return 1;		/* the reference is the keeper's now */
}

/* ---- made ---- */

/* What is in a file of the operator's own is trusted as it is: a gateway's certificate itself, or an intermediate
 * one. */
static bool
tls_client_trust(SSL_CTX *ctx, const char *file)
{
	if (file == NULL)
		return SSL_CTX_set_default_verify_paths(ctx) == 1;
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_load_verify_file(ctx, file) == 1;
}

static bool
tls_client_configure(SSL_CTX *ctx, const struct conf_pool *cf)
{
	static const unsigned char alpn[] = "\x08http/1.1";

	tls_ctx_set_modes(ctx);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_set_verify(ctx, cf->gateway_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) == 0;
}

static void
tls_client_complain(const struct conf_pool *cf, conf_report_fn *report, void *arg)
{
	char why[160];
	bool is_file = cf->gateway_ca != NULL;

	tls_why(why, sizeof why);
	conf_complain(report, arg, is_file ? cf->gateway_ca_place : cf->place, "[pool %s] %s: %s%s%s", cf->name,
	    is_file ? "gateway_ca" : "gateway_tls", is_file ? cf->gateway_ca : "", is_file ? ": " : "", why);
}

struct tls_client *
tls_client_new(const struct conf_pool *cf, conf_report_fn *report, void *arg)
{
	static atomic_ullong clients;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct tls_client *t;

	if (ctx == NULL || !tls_client_configure(ctx, cf) ||
	    (cf->gateway_verify && !tls_client_trust(ctx, cf->gateway_ca))) {
		tls_client_complain(cf, report, arg);
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (!cf->gateway_verify)
		log_warn("pool %s: gateway_verify is no: whoever is between here and a gateway can be it", cf->name);
	t = mem_zalloc(sizeof *t);
	t->magic = TLS_CLIENT_MAGIC;
	atomic_init(&t->refs, 1);
	t->number = atomic_fetch_add(&clients, 1);
	t->ctx = ctx;
	t->name = cf->gateway_sni != NULL ? mem_strdup(cf->gateway_sni) : NULL;
	t->verify = cf->gateway_verify;
	return t;
}

struct tls_client *
tls_client_ref(struct tls_client *t)
{
	if (t == NULL)
		return NULL;
	ALIVE(t, TLS_CLIENT_MAGIC);
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void
tls_client_unref(struct tls_client *t)
{
	if (t == NULL)
		return;
	ALIVE(t, TLS_CLIENT_MAGIC);
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	t->magic = 0;
	SSL_CTX_free(t->ctx);
	free(t->name);
	free(t);
}

uint64_t
tls_client_number(const struct tls_client *t)
{
	ALIVE(t, TLS_CLIENT_MAGIC);
	return t->number;
}

/* ---- a connection ---- */

/* "host:port" without its port, an address of IPv6 without its brackets too. */
static const char *
host_of(const char *address, char text[HOST_TEXT])
{
	bool is_bracketed = *address == '[';
	struct slice rest = slice_skip(slice_of(address), is_bracketed ? 1 : 0);
	struct slice host = slice_cut(&rest, is_bracketed ? ']' : ':');

	snprintf(text, HOST_TEXT, "%.*s", SLICE_FMT(host));
	return text;
}

/* Whose certificate it must be. An address is asked for by nobody (RFC 6066, 3), but may stand in a certificate. */
static bool
tls_client_expect(const struct tls_client *t, SSL *ssl, const char *host)
{
	struct addr a;

	if (addr_parse_host(slice_of(host), &a))
		return !t->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, host) == 1 && (!t->verify || SSL_set1_host(ssl, host) == 1);
}

SSL *
tls_client_connect(struct tls_client *t, const char *address, SSL_SESSION *session, struct tls_keeper *keeper)
{
	char host[HOST_TEXT];
	SSL *ssl;

	ALIVE(t, TLS_CLIENT_MAGIC);
	ssl = SSL_new(t->ctx);
	if (ssl == NULL || !tls_client_expect(t, ssl, t->name != NULL ? t->name : host_of(address, host)) ||
	    SSL_set_app_data(ssl, keeper) != 1 || (session != NULL && SSL_set_session(ssl, session) != 1)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	if (keeper != NULL)
		keeper->client = t->number;
	SSL_set_connect_state(ssl);
	return ssl;
}

/* ---- what went wrong ---- */

/* The name that was expected, NULL where it was an address. */
static const char *
expected_name(const SSL *ssl)
{
	return X509_VERIFY_PARAM_get0_host(SSL_get0_param((SSL *)(uintptr_t)ssl), 0);
}

const char *
tls_client_why(const SSL *ssl, unsigned long code, char *text, size_t room)
{
	bool is_verify = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
	const char *reason = ERR_reason_error_string(code), *name;
	long verified;

	if (ssl == NULL || !is_verify) {
		snprintf(text, room, "TLS: %s", reason != NULL ? reason : "failed");
		return text;
	}
	verified = SSL_get_verify_result(ssl);
	name = verified == X509_V_ERR_HOSTNAME_MISMATCH ? expected_name(ssl) : NULL;
	if (name != NULL)
		snprintf(text, room, "TLS: the certificate is not for %s", name);
	else
		snprintf(text, room, "TLS: certificate: %s", X509_verify_cert_error_string(verified));
	return text;
}
