/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators said goes to another process and is the same there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "small_daemon.h"

#include "base/clock.h"
#include "run/standing.h"

#define INI(gateways) "[global]\nworkers = 1\n[admin]\nsocket = off\n[pool a]\n" gateways \
	"[listener l]\nbind = 127.0.0.1:0\npool = a\n"
#define FOUR "gateway = gw1 127.0.0.1:1\ngateway = gw2 127.0.0.1:2\ngateway = gw3 127.0.0.1:3\ngateway = gw4 127.0.0.1:4\n"

static void
all_is_the_same(void **state)
{
	struct daemon *one = small_daemon(INI(FOUR)), *two = small_daemon(INI(FOUR));
	uint64_t now_ms = clock_coarse_ms(), there_ms;
	int fd = memfd_create("test", 0);
	const char *why;

	(void)state;
	gateway_drain(small_gateway(one, 0, "gw1"), now_ms + 600000, false);
	gateway_drain(small_gateway(one, 0, "gw2"), 0, false);
	gateway_take_down(small_gateway(one, 0, "gw3"));
	gateway_set_weight(small_gateway(one, 0, "gw4"), 17);
	assert_true(standing_write(fd, one->edition->pool, one->edition->pools));
	assert_true(standing_read(fd, two->edition->pool, two->edition->pools, &why));
	assert_int_equal(gateway_state(small_gateway(two, 0, "gw1")), GATEWAY_DRAINING);
	there_ms = gateway_deadline_ms(small_gateway(two, 0, "gw1"));
	assert_in_range(there_ms, now_ms + 599000, now_ms + 601000);
	assert_int_equal(gateway_state(small_gateway(two, 0, "gw2")), GATEWAY_DRAINING);
	assert_int_equal(gateway_deadline_ms(small_gateway(two, 0, "gw2")), 0);
	assert_int_equal(gateway_state(small_gateway(two, 0, "gw3")), GATEWAY_DOWN);
	assert_int_equal(gateway_state(small_gateway(two, 0, "gw4")), GATEWAY_UP);
	assert_int_equal(gateway_weight(small_gateway(two, 0, "gw4")), 17);
	close(fd);
	small_daemon_free(one);
	small_daemon_free(two);
}

static void
nonsense_is_told(void **state)
{
	struct daemon *d = small_daemon(INI("gateway = gw1 127.0.0.1:1\n"));
	static const char *const texts[] = { "", "[", "{\"gateways\": [", "7" };
	static const char stranger[] =
	    "{\"gateways\": [{\"pool\": \"a\", \"name\": \"gone\", \"wish\": \"down\"}, {\"pool\": 3}, null]}";
	const char *why = NULL;
	int fd;

	(void)state;
	for (unsigned i = 0; i < COUNT(texts); i++) {
		fd = memfd_create("test", 0);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		assert_false(standing_read(fd, d->edition->pool, d->edition->pools, &why));
		assert_non_null(why);
		close(fd);
	}
	fd = memfd_create("test", 0);
	assert_int_equal(write(fd, stranger, strlen(stranger)), strlen(stranger));
	assert_true(standing_read(fd, d->edition->pool, d->edition->pools, &why));
	assert_int_equal(gateway_state(small_gateway(d, 0, "gw1")), GATEWAY_UP);
	close(fd);
	small_daemon_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_is_the_same), cmocka_unit_test(nonsense_is_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
