/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS towards gateways: real handshakes in memory; who is believed, what is said of the others, what is resumed. */
#include "net/tls_client.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "paper.h"

static char directory[] = "/tmp/stickyd-tls-client-XXXXXX";
static char ca_file[64], leaf_file[64];
static struct paper ca, stranger;
static char reported[256], logged[256];

static void
on_report(void *arg, const char *line)
{
	(void)arg;
	snprintf(reported, sizeof reported, "%s", line);
}

static void
keep_log(enum log_level level, struct slice text)
{
	(void)level;
	snprintf(logged, sizeof logged, "%.*s", SLICE_FMT(text));
}

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(ca_file, sizeof ca_file, "%s/ca.pem", directory);
	snprintf(leaf_file, sizeof leaf_file, "%s/leaf.pem", directory);
	ca = paper_make(NULL, "authority", NULL, 3600);
	stranger = paper_make(NULL, "stranger", NULL, 3600);
	paper_write(&ca, ca_file);
	log_to(keep_log);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	paper_free(&ca);
	paper_free(&stranger);
	unlink(ca_file);
	unlink(leaf_file);
	return rmdir(directory);
}

static struct tls_client *
client_of(char *file, char *sni, bool verify)
{
	static char name[] = "game";
	const struct conf_pool cf = {
		.name = name, .gateway_tls = true, .gateway_ca = file, .gateway_sni = sni, .gateway_verify = verify,
		.place = { "t.ini", 3 }, .gateway_ca_place = { "t.ini", 4 },
	};

	reported[0] = logged[0] = '\0';
	return tls_client_new(&cf, on_report, NULL);
}

/* Both ends, each with the other's bytes. */
struct ends {
	SSL *client, *server;
	char why[160];		/* "" when all is well */
};

static void
ends_shake(struct ends *e)
{
	for (unsigned i = 0; i < 20 && e->why[0] == '\0'; i++) {
		int r = SSL_do_handshake(e->client), why = SSL_get_error(e->client, r);

		if (r != 1 && why != SSL_ERROR_WANT_READ)
			tls_client_why(e->client, ERR_peek_error(), e->why, sizeof e->why);
		ERR_clear_error();
		SSL_do_handshake(e->server);
		ERR_clear_error();
	}
}

/* What the server says last, tickets above all, is read with the first bytes of the application. */
static void
ends_talk(struct ends *e)
{
	char got[8];

	assert_int_equal(SSL_write(e->server, "hi", 2), 2);
	assert_int_equal(SSL_read(e->client, got, sizeof got), 2);
}

static struct ends
ends_open(struct tls_client *t, SSL_CTX *server, const char *address, SSL_SESSION *session, struct tls_keeper *keeper)
{
	struct ends e = { .client = tls_client_connect(t, address, session, keeper), .server = SSL_new(server) };
	BIO *one, *two;

	assert_non_null(e.client);
	assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
	SSL_set_bio(e.client, one, one);
	SSL_set_bio(e.server, two, two);
	SSL_set_accept_state(e.server);
	ends_shake(&e);
	return e;
}

static void
ends_close(struct ends *e)
{
	SSL_shutdown(e->client);	/* a session that was not ended so is not resumed */
	SSL_free(e->client);
	SSL_free(e->server);
	ERR_clear_error();
}

/* ---- who is believed ---- */

static const struct {
	const char *common, *alternatives;	/* of the certificate */
	long to_s;
	bool by_stranger;
	const char *sni, *address;
	bool verify;
	const char *why, *asked;
} cases[] = {
	{ "x", "IP:127.0.0.1", 3600, false, NULL, "127.0.0.1:443", true, "", NULL },
	{ "x", "IP:::1", 3600, false, NULL, "[::1]:443", true, "", NULL },
	{ "x", "DNS:gw.test", 3600, false, NULL, "gw.test:443", true, "", "gw.test" },
	{ "x", "DNS:gw.test", 3600, false, NULL, "GW.test:443", true, "", "GW.test" },
	{ "x", "DNS:a.test,DNS:gw.test", 3600, false, "gw.test", "127.0.0.1:443", true, "", "gw.test" },
	{ "x", "DNS:*.game.test", 3600, false, "gw.game.test", "127.0.0.1:443", true, "", "gw.game.test" },
	{ "gw.test", NULL, 3600, false, "gw.test", "127.0.0.1:443", true, "", "gw.test" },
	/* who is not */
	{ "x", "IP:127.0.0.2", 3600, false, NULL, "127.0.0.1:443", true, "TLS: certificate: IP address mismatch", NULL },
	{ "x", "DNS:127.0.0.1", 3600, false, NULL, "127.0.0.1:443", true, "TLS: certificate: IP address mismatch", NULL },
	{ "x", "IP:127.0.0.1", 3600, false, NULL, "[::1]:443", true, "TLS: certificate: IP address mismatch", NULL },
	{ "x", "DNS:gw.test", 3600, false, NULL, "a.gw.test:443", true, "TLS: the certificate is not for a.gw.test",
	  "a.gw.test" },
	{ "x", "DNS:*.game.test", 3600, false, NULL, "a.gw.game.test:443", true,
	  "TLS: the certificate is not for a.gw.game.test", "a.gw.game.test" },
	{ "x", "DNS:g*.game.test", 3600, false, NULL, "gw.game.test:443", true,
	  "TLS: the certificate is not for gw.game.test", "gw.game.test" },
	{ "gw.test", "DNS:other.test", 3600, false, NULL, "gw.test:443", true,
	  "TLS: the certificate is not for gw.test", "gw.test" },
	{ "x", "DNS:gw.test", -3600, false, NULL, "gw.test:443", true, "TLS: certificate: certificate has expired",
	  "gw.test" },
	{ "x", "DNS:gw.test", 3600, true, NULL, "gw.test:443", true,
	  "TLS: certificate: unable to get local issuer certificate", "gw.test" },
	/* nobody verifies */
	{ "x", "IP:127.0.0.2", 3600, false, NULL, "127.0.0.1:443", false, "", NULL },
	{ "x", "DNS:other.test", -3600, true, "gw.test", "127.0.0.1:443", false, "", "gw.test" },
};

static void
test_who_is_believed(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (size_t i = 0; i < COUNT(cases) * COUNT(versions); i++) {
		size_t n = i / COUNT(versions);
		struct paper leaf = paper_make(cases[n].by_stranger ? &stranger : &ca, cases[n].common,
		    cases[n].alternatives, cases[n].to_s);
		char *sni = cases[n].sni != NULL ? mem_strdup(cases[n].sni) : NULL;
		SSL_CTX *server = paper_server(&leaf, versions[i % COUNT(versions)]);
		struct tls_client *t = client_of(ca_file, sni, cases[n].verify);
		struct ends e = ends_open(t, server, cases[n].address, NULL, NULL);
		const char *asked = SSL_get_servername(e.server, TLSEXT_NAMETYPE_host_name);

		if (strcmp(e.why, cases[n].why) != 0)
			fail_msg("case %zu: '%s' instead of '%s'", n, e.why, cases[n].why);
		if (cases[n].why[0] == '\0') {
			assert_true((asked == NULL) == (cases[n].asked == NULL));
			if (asked != NULL)
				assert_string_equal(asked, cases[n].asked);
			ends_talk(&e);
		}
		assert_int_equal(logged[0] != '\0', !cases[n].verify);
		ends_close(&e);
		tls_client_unref(t);
		SSL_CTX_free(server);
		paper_free(&leaf);
		free(sni);
	}
}

/* What the operator put into gateway_ca counts as it is, even where nobody else vouches for it. */
static void
test_a_leaf_is_trusted_as_it_is(void **state)
{
	struct paper leaf = paper_make(&stranger, "x", "DNS:gw.test", 3600);
	SSL_CTX *server = paper_server(&leaf, 0);
	struct tls_client *t;
	struct ends e;

	(void)state;
	paper_write(&leaf, leaf_file);
	t = client_of(leaf_file, NULL, true);
	e = ends_open(t, server, "gw.test:1", NULL, NULL);
	assert_string_equal(e.why, "");
	ends_close(&e);
	tls_client_unref(t);
	SSL_CTX_free(server);
	paper_free(&leaf);
}

static void
test_files_that_do_not_serve(void **state)
{
	char wanted[256], none[] = "/nonexistent/ca.pem", *empty = mem_printf("%s/empty", directory);
	FILE *f = fopen(empty, "w");

	(void)state;
	fclose(f);
	assert_null(client_of(none, NULL, true));
	assert_string_equal(reported, "t.ini:4: [pool game] gateway_ca: /nonexistent/ca.pem: No such file or directory");
	assert_null(client_of(empty, NULL, true));
	snprintf(wanted, sizeof wanted, "t.ini:4: [pool game] gateway_ca: %s: ", empty);
	assert_memory_equal(reported, wanted, strlen(wanted));
	unlink(empty);
	free(empty);
}

/* ---- sessions ---- */

static struct keeper {
	struct tls_keeper keeper;
	SSL_SESSION *session;
	unsigned kept;
} keeper;

static void
on_keep(struct tls_keeper *k, SSL_SESSION *session)
{
	struct keeper *mine = (struct keeper *)k;

	SSL_SESSION_free(mine->session);
	mine->session = session;
	mine->kept++;
}

static void
test_sessions_are_kept_and_resumed(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct paper leaf = paper_make(&ca, "x", "DNS:gw.test", 3600);
	struct tls_client *t = client_of(ca_file, NULL, true), *other = client_of(ca_file, NULL, true);

	(void)state;
	assert_true(tls_client_number(t) != tls_client_number(other));
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_CTX *server = paper_server(&leaf, versions[i]);

		keeper = (struct keeper){ .keeper.keep = on_keep };
		for (unsigned n = 0; n < 3; n++) {
			struct ends e = ends_open(t, server, "gw.test:1", keeper.session, &keeper.keeper);

			assert_string_equal(e.why, "");
			ends_talk(&e);
			assert_int_equal(SSL_session_reused(e.client), n != 0);
			assert_int_equal(keeper.keeper.client, tls_client_number(t));
			ends_close(&e);
		}
		assert_true(keeper.kept != 0);
		SSL_SESSION_free(keeper.session);
		SSL_CTX_free(server);
	}
	tls_client_unref(t);
	tls_client_unref(other);
	paper_free(&leaf);
}

/* Its connections go on without it. */
static void
test_references(void **state)
{
	struct paper leaf = paper_make(&ca, "x", "DNS:gw.test", 3600);
	SSL_CTX *server = paper_server(&leaf, 0);
	struct tls_client *t = client_of(ca_file, NULL, true);
	struct ends e = ends_open(t, server, "gw.test:1", NULL, NULL);

	(void)state;
	assert_ptr_equal(tls_client_ref(t), t);
	tls_client_unref(t);
	tls_client_unref(t);
	ends_talk(&e);
	ends_close(&e);
	assert_null(tls_client_ref(NULL));
	tls_client_unref(NULL);
	SSL_CTX_free(server);
	paper_free(&leaf);
}

static void
test_why_without_an_end(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(tls_client_why(NULL, ERR_PACK(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED), text,
	    sizeof text), "TLS: certificate verify failed");
	assert_string_equal(tls_client_why(NULL, 0, text, sizeof text), "TLS: failed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_believed),
		cmocka_unit_test(test_a_leaf_is_trusted_as_it_is),
		cmocka_unit_test(test_files_that_do_not_serve),
		cmocka_unit_test(test_sessions_are_kept_and_resumed),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_why_without_an_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
