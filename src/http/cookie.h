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

/* Writes the value of one Cookie field without the pairs of this name into `to` (room for value.n bytes) and
 * returns the new length; 0: nothing is left and the line must go. What stays stays as it was, with the blanks
 * before it. */
size_t cookie_without(struct slice value, struct slice name, char *to);
/* The name in a Set-Cookie value; empty when there is none. */
struct slice cookie_set_name(struct slice value);

#endif
