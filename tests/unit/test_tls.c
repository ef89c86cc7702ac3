/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS contexts: real handshakes in memory, with certificates made here; and what is said of files that don't
 * serve. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"

#define DAY 86400L

static char directory[] = "/tmp/stickyd-tls-XXXXXX";
static EVP_PKEY *ca_key;
static X509 *ca;

/* ---- files ---- */

static char *
path(const char *name, const char *kind)
{
	return mem_printf("%s/%s.%s", directory, name, kind);
}

static FILE *
open_new(const char *name, const char *kind)
{
	char *file = path(name, kind);
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	free(file);
	return f;
}

static void
write_text(const char *name, const char *kind, const char *text)
{
	FILE *f = open_new(name, kind);

	fputs(text, f);
	fclose(f);
}

static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Signed by the authority; by itself where there is none yet. */
static X509 *
make_x509(EVP_PKEY *key, const char *common, const char *alternatives, long from_s, long to_s)
{
	static long serial;
	X509 *x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const void *)common, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(ca != NULL ? ca : x));
	X509_set_pubkey(x, key);
	if (alternatives != NULL)
		add_extension(x, NID_subject_alt_name, alternatives);
	if (ca == NULL)
		add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x, ca != NULL ? ca_key : key, EVP_sha256()) > 0);
	return x;
}

/* NAME.pem with its chain, NAME.key. */
static void
make(const char *name, const char *common, const char *alternatives, long from_s, long to_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make_x509(key, common, alternatives, from_s, to_s);
	FILE *f = open_new(name, "pem");

	PEM_write_X509(f, x);
	PEM_write_X509(f, ca);
	fclose(f);
	f = open_new(name, "key");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	f = open_new(name, "both");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	PEM_write_X509(f, x);
	fclose(f);
	f = open_new(name, "locked");
	PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int
set_up(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	X509 *x;
	FILE *f;

	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	ca_key = EVP_EC_gen("P-256");
	ca = make_x509(ca_key, "Test authority", NULL, -DAY, DAY);
	make("one", "ignored.example", "DNS:One.example,DNS:other.example,IP:10.0.0.1", -DAY, DAY);
	make("wild", "wild", "DNS:*.one.example,DNS:*.deep.wild.example", -DAY, DAY);
	make("exact", "exact", "DNS:exact.one.example,DNS:one.example", -DAY, DAY);
	make("common", "Common.example", NULL, -DAY, DAY);
	make("ip", "ip.example", "IP:10.0.0.1", -DAY, DAY);
	make("old", "old.example", NULL, -2 * DAY, -DAY);
	make("young", "young.example", NULL, DAY, 2 * DAY);
	x = make_x509(weak, "weak.example", NULL, -DAY, DAY);
	f = open_new("weak", "both");
	PEM_write_PrivateKey(f, weak, NULL, NULL, 0, NULL, NULL);
	PEM_write_X509(f, x);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(weak);
	write_text("empty", "pem", "");
	write_text("torn", "pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
	return 0;
}

static int
tear_down(void **state)
{
	char *command = mem_printf("rm -r %s", directory);

	(void)state;
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	if (system(command) != 0)
		return -1;
	free(command);
	return 0;
}

/* ---- sets ---- */

struct reports {
	char text[4096];
};

static struct reports reports;

static void
on_report(void *arg, const char *text)
{
	struct reports *r = arg;

	assert_true(strlen(r->text) + strlen(text) + 2 < sizeof r->text);
	strcat(strcat(r->text, text), "\n");
}

static void
on_log(enum log_level level, struct slice text)
{
	char whole[512];

	snprintf(whole, sizeof whole, "%s: %.*s", log_level_name(level), SLICE_FMT(text));
	on_report(&reports, whole);
}

/* names: "one wild", or "one.both", or "certificate.pem:key.key"; what is said goes to reports, with DIR for the
 * directory. */
static struct tls_set *
load(const char *names)
{
	struct conf_certificate certificate[8] = { { .certificate_file = NULL } };
	struct conf_listener cf = { .name = (char *)"public", .tls = true, .certificate = certificate };
	struct slice rest = slice_of(names);
	struct tls_set *s;

	while (rest.p != NULL) {
		struct conf_certificate *c = &certificate[cf.certificates++];
		struct slice key = slice_cut(&rest, ' '), file = slice_cut(&key, ':');
		bool is_whole = slice_find(file, '.') != file.n;

		c->place = (struct conf_place){ "test.ini", (unsigned)cf.certificates };
		c->certificate_file = mem_printf("%s/%.*s%s", directory, SLICE_FMT(file), is_whole ? "" : ".pem");
		if (key.p == NULL)
			key = file;
		c->key_file = mem_printf("%s/%.*s%s", directory, SLICE_FMT(key), is_whole ? "" : ".key");
	}
	reports.text[0] = '\0';
	log_to(on_log);
	s = tls_set_new(&cf, on_report, &reports);
	log_to(NULL);
	for (size_t i = 0; i < cf.certificates; i++) {
		free(certificate[i].certificate_file);
		free(certificate[i].key_file);
	}
	assert_int_equal(ERR_peek_error(), 0);
	return s;
}

static struct tls_set *
load_well(const char *names)
{
	struct tls_set *s = load(names);

	if (s == NULL)
		fail_msg("%s", reports.text);
	assert_string_equal(reports.text, "");
	return s;
}

/* ---- handshakes ---- */

struct talk {
	SSL_CTX *client_ctx;
	SSL *client, *server;
	SSL_SESSION *session;	/* the last ticket */
};

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct talk *t = SSL_get_app_data(ssl);

	SSL_SESSION_free(t->session);
	t->session = session;
	return 1;
}

static void
talk_init(struct talk *t, struct tls_context *c, const char *name)
{
	BIO *a, *b;

	*t = (struct talk){ .client_ctx = SSL_CTX_new(TLS_client_method()) };
	SSL_CTX_set_session_cache_mode(t->client_ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(t->client_ctx, on_session);
	t->client = SSL_new(t->client_ctx);
	t->server = tls_accept(c);
	assert_non_null(t->server);
	SSL_set_app_data(t->client, t);
	SSL_set_connect_state(t->client);
	if (name != NULL)
		SSL_set_tlsext_host_name(t->client, name);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(t->client, a, a);
	SSL_set_bio(t->server, b, b);
}

static void
talk_fini(struct talk *t)
{
	SSL_SESSION_free(t->session);
	SSL_free(t->client);
	SSL_free(t->server);
	SSL_CTX_free(t->client_ctx);
	ERR_clear_error();
}

/* The handshake, and whatever tickets follow it. */
static bool
talk_shake(struct talk *t)
{
	char byte;

	for (unsigned i = 0; i < 10; i++) {
		SSL_do_handshake(t->client);
		SSL_do_handshake(t->server);
	}
	if (!SSL_is_init_finished(t->client) || !SSL_is_init_finished(t->server))
		return false;
	ERR_clear_error();
	assert_int_equal(SSL_write(t->server, "x", 1), 1);
	assert_int_equal(SSL_read(t->client, &byte, 1), 1);
	return true;
}

static const char *
presented(const struct talk *t, char name[64])
{
	X509 *x = SSL_get0_peer_certificate(t->client);

	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, 64);
	return name;
}

static void
test_sni(void **state)
{
	static const struct {
		const char *asked, *common;
		bool is_known;
	} cases[] = {
		{ NULL, "ignored.example", false },
		{ "one.example", "ignored.example", true },		/* the first that has it */
		{ "ONE.Example", "ignored.example", true },
		{ "other.example", "ignored.example", true },
		{ "ignored.example", "ignored.example", false },	/* a common name, but beside DNS names */
		{ "10.0.0.1", "ignored.example", false },
		{ "a.one.example", "wild", true },
		{ "exact.one.example", "exact", true },			/* before the wildcard */
		{ "a.b.one.example", "ignored.example", false },	/* a wildcard is one label */
		{ "wild.example", "ignored.example", false },
		{ "deep.wild.example", "ignored.example", false },
		{ "x.deep.wild.example", "wild", true },
		{ "common.example", "Common.example", true },
		{ "ip.example", "ip.example", true },			/* no DNS name, only an address */
		{ "nobody.example", "ignored.example", false },
		{ ".one.example", "ignored.example", false },
	};
	struct tls_set *s = load_well("one wild exact common ip");
	struct tls_context *c = tls_context_new(s, NULL);

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char common[64];
		struct talk t;

		talk_init(&t, c, cases[i].asked);
		assert_true(talk_shake(&t));
		if (strcmp(presented(&t, common), cases[i].common) != 0)
			fail_msg("%s got %s", cases[i].asked, common);
		assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(t.client)), 2);
		talk_fini(&t);
	}
	tls_context_free(c);
	tls_set_free(s);
}

static void
test_versions(void **state)
{
	static const struct {
		int version;
		bool is_taken;
		const char *ciphers, *chosen;
	} cases[] = {
		{ TLS1_3_VERSION, true, NULL, "TLS_AES_128_GCM_SHA256" },
		{ TLS1_2_VERSION, true, "DEFAULT", "ECDHE-ECDSA-AES128-GCM-SHA256" },
		{ TLS1_2_VERSION, true, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
		    "ECDHE-ECDSA-CHACHA20-POLY1305" },		/* a client without AES in hardware */
		{ TLS1_2_VERSION, false, "ECDHE-ECDSA-AES128-SHA256", NULL },
		{ TLS1_2_VERSION, false, "AES128-GCM-SHA256", NULL },
		{ TLS1_1_VERSION, false, "DEFAULT:@SECLEVEL=0", NULL },
	};
	struct tls_set *s = load_well("one");
	struct tls_context *c = tls_context_new(s, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct talk t;

		talk_init(&t, c, NULL);
		SSL_set_min_proto_version(t.client, cases[i].version);
		SSL_set_max_proto_version(t.client, cases[i].version);
		if (cases[i].ciphers != NULL)
			SSL_set_cipher_list(t.client, cases[i].ciphers);
		assert_int_equal(talk_shake(&t), cases[i].is_taken);
		if (cases[i].is_taken)
			assert_string_equal(SSL_get_cipher(t.server), cases[i].chosen);
		talk_fini(&t);
	}
	tls_context_free(c);
	tls_set_free(s);
}

static void
test_alpn(void **state)
{
	static const struct {
		const char *offered;
		bool is_taken;
		const char *chosen;
	} cases[] = {
		{ "", true, "" },
		{ "\x08http/1.1", true, "http/1.1" },
		{ "\x02h2\x08http/1.1", true, "http/1.1" },
		{ "\x08http/1.0\x08http/1.1", true, "http/1.1" },
		{ "\x02h2", false, "" },
		{ "\x07http/1.", false, "" },
		{ "\x09http/1.1x", false, "" },
	};
	struct tls_set *s = load_well("one wild");
	struct tls_context *c = tls_context_new(s, NULL);

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		const char *offered = cases[i / 2].offered;
		const unsigned char *chosen;
		char why[128];
		unsigned n;
		struct talk t;

		talk_init(&t, c, i % 2 == 0 ? NULL : "a.one.example");
		if (offered[0] != '\0')
			SSL_set_alpn_protos(t.client, (const unsigned char *)offered, (unsigned)strlen(offered));
		assert_int_equal(talk_shake(&t), cases[i / 2].is_taken);
		SSL_get0_alpn_selected(t.client, &chosen, &n);
		assert_true(slice_eq(slice_make((const char *)chosen, n), slice_of(cases[i / 2].chosen)));
		if (!cases[i / 2].is_taken) {
			ERR_clear_error();
			SSL_do_handshake(t.client);
			SSL_read(t.client, why, 1);
			assert_int_equal(SSL_get_shutdown(t.client), SSL_RECEIVED_SHUTDOWN);
		}
		talk_fini(&t);
	}
	tls_context_free(c);
	tls_set_free(s);
}

/* A ticket that one worker gave, another takes; a set of its own does not. */
static void
test_tickets(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	static const char *const names[] = { NULL, "one.example", "a.one.example", "nobody.example" };
	struct tls_set *s = load_well("one wild"), *other = load_well("one wild");
	struct tls_context *first = tls_context_new(s, NULL), *second = tls_context_new(s, NULL);
	struct tls_context *foreign = tls_context_new(other, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(versions) * COUNT(names); i++) {
		struct tls_context *const to[] = { second, foreign };
		const char *name = names[i % COUNT(names)];
		struct talk t, u;

		talk_init(&t, first, name);
		SSL_set_max_proto_version(t.client, versions[i / COUNT(names)]);
		assert_true(talk_shake(&t));
		assert_false(SSL_session_reused(t.server));
		assert_non_null(t.session);
		for (size_t k = 0; k < COUNT(to); k++) {
			talk_init(&u, to[k], name);
			SSL_set_max_proto_version(u.client, versions[i / COUNT(names)]);
			SSL_set_session(u.client, t.session);
			assert_true(talk_shake(&u));
			assert_int_equal(SSL_session_reused(u.server), k == 0);
			talk_fini(&u);
		}
		talk_fini(&t);
	}
	tls_context_free(first);
	tls_context_free(second);
	tls_context_free(foreign);
	tls_set_free(s);
	tls_set_free(other);
}

/* As at a reload, with a handshake under way: its name is still looked up. */
static void
test_life(void **state)
{
	struct tls_set *s = load_well("one wild");
	struct tls_context *c = tls_context_new(s, NULL), *unused = tls_context_new(s, NULL);
	char common[64];
	struct talk t;

	(void)state;
	talk_init(&t, c, "a.one.example");
	tls_set_free(s);
	tls_context_free(c);
	assert_true(talk_shake(&t));
	assert_string_equal(presented(&t, common), "wild");
	talk_fini(&t);
	tls_context_free(unused);
	tls_context_free(NULL);
	tls_set_free(NULL);
}

/* Does this session? */
static bool
resumes(struct tls_context *c, const char *name, SSL_SESSION *session)
{
	struct talk t;
	bool resumed;

	talk_init(&t, c, name);
	SSL_set_max_proto_version(t.client, SSL_SESSION_get_protocol_version(session));
	SSL_set_session(t.client, session);
	assert_true(talk_shake(&t));
	resumed = SSL_session_reused(t.server);
	talk_fini(&t);
	return resumed;
}

/* The same certificates are the same set, and their contexts go on; others take over the ticket keys alone. */
static void
test_adopt(void **state)
{
	static const struct {
		const char *names;
		bool is_same;
	} cases[] = { { "one wild", true }, { "wild one", false }, { "one", false }, { "one wild exact", false },
		{ "one.both wild", false } /* no chain */, { "exact wild", false } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tls_set *old = load_well("one wild"), *s = load_well(cases[i].names), *is;
		struct tls_context *before = tls_context_new(old, NULL), *c;
		struct talk t;

		talk_init(&t, before, "one.example");
		assert_true(talk_shake(&t));
		is = tls_set_adopt(s, old);
		assert_int_equal(is == old, cases[i].is_same);
		assert_int_equal(tls_context_is_of(before, is), cases[i].is_same);
		c = cases[i].is_same ? tls_context_ref(before) : tls_context_new(is, NULL);
		tls_set_free(old);
		tls_context_free(before);
		assert_true(resumes(c, "one.example", t.session));
		tls_context_free(c);
		tls_set_free(is);
		talk_fini(&t);
	}
}

/* Each handshake once, by its outcome. */
static void
test_counts(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	static const char *const names[] = { NULL, "a.one.example" };
	struct tls_set *s = load_well("one wild");

	(void)state;
	for (size_t i = 0; i < COUNT(versions) * COUNT(names); i++) {
		struct tls_counts counts = { .full = { 0 } };
		struct tls_context *c = tls_context_new(s, &counts);
		const char *name = names[i % COUNT(names)];
		struct talk t, bad;

		talk_init(&t, c, name);
		tls_note_end(t.server); /* who says nothing has not failed */
		SSL_set_max_proto_version(t.client, versions[i / COUNT(names)]);
		assert_true(talk_shake(&t));
		assert_int_equal(counter_read(&counts.full), 1);
		assert_true(resumes(c, name, t.session));
		assert_int_equal(counter_read(&counts.full), 1);
		assert_int_equal(counter_read(&counts.resumed), 1);
		tls_note_end(t.server);
		tls_note_end(t.client);
		assert_int_equal(counter_read(&counts.failed), 0);
		talk_init(&bad, c, name);
		SSL_do_handshake(bad.client);
		SSL_do_handshake(bad.server);
		tls_note_end(bad.server); /* gone half way */
		assert_int_equal(counter_read(&counts.failed), 1);
		assert_int_equal(counter_read(&counts.full), 1);
		talk_fini(&bad);
		talk_fini(&t);
		tls_context_free(c);
	}
	tls_set_free(s);
}

/* The renegotiation of TLS 1.2 is a way to make a server work; it is refused, and the connection goes on. */
static void
test_no_renegotiation(void **state)
{
	struct tls_set *s = load_well("one");
	struct tls_context *c = tls_context_new(s, NULL);
	struct talk t;
	char byte;

	(void)state;
	talk_init(&t, c, NULL);
	SSL_set_max_proto_version(t.client, TLS1_2_VERSION);
	assert_true(talk_shake(&t));
	assert_int_equal(SSL_renegotiate(t.client), 1);
	SSL_do_handshake(t.client);
	SSL_read(t.server, &byte, 1);
	SSL_do_handshake(t.client);
	assert_int_equal(SSL_total_renegotiations(t.server), 0);
	talk_fini(&t);
	tls_context_free(c);
	tls_set_free(s);
}

/* Each line as FILE:LINE: [listener NAME] certificate: FILE: why; here LINE and FILE, with @ for the directory. */
static void
test_mistakes(void **state)
{
	static const struct {
		const char *names;
		bool is_taken;
		const char *said;
	} cases[] = {
		{ "one.both", true, "" },
		{ "missing", false,
		    "1 @/missing.pem: No such file or directory\n"
		    "1 @/missing.key: No such file or directory\n" },
		{ "one wild.pem:missing.key one.pem:one.locked", false,
		    "2 @/missing.key: No such file or directory\n"
		    "3 @/one.locked: is encrypted, and stickyd asks for no passphrase: give it a key without one\n" },
		{ "one.pem:wild.key", false, "1 @/wild.key: is not the key of this certificate\n" },
		{ "one.key:one.pem", false,
		    "1 @/one.key: holds no certificate in PEM form\n"
		    "1 @/one.pem: holds no private key that OpenSSL knows, in PEM form\n" },
		{ "empty.pem:empty.pem", false,
		    "1 @/empty.pem: holds no certificate in PEM form\n"
		    "1 @/empty.pem: holds no private key that OpenSSL knows, in PEM form\n" },
		{ "torn.pem:one.key", false, "1 @/torn.pem: bad base64 decode\n" },
		{ "..:one.key", false, "1 @/..: holds no certificate in PEM form\n" },
		{ "weak.both", false, "1 @/weak.both: ee key too small\n" },
		{ "one one", true, "2 @/one.pem: is never used: its names are all an earlier one's\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tls_set *s = load(cases[i].names);
		struct slice rest = slice_of(cases[i].said);
		char said[4096] = "";

		while (rest.n != 0) {
			struct slice why = slice_cut(&rest, '\n'), line = slice_cut(&why, ' ');
			const char *level = cases[i].is_taken ? "warn: " : "";
			size_t n = strlen(said);

			why = slice_skip(why, 1);
			snprintf(said + n, sizeof said - n, "%stest.ini:%.*s: [listener public] certificate: %s%.*s\n",
			    level, SLICE_FMT(line), directory, SLICE_FMT(why));
		}
		assert_string_equal(reports.text, said);
		assert_int_equal(s != NULL, cases[i].is_taken);
		tls_set_free(s);
	}
}

static void
test_dates(void **state)
{
	struct tls_set *s = load("old young");

	(void)state;
	assert_non_null(s);
	assert_non_null(strstr(reports.text, "warn: test.ini:1: [listener public] certificate: "));
	assert_non_null(strstr(reports.text, "old.pem: expired at 20"));
	assert_non_null(strstr(reports.text, "young.pem: is not valid before 20"));
	tls_set_free(s);
}

static void
test_why(void **state)
{
	struct tls_set *s = load_well("one");
	struct tls_context *c = tls_context_new(s, NULL);
	BIO *in = BIO_new(BIO_s_mem());
	char text[64];
	SSL *ssl = tls_accept(c);

	(void)state;
	assert_string_equal(tls_why(text, sizeof text), "no reason given");
	BIO_puts(in, "GET / HTTP/1.1\r\n\r\n");
	SSL_set_bio(ssl, in, in);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	assert_string_equal(tls_why(text, sizeof text), "http request");
	assert_int_equal(ERR_peek_error(), 0);
	SSL_free(ssl);
	tls_context_free(c);
	tls_set_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_why),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
