/* SPDX-License-Identifier: BSD-2-Clause */
/* Times, sizes, rates, addresses and names, from the text an operator wrote. */
#include "conf/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 64
#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first, as they are tried in printing. */
static const struct unit time_units[] = { { "h", 3600 * 1000 }, { "m", 60 * 1000 }, { "s", 1000 }, { "ms", 1 } };
static const struct unit size_units[] = { { "m", 1024 * 1024 }, { "k", 1024 }, { "", 1 } };

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A number and one of the units; false also where the product would not fit. */
static bool
value_with_unit(struct slice text, const struct unit *units, size_t n, uint64_t *value)
{
	size_t digits = 0;

	while (digits < text.n && is_digit(text.p[digits]))
		digits++;
	for (size_t i = 0; i < n; i++) {
		if (!slice_eq(slice_skip(text, digits), slice_of(units[i].name)))
			continue;
		if (!slice_to_u64(slice_head(text, digits), UINT64_MAX / units[i].factor, value))
			return false;
		*value *= units[i].factor;
		return true;
	}
	return false;
}

static const char *
value_unit_text(uint64_t value, const struct unit *units, char text[VALUE_TIME_TEXT])
{
	if (value == 0)
		return memcpy(text, "0", 2);
	while (value % units->factor != 0)
		units++;
	snprintf(text, VALUE_TIME_TEXT, "%" PRIu64 "%s", value / units->factor, units->name);
	return text;
}

bool
value_time(struct slice text, uint64_t *ms)
{
	if (slice_eq(text, SLICE_LIT("0"))) {
		*ms = 0;
		return true;
	}
	return value_with_unit(text, time_units, COUNT(time_units), ms);
}

const char *
value_time_text(uint64_t ms, char text[VALUE_TIME_TEXT])
{
	return value_unit_text(ms, time_units, text);
}

bool
value_size(struct slice text, uint64_t *bytes)
{
	return value_with_unit(text, size_units, COUNT(size_units), bytes);
}

const char *
value_size_text(uint64_t bytes, char text[VALUE_TIME_TEXT])
{
	return value_unit_text(bytes, size_units, text);
}

bool
value_rate(struct slice text, struct conf_rate *rate)
{
	struct slice per = text, count = slice_cut(&per, '/');
	uint64_t n;

	if (!slice_to_u64(count, 1000 * 1000, &n))
		return false;
	if (slice_eq(per, SLICE_LIT("s")))
		rate->per_ms = 1000;
	else if (slice_eq(per, SLICE_LIT("m")))
		rate->per_ms = 60 * 1000;
	else
		return false;
	rate->count = (unsigned)n;
	if (n == 0)
		rate->per_ms = 0;
	return true;
}

bool
value_status(struct slice text, unsigned *status)
{
	uint64_t n;

	if (!slice_to_u64(text, 599, &n) || n < 100)
		return false;
	*status = (unsigned)n;
	return true;
}

/* inet_pton wants a terminated string; the longest address has 45 bytes. */
static bool
value_ip(int family, struct slice text, unsigned char ip[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof copy)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	memset(ip, 0, 16);
	return strlen(copy) == text.n && inet_pton(family, copy, ip) == 1;
}

static bool
has_bits_beyond(const unsigned char *ip, unsigned bits, unsigned all)
{
	for (unsigned i = bits; i < all; i++)
		if (ip[i / 8] & (0x80 >> i % 8))
			return true;
	return false;
}

bool
value_network(struct slice text, const char **why)
{
	struct slice prefix = text, address = slice_cut(&prefix, '/');
	unsigned char ip[16];
	unsigned all = value_ip(AF_INET, address, ip) ? 32 : value_ip(AF_INET6, address, ip) ? 128 : 0;
	uint64_t bits = all;

	if (all == 0 || (prefix.p != NULL && !slice_to_u64(prefix, all, &bits))) {
		*why = "is not a network";
		return false;
	}
	if (has_bits_beyond(ip, (unsigned)bits, all)) {
		*why = "has bits set beyond its prefix";
		return false;
	}
	return true;
}

static bool
value_port(struct slice text, unsigned *port)
{
	uint64_t n;

	if (text.n > 5 || !slice_to_u64(text, 65535, &n))
		return false;
	*port = (unsigned)n;
	return true;
}

/* "[...]:port" where there are brackets, else what stands before the only colon. */
static bool
value_split_port(struct slice text, struct slice *host, unsigned *port, bool *bracketed)
{
	struct slice rest = text;

	*bracketed = text.n != 0 && text.p[0] == '[';
	if (*bracketed) {
		rest = slice_skip(text, 1);
		*host = slice_cut(&rest, ']');
		if (rest.n == 0 || rest.p[0] != ':')
			return false;
		rest = slice_skip(rest, 1);
	} else
		*host = slice_cut(&rest, ':');
	return value_port(rest, port);
}

bool
value_bind(struct slice text, struct value_address *a)
{
	struct slice host;
	bool bracketed;

	*a = (struct value_address){ .family = VALUE_IPV4 };
	if (!value_split_port(text, &host, &a->port, &bracketed))
		return false;
	if (bracketed) {
		a->family = VALUE_IPV6;
		return value_ip(AF_INET6, host, a->ip);
	}
	return slice_eq(host, SLICE_LIT("*")) || value_ip(AF_INET, host, a->ip);
}

/* Digits and dots that are no address are a slip of the pen, not a name. */
static bool
is_numeric(struct slice host)
{
	for (size_t i = 0; i < host.n; i++)
		if (!is_digit(host.p[i]) && host.p[i] != '.')
			return false;
	return true;
}

bool
value_host_port(struct slice text, struct value_address *a)
{
	struct slice host;
	bool bracketed;

	*a = (struct value_address){ .family = VALUE_IPV4 };
	if (!value_split_port(text, &host, &a->port, &bracketed) || a->port == 0)
		return false;
	if (bracketed) {
		a->family = VALUE_IPV6;
		return value_ip(AF_INET6, host, a->ip);
	}
	if (value_ip(AF_INET, host, a->ip))
		return true;
	a->family = VALUE_NAME;
	a->name = host;
	return value_is_host(host) && !is_numeric(host);
}

bool
value_address_eq(const struct value_address *a, const struct value_address *b)
{
	if (a->family != b->family || a->port != b->port)
		return false;
	return a->family == VALUE_NAME ? slice_eq_nocase(a->name, b->name) : memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool
is_name_byte(char c)
{
	return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
}

bool
value_is_name(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_name_byte(text.p[i]))
			return false;
	return text.n != 0 && text.n <= NAME_MAX_BYTES;
}

bool
value_is_token(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (!is_letter(c) && !is_digit(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return text.n != 0;
}

bool
value_is_host(struct slice text)
{
	struct slice rest = text;

	if (text.n == 0 || text.n > HOST_MAX_BYTES)
		return false;
	while (rest.p != NULL) {
		struct slice label = slice_cut(&rest, '.');

		if (label.n == 0 || label.n > LABEL_MAX_BYTES || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_name_byte(label.p[i]))
				return false;
	}
	return true;
}

bool
value_is_visible(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return false;
	return text.n != 0;
}

struct slice
value_word(struct slice *rest)
{
	struct slice from = slice_trim(*rest);
	size_t n = 0;

	while (n < from.n && from.p[n] != ' ' && from.p[n] != '\t')
		n++;
	*rest = slice_trim(slice_skip(from, n));
	return slice_head(from, n);
}
