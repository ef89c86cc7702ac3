/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paper.h - certificates for tests of TLS towards gateways, made here, and a server that shows one. Include it behind
 * cmocka.h.
 */
#ifndef TESTS_UNIT_PAPER_H
#define TESTS_UNIT_PAPER_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct paper {
	EVP_PKEY *key;
	X509 *x;
};

static inline void
paper_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* by NULL: an authority, signed by itself. alternatives: "DNS:a.test,IP:127.0.0.1", NULL: none. */
static inline struct paper
paper_make(const struct paper *by, const char *common, const char *alternatives, long to_s)
{
	static long serial;
	struct paper p = { EVP_EC_gen("P-256"), X509_new() };

	assert_non_null(p.key);
	X509_set_version(p.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(p.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(p.x), -7200);
	X509_gmtime_adj(X509_getm_notAfter(p.x), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p.x), "CN", MBSTRING_UTF8, (const void *)common, -1, -1, 0);
	X509_set_issuer_name(p.x, X509_get_subject_name(by != NULL ? by->x : p.x));
	X509_set_pubkey(p.x, p.key);
	if (alternatives != NULL)
		paper_extend(p.x, NID_subject_alt_name, alternatives);
	if (by == NULL)
		paper_extend(p.x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(p.x, by != NULL ? by->key : p.key, EVP_sha256()) > 0);
	return p;
}

static inline void
paper_write(const struct paper *p, const char *file)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	PEM_write_X509(f, p->x);
	fclose(f);
}

static inline SSL_CTX *
paper_server(const struct paper *p, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(ctx, p->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, p->key), 1);
	if (version != 0)
		SSL_CTX_set_max_proto_version(ctx, version);
	return ctx;
}

static inline void
paper_free(struct paper *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->x);
}

#endif
