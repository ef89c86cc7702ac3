/* SPDX-License-Identifier: BSD-2-Clause */
/* Every call of the table: what it answers, what it refuses, whom it lets. */
#include "run/api.h"

#include <event2/event.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/drainer.h"
#include "run/reload.h"
#include "small_daemon.h"

static const char ini[] =
    "[global]\nworkers = 2\n[log]\naccess = off\n[listener main]\nbind = 127.0.0.1:0\npool = game\n"
    "[store]\nmax_keys = 1000\n"
    "[pool game]\ngateway = gw1 127.0.0.1:9001\ngateway = gw2 127.0.0.1:9002 weight=0 max_sessions=7\n"
    "affinity = query:player, cookie\ncheck = none\n"
    "[pool chat]\ngateway = gw1 127.0.0.1:9003\ngateway = c2 127.0.0.1:9004 backup\naffinity = query:player\n"
    "check = none\n"
    "[pool web]\ngateway = w1 127.0.0.1:9005\naffinity = cookie\ncheck = none\n";

enum { GAME, CHAT, WEB };

static struct daemon *d;
static struct api *api;
static struct event_base *base;

/* What was answered later. */
static struct {
	unsigned times, status;
	json_t *value;
} later;

static void
on_answer(void *arg, const struct api_answer *answer)
{
	assert_ptr_equal(arg, &later);
	later.times++;
	later.status = answer->status;
	later.value = json_loadb(answer->body, answer->bytes, 0, NULL);
	assert_non_null(later.value);
}

static int
begin(void **state)
{
	(void)state;
	d = small_daemon(ini);
	base = event_base_new();
	assert_non_null(base);
	d->drainer = drainer_new(base, d);
	api = api_new(base, d);
	memset(&later, 0, sizeof later);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	json_decref(later.value);
	api_free(api);
	drainer_free(d->drainer);
	d->drainer = NULL;
	small_daemon_free(d);
	event_base_free(base);
	return 0;
}

static void
call_later(const char *method, const char *target)
{
	struct api_call call = {
		.method = slice_of(method), .target = slice_of(target), .rights = API_CHANGE, .on_answer = on_answer,
		.arg = &later,
	};
	struct api_answer answer;

	assert_false(api_serve(api, &call, &answer));
}

/* What it answers, which is JSON. */
static json_t *
call_as(enum api_rights rights, const char *method, const char *target, unsigned status)
{
	struct api_call call = { .method = slice_of(method), .target = slice_of(target), .rights = rights };
	struct api_answer answer;
	json_t *value;

	assert_true(api_serve(api, &call, &answer));
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
	const char *said = json_string_value(json_object_get(value, "error"));

	if (strstr(said, error) == NULL)
		fail_msg("%s %s: %s", method, target, said);
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
		{ "POST", "/", 405, "takes GET" },
		{ "GET", "/index.html", 404, "path" },
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
		{ "GET", "/v1/drain?gateway=c2", 405, "takes POST" },
		{ "POST", "/v1/drain", 400, "gateway: must be given" },
		{ "POST", "/v1/drain?gateway=gw1", 409, "POOL/NAME" },
		{ "POST", "/v1/drain?gateway=c3", 404, "no such gateway" },
		{ "POST", "/v1/drain?gateway=c2&deadline=soon", 400, "deadline: a time" },
		{ "POST", "/v1/drain?gateway=c2&weight=1", 400, "does not take" },
		{ "POST", "/v1/weight?gateway=c2", 400, "weight: must be given" },
		{ "POST", "/v1/weight?gateway=c2&weight=257", 400, "up to 256" },
		{ "POST", "/v1/weight?gateway=c2&weight=-1", 400, "up to 256" },
		{ "POST", "/v1/rebalance?pool=gam", 404, "did you mean 'game'" },
		{ "POST", "/v1/rebalance?pool=game&rate=fast", 400, "such as 50/s" },
		{ "POST", "/v1/rebalance?pool=game&rate=0/s", 400, "such as 50/s" },
		{ "GET", "/v1/sessions?limit=20001", 400, "up to 20000" },
		{ "GET", "/v1/sessions?gateway=c3", 404, "no such gateway" },
		{ "GET", "/v1/sessions?pool=gam", 404, "did you mean 'game'" },
		{ "GET", "/v1/sessions?key=", 400, "1 to 16384 bytes" },
		{ "GET", "/v1/events?after=then", 400, "number" },
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
	((struct conf *)(uintptr_t)d->edition->conf)->admin.token_file = strdup("/a/token");
	json_decref(call_as(API_READ, "DELETE", "/v1/table?key=a", 401));
	json_decref(call_as(API_NOTHING, "GET", "/metrics", 401));
	json_decref(call_as(API_NOTHING, "GET", "/", 401));
	json_decref(call_as(API_NOTHING, "DELETE", "/", 401));
	json_decref(call_as(API_READ, "POST", "/v1/drain?gateway=c2", 401));
	json_decref(call_as(API_READ, "POST", "/v1/reload", 401));
}

/* It looks like a change that a page of another site has asked for. */
static void
test_a_foreign_change(void **state)
{
	struct api_call call = {
		.method = SLICE_LIT("POST"), .target = SLICE_LIT("/v1/down?gateway=c2"), .rights = API_CHANGE,
		.is_foreign = true,
	};
	struct api_answer answer;

	(void)state;
	assert_true(api_serve(api, &call, &answer));
	assert_int_equal(answer.status, 403);
	api_answer_fini(&answer);
	assert_int_equal(gateway_state(small_gateway(d, CHAT, "c2")), GATEWAY_UP);
	call.method = SLICE_LIT("GET");
	call.target = SLICE_LIT("/v1/status");
	assert_true(api_serve(api, &call, &answer));
	assert_int_equal(answer.status, 200);
	api_answer_fini(&answer);
}

/* The page, once, and then that it has not changed. */
static void
test_the_page(void **state)
{
	struct api_call call = { .method = SLICE_LIT("GET"), .target = SLICE_LIT("/?x"), .rights = API_READ };
	struct api_answer answer;

	(void)state;
	assert_true(api_serve(api, &call, &answer));
	assert_int_equal(answer.status, 200);
	assert_non_null(answer.page);
	assert_int_equal(answer.bytes, answer.page->n);
	call.known = slice_of(answer.page->etag);
	api_answer_fini(&answer);
	assert_true(api_serve(api, &call, &answer));
	assert_int_equal(answer.status, 304);
	assert_int_equal(answer.bytes, 0);
	api_answer_fini(&answer);
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
	gateway_judge(small_gateway(d, CHAT, "gw1"), false, "test");
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
	struct sealer *s = sealer_new(d->edition->ring);
	uint32_t now_s = (uint32_t)(clock_wall_us() / 1000000);
	struct seal_binding b = {
		.tag = gateway_tag(small_gateway(d, WEB, "w1")), .born_s = now_s - 7200, .seen_s = now_s - 120,
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
	assert_true(api_serve(api, &c, &answer));
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.type, "text/plain; version=0.0.4; charset=utf-8");
	assert_non_null(strstr(answer.body, "\nstickyd_build_info{version=\"" PACKAGE_VERSION "\"} 1\n"));
	assert_int_equal(strlen(answer.body), answer.bytes);
	api_answer_fini(&answer);
}

static void
probed(enum api_rights rights, const char *target, unsigned status, const char *text)
{
	struct api_call call = { .method = SLICE_LIT("GET"), .target = slice_of(target), .rights = rights };
	struct api_answer answer;

	assert_true(api_serve(api, &call, &answer));
	assert_int_equal(answer.status, status);
	assert_string_equal(answer.body, text);
	assert_string_equal(answer.type, "text/plain; charset=utf-8");
	api_answer_fini(&answer);
}

static void
test_probes(void **state)
{
	(void)state;
	probed(API_READ, "/healthz", 200, "ok\n");
	json_decref(call_as(API_NOTHING, "GET", "/healthz", 403));
	probed(API_READ, "/readyz", 503, "not ready: starting\n");
	d->phase = DAEMON_RUNNING;
	json_decref(call_as(API_NOTHING, "GET", "/readyz", 403));
	gateway_judge(small_gateway(d, CHAT, "gw1"), false, "test");
	probed(API_READ, "/readyz", 200, "ready\n");
	gateway_take_down(small_gateway(d, CHAT, "c2"));
	probed(API_READ, "/readyz", 503, "not ready: pool chat has no gateway that is up\n");
	gateway_ready(small_gateway(d, CHAT, "c2"));
	probed(API_READ, "/readyz", 200, "ready\n");
	d->phase = DAEMON_STOPPING;
	probed(API_READ, "/readyz", 503, "not ready: stopping\n");
	probed(API_READ, "/healthz", 200, "ok\n");
}

/* The gateway as it is afterwards. */
static void
assert_gateway(const char *target, const char *state, unsigned weight)
{
	json_t *o = call("POST", target, 200), *g = json_object_get(o, "gateway");

	assert_string_equal(json_string_value(json_object_get(g, "name")), "c2");
	assert_string_equal(json_string_value(json_object_get(g, "state")), state);
	assert_int_equal(json_integer_value(json_object_get(g, "weight")), weight);
	json_decref(o);
}

static void
test_what_an_operator_wishes(void **state)
{
	struct gateway *g = small_gateway(d, CHAT, "c2");

	(void)state;
	assert_gateway("/v1/drain?gateway=c2", "draining", 1);
	assert_int_equal(gateway_deadline_ms(g), 0);
	assert_gateway("/v1/drain?gateway=chat/c2&deadline=10m", "draining", 1);
	assert_true(gateway_deadline_ms(g) > clock_coarse_ms() + 500000);
	assert_gateway("/v1/ready?gateway=c2&pool=chat", "up", 1);
	assert_gateway("/v1/weight?gateway=c2&weight=0", "up", 0);
	assert_gateway("/v1/weight?gateway=c2&weight=256", "up", 256);
	assert_gateway("/v1/down?gateway=c2", "down", 256);
	assert_gateway("/v1/ready?gateway=c2", "up", 256);
}

static void
test_pools(void **state)
{
	json_t *o, *list, *chat;

	(void)state;
	gateway_judge(small_gateway(d, CHAT, "gw1"), false, "test");
	o = call("GET", "/v1/gateways", 200);
	list = json_object_get(o, "pools");
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(text_at(list, CHAT, "name"), "chat");
	assert_string_equal(text_at(list, CHAT, "balance"), "leastconn");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, CHAT), "up")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, CHAT), "gateways")), 2);
	chat = json_array_get(list, CHAT);
	assert_int_equal(json_object_size(json_object_get(chat, "affinity")), AFFINITY_OUTCOMES);
	json_decref(o);
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Who asks before it can be done waits; and is told when it can't be any more. */
static void
test_a_reload_that_comes_to_nothing(void **state)
{
	struct conf_options options = { .file = NULL };
	struct mailbox *mail = mailbox_new();

	(void)state;
	d->reload = reload_new(d, &options, mail, nothing, NULL);
	call_later("POST", "/v1/reload");
	assert_int_equal(later.times, 0);
	reload_forbid(d->reload, "the process is stopping");
	assert_int_equal(later.times, 1);
	assert_int_equal(later.status, 422);
	assert_non_null(json_object_get(later.value, "error"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(later.value, "mistakes"), 0)),
	    "the process is stopping");
	reload_free(d->reload);
	d->reload = NULL;
	mailbox_free(mail);
}

static void
test_one_who_does_not_wait(void **state)
{
	struct conf_options options = { .file = NULL };
	struct mailbox *mail = mailbox_new();

	(void)state;
	d->reload = reload_new(d, &options, mail, nothing, NULL);
	call_later("POST", "/v1/reload");
	api_forget(api, &later);
	reload_free(d->reload);
	d->reload = NULL;
	assert_int_equal(later.times, 0);
	mailbox_free(mail);
}

static void
no_mail(void *arg, size_t number)
{
	(void)arg;
	(void)number;
}

static void
start_workers(void)
{
	const struct worker_events events = { no_mail, no_mail, no_mail, NULL, NULL, NULL };

	d->writer = writer_new(&d->edition->conf->log, small_report, NULL);
	d->main = mailbox_new();
	assert_non_null(d->writer);
	assert_non_null(d->main);
	assert_true(daemon_start(d, d->main, &events, small_report, NULL));
}

static void
end_workers(void)
{
	for (unsigned i = 0; i < d->workers; i++)
		worker_abort(d->worker[i]);
	daemon_end_workers(d);
}

/* Every worker has its say first; and one that is asked and gone by then does no harm. */
static void
test_sessions(void **state)
{
	(void)state;
	call_later("GET", "/v1/sessions");
	assert_int_equal(later.times, 1);	/* there is no worker */
	json_decref(later.value);
	start_workers();
	call_later("GET", "/v1/sessions?gateway=c2&key=alice&limit=0");
	assert_int_equal(later.times, 1);
	while (later.times == 1)
		mailbox_deliver(d->main);
	assert_int_equal(later.status, 200);
	assert_int_equal(json_integer_value(json_object_get(later.value, "total")), 0);
	assert_true(json_is_array(json_object_get(later.value, "sessions")));
	assert_true(json_is_false(json_object_get(later.value, "cut")));
	call_later("GET", "/v1/sessions?pool=chat");
	end_workers();
	mailbox_free(d->main);
	d->main = NULL;
	assert_int_equal(later.times, 2);
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
		cmocka_unit_test_setup_teardown(test_a_foreign_change, begin, end),
		cmocka_unit_test_setup_teardown(test_the_page, begin, end),
		cmocka_unit_test_setup_teardown(test_probes, begin, end),
		cmocka_unit_test_setup_teardown(test_what_an_operator_wishes, begin, end),
		cmocka_unit_test_setup_teardown(test_pools, begin, end),
		cmocka_unit_test_setup_teardown(test_a_reload_that_comes_to_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_one_who_does_not_wait, begin, end),
		cmocka_unit_test_setup_teardown(test_sessions, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
