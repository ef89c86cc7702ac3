/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as another balancer's cookie: what is taken for one says the same when it is written out again. */
#include "affinity/legacy.h"

#include <inttypes.h>
#include <stdio.h>

#include "fuzz.h"

static void
write_out(const struct legacy *l, char text[64])
{
	size_t n = 0;

	for (unsigned i = 0; i < LEGACY_DIGEST; i++)
		n += (size_t)snprintf(text + n, 64 - n, "%02x", l->digest[i]);
	snprintf(text + n, 64 - n, "|%" PRIu32 "|%" PRIu32, l->last_s, l->first_s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make((const char *)data, size);
	struct legacy l, again;
	char out[64];

	if (!legacy_parse(text, &l))
		return 0;
	write_out(&l, out);
	must(text.n >= strlen(out) && memcmp(text.p, out, 2 * LEGACY_DIGEST + 1) == 0);	/* zeros may lead the times */
	must(legacy_parse(slice_of(out), &again));
	must(memcmp(l.digest, again.digest, LEGACY_DIGEST) == 0);
	must(l.last_s == again.last_s && l.first_s == again.first_s);
	return 0;
}
