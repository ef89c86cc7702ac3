/* SPDX-License-Identifier: BSD-2-Clause */
/* Links to a real gateway: kept, taken, closed when the gateway closes or speaks, and nothing of them left. */
#include "pool/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire.h"

static char name[] = "gw1";
static struct loop *loop;
static struct links *links;
static struct gateway *gateway;
static int listening;
static unsigned connected, readable;
static int owner; /* its address alone */

static void
on_ready(struct stream *s, unsigned what)
{
	assert_ptr_equal(s->owner, &owner);
	connected += (what & STREAM_CONNECTED) != 0;
	readable += (what & STREAM_CAN_READ) != 0;
}

static int
setup(void **state)
{
	struct sockaddr_in at;
	struct conf_gateway cf = { .name = name, .weight = 1 };
	const char *why;

	(void)state;
	loop = loop_new();
	links = links_new(loop);
	listening = wire_listen(&at);
	cf.address = mem_printf("127.0.0.1:%u", ntohs(at.sin_port));
	gateway = gateway_new(&cf, "pool", 0, &why);
	free(cf.address);
	connected = readable = 0;
	return gateway == NULL;
}

/* Every reference has come back. */
static int
teardown(void **state)
{
	(void)state;
	links_close_idle(links);
	wire_turn(loop);
	links_free(links);
	assert_int_equal(gateway->refs, 1);
	gateway_unref(gateway);
	if (listening != -1)
		close(listening);
	loop_free(loop);
	links_free(NULL);
	return 0;
}

static struct link *
opened(int *far)
{
	struct link *k = link_open(links, gateway, on_ready, &owner);
	unsigned before = connected;

	assert_non_null(k);
	WIRE_UNTIL(loop, connected == before + 1);
	WIRE_UNTIL(loop, (*far = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	assert_int_equal(k->uses, 1);
	return k;
}

static bool
far_closed(int far)
{
	char c;

	return recv(far, &c, 1, 0) == 0;
}

static void
kept_and_taken(void **state)
{
	struct link *k[3];
	int far[3];

	(void)state;
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	for (unsigned i = 0; i < 3; i++)
		k[i] = opened(&far[i]);
	for (unsigned i = 0; i < 3; i++)
		link_keep(k[i], 2);
	wire_turns(loop, 3);
	/* the latest used first, which lives longest */
	for (unsigned i = 3; i-- > 0;) {
		assert_ptr_equal(link_take_idle(links, gateway, on_ready, &owner), k[i]);
		assert_int_equal(k[i]->uses, 2);
	}
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	for (unsigned i = 0; i < 3; i++) {
		link_close(k[i]);
		assert_true(far_closed(far[i]));
		close(far[i]);
	}
	link_close(NULL);
}

/* Above `most` a link stays a moment only, the others for their time. */
static void
too_many_stay_a_moment(void **state)
{
	struct link *k[2];
	int far[2];
	uint64_t now = clock_coarse_ms();

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		k[i] = opened(&far[i]);
	link_keep(k[0], 1);
	link_keep(k[1], 1);
	wheel_advance(&loop->wheel, now + LINK_SPARE_MS / 2);
	assert_false(far_closed(far[1]));
	wheel_advance(&loop->wheel, now + LINK_SPARE_MS + 2000);
	wire_turn(loop);
	assert_true(far_closed(far[1]));
	assert_false(far_closed(far[0]));
	wheel_advance(&loop->wheel, now + LINK_IDLE_MS + 2000);
	wire_turn(loop);
	assert_true(far_closed(far[0]));
	assert_null(link_take_idle(links, gateway, on_ready, &owner));
	close(far[0]);
	close(far[1]);
}

static void
the_gateway_ends_it(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		int far;
		struct link *k = opened(&far);

		link_keep(k, 8);
		if (how == 0)
			close(far);
		else if (how == 1)
			wire_reset(far);
		else
			wire_say(far, "HTTP/1.1 408 Request Timeout\r\n\r\n");
		WIRE_UNTIL(loop, gateway->refs == 2); /* the list's, no link's */
		assert_null(link_take_idle(links, gateway, on_ready, &owner));
		if (how == 2)
			close(far);
	}
}

/* What is not clean is not kept. */
static void
not_kept(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 5; how++) {
		static char much[4 * 1024 * 1024];
		struct slice got;
		int far;
		struct link *k = opened(&far);

		readable = 0;
		switch (how) {
		case 0: /* not wished */
			break;
		case 1: /* it has ended */
			shutdown(far, SHUT_WR);
			WIRE_UNTIL(loop, readable != 0);
			break;
		case 2: /* it has failed */
			wire_reset(far);
			WIRE_UNTIL(loop, readable != 0);
			assert_int_equal(stream_read(&k->stream, NULL, 10, &got), STREAM_FAILED);
			break;
		case 3: /* a request's end is still to be sent */
			assert_int_equal(stream_write(&k->stream, slice_make(much, sizeof much)), STREAM_OK);
			assert_int_equal(stream_write(&k->stream, slice_make(much, sizeof much)), STREAM_OK);
			assert_true(stream_is_blocked(&k->stream));
			break;
		case 4: /* more has come than its answer, and lies there unread */
			wire_say(far, "answermore");
			WIRE_UNTIL(loop, readable != 0);
			assert_int_equal(stream_read(&k->stream, NULL, 6, &got), STREAM_OK);
			break;
		}
		link_keep(k, how == 0 ? 0 : 8);
		assert_null(link_take_idle(links, gateway, on_ready, &owner));
		wire_turn(loop);
		if (how != 2)
			close(far);
	}
}

/* Exactly its answer was read: nothing lies there, so it is kept. */
static void
kept_though_read_exactly(void **state)
{
	struct slice got;
	int far;
	struct link *k = opened(&far);

	(void)state;
	readable = 0;
	wire_say(far, "answer");
	WIRE_UNTIL(loop, readable != 0);
	assert_int_equal(stream_read(&k->stream, NULL, 6, &got), STREAM_OK);
	link_keep(k, 8);
	assert_ptr_equal(link_take_idle(links, gateway, on_ready, &owner), k);
	link_close(k);
	close(far);
}

static void
nobody_there(void **state)
{
	struct link *k;

	(void)state;
	close(listening);
	listening = -1;
	k = link_open(links, gateway, on_ready, &owner);
	if (k == NULL)
		return; /* told at once */
	WIRE_UNTIL(loop, connected + readable != 0);
	assert_int_equal(stream_write(&k->stream, SLICE_LIT("x")), STREAM_FAILED);
	link_close(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_and_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_stay_a_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(the_gateway_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_though_read_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
