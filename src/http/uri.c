/* SPDX-License-Identifier: BSD-2-Clause */
/* One byte after the other, by one function that knows the codings. */
#include "http/uri.h"

#include "http/byte.h"

struct slice
uri_segment(struct slice path, unsigned n)
{
	struct slice segment = slice_cut(&path, '/');	/* what is before the first slash: nothing */

	for (; n > 0; n--) {
		if (path.p == NULL)
			return SLICE_NONE;
		segment = slice_cut(&path, '/');
	}
	return segment;
}

/* Takes one byte off an encoded text that is not empty. */
static inline char
next_byte(struct slice *text, enum uri_coding coding)
{
	char c = text->p[0];
	int high, low;

	if (c == '%' && text->n >= 3 && (high = byte_hex(text->p[1])) >= 0 && (low = byte_hex(text->p[2])) >= 0) {
		*text = slice_skip(*text, 3);
		return (char)(high << 4 | low);
	}
	*text = slice_skip(*text, 1);
	return c == '+' && coding == URI_FORM ? ' ' : c;
}

/* Whether text in a form's coding means `plain`. */
static bool
is_form_of(struct slice text, struct slice plain)
{
	if (text.n < plain.n)
		return false;
	for (; text.n != 0 && plain.n != 0; plain = slice_skip(plain, 1))
		if (next_byte(&text, URI_FORM) != plain.p[0])
			return false;
	return text.n == 0 && plain.n == 0;
}

bool
uri_parameter(struct slice *rest, struct slice name, struct slice *value)
{
	while (rest->p != NULL) {
		struct slice parameter = slice_cut(rest, '&');
		size_t at = slice_find(parameter, '=');

		if (parameter.n == 0 || !is_form_of(slice_head(parameter, at), name))
			continue;
		*value = slice_skip(parameter, at + 1);
		return true;
	}
	return false;
}

/* Where the first byte stands that may mean another; text.n when there is none. */
static size_t
find_encoded(struct slice text, enum uri_coding coding)
{
	size_t at;

	if (coding == URI_PLAIN)
		return text.n;
	at = slice_find(text, '%');
	return coding == URI_FORM ? slice_find(slice_head(text, at), '+') : at;
}

bool
uri_decode(struct slice text, enum uri_coding coding, struct buf *to, struct slice *plain)
{
	size_t at = find_encoded(text, coding), n = to->n;

	*plain = text;
	if (at == text.n)
		return true;
	if (at > to->room - n)
		return false;
	memcpy(to->p + n, text.p, at);
	n += at;
	for (text = slice_skip(text, at); text.n != 0; n++) {
		if (n == to->room)
			return false;
		to->p[n] = next_byte(&text, coding);
	}
	*plain = slice_make(to->p + to->n, n - to->n);
	to->n = n;
	return true;
}
