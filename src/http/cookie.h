/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookie.h - cookies in the Cookie and Set-Cookie fields (RFC 6265, 4.1.1 and 5.4).
 *
 * No socket, no clock. Reading is tolerant as servers must be: pairs are separated by ";", blanks around them do not
 * count, a value may stand in double quotes. Names are compared whole and with their case.
 */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "http/head.h"

struct cookie_iter {
	const struct head *head;
	unsigned field;
	struct slice rest;
};

struct cookie_pair {
	struct slice name;
	struct slice value;	/* without the quotes */
	struct slice whole;	/* name=value as it stood, without blanks at its ends */
};

/* All pairs of all Cookie lines of a request, in order. */
void cookie_iter_init(struct cookie_iter *it, const struct head *head);
bool cookie_next(struct cookie_iter *it, struct cookie_pair *pair) MUST_CHECK;

/* What becomes of a pair. */
enum cookie_fate {
	COOKIE_KEEP,
	COOKIE_DROP,
	COOKIE_REPLACE,		/* pair->value was set to what stands there instead, and is no longer than it was */
};

/* Asked about each pair in order; *pair is its own to change. */
typedef enum cookie_fate cookie_edit_fn(void *arg, struct cookie_pair *pair);

/* Writes the value of one Cookie field as `edit` wants it into `to` (room for value.n bytes) and returns the new
 * length; 0: nothing is left and the line must go. What is kept stays as it was, with the blanks before it; around a
 * replaced value its name and its quotes do. */
size_t cookie_edit(struct slice value, cookie_edit_fn *edit, void *arg, char *to);

/* A Set-Cookie field's value in three parts, so that another value can be written between `before` and `after`. */
struct cookie_set {
	struct slice name;	/* empty: it has none */
	struct slice before;	/* the name, "=", an opening quote */
	struct slice value;	/* without the quotes */
	struct slice after;	/* a closing quote, the attributes */
};

/* before, value and after lie in the field's value one behind the other and are all of it. */
struct cookie_set cookie_set_split(struct slice value);
/* Its Max-Age, the last where there are several, is 0 or less: the client throws the cookie away (RFC 6265, 5.2.2).
 * Expires is not looked at. */
bool cookie_set_is_end(const struct cookie_set *set) MUST_CHECK;

#endif
