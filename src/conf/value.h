/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * value.h - the small languages that values are written in.
 *
 * Pure: text in, value out, false where the text is not one. What a value must be between, and what to tell the
 * operator, is the caller's affair. Nothing is resolved or opened.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "base/check.h"
#include "base/slice.h"
#include "conf/conf.h"

#define VALUE_TIME_TEXT 24	/* "18446744073709551615ms" and its NUL */

/* An address with its port. Names are kept as text: whom they mean is asked later, by net. */
struct value_address {
	enum { VALUE_IPV4, VALUE_IPV6, VALUE_NAME } family;
	unsigned char ip[16];
	struct slice name;		/* borrowed */
	unsigned port;
};

/* "500ms 30s 5m 24h", and "0" alone without a unit. */
bool value_time(struct slice text, uint64_t *ms) MUST_CHECK;
/* Written with the largest unit that leaves a whole number. Returns text. */
const char *value_time_text(uint64_t ms, char text[VALUE_TIME_TEXT]);
/* "4096 16k 1m": bytes, or 1024 and 1024 * 1024 of them. */
bool value_size(struct slice text, uint64_t *bytes) MUST_CHECK;
const char *value_size_text(uint64_t bytes, char text[VALUE_TIME_TEXT]);
/* "200/s", "10/m"; nothing a second is no limit. */
bool value_rate(struct slice text, struct conf_rate *rate) MUST_CHECK;
/* RFC 9110, 15: statuses have three digits; those of 6xx and above mean nothing. */
bool value_status(struct slice text, unsigned *status) MUST_CHECK;
/* "10.0.0.0/8", "::1". False with *why (static) where it is none, or has bits beyond its prefix. */
bool value_network(struct slice text, const char **why) MUST_CHECK;
/* "127.0.0.1:80", "[::1]:80", "*:80"; port 0 lets the system choose. */
bool value_bind(struct slice text, struct value_address *a) MUST_CHECK;
/* "10.0.0.1:80", "[::1]:80", "gw.example.com:80". */
bool value_host_port(struct slice text, struct value_address *a) MUST_CHECK;
bool value_address_eq(const struct value_address *a, const struct value_address *b);

/* Letters, digits, "-", "_" and ".", at most 64: what sections and gateways are called. */
bool value_is_name(struct slice text);
/* RFC 9110, 5.6.2. */
bool value_is_token(struct slice text);
/* A host name: letters, digits, "-", "_" and dots between labels, at most 253 bytes (RFC 1035, 2.3.4). */
bool value_is_host(struct slice text);
/* What may stand in a request line or in Location: visible ASCII, no blank. */
bool value_is_visible(struct slice text);
/* Cuts off and returns the next word; *rest begins at the word behind it. Blanks and tabs separate. */
struct slice value_word(struct slice *rest);

#endif
