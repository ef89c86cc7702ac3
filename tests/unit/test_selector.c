/* SPDX-License-Identifier: BSD-2-Clause */
/* The cookie as a selector: which of several counts, and when one no longer does. */
#include "affinity/selector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1700000000
#define SEALS 24

static char gw1[] = "gw1", gw2[] = "gw2", address[] = "127.0.0.1:1", name[] = "game", cookie_name[] = "STICKYD";
static struct conf_gateway gateways[] = { { .name = gw1, .address = address }, { .name = gw2, .address = address } };
static struct conf_pool cf = {
	.name = name,
	.gateway = gateways,
	.gateways = 2,
	.balance = CONF_BALANCE_ROUNDROBIN,
	.cookie = { .name = cookie_name },
};
static struct pool *pool;
static struct sealer *sealer;

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static int
set_up(void **state)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(
	    SLICE_LIT("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), &line, &why);

	(void)state;
	pool = pool_new(&cf, no_report, NULL);
	sealer = sealer_new(r);
	seal_ring_free(r);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	sealer_free(sealer);
	pool_free(pool);
	return 0;
}

static void
put_seal(FILE *to, const char *in_pool, uint64_t tag, uint32_t born_s, uint32_t seen_s)
{
	struct seal_binding b = { tag, born_s, seen_s };
	char text[SEAL_TEXT];

	fprintf(to, "%.*s", (int)seal_close(sealer, slice_of(in_pool), &b, text), text);
}

/* A Cookie field in which a letter behind "@" stands for a seal: 1 and 2 for the gateways, g for one that is gone,
 * p for another pool's. */
static char *
field_of(const char *pattern, char *text, size_t room)
{
	FILE *to;

	if (pattern == NULL)
		return NULL;
	text[0] = '\0';
	to = fmemopen(text, room, "w");
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '@') {
			fputc(*pattern, to);
			continue;
		}
		switch (*++pattern) {
		case '1':
			put_seal(to, name, pool->gateway[0]->tag, NOW, NOW);
			break;
		case '2':
			put_seal(to, name, pool->gateway[1]->tag, NOW, NOW);
			break;
		case 'g':
			put_seal(to, name, 42, NOW, NOW);
			break;
		case 'p':
			put_seal(to, "login", pool->gateway[0]->tag, NOW, NOW);
			break;
		default:
			fail_msg("no such seal: %c", *pattern);
		}
	}
	fclose(to);
	return text;
}

/* Looks at a request with these Cookie lines, each of which may be NULL. */
static enum selector_sight
look(const char *line, const char *line2, uint64_t now_s, struct selector_found *found)
{
	static struct head head;
	struct selector_request rq = { .head = &head, .pool = pool, .sealer = sealer, .now_s = now_s };
	struct selector s;
	const char *why;
	enum selector_sight sight;

	head.fields = 0;
	head.field[head.fields++] = (struct field){ .id = FIELD_HOST, .value = SLICE_LIT("STICKYD=x") };
	if (line != NULL)
		head.field[head.fields++] = (struct field){ .id = FIELD_COOKIE, .value = slice_of(line) };
	if (line2 != NULL)
		head.field[head.fields++] = (struct field){ .id = FIELD_COOKIE, .value = slice_of(line2) };
	assert_true(selector_init(&s, &cf, "cookie", &why));
	sight = selector_look(&s, &rq, found);
	selector_fini(&s);
	return sight;
}

static void
test_names(void **state)
{
	static const char *const refused[] = {
		"", "cookies", "Cookie", "cookie:", "cookie:x", "header:X", "source", ":", ":cookie",
	};
	struct selector s;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		assert_false(selector_init(&s, &cf, refused[i], &why));
		assert_string_equal(why, "is not a selector of this version, which knows: cookie");
	}
	assert_true(selector_init(&s, &cf, "cookie", &why));
	assert_true(selector_issues_cookie(&s));
	assert_string_equal(s.text, "cookie");
	assert_null(s.argument);
	selector_fini(&s);
}

static void
test_which_counts(void **state)
{
	static const struct {
		const char *line, *line2;
		enum selector_sight sight;
		unsigned gateway;
		const char *why;
	} cases[] = {
		{ NULL, NULL, SELECTOR_NOTHING, 0, NULL },
		{ "", NULL, SELECTOR_NOTHING, 0, NULL },
		{ "other=@1", NULL, SELECTOR_NOTHING, 0, NULL },
		{ "STICKYD=@1", NULL, SELECTOR_GATEWAY, 1, NULL },
		{ "STICKYD=\"@2\"", NULL, SELECTOR_GATEWAY, 2, NULL },
		{ "a=b; STICKYD=@2; c=d", NULL, SELECTOR_GATEWAY, 2, NULL },
		{ "a=b", "STICKYD=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "STICKYD=@1; STICKYD=@2", NULL, SELECTOR_GATEWAY, 1, NULL },
		{ "STICKYD=junk; STICKYD=@2", NULL, SELECTOR_GATEWAY, 2, NULL },
		{ "STICKYD=@p", "STICKYD=@2", SELECTOR_GATEWAY, 2, NULL },
		{ "STICKYD=@g; STICKYD=@1", NULL, SELECTOR_GONE, 0, NULL },
		{ "STICKYD=", NULL, SELECTOR_INVALID, 0, "malformed" },
		{ "STICKYD=@1x", NULL, SELECTOR_INVALID, 0, "malformed" },
		{ "STICKYD=@p", NULL, SELECTOR_INVALID, 0, "forged" },
		{ "STICKYD=@p; STICKYD=junk", NULL, SELECTOR_INVALID, 0, "forged" },
		{ "STICKYD=junk; STICKYD=@p", NULL, SELECTOR_INVALID, 0, "malformed" },
		/* names are matched whole, with their case */
		{ "XSTICKYD=@1; STICKYDX=@1; stickyd=@1; STICKY=@1", NULL, SELECTOR_NOTHING, 0, NULL },
		{ "x=STICKYD=@1", NULL, SELECTOR_NOTHING, 0, NULL },
		{ "@1", NULL, SELECTOR_NOTHING, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char line[1024], line2[1024];
		struct selector_found found;
		enum selector_sight sight = look(field_of(cases[i].line, line, sizeof line),
		    field_of(cases[i].line2, line2, sizeof line2), NOW, &found);

		if (sight != cases[i].sight)
			fail_msg("%s: %d", cases[i].line, sight);
		assert_ptr_equal(found.gateway, cases[i].gateway != 0 ? pool->gateway[cases[i].gateway - 1] : NULL);
		if (sight == SELECTOR_GATEWAY)
			assert_true(found.binding.tag == found.gateway->tag && found.binding.born_s == NOW);
		if (sight == SELECTOR_INVALID)
			assert_string_equal(found.why, cases[i].why);
	}
}

/* A head full of junk costs a bounded number of decryptions. */
static void
test_many(void **state)
{
	char pattern[SEALS * 16] = "", line[SEALS * 80];
	struct selector_found found;

	(void)state;
	for (unsigned i = 0; i < 15; i++)
		strcat(pattern, "STICKYD=@p; ");
	strcat(pattern, "STICKYD=@1");
	assert_int_equal(look(field_of(pattern, line, sizeof line), NULL, NOW, &found), SELECTOR_GATEWAY);
	pattern[0] = '\0';
	for (unsigned i = 0; i < 16; i++)
		strcat(pattern, "STICKYD=@p; ");
	strcat(pattern, "STICKYD=@1");
	assert_int_equal(look(field_of(pattern, line, sizeof line), NULL, NOW, &found), SELECTOR_INVALID);
}

static void
test_times(void **state)
{
	static const struct {
		uint64_t idle_ms, life_ms;
		int born, seen;			/* seconds from now */
		const char *why;
	} cases[] = {
		{ 0, 0, 0, 0, NULL },
		{ 0, 0, -1700000000, -1700000000, NULL },
		{ 10000, 0, -9999, -10, NULL },
		{ 10000, 0, -11, -11, "idle" },
		{ 0, 10000, -10, -10, NULL },
		{ 0, 10000, -11, 0, "expired" },
		{ 1500, 0, -2, -2, "idle" },
		{ 1500, 0, -1, -1, NULL },
		{ 10000, 10000, -11, -11, "expired" },
		{ 10000, 10000, -11, 0, "expired" },
		{ 10000, 10000, -10, -10, NULL },
		{ 10000, 10000, 300, 300, NULL },
		{ 10000, 10000, 0, 301, "future" },
		{ 10000, 10000, 301, 0, "future" },
		{ 0, 0, 301, 301, "future" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char line[128] = "";
		FILE *to = fmemopen(line, sizeof line, "w");
		struct selector_found found;

		fputs("STICKYD=", to);
		put_seal(to, name, pool->gateway[0]->tag, (uint32_t)(NOW + cases[i].born),
		    (uint32_t)(NOW + cases[i].seen));
		fclose(to);
		cf.cookie.idle_ms = cases[i].idle_ms;
		cf.cookie.life_ms = cases[i].life_ms;
		assert_int_equal(look(line, NULL, NOW, &found),
		    cases[i].why == NULL ? SELECTOR_GATEWAY : SELECTOR_INVALID);
		if (cases[i].why != NULL)
			assert_string_equal(found.why, cases[i].why);
	}
	cf.cookie.idle_ms = cf.cookie.life_ms = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_which_counts),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
