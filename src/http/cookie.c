/* SPDX-License-Identifier: BSD-2-Clause */
/* A semicolon separates whatever stands around it, quotes too: that is how browsers send and how servers read. */
#include "http/cookie.h"

#include "base/buf.h"

void
cookie_iter_init(struct cookie_iter *it, const struct head *head)
{
	*it = (struct cookie_iter){ .head = head, .field = 0, .rest = SLICE_NONE };
}

static struct slice
unquoted(struct slice s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return slice_make(s.p + 1, s.n - 2);
	return s;
}

/* Text without "=" is a value without a name: so browsers write a cookie that was set so. */
static struct cookie_pair
pair_of(struct slice whole)
{
	size_t at = slice_find(whole, '=');

	if (at == whole.n)
		return (struct cookie_pair){ .name = SLICE_NONE, .value = unquoted(whole), .whole = whole };
	return (struct cookie_pair){
		.name = slice_trim(slice_head(whole, at)),
		.value = unquoted(slice_trim(slice_skip(whole, at + 1))),
		.whole = whole,
	};
}

/* The next Cookie line; false: there is none. */
static bool
next_field(struct cookie_iter *it)
{
	while (it->field < it->head->fields) {
		const struct field *f = &it->head->field[it->field++];

		if (f->id == FIELD_COOKIE) {
			it->rest = f->value;
			return true;
		}
	}
	return false;
}

bool
cookie_next(struct cookie_iter *it, struct cookie_pair *pair)
{
	do {
		while (it->rest.p != NULL) {
			struct slice whole = slice_trim(slice_cut(&it->rest, ';'));

			if (whole.n != 0) {
				*pair = pair_of(whole);
				return true;
			}
		}
	} while (next_field(it));
	return false;
}

size_t
cookie_without(struct slice value, struct slice name, char *to)
{
	struct buf kept = buf_of(to, value.n);

	while (value.p != NULL) {
		struct slice piece = slice_cut(&value, ';'), whole = slice_trim(piece);

		if (whole.n == 0 || slice_eq(pair_of(whole).name, name))
			continue;
		if (kept.n != 0) {
			buf_byte(&kept, ';');
			buf_add(&kept, slice_head(piece, (size_t)(whole.p - piece.p)));
		}
		buf_add(&kept, whole);
	}
	return kept.n;
}

struct slice
cookie_set_name(struct slice value)
{
	return pair_of(slice_trim(slice_head(value, slice_find(value, ';')))).name;
}
