/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a snapshot; and, since nobody guesses its sum, any bytes with the right one behind them. */
#include "store/snapshot.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"

#define KEYS 8
#define NOW 1000000
#define SUM 32

static void
fuzz_read(struct slice bytes)
{
	struct table *t = table_new(KEYS, 3600);
	struct table_entry e[KEYS + 1];
	const char *why = NULL;
	uint64_t at = 0;
	size_t n;

	must(t != NULL);
	if (snapshot_read(bytes, t, NOW, &why)) {
		must(why == NULL);
		n = table_copy(t, &at, e, COUNT(e));
		must(n == table_counts(t).keys && n <= KEYS);
		for (size_t i = 0; i < n; i++)
			must(e[i].binding.seen_s <= NOW && e[i].binding.seen_s + 3600 >= NOW);
	} else
		must(why != NULL && table_counts(t).keys == 0);
	table_free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *summed = mem_zalloc(size + SUM);

	fuzz_read(slice_make((const char *)data, size));
	if (size != 0)
		memcpy(summed, data, size);
	must(EVP_Digest(summed, size, (unsigned char *)summed + size, NULL, EVP_sha256(), NULL) == 1);
	fuzz_read(slice_make(summed, size + SUM));
	free(summed);
	return 0;
}
