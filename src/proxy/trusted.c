/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields are read from the last to the first: the nearest proxy wrote last. */
#include "proxy/trusted.h"

#include <string.h>

/* What it may call a request, in bytes: a UUID is 36, a trace's name is seldom above 100. */
#define REQUEST_ID_MAX 128

void
trusted_client(const struct head *h, const struct listener *l, struct addr *client)
{
	for (unsigned i = h->fields; i-- > 0;) {
		struct slice rest = h->field[i].value;

		if (h->field[i].id != FIELD_X_FORWARDED_FOR)
			continue;
		while (rest.n != 0) {
			size_t comma = rest.n;
			struct addr a;

			while (comma > 0 && rest.p[comma - 1] != ',')
				comma--;
			if (!addr_parse_host(slice_trim(slice_skip(rest, comma)), &a))
				return;
			*client = a;
			if (!listener_trusts(l, &a))
				return;
			rest.n = comma > 0 ? comma - 1 : 0;
		}
	}
}

static bool
is_request_id(struct slice s)
{
	if (s.n == 0 || s.n > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>&\"", s.p[i]) != NULL)
			return false;
	return true;
}

struct slice
trusted_request_id(const struct head *h)
{
	const struct field *f = head_find(h, FIELD_X_REQUEST_ID);

	return f != NULL && is_request_id(f->value) ? f->value : SLICE_NONE;
}
