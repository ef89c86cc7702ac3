/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set keeps what was read: certificates with their chains, keys, and the names they are for. A context has an
 * SSL_CTX for each certificate; the first one's accepts, and SNI moves a connection to another. All of a context
 * hangs on that first SSL_CTX, which each of its connections holds to the end: so connections may outlive the context
 * that made them, and contexts their set, as a reload wants it.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

#define TLS_NAME 256		/* a DNS name and its NUL */
#define TLS_TICKET_KEYS 80	/* a name and two keys, as SSL_CTX_set_tlsext_ticket_keys wants them */
#define TLS_WHY 160
/* As much as a plain read takes at once (net/loop.h), with what TLS adds to it. */
#define TLS_READ (68 * 1024)

/* 1.2: forward secrecy and AEAD only. 1.3: the short key first, it is the cheapest and strong enough; who has no
 * AES in hardware says so by putting ChaCha20 first, and gets it. */
#define TLS_CIPHERS_1_2 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TLS_CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS_GROUPS "X25519:P-256:P-384"

struct tls_certificate {
	X509 *leaf;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
};

struct tls_name {
	char *text;		/* lower case; "*.example.com" for a wildcard */
	size_t certificate;
};

/* Sorted by text, each once. Shared by a set and its contexts. */
struct tls_names {
	atomic_uint refs;
	struct tls_name *name;
	size_t n;
};

struct tls_set {
	atomic_uint refs;
	uint64_t number;	/* no other set's, ever: a pointer may come again */
	struct tls_certificate *certificate;
	size_t certificates;
	struct tls_names *names;
	unsigned char ticket_keys[TLS_TICKET_KEYS];
};

struct tls_context {
	uint64_t set;		/* its number */
	struct tls_names *names;
	size_t n;
	SSL_CTX *ctx[];		/* one for each certificate; the first holds this, and the caller holds it */
};

const char *
tls_why(char *text, size_t room)
{
	unsigned long e = ERR_get_error();
	const char *reason = ERR_reason_error_string(e);

	if (e == 0)
		snprintf(text, room, "no reason given");
	else if (ERR_SYSTEM_ERROR(e))
		snprintf(text, room, "%s", strerror(ERR_GET_REASON(e)));
	else if (reason != NULL)
		snprintf(text, room, "%s", reason);
	else
		ERR_error_string_n(e, text, room);
	ERR_clear_error();
	return text;
}

/* ---- names ---- */

/* In place. */
static void
tls_lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text |= 0x20;
}

static int
tls_name_compare(const void *a, const void *b)
{
	const struct tls_name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : x->certificate < y->certificate ? -1 : x->certificate > y->certificate;
}

static int
tls_name_find(const void *text, const void *name)
{
	return strcmp(text, ((const struct tls_name *)name)->text);
}

static const struct tls_name *
tls_names_find(const struct tls_names *names, const char *text)
{
	return bsearch(text, names->name, names->n, sizeof *names->name, tls_name_find);
}

static void
tls_names_add(struct tls_names *names, const unsigned char *text, int n, size_t certificate)
{
	struct tls_name *name;

	if (n <= 0 || n >= TLS_NAME || memchr(text, '\0', (size_t)n) != NULL)
		return;		/* no host can be called that */
	names->name = mem_realloc(names->name, (names->n + 1) * sizeof *names->name);
	name = &names->name[names->n++];
	name->text = mem_slicedup(slice_make((const char *)text, (size_t)n));
	name->certificate = certificate;
	tls_lower(name->text);
}

/* The subject's common name, which counts where no alternative name is a DNS name (RFC 6125, 6.4.4). */
static void
tls_names_add_common(struct tls_names *names, X509 *leaf, size_t certificate)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text;
	int n;

	if (at == -1)
		return;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (n < 0)
		return;
	tls_names_add(names, text, n, certificate);
	OPENSSL_free(text);
}

static void
tls_names_add_all(struct tls_names *names, X509 *leaf, size_t certificate)
{
	GENERAL_NAMES *alternatives = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool has_dns = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alternatives, i);

		if (g->type != GEN_DNS)
			continue;
		has_dns = true;
		tls_names_add(names, ASN1_STRING_get0_data(g->d.dNSName), ASN1_STRING_length(g->d.dNSName),
		    certificate);
	}
	GENERAL_NAMES_free(alternatives);
	if (!has_dns)
		tls_names_add_common(names, leaf, certificate);
	ERR_clear_error();
}

/* Of one name in several certificates the first certificate's counts. */
static void
tls_names_sort(struct tls_names *names)
{
	size_t kept = 0;

	if (names->n == 0)
		return;
	qsort(names->name, names->n, sizeof *names->name, tls_name_compare);
	for (size_t i = 1; i < names->n; i++) {
		if (strcmp(names->name[i].text, names->name[kept].text) == 0)
			free(names->name[i].text);
		else
			names->name[++kept] = names->name[i];
	}
	names->n = kept + 1;
}

static struct tls_names *
tls_names_new(const struct tls_set *s)
{
	struct tls_names *names = mem_zalloc(sizeof *names);

	atomic_init(&names->refs, 1);
	for (size_t i = 0; i < s->certificates; i++)
		tls_names_add_all(names, s->certificate[i].leaf, i);
	tls_names_sort(names);
	return names;
}

static void
tls_names_unref(struct tls_names *names)
{
	if (names == NULL || atomic_fetch_sub(&names->refs, 1) != 1)
		return;
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i].text);
	free(names->name);
	free(names);
}

/* Whose name a client asked for, or a wildcard's that stands for its first label (RFC 6125, 6.4.3). */
static const struct tls_name *
tls_names_match(const struct tls_names *names, const char *asked)
{
	char text[TLS_NAME];
	const struct tls_name *found;
	char *dot;
	size_t n = strlen(asked);

	if (n >= sizeof text)
		return NULL;
	memcpy(text, asked, n + 1);
	tls_lower(text);
	found = tls_names_find(names, text);
	dot = strchr(text, '.');
	if (found != NULL || dot == NULL || dot == text)
		return found;
	dot[-1] = '*';
	return tls_names_find(names, dot - 1);
}

/* ---- a context ---- */

static int
on_servername(SSL *ssl, int *alert, void *arg)
{
	const struct tls_context *c = arg;
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_name *name = asked != NULL ? tls_names_match(c->names, asked) : NULL;

	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_set_SSL_CTX(ssl, c->ctx[name->certificate]) == NULL) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* A client that speaks other protocols only is told so (RFC 7301, 3.2), rather than answered in one it does not
 * know. */
static int
on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_n, const unsigned char *offered,
    unsigned offered_n, void *arg)
{
	struct slice rest = slice_make((const char *)offered, offered_n);

	(void)ssl;
	(void)arg;
	while (rest.n != 0) {
		struct slice name = slice_head(slice_skip(rest, 1), (unsigned char)rest.p[0]);

		if (slice_eq(name, SLICE_LIT("http/1.1"))) {
			*chosen = (const unsigned char *)name.p;
			*chosen_n = (unsigned char)name.n;
			return SSL_TLSEXT_ERR_OK;
		}
		rest = slice_skip(rest, 1 + name.n);
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The session cache would be shared by lock and hold memory for each client: tickets need neither. */
static bool
tls_ctx_set_sessions(SSL_CTX *ctx, const struct tls_set *s)
{
	static const unsigned char id_context[] = "stickyd";

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, id_context, sizeof id_context - 1) == 1 &&
	    SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)s->ticket_keys, TLS_TICKET_KEYS) == 1;
}

static bool
tls_ctx_set_ciphers(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, TLS_CIPHERS_1_2) == 1 &&
	    SSL_CTX_set_ciphersuites(ctx, TLS_CIPHERS_1_3) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, TLS_GROUPS) == 1;
}

/* ---- counting ---- */

/* OpenSSL says done once for each handshake, not for the tickets behind it. */
static void
on_info(const SSL *ssl, int where, int returned)
{
	struct tls_counts *counts = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	(void)returned;
	if (where & SSL_CB_HANDSHAKE_DONE)
		counter_add(SSL_session_reused(ssl) ? &counts->resumed : &counts->full, 1);
}

static void
tls_ctx_count(SSL_CTX *ctx, struct tls_counts *counts)
{
	SSL_CTX_set_app_data(ctx, counts);
	if (counts != NULL)
		SSL_CTX_set_info_callback(ctx, on_info);
}

/* Who comes and goes without a byte, as balancers do to see that we are there, did not fail. */
void
tls_note_end(const SSL *ssl)
{
	struct tls_counts *counts = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (counts != NULL && !SSL_is_init_finished(ssl) && BIO_number_read(SSL_get_rbio(ssl)) != 0)
		counter_add(&counts->failed, 1);
}

/* A connection that is idle between records holds no buffers of theirs, so they may be large (68 KB): one read of the
 * BIO takes several records. The stream offers again from where it pleases, and hears of each record, so that one
 * client can't hold it. */
void
tls_ctx_set_modes(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, TLS_READ);
}

/* NULL with the reason in OpenSSL's queue: a certificate or key may be too weak for the system's security level. */
static SSL_CTX *
tls_ctx_new(const struct tls_set *s, const struct tls_certificate *c, struct tls_counts *counts)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	tls_ctx_set_modes(ctx);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	tls_ctx_count(ctx, counts);
	if (!tls_ctx_set_ciphers(ctx) || !tls_ctx_set_sessions(ctx, s) ||
	    SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* ctx[0] is not ours: it goes by itself, or has gone. */
static void
tls_context_fini(struct tls_context *c)
{
	for (size_t i = 1; i < c->n; i++)
		SSL_CTX_free(c->ctx[i]);
	tls_names_unref(c->names);
	free(c);
}

/* Called for every SSL_CTX of the process. */
static void
on_ctx_freed(void *parent, void *context, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	if (context != NULL)
		tls_context_fini(context);
}

static int tls_index;		/* of the context in its first SSL_CTX */
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;

static void
tls_get_index(void)
{
	tls_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_freed);
	must(tls_index != -1);
}

struct tls_context *
tls_context_new(const struct tls_set *s, struct tls_counts *counts)
{
	struct tls_context *c = mem_zalloc(sizeof *c + s->certificates * sizeof c->ctx[0]);

	pthread_once(&tls_once, tls_get_index);
	atomic_fetch_add(&s->names->refs, 1);
	c->names = s->names;
	c->set = s->number;
	for (; c->n < s->certificates; c->n++) {
		c->ctx[c->n] = tls_ctx_new(s, &s->certificate[c->n], counts);
		if (c->ctx[c->n] == NULL)
			goto fail;
	}
	if (SSL_CTX_set_ex_data(c->ctx[0], tls_index, c) != 1)
		goto fail;
	SSL_CTX_set_tlsext_servername_callback(c->ctx[0], on_servername);
	SSL_CTX_set_tlsext_servername_arg(c->ctx[0], c);
	return c;
fail:
	SSL_CTX_free(c->ctx[0]);
	tls_context_fini(c);
	ERR_clear_error();
	return NULL;
}

struct tls_context *
tls_context_ref(struct tls_context *c)
{
	must(SSL_CTX_up_ref(c->ctx[0]) == 1);
	return c;
}

bool
tls_context_is_of(const struct tls_context *c, const struct tls_set *s)
{
	return c->set == s->number;
}

void
tls_context_free(struct tls_context *c)
{
	if (c != NULL)
		SSL_CTX_free(c->ctx[0]);	/* and with it, once its last connection has gone, on_ctx_freed */
}

SSL *
tls_accept(struct tls_context *c)
{
	SSL *ssl = SSL_new(c->ctx[0]);

	if (ssl != NULL)
		SSL_set_accept_state(ssl);
	else
		ERR_clear_error();
	return ssl;
}

/* ---- reading the files ---- */

/* One certificate's line of the configuration, and what was wrong with it. */
struct tls_reading {
	const struct conf_listener *listener;
	const struct conf_certificate *cf;
	conf_report_fn *report;
	void *arg;
	bool failed;
};

static void
tls_tell(const struct tls_reading *r, conf_report_fn *report, void *arg, const char *file, const char *why)
{
	conf_complain(report, arg, r->cf->place, "[listener %s] certificate: %s: %s", r->listener->name, file, why);
}

static void
tls_complain(struct tls_reading *r, const char *file, const char *why)
{
	tls_tell(r, r->report, r->arg, file, why);
	r->failed = true;
}

static void
on_warning(void *arg, const char *line)
{
	(void)arg;
	log_warn("%s", line);
}

static void
tls_warn(const struct tls_reading *r, const char *file, const char *why)
{
	tls_tell(r, on_warning, NULL, file, why);
}

/* There may be nobody to ask, and a daemon that waits for a passphrase has not started. */
static int
on_passphrase(char *to, int room, int writing, void *was_asked)
{
	(void)to;
	(void)room;
	(void)writing;
	*(bool *)was_asked = true;
	return -1;
}

static BIO *
tls_open(struct tls_reading *r, const char *file)
{
	FILE *f = fopen(file, "re");
	BIO *in = f != NULL ? BIO_new_fp(f, BIO_CLOSE) : NULL;
	char why[TLS_WHY];

	if (f == NULL)
		tls_complain(r, file, strerror(errno));
	else if (in == NULL)
		tls_complain(r, file, tls_why(why, sizeof why));
	return in;
}

/* Nothing of the kind is left in a file: the ordinary end of reading it. Of a key the decoders say it in their own
 * way. */
static bool
tls_is_at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE) ||
	    (ERR_GET_LIB(e) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(e) == ERR_R_UNSUPPORTED);
}

/* The server's certificate, then those that vouch for it. */
static void
tls_read_certificate(struct tls_reading *r, struct tls_certificate *c)
{
	const char *file = r->cf->certificate_file;
	BIO *in = tls_open(r, file);
	bool asked = false;
	char why[TLS_WHY];
	X509 *x;

	if (in == NULL)
		return;
	c->leaf = PEM_read_bio_X509_AUX(in, NULL, on_passphrase, &asked);
	c->chain = sk_X509_new_null();
	while (c->leaf != NULL && (x = PEM_read_bio_X509(in, NULL, on_passphrase, &asked)) != NULL)
		if (sk_X509_push(c->chain, x) <= 0)
			X509_free(x);
	BIO_free(in);
	if (!tls_is_at_end())
		tls_complain(r, file, tls_why(why, sizeof why));
	else if (c->leaf == NULL)
		tls_complain(r, file, "holds no certificate in PEM form");
	ERR_clear_error();
}

static void
tls_read_key(struct tls_reading *r, struct tls_certificate *c)
{
	const char *file = r->cf->key_file;
	BIO *in = tls_open(r, file);
	bool asked = false;
	char why[TLS_WHY];

	if (in == NULL)
		return;
	c->key = PEM_read_bio_PrivateKey(in, NULL, on_passphrase, &asked);
	BIO_free(in);
	if (asked)
		tls_complain(r, file, "is encrypted, and stickyd asks for no passphrase: give it a key without one");
	else if (c->key == NULL && tls_is_at_end())
		tls_complain(r, file, "holds no private key that OpenSSL knows, in PEM form");
	else if (c->key == NULL)
		tls_complain(r, file, tls_why(why, sizeof why));
	ERR_clear_error();
}

/* A client will refuse such a certificate, but one that expired at night must not keep the rest from starting. */
static void
tls_check_dates(const struct tls_reading *r, const X509 *leaf)
{
	const char *file = r->cf->certificate_file;
	struct tm tm = { 0 };
	char why[64];

	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) {
		ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm);
		strftime(why, sizeof why, "expired at %Y-%m-%dT%H:%M:%SZ", &tm);
		tls_warn(r, file, why);
	} else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) {
		ASN1_TIME_to_tm(X509_get0_notBefore(leaf), &tm);
		strftime(why, sizeof why, "is not valid before %Y-%m-%dT%H:%M:%SZ", &tm);
		tls_warn(r, file, why);
	}
}

/* That a worker can use it is found out here, where it can still be said. */
static void
tls_try(struct tls_reading *r, const struct tls_set *s, const struct tls_certificate *c)
{
	char why[TLS_WHY];
	SSL_CTX *ctx;

	if (X509_check_private_key(c->leaf, c->key) != 1) {
		tls_complain(r, r->cf->key_file, "is not the key of this certificate");
		ERR_clear_error();
		return;
	}
	ctx = tls_ctx_new(s, c, NULL);
	if (ctx == NULL)
		tls_complain(r, r->cf->certificate_file, tls_why(why, sizeof why));
	SSL_CTX_free(ctx);
}

static bool
tls_read(struct tls_reading *r, const struct tls_set *s, struct tls_certificate *c)
{
	tls_read_certificate(r, c);
	tls_read_key(r, c);
	if (r->failed)
		return false;
	tls_check_dates(r, c->leaf);
	tls_try(r, s, c);
	return !r->failed;
}

/* The first one is for whoever asks for no name, so it is never in vain. */
static void
tls_warn_of_unused(const struct tls_set *s, const struct conf_listener *cf)
{
	for (size_t i = 1; i < s->certificates; i++) {
		struct tls_reading r = { .listener = cf, .cf = &cf->certificate[i] };
		size_t names = 0;

		for (size_t n = 0; n < s->names->n; n++)
			names += s->names->name[n].certificate == i;
		if (names == 0)
			tls_warn(&r, r.cf->certificate_file, "is never used: its names are all an earlier one's");
	}
}

static bool
tls_draw_ticket_keys(struct tls_set *s, const struct conf_listener *cf, conf_report_fn *report, void *arg)
{
	char why[TLS_WHY];

	if (RAND_priv_bytes(s->ticket_keys, sizeof s->ticket_keys) == 1)
		return true;
	conf_complain(report, arg, cf->place, "[listener %s] tls: no random numbers: %s", cf->name,
	    tls_why(why, sizeof why));
	return false;
}

struct tls_set *
tls_set_new(const struct conf_listener *cf, conf_report_fn *report, void *arg)
{
	static atomic_ullong sets;
	struct tls_set *s = mem_zalloc(sizeof *s);
	bool ok = tls_draw_ticket_keys(s, cf, report, arg);

	atomic_init(&s->refs, 1);
	s->number = atomic_fetch_add(&sets, 1);
	must(cf->certificates != 0);
	s->certificates = cf->certificates;
	s->certificate = mem_zalloc(cf->certificates * sizeof *s->certificate);
	for (size_t i = 0; i < cf->certificates; i++) {
		struct tls_reading r = { .listener = cf, .cf = &cf->certificate[i], .report = report, .arg = arg };

		ok &= tls_read(&r, s, &s->certificate[i]);
	}
	if (!ok) {
		tls_set_free(s);
		return NULL;
	}
	s->names = tls_names_new(s);
	tls_warn_of_unused(s, cf);
	return s;
}

void
tls_set_free(struct tls_set *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (size_t i = 0; i < s->certificates; i++) {
		X509_free(s->certificate[i].leaf);
		sk_X509_pop_free(s->certificate[i].chain, X509_free);
		EVP_PKEY_free(s->certificate[i].key);
	}
	free(s->certificate);
	tls_names_unref(s->names);
	OPENSSL_cleanse(s->ticket_keys, sizeof s->ticket_keys);
	free(s);
}

/* ---- a reload ---- */

/* That a key belongs to its leaf has been seen, so a leaf that is the same has the same key. */
static bool
tls_certificate_eq(const struct tls_certificate *a, const struct tls_certificate *b)
{
	int n = sk_X509_num(a->chain);

	if (X509_cmp(a->leaf, b->leaf) != 0 || sk_X509_num(b->chain) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (X509_cmp(sk_X509_value(a->chain, i), sk_X509_value(b->chain, i)) != 0)
			return false;
	return true;
}

static bool
tls_set_eq(const struct tls_set *a, const struct tls_set *b)
{
	if (a->certificates != b->certificates)
		return false;
	for (size_t i = 0; i < a->certificates; i++)
		if (!tls_certificate_eq(&a->certificate[i], &b->certificate[i]))
			return false;
	return true;
}

struct tls_set *
tls_set_adopt(struct tls_set *s, struct tls_set *old)
{
	if (!tls_set_eq(s, old)) {
		memcpy(s->ticket_keys, old->ticket_keys, sizeof s->ticket_keys);
		return s;
	}
	tls_set_free(s);
	atomic_fetch_add(&old->refs, 1);
	return old;
}
