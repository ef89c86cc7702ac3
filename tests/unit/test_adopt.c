/* SPDX-License-Identifier: BSD-2-Clause */
/* What a reload keeps of the gateways: who is the same, under which name, who is gone; and that a thousand are no
 * work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pool/roster.h"

#define POOLS 4

/* A configuration's pools of texts as "game: gw1 1, gw2 2; chat: gw1 3": names, and the last part of addresses. */
struct world {
	size_t pools;
	struct conf_pool cf[POOLS];
	struct pool *pool[POOLS];
};

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void
log_nowhere(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static void
conf_add(struct conf_pool *cf, const char *name, unsigned host)
{
	cf->gateway = mem_realloc(cf->gateway, (cf->gateways + 1) * sizeof *cf->gateway);
	cf->gateway[cf->gateways++] = (struct conf_gateway){
		.name = mem_strdup(name), .address = mem_printf("10.0.%u.%u:80", host / 256, host % 256), .weight = 1,
	};
}

static void
world_read(struct world *w, const char *text)
{
	char *copy = mem_strdup(text), *more = copy, *part;

	*w = (struct world){ .pools = 0 };
	while ((part = strsep(&more, ";")) != NULL) {
		struct conf_pool *cf = &w->cf[w->pools++];
		char name[32], *gateway;

		assert_int_equal(sscanf(strsep(&part, ":"), "%31s", name), 1);
		*cf = (struct conf_pool){ .name = mem_strdup(name) };
		while ((gateway = strsep(&part, ",")) != NULL) {
			unsigned host;

			assert_int_equal(sscanf(gateway, "%31s %u", name, &host), 2);
			conf_add(cf, name, host);
		}
	}
	free(copy);
}

static void
world_make(struct world *w)
{
	for (size_t i = 0; i < w->pools; i++) {
		w->pool[i] = pool_new(&w->cf[i], no_report, NULL);
		assert_non_null(w->pool[i]);
	}
}

static void
world_of(struct world *w, const char *text)
{
	world_read(w, text);
	world_make(w);
}

static void
world_free(struct world *w)
{
	for (size_t i = 0; i < w->pools; i++) {
		struct conf_pool *cf = &w->cf[i];

		pool_free(w->pool[i]);
		for (size_t k = 0; k < cf->gateways; k++) {
			free(cf->gateway[k].name);
			free(cf->gateway[k].address);
		}
		free(cf->gateway);
		free(cf->name);
	}
}

/* `to` follows `from`, as a reload does it. */
static void
reload(struct world *from, struct world *to)
{
	pool_adopt(to->pool, to->pools, from->pool, from->pools);
	pool_leave_behind(from->pool, from->pools, to->pool, to->pools);
}

/* Which gateway of the old world each of the new one is, as "0.1" for pool 0's second; "new". */
static const char *
origin(const struct world *old, const struct gateway *g)
{
	static char text[32];

	for (size_t i = 0; i < old->pools; i++)
		for (unsigned k = 0; k < old->pool[i]->gateways; k++)
			if (old->pool[i]->gateway[k] == g) {
				snprintf(text, sizeof text, "%zu.%u", i, k);
				return text;
			}
	return "new";
}

static void
origins(const struct world *old, const struct world *now, char text[256])
{
	text[0] = '\0';
	for (size_t i = 0; i < now->pools; i++)
		for (unsigned k = 0; k < now->pool[i]->gateways; k++) {
			strcat(text, origin(old, now->pool[i]->gateway[k]));
			strcat(text, " ");
		}
}

static void
test_who_is_who(void **state)
{
	static const struct {
		const char *was, *is, *origins, *gone;
	} cases[] = {
		{ "game: gw1 1, gw2 2", "game: gw1 1, gw2 2", "0.0 0.1 ", "" },
		{ "game: gw1 1, gw2 2", "game: gw2 2, gw1 1", "0.1 0.0 ", "" },
		{ "game: gw1 1, gw2 2", "game: gw2 2, gw3 3", "0.1 new ", "0.0 " },
		{ "game: gw1 1, gw2 2", "game: gw1 9, gw2 2", "new 0.1 ", "0.0 " },	/* another machine */
		{ "game: gw1 1, gw2 2", "game: gwx 1, gw2 2", "0.0 0.1 ", "" },		/* renamed */
		{ "game: gw1 1", "game: gw1 9, gwx 1", "new 0.0 ", "" },
		{ "game: gw1 1, gw2 2", "game: gw1 2, gw2 1", "new new ", "0.0 0.1 " },	/* names count */
		{ "game: gw1 1; chat: c1 3", "game: gw1 1; chat: c1 3, gw9 1", "0.0 1.0 new ", "" },
		{ "game: gw1 1, gw2 2; chat: c1 3", "game: gw1 1; chat: c1 3, gw2 2", "0.0 1.0 0.1 ", "" },	/* moved */
		{ "game: gw1 1", "play: gw1 1", "0.0 ", "" },				/* with its pool */
		{ "game: gw1 1; chat: c1 1", "chat: c9 1", "1.0 ", "0.0 " },	/* its own pool's before another's */
		{ "chat: a 1, b 1, c 1", "chat: b 1, x 1, y 1", "0.1 0.0 0.2 ", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world was, is;
		char text[256], gone[256] = "";

		world_of(&was, cases[i].was);
		world_of(&is, cases[i].is);
		reload(&was, &is);
		origins(&was, &is, text);
		for (size_t p = 0; p < was.pools; p++)
			for (unsigned k = 0; k < was.pool[p]->gateways; k++)
				if (gateway_state(was.pool[p]->gateway[k]) == GATEWAY_GONE) {
					strcat(gone, origin(&was, was.pool[p]->gateway[k]));
					strcat(gone, " ");
				}
		if (strcmp(text, cases[i].origins) != 0 || strcmp(gone, cases[i].gone) != 0)
			fail_msg("%s -> %s: %s, gone: %s", cases[i].was, cases[i].is, text, gone);
		world_free(&was);
		world_free(&is);
	}
}

/* A renamed gateway is found by all its names, as long as nobody else has one of them. */
static void
test_former_names(void **state)
{
	struct world was, is, then;
	struct gateway *g;
	uint64_t tag;

	(void)state;
	world_of(&was, "game: gw1 1, gw2 2");
	g = was.pool[0]->gateway[0];
	tag = gateway_tag(g);
	world_of(&is, "game: gwx 1, gw2 2");
	reload(&was, &is);
	assert_ptr_equal(pool_find_tag(is.pool[0], tag), g);
	assert_ptr_equal(pool_find_tag(is.pool[0], gateway_tag(g)), g);
	assert_ptr_equal(pool_find_name(is.pool[0], SLICE_LIT("gwx")), g);
	assert_ptr_equal(pool_find_name(is.pool[0], SLICE_LIT("gw1")), g);
	/* who has still the old roster knows the new name */
	assert_ptr_equal(pool_find_tag(was.pool[0], gateway_tag(g)), g);
	world_free(&was);

	/* the next reload does not forget it; then somebody else takes the name */
	world_of(&was, "game: gw2 2, gwx 1");
	reload(&is, &was);
	assert_ptr_equal(pool_find_tag(was.pool[0], tag), g);
	world_of(&then, "game: gw2 2, gwx 1, gw1 7");
	reload(&was, &then);
	assert_ptr_equal(pool_find_tag(then.pool[0], tag), then.pool[0]->gateway[2]);
	assert_ptr_equal(pool_find_name(then.pool[0], SLICE_LIT("gw1")), then.pool[0]->gateway[2]);
	world_free(&was);
	world_free(&is);
	world_free(&then);
}

/* What the file says anew counts, what it did not touch stays. */
static void
test_settings(void **state)
{
	struct world was, is;
	struct gateway *g;

	(void)state;
	world_of(&was, "game: gw1 1, gw2 2, gw3 3");
	g = was.pool[0]->gateway[0];
	gateway_judge(g, false, "the test says so");
	gateway_set_weight(was.pool[0]->gateway[1], 9);
	assert_true(gateway_enter(g, true));
	world_read(&is, "game: gw1 1, gw2 2, gw3 3");
	is.cf[0].gateway[0].max_sessions = 5;
	is.cf[0].gateway[0].backup = true;
	is.cf[0].gateway[2].weight = 4;
	world_make(&is);
	reload(&was, &is);
	world_free(&was);
	assert_int_equal(gateway_state(g), GATEWAY_DOWN);
	assert_int_equal(gateway_sessions(g), 1);
	assert_int_equal(gateway_max_sessions(g), 5);
	assert_true(gateway_is_backup(g));
	assert_int_equal(gateway_weight(is.pool[0]->gateway[1]), 9);
	assert_int_equal(gateway_weight(is.pool[0]->gateway[2]), 4);
	gateway_leave(g, true);
	world_free(&is);
}

/* Another way to speak to it makes it another one: kept connections would not do. */
static void
test_tls(void **state)
{
	static char ca[] = "/etc/ca.pem", same_ca[] = "/etc/ca.pem", other_ca[] = "/etc/other.pem";
	static const struct {
		struct conf_pool was, is;
		bool same;
	} cases[] = {
		{ { .gateway_tls = false }, { .gateway_tls = true }, false },
		{ { .gateway_ca = ca }, { .gateway_ca = NULL }, true },		/* without TLS it says nothing */
		{ { .gateway_tls = true, .gateway_ca = ca }, { .gateway_tls = true, .gateway_ca = same_ca }, true },
		{ { .gateway_tls = true, .gateway_ca = ca }, { .gateway_tls = true, .gateway_ca = other_ca }, false },
		{ { .gateway_tls = true, .gateway_ca = ca }, { .gateway_tls = true }, false },
		{ { .gateway_tls = true, .gateway_sni = ca }, { .gateway_tls = true }, false },
		{ { .gateway_tls = true }, { .gateway_tls = true, .gateway_verify = true }, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world world[2];

		for (unsigned k = 0; k < 2; k++) {
			const struct conf_pool *from = k == 0 ? &cases[i].was : &cases[i].is;

			world_read(&world[k], "game: gw1 1");
			world[k].cf[0].gateway_tls = from->gateway_tls;
			world[k].cf[0].gateway_verify = from->gateway_verify;
			world[k].cf[0].gateway_ca = from->gateway_ca;
			world[k].cf[0].gateway_sni = from->gateway_sni;
			world_make(&world[k]);
		}
		reload(&world[0], &world[1]);
		assert_int_equal(world[0].pool[0]->gateway[0] == world[1].pool[0]->gateway[0], cases[i].same);
		world_free(&world[0]);
		world_free(&world[1]);
	}
}

/* The same address, written otherwise: only TLS minds, which expects what is written. */
static void
test_another_name_of_the_address(void **state)
{
	(void)state;
	for (unsigned tls = 0; tls < 2; tls++) {
		struct world world[2];

		for (unsigned k = 0; k < 2; k++) {
			char **address;

			world_read(&world[k], "game: gw1 1");
			address = &world[k].cf[0].gateway[0].address;
			free(*address);
			*address = mem_strdup(k == 0 ? "[::1]:80" : "[0::0:1]:80");
			world[k].cf[0].gateway_tls = tls;
			world_make(&world[k]);
		}
		reload(&world[0], &world[1]);
		assert_int_equal(world[0].pool[0]->gateway[0] == world[1].pool[0]->gateway[0], tls == 0);
		world_free(&world[0]);
		world_free(&world[1]);
	}
}

/* gw2's turn is next, before and after. */
static void
test_turns(void **state)
{
	struct world was, is;
	enum pool_lack lack;
	struct gateway *g;

	(void)state;
	world_of(&was, "game: gw1 1, gw2 2, gw3 3");
	g = pool_choose(was.pool[0], &(struct pool_wish){ .session = false }, &lack);
	assert_string_equal(gateway_name(g), "gw1");
	gateway_leave(g, false);
	gateway_unref(g);
	world_of(&is, "game: gw1 1, gw2 2, gw3 3");
	reload(&was, &is);
	g = pool_choose(is.pool[0], &(struct pool_wish){ .session = false }, &lack);
	assert_string_equal(gateway_name(g), "gw2");
	gateway_leave(g, false);
	gateway_unref(g);
	world_free(&was);
	world_free(&is);
}

/* By what the pool says now. */
static void
test_deadline(void **state)
{
	struct world was, is;

	(void)state;
	world_of(&was, "game: gw1 1, gw2 2; chat: c1 3");
	was.cf[0].drain_deadline_ms = was.cf[1].drain_deadline_ms = 60000;
	world_read(&is, "game: gw2 2");
	world_make(&is);
	reload(&was, &is);
	assert_int_equal(gateway_deadline_ms(was.pool[0]->gateway[0]), 0);
	assert_in_range(gateway_deadline_ms(was.pool[1]->gateway[0]), clock_coarse_ms() + 50000,
	    clock_coarse_ms() + 60000);
	world_free(&was);
	world_free(&is);
}

#define READERS 3

struct reader {
	struct pool *pool;
	uint64_t tag;
	atomic_bool over;
};

/* A worker that has the old roster still. */
static void *
read_on(void *arg)
{
	struct reader *r = arg;

	while (!r->over) {
		enum pool_lack lack;
		struct gateway *g = pool_choose(r->pool, &(struct pool_wish){ .session = true }, &lack);

		if (g == NULL)
			continue;
		if (gateway_name(g)[0] != 'g' || pool_find_tag(r->pool, gateway_tag(g)) == NULL ||
		    pool_find_tag(r->pool, r->tag) == NULL)
			return r;
		gateway_leave(g, true);
		gateway_unref(g);
	}
	return NULL;
}

/* Whoever goes on with the old roster meanwhile finds all as it was. */
static void
test_while_others_choose(void **state)
{
	pthread_t thread[READERS];
	struct world was, is;
	struct reader r;

	(void)state;
	world_of(&was, "game: gw1 1, gw2 2, gw3 3, gw4 4");
	r = (struct reader){ .pool = was.pool[0], .tag = gateway_tag(was.pool[0]->gateway[0]) };
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &r), 0);
	for (unsigned i = 0; i < 100; i++) {
		world_of(&is, i % 2 ? "game: gw1 1, gw3 3, gw5 2" : "game: gx1 1, gx3 3, gx5 2");
		pool_adopt(is.pool, is.pools, was.pool, was.pools);
		world_free(&is);
	}
	world_of(&is, "game: gw9 1");
	reload(&was, &is);
	r.over = true;
	for (unsigned i = 0; i < READERS; i++) {
		void *failed;

		pthread_join(thread[i], &failed);
		assert_null(failed);
	}
	world_free(&is);
	world_free(&was);
}

#define MANY 1000

static void
world_of_many(struct world *w, const char *prefix)
{
	*w = (struct world){ .pools = POOLS };
	for (unsigned i = 0; i < POOLS; i++) {
		w->cf[i].name = mem_printf("pool%u", i);
		for (unsigned k = 0; k < MANY; k++) {
			char name[32];

			snprintf(name, sizeof name, "%s%u", prefix, k);
			conf_add(&w->cf[i], name, i * MANY + k);
		}
	}
	world_make(w);
}

/* A thousand gateways in each pool, all renamed. */
static void
test_many(void **state)
{
	struct world was, is;

	(void)state;
	world_of_many(&was, "a");
	world_of_many(&is, "b");
	reload(&was, &is);
	for (unsigned i = 0; i < POOLS; i++)
		assert_memory_equal(was.pool[i]->gateway, is.pool[i]->gateway, MANY * sizeof(struct gateway *));
	world_free(&was);
	world_free(&is);
}

static int
set_up(void **state)
{
	(void)state;
	log_to(log_nowhere);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_who),
		cmocka_unit_test(test_former_names),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_another_name_of_the_address),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_while_others_choose),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
