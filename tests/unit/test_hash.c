/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-1-3 against known answers. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/check.h"

/* The key is 00 01 ... 0f; the message of vector n has the n bytes 00 01 ... (as the authors' vectors of SipHash-2-4
 * have them; of an implementation in another language that gives those with two rounds and four). */
static const uint64_t vectors[64] = {
	0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb, 0xcf75576088d38328,
	0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e, 0x25a48eb36c063de4,
	0x79de85ee92ff097f, 0x70c118c1f94dc352, 0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34,
	0xd320d86d2a519956, 0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
	0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123, 0xf464aeb267349c8c,
	0x45cd5928705b0979, 0x3a3e35e3ca9913a5, 0xa91dc74e4ade3b35, 0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4,
	0x540f11d643c5e663, 0x2370dd1f8c21d1bc, 0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf, 0x759f12781f2a753e,
	0xcea1a3bebf186b91, 0x2cf508d3ada26206, 0xb6101c2da3c33057, 0xb3f47496ae3a36a1, 0x626b57547b108392,
	0xc1d2363299e41531, 0x667cc1923f1ad944, 0x65704ffec8138825, 0x24f280d1c28949a6, 0xc2ca1cedfaf8876b,
	0xc2164bfc9f042196, 0xa16e9c9368b1d623, 0x49fb169c8b5114fd, 0x9f3143f8df074c46, 0xc6fdaf2412cc86b3,
	0x7eaf49d10a52098f, 0x1cf313559d292f9a, 0xc44a30dda2f41f12, 0x36fae98943a71ed0, 0x318fb34c73f0bce6,
	0xa27abf3670a7e980, 0xb4bcc0db243c6d75, 0x23f8d852fdb71513, 0x8f035f4da67d8a08, 0xd89cd0e5b7e8f148,
	0xf6f4e6bcf7a644ee, 0xaec59ad80f1837f2, 0xc3b2f6154b6694e0, 0x9d199062b7bbb3a8,
};

static void
test_vectors(void **state)
{
	unsigned char key[HASH_KEY], bytes[65];

	(void)state;
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	for (unsigned n = 0; n < 64; n++) {
		/* also from an odd address */
		for (unsigned at = 0; at < 2; at++) {
			for (unsigned i = 0; i < n; i++)
				bytes[at + i] = (unsigned char)i;
			assert_true(hash_keyed(key, bytes + at, n) == vectors[n]);
		}
	}
}

/* Under the same key: a space's name with NULs up to a whole word and one more where it is whole, then the n bytes
 * 00 01 ..., of the same implementation. */
static const struct {
	const char *space;
	size_t n;
	struct hash_wide hash;
} wide_vectors[] = {
	{ "", 0, { 0xe2b3f81d9780e3df, 0x25fbf3e33e8ff111 } },
	{ "", 1, { 0xfdfc755130a4c6a9, 0x441a824fa402cbee } },
	{ "", 2, { 0x703755e00789df0f, 0xcec997a06701bf29 } },
	{ "", 3, { 0xb2e3ec818793b6cb, 0x87f6e029ce2ad510 } },
	{ "", 4, { 0x1f67dcbca1d17355, 0x69386e7a600855ee } },
	{ "", 5, { 0xb878f08de6a6eca8, 0xa1c91138b3dd089f } },
	{ "", 7, { 0x43813772d2b075e8, 0xe7ccd2b581eef5df } },
	{ "", 8, { 0x9ffed0fd79ed9197, 0x8a3eeb9e5fe51c2f } },
	{ "", 9, { 0x6fad90193eba10e0, 0x5f8e4a32d4476e12 } },
	{ "", 15, { 0xf22c713cd04699b2, 0x896d51ca7ed6555a } },
	{ "", 20, { 0x8e776e15f9d44538, 0xdd96ce4d4d958529 } },
	{ "", 63, { 0x2a077abf98d94c7f, 0xd83135c2fee55d86 } },
	{ "game", 0, { 0xbd87394dea1bb9fc, 0xfaab1cabfea70a16 } },
	{ "game", 1, { 0x2c9b695e98b1d87b, 0x8e705a8c7c6dd60b } },
	{ "game", 2, { 0xe1b1b16bbcc9dcdc, 0x9d4d3435e71178f2 } },
	{ "game", 3, { 0x86924819a3ea30de, 0x8a74d990abb593c8 } },
	{ "game", 4, { 0xcbfa0e9a8c2c2416, 0x6f8e30e7d1663950 } },
	{ "game", 5, { 0x0fbf7be3eef328ec, 0xe44bc37fc686f90f } },
	{ "game", 7, { 0x3070233bd0b00faa, 0xb9253a5f8c994293 } },
	{ "game", 8, { 0x004067bb6d9311ef, 0xf558f7bf4f5cf88a } },
	{ "game", 9, { 0x1d6fa3f63100c3a2, 0x094ab33d221f98b2 } },
	{ "game", 15, { 0x098fd41d3b5871cc, 0xa027f9b7cc1c5e56 } },
	{ "game", 20, { 0xaaad8087a43ac871, 0x8bd446ac1c86c1d5 } },
	{ "game", 63, { 0x6e69cf392ce1eb5e, 0x6711bc381749b363 } },
	{ "lobbies", 0, { 0x1ab245c7cc1f979c, 0x265be818aa9b6d28 } },
	{ "lobbies", 1, { 0xa91837a957f6fabf, 0x68c83881ab8151ee } },
	{ "lobbies", 2, { 0x86aaad0444ff68a5, 0x8197672315e80674 } },
	{ "lobbies", 3, { 0xff3fce10f9899429, 0x3bc99320fe292e52 } },
	{ "lobbies", 4, { 0x935e68619c7084fb, 0xcc2a1f3825d1230f } },
	{ "lobbies", 5, { 0x1108280718d5be39, 0x569cd5323fe224ed } },
	{ "lobbies", 7, { 0x31774150f6921e72, 0xbaa3ae07db36a575 } },
	{ "lobbies", 8, { 0xc9f8b4a2cda61d13, 0x53b632a90808e3a1 } },
	{ "lobbies", 9, { 0x972094819a894966, 0xc392df89f914222d } },
	{ "lobbies", 15, { 0x50fcd6675ebde0f1, 0x999c40ac6c1e675b } },
	{ "lobbies", 20, { 0x89c053d97ad6b74d, 0xe9112146c3e2d285 } },
	{ "lobbies", 63, { 0xbb971c02e7ef6a42, 0x2a8374e9187119f2 } },
	{ "lobbies1", 0, { 0x086f4fb0315d8266, 0x9315ed29bfc7654f } },
	{ "lobbies1", 1, { 0x5cfe0e6cb7ca07a5, 0xdb82440eead598f3 } },
	{ "lobbies1", 2, { 0x2f7c791b72949022, 0xaa5c1caa4a011abf } },
	{ "lobbies1", 3, { 0x5afaea4d749d45c5, 0x8cd0a9522e886e39 } },
	{ "lobbies1", 4, { 0x57e713ca6d0657de, 0x3efd2d32c1d650db } },
	{ "lobbies1", 5, { 0xd2c5faaf9b790d9f, 0x38a76e13ea3b0895 } },
	{ "lobbies1", 7, { 0x39b2a40ced8a0873, 0x30ebb8ae1ddb8250 } },
	{ "lobbies1", 8, { 0x5fe48f3e5a56bcfa, 0xca336c9275897fab } },
	{ "lobbies1", 9, { 0xb204ab607b0f4032, 0x5dc3683c5fdcd116 } },
	{ "lobbies1", 15, { 0x475f846275ff2417, 0x290bfff8827738fd } },
	{ "lobbies1", 20, { 0x770a9a06fdbc3297, 0x1dafcc9aea307e5c } },
	{ "lobbies1", 63, { 0x80dc68ee0ebc60af, 0x3b224b081e4d962c } },
	{ "a-longer-name-of-19", 0, { 0xef84ec55008346c3, 0xc1a36604ec6be6ba } },
	{ "a-longer-name-of-19", 1, { 0xb424b9d26ba05030, 0x93773f59aff26411 } },
	{ "a-longer-name-of-19", 2, { 0x74c237804e984a96, 0xcb90e9aaba04e665 } },
	{ "a-longer-name-of-19", 3, { 0xe5ec64d66c9b51e8, 0xe7ae32a8b8756b53 } },
	{ "a-longer-name-of-19", 4, { 0xeffc8094caeb60a6, 0x953b20c42b345936 } },
	{ "a-longer-name-of-19", 5, { 0xde57e80e2c80705c, 0x9b3738a78fc7cf2f } },
	{ "a-longer-name-of-19", 7, { 0x011d22c6aaeddb88, 0xfd4d7a213db9aa06 } },
	{ "a-longer-name-of-19", 8, { 0x257ce6bf17c48405, 0x6ede6af555c41de5 } },
	{ "a-longer-name-of-19", 9, { 0xb248192da4c93aea, 0x2cbec7ddcf83c01b } },
	{ "a-longer-name-of-19", 15, { 0x52aea245624f967e, 0x8420d60dbc0b1e26 } },
	{ "a-longer-name-of-19", 20, { 0x939b9082af8535e4, 0x7233bd6bafc6c3d1 } },
	{ "a-longer-name-of-19", 63, { 0x2724e6d54a8f406d, 0x035e0e477d42df43 } },
};

static void
test_wide_vectors(void **state)
{
	unsigned char key[HASH_KEY];
	char bytes[64];

	(void)state;
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < COUNT(wide_vectors); i++) {
		struct hash_wide w = hash_wide(key, slice_of(wide_vectors[i].space), slice_make(bytes, wide_vectors[i].n));

		assert_true(w.high == wide_vectors[i].hash.high && w.low == wide_vectors[i].hash.low);
	}
}

static void
test_draw(void **state)
{
	unsigned char a[HASH_KEY], b[HASH_KEY];

	(void)state;
	hash_draw_key(a);
	hash_draw_key(b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void
test_process_key(void **state)
{
	static const unsigned char zero[HASH_KEY];

	(void)state;
	assert_true(hash_bytes("player", 6) == hash_bytes("player", 6));
	assert_true(hash_bytes("player", 6) != hash_bytes("plaver", 6));
	assert_true(hash_bytes("player", 6) != hash_keyed(zero, "player", 6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_wide_vectors),
		cmocka_unit_test(test_draw),
		cmocka_unit_test(test_process_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
