/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples at set times: rates by what was counted in between, histories of gateways over a reload, bounds. */
#include "run/trend.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "small_daemon.h"

static const char ini[] =
    "[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[pool game]\ngateway = gw1 127.0.0.1:9001\ngateway = gw2 127.0.0.1:9002\naffinity =\ncheck = none\n";
static const char after[] =
    "[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[pool game]\ngateway = gw2 127.0.0.1:9002\ngateway = gw3 127.0.0.1:9003\naffinity =\ncheck = none\n";

static json_t *
printed(const struct trend *t)
{
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);
	json_t *o;

	assert_non_null(to);
	trend_print(t, to);
	fclose(to);
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	free(text);
	return o;
}

static json_t *
gateway_list(const json_t *o, size_t i, const char *name, const char *list)
{
	json_t *g = json_array_get(json_object_get(o, "gateways"), i);

	assert_string_equal(json_string_value(json_object_get(g, "name")), name);
	assert_string_equal(json_string_value(json_object_get(g, "pool")), "game");
	return json_object_get(g, list);
}

static double
number(const json_t *list, size_t i)
{
	assert_true(i < json_array_size(list));
	return json_number_value(json_array_get(list, i));
}

static void
test_gateways(void **state)
{
	struct daemon *d = small_daemon(ini);
	struct trend *t = trend_new(NULL, d);
	struct gateway *g = small_gateway(d, 0, "gw2");
	uint64_t now_ms = clock_coarse_ms();
	json_t *o;

	(void)state;
	for (unsigned i = 0; i < 30; i++)
		gateway_note_request(g);
	assert_true(gateway_enter(g, true));
	trend_sample(t, now_ms += 3000);
	gateway_note_request(g);
	gateway_leave(g, true);
	trend_sample(t, now_ms += 2000);
	o = printed(t);
	assert_int_equal(json_integer_value(json_object_get(o, "step_s")), TREND_STEP_S);
	assert_int_equal(json_integer_value(json_object_get(o, "samples")), TREND_SAMPLES);
	assert_int_equal(json_array_size(json_object_get(json_object_get(o, "series"), "sessions")), 2);
	assert_int_equal(json_array_size(gateway_list(o, 0, "gw1", "sessions")), 2);
	assert_true(number(gateway_list(o, 1, "gw2", "sessions"), 0) == 1);
	assert_true(number(gateway_list(o, 1, "gw2", "sessions"), 1) == 0);
	assert_true(number(gateway_list(o, 1, "gw2", "requests_s"), 0) >= 9.8);
	assert_true(number(gateway_list(o, 1, "gw2", "requests_s"), 0) <= 10.0);
	assert_true(number(gateway_list(o, 1, "gw2", "requests_s"), 1) == 0.5);
	json_decref(o);
	trend_free(t);
	small_daemon_free(d);
}

/* Who stays keeps his history, whatever his place; who comes begins one. */
static void
test_a_reload(void **state)
{
	struct daemon *d = small_daemon(ini), *other = small_daemon(after);
	struct edition *was = d->edition;
	struct trend *t = trend_new(NULL, d);
	uint64_t now_ms = clock_coarse_ms();
	json_t *o;

	(void)state;
	assert_true(gateway_enter(small_gateway(d, 0, "gw2"), true));
	trend_sample(t, now_ms += 2000);
	pool_adopt(other->edition->pool, 1, d->edition->pool, 1);
	d->edition = other->edition;
	trend_sample(t, now_ms += 2000);
	o = printed(t);
	assert_int_equal(json_array_size(json_object_get(o, "gateways")), 2);
	assert_int_equal(json_array_size(gateway_list(o, 0, "gw2", "sessions")), 2);
	assert_true(number(gateway_list(o, 0, "gw2", "sessions"), 0) == 1);
	assert_int_equal(json_array_size(gateway_list(o, 1, "gw3", "sessions")), 1);
	json_decref(o);
	gateway_leave(small_gateway(d, 0, "gw2"), true);
	trend_free(t);
	d->edition = was;
	small_daemon_free(d);
	small_daemon_free(other);
}

static void
test_the_last_ten_minutes(void **state)
{
	struct daemon *d = small_daemon(ini);
	struct trend *t = trend_new(NULL, d);
	struct gateway *g = small_gateway(d, 0, "gw1");
	uint64_t now_ms = clock_coarse_ms();
	json_t *o, *list;

	(void)state;
	assert_true(trend_rates(t).requests == 0);
	for (unsigned i = 0; i < TREND_SAMPLES + 7; i++) {
		for (unsigned k = 0; k < i; k++)
			gateway_note_request(g);
		trend_sample(t, now_ms += 1000);
	}
	o = printed(t);
	list = gateway_list(o, 0, "gw1", "requests_s");
	assert_int_equal(json_array_size(list), TREND_SAMPLES);
	for (size_t i = 0; i < TREND_SAMPLES; i++)
		assert_true(number(list, i) == (double)(i + 7));
	assert_int_equal(json_array_size(json_object_get(json_object_get(o, "series"), "lag_max_us")), TREND_SAMPLES);
	json_decref(o);
	trend_free(t);
	small_daemon_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gateways),
		cmocka_unit_test(test_a_reload),
		cmocka_unit_test(test_the_last_ten_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
