/* SPDX-License-Identifier: BSD-2-Clause */
/* Every call of the table: what it answers, what it refuses, whom it lets. */
#include "run/api.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "small_daemon.h"

static const char ini[] =
    "[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[store]\nmax_keys = 1000\n"
    "[pool game]\ngateway = gw1 127.0.0.1:9001\ngateway = gw2 127.0.0.1:9002 weight=0 max_sessions=7\n"
    "affinity = query:player, cookie\ncheck = none\n"
    "[pool chat]\ngateway = gw1 127.0.0.1:9003\ngateway = c2 127.0.0.1:9004 backup\naffinity = query:player\n"
    "check = none\n"
    "[pool web]\ngateway = w1 127.0.0.1:9005\naffinity = cookie\ncheck = none\n";

enum { GAME, CHAT, WEB };

static struct daemon *d;
static struct api *api;

static int
begin(void **state)
{
	(void)state;
	d = small_daemon(ini);
	api = api_new(d);
	assert_non_null(api);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	api_free(api);
	small_daemon_free(d);
	return 0;
}

/* What it answers, which is JSON. */
static json_t *
call_as(enum api_rights rights, const char *method, const char *target, unsigned status)
{
	struct api_call call = { .method = slice_of(method), .target = slice_of(target), .rights = rights };
	struct api_answer answer;
	json_t *value;

	api_serve(api, &call, &answer);
	if (answer.status != status)
		fail_msg("%s %s: %u %s", method, target, answer.status, answer.body);
	assert_string_equal(answer.type, "application/json");
	assert_int_equal(answer.body[answer.bytes - 1], '\n');
	value = json_loadb(answer.body, answer.bytes, 0, NULL);
	assert_non_null(value);
	assert_int_equal(status / 100 == 2, json_object_get(value, "error") == NULL);
	api_answer_fini(&answer);
	return value;
}

static json_t *
call(const char *method, const char *target, unsigned status)
{
	return call_as(API_CHANGE, method, target, status);
}

static void
refused(const char *method, const char *target, unsigned status, const char *error)
{
	json_t *value = call(method, target, status);

	assert_non_null(strstr(json_string_value(json_object_get(value, "error")), error));
	json_decref(value);
}

static const char *
text_at(const json_t *list, size_t i, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(list, i), name));

	return text != NULL ? text : "-";
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *method, *target;
		unsigned status;
		const char *error;
	} cases[] = {
		{ "GET", "/", 404, "path" },
		{ "GET", "/v1/statu", 404, "path" },
		{ "GET", "", 404, "path" },
		{ "POST", "/v1/status", 405, "takes GET" },
		{ "", "/metrics", 405, "takes GET" },
		{ "POST", "/v1/table?key=a", 405, "takes GET, PUT, DELETE" },
		{ "GET", "/v1/table", 400, "key: must be given" },
		{ "GET", "/v1/table?key", 400, "key: must be given" },
		{ "GET", "/v1/table?key=", 400, "1 to 16384 bytes" },
		{ "GET", "/v1/table?key=a&key=b", 400, "key: given twice" },
		{ "GET", "/v1/table?key=a&gateway=gw1", 400, "does not take" },
		{ "GET", "/v1/table?key=a&kex=1", 400, "does not take" },
		{ "GET", "/v1/table?key=a&pool=gam", 404, "did you mean 'game'" },
		{ "GET", "/v1/table?key=a", 404, "not bound" },
		{ "DELETE", "/v1/table?key=a", 404, "not bound" },
		{ "PUT", "/v1/table?key=a", 400, "gateway: must be given" },
		{ "PUT", "/v1/table?key=a&gateway=gw1", 409, "POOL/NAME" },
		{ "PUT", "/v1/table?key=a&gateway=gw9", 404, "did you mean 'gw" },
		{ "PUT", "/v1/table?key=a&gateway=web/gw1", 404, "no such gateway" },
		{ "PUT", "/v1/table?key=a&gateway=w1", 409, "no selector that finds a key" },
		{ "GET", "/v1/explain", 400, "text: must be given" },
		{ "GET", "/v1/status?verbose=1", 400, "does not take" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		refused(cases[i].method, cases[i].target, cases[i].status, cases[i].error);
}

static void
test_a_key_that_is_too_long(void **state)
{
	static char target[SELECTOR_KEY_MAX + 64] = "/v1/table?key=";

	(void)state;
	memset(target + strlen(target), 'k', SELECTOR_KEY_MAX);
	refused("GET", target, 404, "not bound");
	strcat(target, "k");
	refused("GET", target, 400, "bytes");
}

static void
test_rights(void **state)
{
	(void)state;
	json_decref(call_as(API_READ, "GET", "/v1/gateways", 200));
	json_decref(call_as(API_NOTHING, "GET", "/v1/gateways", 403));
	json_decref(call_as(API_NOTHING, "GET", "/nothing", 403));
	json_decref(call_as(API_READ, "PUT", "/v1/table?key=a&gateway=game/gw1", 403));
	json_decref(call_as(API_READ, "DELETE", "/v1/table?key=a", 403));
	((struct conf *)(uintptr_t)d->conf)->admin.token_file = strdup("/a/token");
	json_decref(call_as(API_READ, "DELETE", "/v1/table?key=a", 401));
	json_decref(call_as(API_NOTHING, "GET", "/metrics", 401));
}

static void
test_status(void **state)
{
	json_t *o = call("GET", "/v1/status", 200);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o, "version")), PACKAGE_VERSION);
	assert_string_equal(json_string_value(json_object_get(o, "started")), "2026-11-22T15:37:41Z");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "table"), "max_keys")), 1000);
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "store"), "type")), "memory");
	json_decref(o);
}

static void
test_gateways(void **state)
{
	json_t *o, *list;

	(void)state;
	gateway_set_state(small_gateway(d, CHAT, "gw1"), GATEWAY_DOWN, "test");
	o = call("GET", "/v1/gateways", 200);
	list = json_object_get(o, "gateways");
	assert_int_equal(json_array_size(list), 5);
	assert_string_equal(text_at(list, 1, "pool"), "game");
	assert_string_equal(text_at(list, 1, "name"), "gw2");
	assert_string_equal(text_at(list, 1, "address"), "127.0.0.1:9002");
	assert_string_equal(text_at(list, 1, "state"), "up");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "max_sessions")), 7);
	assert_string_equal(text_at(list, 2, "state"), "down");
	assert_true(json_is_true(json_object_get(json_array_get(list, 3), "backup")));
	json_decref(o);
}

/* Set, look, move, look, delete; another pool's key of the same name stays what it is. */
static void
test_an_operator_binds_a_key(void **state)
{
	json_t *o, *list;

	(void)state;
	json_decref(call("PUT", "/v1/table?key=al%69ce+x&gateway=chat/gw1", 200));
	json_decref(call("PUT", "/v1/table?key=alice%20x&gateway=gw1&pool=game", 200));
	json_decref(call("PUT", "/v1/table?key=alice%20x&gateway=gw2", 200));
	o = call("GET", "/v1/table?key=alice+x", 200);
	list = json_object_get(o, "bindings");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_at(list, 0, "gateway"), "gw2");
	assert_string_equal(text_at(list, 1, "gateway"), "gw1");
	assert_string_equal(text_at(list, 1, "pool"), "chat");
	assert_string_not_equal(text_at(list, 0, "since"), "-");
	json_decref(o);
	o = call("GET", "/v1/explain?text=alice+x&pool=game", 200);
	list = json_object_get(json_array_get(json_object_get(o, "pools"), 0), "moves");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_at(list, 0, "from"), "gw1");
	assert_string_equal(text_at(list, 0, "to"), "gw2");
	assert_string_equal(text_at(list, 0, "why"), "operator");
	json_decref(o);
	json_decref(call("DELETE", "/v1/table?key=alice%20x&pool=game", 200));
	o = call("GET", "/v1/table?key=alice+x", 200);
	assert_int_equal(json_array_size(json_object_get(o, "bindings")), 1);
	json_decref(o);
	o = call("GET", "/v1/table/count", 200);
	assert_int_equal(json_integer_value(json_object_get(o, "keys")), 1);
	json_decref(o);
}

static void
test_keys_of_any_bytes(void **state)
{
	(void)state;
	json_decref(call("PUT", "/v1/table?key=%00%ff%26%3d&gateway=c2", 200));
	json_decref(call("GET", "/v1/table?key=%00%FF%26%3D", 200));
	refused("GET", "/v1/table?key=%00%FF%26", 404, "not bound");
	refused("GET", "/v1/table?key=%00", 404, "not bound");
}

/* A cookie is one pool's: the others have nothing to say of it. */
static void
test_explain_a_cookie(void **state)
{
	struct sealer *s = sealer_new(d->ring);
	uint32_t now_s = (uint32_t)(clock_wall_us() / 1000000);
	struct seal_binding b = {
		.tag = small_gateway(d, WEB, "w1")->tag, .born_s = now_s - 7200, .seen_s = now_s - 120,
	};
	char target[256] = "/v1/explain?text=", text[SEAL_TEXT];
	json_t *o, *list;

	(void)state;
	strncat(target, text, seal_close(s, SLICE_LIT("web"), &b, text));
	sealer_free(s);
	o = call("GET", target, 200);
	list = json_object_get(o, "pools");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_at(list, 0, "pool"), "web");
	assert_string_equal(text_at(list, 0, "kind"), "cookie");
	assert_string_equal(text_at(list, 0, "gateway"), "w1");
	assert_string_equal(text_at(list, 0, "bound_by"), "cookie");
	assert_string_equal(text_at(list, 0, "since_words"), "2 hours ago");
	assert_string_equal(text_at(list, 0, "now"), "kept");
	json_decref(o);
	o = call("GET", "/v1/explain?text=whatever", 200);
	assert_int_equal(json_array_size(json_object_get(o, "pools")), 3);
	json_decref(o);
}

static void
test_metrics_are_text(void **state)
{
	struct api_call c = { .method = SLICE_LIT("GET"), .target = SLICE_LIT("/metrics"), .rights = API_READ };
	struct api_answer answer;

	(void)state;
	api_serve(api, &c, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, "text/plain; version=0.0.4; charset=utf-8");
	assert_non_null(strstr(answer.body, "\nstickyd_build_info{version=\"" PACKAGE_VERSION "\"} 1\n"));
	assert_int_equal(strlen(answer.body), answer.bytes);
	api_answer_fini(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_a_key_that_is_too_long, begin, end),
		cmocka_unit_test_setup_teardown(test_rights, begin, end),
		cmocka_unit_test_setup_teardown(test_status, begin, end),
		cmocka_unit_test_setup_teardown(test_gateways, begin, end),
		cmocka_unit_test_setup_teardown(test_an_operator_binds_a_key, begin, end),
		cmocka_unit_test_setup_teardown(test_keys_of_any_bytes, begin, end),
		cmocka_unit_test_setup_teardown(test_explain_a_cookie, begin, end),
		cmocka_unit_test_setup_teardown(test_metrics_are_text, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
