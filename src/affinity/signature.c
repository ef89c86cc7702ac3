/* SPDX-License-Identifier: BSD-2-Clause */
/* The HMAC is keyed once, and duplicated for each key that is looked at: that needs no lock. */
#include "affinity/signature.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/mem.h"
#include "base/secret.h"

#define MAC_BYTES 32

_Static_assert(SIGNATURE_TEXT == BASE64URL_TEXT(MAC_BYTES), "the header says how long it is");

struct signature {
	EVP_MAC_CTX *keyed;
};

/* Nothing of this can fail but for want of memory, and then we end as in mem.c. */
struct signature *
signature_new(struct slice secret)
{
	struct signature *s = mem_zalloc(sizeof *s);
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char sha256[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	must(hmac != NULL && secret.n != 0);
	s->keyed = EVP_MAC_CTX_new(hmac);
	must(s->keyed != NULL);
	must(EVP_MAC_init(s->keyed, (const unsigned char *)secret.p, secret.n, params) == 1);
	EVP_MAC_free(hmac);		/* the context keeps it */
	return s;
}

void
signature_free(struct signature *s)
{
	if (s == NULL)
		return;
	EVP_MAC_CTX_free(s->keyed);	/* wipes what it knows of the secret */
	free(s);
}

static struct signature *
signature_from_file(int fd, const char *file, char **why)
{
	struct signature *s = NULL;
	struct secret secret;

	if (secret_read(&secret, fd, file, SECRET_OPERATORS, why))
		s = signature_new(secret_alone(&secret));
	secret_wipe(&secret);
	return s;
}

struct signature *
signature_load(const char *file, char **why)
{
	struct signature *s;
	int fd = secret_open(file);

	*why = NULL;
	if (fd == -1) {
		*why = mem_printf("%s: %s", file, strerror(errno));
		return NULL;
	}
	s = signature_from_file(fd, file, why);
	close(fd);
	return s;
}

static bool
signature_compute(const struct signature *s, struct slice key, char text[SIGNATURE_TEXT])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(s->keyed);
	unsigned char mac[MAC_BYTES];
	size_t n;
	bool good = ctx != NULL && EVP_MAC_update(ctx, (const unsigned char *)key.p, key.n) == 1 &&
	    EVP_MAC_final(ctx, mac, &n, sizeof mac) == 1 && n == sizeof mac;

	EVP_MAC_CTX_free(ctx);
	if (good)
		base64url_encode(mac, sizeof mac, text);
	else
		ERR_clear_error();	/* or TLS would take it for its own */
	return good;
}

void
signature_make(const struct signature *s, struct slice key, char text[SIGNATURE_TEXT])
{
	must(signature_compute(s, key, text));
}

/* An empty key is nobody's, whoever signed it. Texts are compared, not bytes, so that each key has one signature. */
const char *
signature_check(const struct signature *s, struct slice text, struct slice *key)
{
	char right[SIGNATURE_TEXT];
	size_t dot;

	if (text.n > SIGNATURE_TEXT && text.p[text.n - 1] == '=')
		text.n--;		/* some libraries pad */
	dot = text.n - SIGNATURE_TEXT - 1;
	if (text.n <= SIGNATURE_TEXT || text.p[dot] != '.')
		return memrchr(text.p != NULL ? text.p : "", '.', text.n) == NULL ? "unsigned" : "signature";
	*key = slice_head(text, dot);
	if (dot == 0 || !signature_compute(s, *key, right) ||
	    CRYPTO_memcmp(right, text.p + dot + 1, SIGNATURE_TEXT) != 0)
		return "signature";
	return NULL;
}
