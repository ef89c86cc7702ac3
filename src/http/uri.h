/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uri.h - what stands in a request's path and query.
 *
 * No socket, no clock, no allocation: slices of the target, and decoded copies where something is encoded. A path is
 * taken as it was sent: its segments are what stands between its slashes (RFC 3986, 3.3), dots and all. A query is
 * taken for what HTML forms and browsers' URLSearchParams make of it (WHATWG URL, application/x-www-form-urlencoded):
 * NAME=VALUE between "&", in which "+" is a blank.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/buf.h"

enum uri_coding {
	URI_PLAIN,	/* nothing is encoded */
	URI_PERCENT,	/* "%2F" (RFC 3986, 2.1) */
	URI_FORM,	/* the same, and "+" is a blank */
};

/* Segment n from 1 of "/one/two/..."; it may be empty. p == NULL: there are not so many. Not decoded. */
struct slice uri_segment(struct slice path, unsigned n);
/* The value of the next parameter with this name, which is compared decoded; *rest is the query at first, and then
 * what follows. Not decoded; empty, too, where there is no "=". False: there is no more. */
bool uri_parameter(struct slice *rest, struct slice name, struct slice *value) MUST_CHECK;
/* What text means: text itself where nothing in it is encoded, else a copy that is added to `to`. A "%" without two
 * hexadecimal digits stands for itself. False: it does not fit; `to` is then as it was. */
bool uri_decode(struct slice text, enum uri_coding coding, struct buf *to, struct slice *plain) MUST_CHECK;

#endif
