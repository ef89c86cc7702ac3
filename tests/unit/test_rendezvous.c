/* SPDX-License-Identifier: BSD-2-Clause */
/* Rendezvous hashing: known answers, who moves when gateways come and go, and that weights are obeyed. */
#include "pool/rendezvous.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS 100000
#define GATEWAYS 11

static uint64_t
key_hash(unsigned i)
{
	char text[16];

	return rendezvous_hash(slice_make(text, (size_t)snprintf(text, sizeof text, "player-%u", i)));
}

static uint64_t
tag_of(unsigned i)
{
	return rendezvous_hash(slice_make((const char *)&(const unsigned char){ (unsigned char)i }, 1));
}

/* Whoever wins among n gateways but `gone`. */
static unsigned
owner(uint64_t hash, const unsigned *weight, unsigned n, unsigned gone)
{
	struct rendezvous_bid best = { 0, 0 };
	unsigned winner = n;

	for (unsigned i = 0; i < n; i++) {
		struct rendezvous_bid bid = { rendezvous_draw(hash, tag_of(i)), weight[i] };

		if (i == gone || (winner != n && !rendezvous_wins(bid, best)))
			continue;
		winner = i;
		best = bid;
	}
	return winner;
}

static const unsigned equal[GATEWAYS] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

/* Every proxy of every version must agree on these. */
static void
test_known_answers(void **state)
{
	static const struct {
		const char *key;
		uint64_t tag, hash, draw;
	} cases[] = {
		{ "", 0x0000000000000000, 0xe220a8397b1dcdaf, 0x48218226ff3cd4bf },
		{ "a", 0x0000000000000001, 0xf0eea8c8a0607d15, 0x3ab8e022ac51b86f },
		{ "player-1", 0x06b7c6e703ed4c8a, 0x2a90e4437751261d, 0x0f20d2190cb384e6 },
		{ "player-2", 0x06b7c6e703ed4c8a, 0xc56e11c0a6c02ba4, 0x259e2d3a2ea4652d },
		{ "192.0.2.1", 0xe4bb04c86e5f00e5, 0xfc8dcb675e405b49, 0xf63c10e789a67a0f },
		{ "2001:db8::1", 0xbf76c513e47648cd, 0x3900223634a7f068, 0x29060a12feb3a244 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t hash = rendezvous_hash(slice_of(cases[i].key)), draw = rendezvous_draw(hash, cases[i].tag);

		if (hash != cases[i].hash || draw != cases[i].draw)
			fail_msg("{ \"%s\", 0x%016lx, 0x%016lx, 0x%016lx }", cases[i].key, cases[i].tag, hash, draw);
	}
	assert_true(rendezvous_hash(SLICE_NONE) == rendezvous_hash(SLICE_LIT("")));
}

static void
test_scores(void **state)
{
	(void)state;
	assert_true(fabs(rendezvous_score((struct rendezvous_bid){ UINT64_C(1) << 63, 1 }) - 1 / log(2)) < 1e-9);
	assert_true(fabs(rendezvous_score((struct rendezvous_bid){ UINT64_C(1) << 63, 256 }) - 256 / log(2)) < 1e-6);
	assert_true(rendezvous_score((struct rendezvous_bid){ 0, 1 }) > 0);
	assert_true(isfinite(rendezvous_score((struct rendezvous_bid){ UINT64_MAX, 256 })));
}

/* The shortcuts give the winner that the scores would. */
static void
test_wins_as_scores_say(void **state)
{
	static const unsigned weights[] = { 1, 2, 3, 7, 100, 256 };

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		uint64_t hash = key_hash(i);
		struct rendezvous_bid a = { rendezvous_draw(hash, 1), weights[i % COUNT(weights)] };
		struct rendezvous_bid b = { rendezvous_draw(hash, 2), weights[i / 7 % COUNT(weights)] };

		assert_int_equal(rendezvous_wins(a, b), rendezvous_score(a) > rendezvous_score(b));
		assert_int_equal(rendezvous_wins(b, a), rendezvous_score(b) > rendezvous_score(a));
	}
}

static void
test_one_comes_one_goes(void **state)
{
	unsigned moved = 0, left = 0;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		uint64_t hash = key_hash(i);
		unsigned of_ten = owner(hash, equal, 10, 10), of_eleven = owner(hash, equal, 11, 11);
		unsigned of_nine = owner(hash, equal, 10, 4);

		if (of_eleven != of_ten) {
			assert_int_equal(of_eleven, 10);
			moved++;
		}
		if (of_nine != of_ten) {
			assert_int_equal(of_ten, 4);
			left++;
		}
	}
	print_message("of %u keys %u moved to the newcomer, %u away from the one gone\n", KEYS, moved, left);
	assert_in_range(moved, KEYS * 8 / 100, KEYS * 10 / 100);
	assert_in_range(left, KEYS * 9 / 100, KEYS * 11 / 100);
}

static void
test_weights(void **state)
{
	static const unsigned weight[GATEWAYS] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 45 };
	unsigned got[GATEWAYS] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 10 * KEYS; i++)
		got[owner(key_hash(i), weight, GATEWAYS, GATEWAYS)]++;
	for (unsigned i = 0; i < GATEWAYS; i++)
		assert_true(fabs(got[i] / (weight[i] * (10 * KEYS / 100.0)) - 1) < 0.03);
}

/* More weight only brings keys, and only to who has it. */
static void
test_weight_grows(void **state)
{
	static const unsigned before[] = { 2, 2, 3, 1 }, after[] = { 2, 5, 3, 1 };

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned was = owner(key_hash(i), before, 4, 4), is = owner(key_hash(i), after, 4, 4);

		assert_true(is == was || is == 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_wins_as_scores_say),
		cmocka_unit_test(test_one_comes_one_goes),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weight_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
