/* SPDX-License-Identifier: BSD-2-Clause */
/* A semicolon separates whatever stands around it, quotes too: that is how browsers send and how servers read. */
#include "http/cookie.h"

#include "base/buf.h"
#include "http/byte.h"

void
cookie_iter_init(struct cookie_iter *it, const struct head *head)
{
	*it = (struct cookie_iter){ .head = head, .field = 0, .rest = SLICE_NONE };
}

/* As slice_cut() does, but in line: a Cookie line is read when its client is looked for, and when it is forwarded. */
static inline struct slice
cut_piece(struct slice *rest)
{
	const char *at = rest->n != 0 ? memchr(rest->p, ';', rest->n) : NULL;
	struct slice piece = *rest;

	*rest = SLICE_NONE;
	if (at != NULL) {
		size_t n = (size_t)(at - piece.p);

		*rest = slice_make(at + 1, piece.n - n - 1);
		piece.n = n;
	}
	return piece;
}

static inline struct slice
unquoted(struct slice s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return slice_make(s.p + 1, s.n - 2);
	return s;
}

/* Text without "=" is a value without a name: so browsers write a cookie that was set so. */
static inline struct cookie_pair
pair_of(struct slice whole)
{
	const char *at = whole.n != 0 ? memchr(whole.p, '=', whole.n) : NULL;
	size_t n;

	if (at == NULL)
		return (struct cookie_pair){ .name = SLICE_NONE, .value = unquoted(whole), .whole = whole };
	n = (size_t)(at - whole.p);
	return (struct cookie_pair){
		.name = slice_trim(slice_make(whole.p, n)),
		.value = unquoted(slice_trim(slice_make(at + 1, whole.n - n - 1))),
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
			struct slice whole = slice_trim(cut_piece(&it->rest));

			if (whole.n != 0) {
				*pair = pair_of(whole);
				return true;
			}
		}
	} while (next_field(it));
	return false;
}

/* A pair as it stood, but for its value. */
static void
add_with_value(struct buf *to, struct slice whole, struct slice was, struct slice value)
{
	size_t before = (size_t)(was.p - whole.p);

	must(value.n <= was.n);
	buf_add(to, slice_head(whole, before));
	buf_add(to, value);
	buf_add(to, slice_skip(whole, before + was.n));
}

size_t
cookie_edit(struct slice value, cookie_edit_fn *edit, void *arg, char *to)
{
	struct buf kept = buf_of(to, value.n);

	while (value.p != NULL) {
		struct slice piece = cut_piece(&value), whole = slice_trim(piece), was;
		struct cookie_pair pair;
		enum cookie_fate fate;

		if (whole.n == 0)
			continue;
		pair = pair_of(whole);
		was = pair.value;
		fate = edit(arg, &pair);
		if (fate == COOKIE_DROP)
			continue;
		if (kept.n != 0) {
			buf_byte(&kept, ';');
			buf_add(&kept, slice_head(piece, (size_t)(whole.p - piece.p)));
		}
		if (fate == COOKIE_REPLACE)
			add_with_value(&kept, whole, was, pair.value);
		else
			buf_add(&kept, whole);
	}
	return kept.n;
}

struct cookie_set
cookie_set_split(struct slice value)
{
	struct cookie_pair pair = pair_of(slice_trim(slice_head(value, slice_find(value, ';'))));
	size_t before = pair.value.p != NULL ? (size_t)(pair.value.p - value.p) : 0;

	return (struct cookie_set){
		.name = pair.name,
		.before = slice_head(value, before),
		.value = pair.value,
		.after = slice_skip(value, before + pair.value.n),
	};
}

/* Of digits behind a "-" or none; what is no such number does not count (RFC 6265, 5.2.2). */
static bool
is_number(struct slice s)
{
	if (s.n > 1 && s.p[0] == '-')
		s = slice_skip(s, 1);
	return s.n != 0 && byte_all(s, BYTE_DIGIT);
}

static bool
is_zero_or_less(struct slice number)
{
	if (number.p[0] == '-')
		return true;
	while (number.n != 0 && number.p[0] == '0')
		number = slice_skip(number, 1);
	return number.n == 0;
}

bool
cookie_set_is_end(const struct cookie_set *set)
{
	struct slice rest = set->after;
	bool is_end = false;

	while (rest.p != NULL) {
		struct slice value = slice_cut(&rest, ';'), name = slice_trim(slice_cut(&value, '='));

		value = slice_trim(value);
		if (slice_eq_nocase(name, SLICE_LIT("Max-Age")) && is_number(value))
			is_end = is_zero_or_less(value);
	}
	return is_end;
}
