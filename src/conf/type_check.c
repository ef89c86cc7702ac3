/* SPDX-License-Identifier: BSD-2-Clause */
/* What gateways are asked in a check, and which answers are good. */
#include <stdlib.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

#define METHOD_BYTES 32

/* CONNECT has a target of another form, and a good answer to it is a tunnel (RFC 9110, 9.3.6). */
static bool
read_method(struct type_reading *r)
{
	return value_is_token(r->text) && r->text.n <= METHOD_BYTES && !slice_eq(r->text, SLICE_LIT("CONNECT")) ?
	    type_set_string(r) :
	    type_fails(r, "is not a method for a check", "GET, HEAD, OPTIONS or another of 1 to %d bytes but CONNECT",
	    METHOD_BYTES);
}

const struct type type_method = { .read = read_method, .text = type_text_string, .fini = type_fini_string };

static bool
read_statuses(struct type_reading *r)
{
	struct conf_range **list = type_field_to_set(r), range;
	size_t *n = type_also_to_set(r);
	struct slice last = r->text, first = slice_cut(&last, '-');

	if (!value_status(first, &range.low) || !value_status(last.p != NULL ? last : first, &range.high) ||
	    range.low > range.high)
		return type_fails(r, "is not a range of statuses", "100 to 599, written as 204 or 200-399");
	*list = mem_realloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = range;
	return true;
}

static char *
text_statuses(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_range *range = *(struct conf_range *const *)type_field(row, base);

	if (i >= *(const size_t *)type_also(row, base))
		return NULL;
	range += i;
	return range->low == range->high ? mem_printf("%u", range->low) :
	    mem_printf("%u-%u", range->low, range->high);
}

static void
fini_statuses(const struct schema_row *row, void *base)
{
	free(*(struct conf_range **)(void *)((char *)base + row->at));
}

const struct type type_statuses = { true, read_statuses, text_statuses, fini_statuses };
