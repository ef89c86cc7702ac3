/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol: the header is what was read and no more, and nothing shorter is one. */
#include "fuzz.h"

#include "net/proxyproto.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make((const char *)data, size);
	size_t used, used_of_cut;
	struct addr client, of_cut;
	enum proxyproto_result whole = proxyproto_parse(bytes, &used, &client);

	must(used <= size && used <= PROXYPROTO_MAX && (used != 0) == (whole == PROXYPROTO_DONE));
	must(whole == PROXYPROTO_DONE || client.len == 0);
	must(whole != PROXYPROTO_MORE || size < PROXYPROTO_MAX);
	for (size_t cut = size < PROXYPROTO_MAX ? size : PROXYPROTO_MAX; cut-- > 0;) {
		enum proxyproto_result r = proxyproto_parse(slice_head(bytes, cut), &used_of_cut, &of_cut);

		if (whole == PROXYPROTO_DONE && cut >= used)
			must(r == PROXYPROTO_DONE && used_of_cut == used && addr_eq(&client, &of_cut));
		else
			must(r == PROXYPROTO_MORE || (r == PROXYPROTO_BAD && whole == PROXYPROTO_BAD));
	}
	return 0;
}
