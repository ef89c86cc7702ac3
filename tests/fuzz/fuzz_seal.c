/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as a seal, and as a key file. Nothing opens but what was made with the key. */
#include "affinity/seal.h"
#include "fuzz.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

/* The one seal of this key that is known here, and in the corpus. */
#define OURS "AQABAgMEBQYHCAkKCxc78FHJ4gBZrGie_M4qm9CEt7QSAlCOK3Z5pKeRUGnV"

static const struct slice ours = { OURS, sizeof OURS - 1 };

static struct sealer *
sealer_of(struct slice keys)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(keys, &line, &why);
	struct sealer *s = r != NULL ? sealer_new(r) : NULL;

	must(r != NULL || why != NULL);
	seal_ring_free(r);
	return s;
}

/* Ours with the input's bytes XORed in: it opens only where they change nothing. */
static void
fuzz_changed(struct sealer *s, struct slice changes)
{
	char text[SEAL_TEXT];
	struct seal_binding b;

	memcpy(text, ours.p, ours.n);
	for (size_t i = 0; i < changes.n && i < ours.n; i++)
		text[i] ^= changes.p[i];
	must((seal_open(s, SLICE_LIT("game"), slice_make(text, ours.n), &b) == SEAL_OPEN) ==
	    (memcmp(text, ours.p, ours.n) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sealer *s;
	struct slice text = slice_make((const char *)data, size);
	struct seal_binding b;

	if (s == NULL)
		s = sealer_of(SLICE_LIT(KEY));
	must((seal_open(s, SLICE_LIT("game"), text, &b) == SEAL_OPEN) == slice_eq(text, ours));
	must(seal_open(s, SLICE_LIT("login"), text, &b) != SEAL_OPEN);
	fuzz_changed(s, text);
	sealer_free(sealer_of(text));
	return 0;
}
