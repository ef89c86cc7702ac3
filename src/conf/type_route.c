/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts, of routes and of gateways, and redirects to them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

/* "*.example.com" or a host name, or an IPv6 address in brackets as Host has it (RFC 9110, 7.2). Kept in lower
 * case. */
static bool
is_route_host(struct slice text)
{
	struct value_address a;
	char with_port[64];
	int n;

	if (slice_has_prefix(text, SLICE_LIT("*.")))
		return value_is_host(slice_skip(text, 2));
	if (value_is_host(text))
		return true;
	n = snprintf(with_port, sizeof with_port, "%.*s:0", SLICE_FMT(text));
	return text.n != 0 && text.p[0] == '[' && (size_t)n < sizeof with_port &&
	    value_bind(slice_make(with_port, (size_t)n), &a);
}

static bool
read_hosts(struct type_reading *r)
{
	struct conf_strings *hosts = type_field_to_set(r);

	if (!is_route_host(r->text))
		return type_fails(r, "is not a host",
		    "a host name without port, as game.example.com or *.example.com");
	type_add_string(r);
	for (char *at = hosts->item[hosts->n - 1]; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at | 0x20);
	return true;
}

const struct type type_hosts = { true, read_hosts, type_text_strings, type_fini_strings };

/* As Host has it. */
static bool
read_host(struct type_reading *r)
{
	struct value_address a;
	bool is_host = is_route_host(r->text) && !slice_has_prefix(r->text, SLICE_LIT("*"));

	return is_host || value_host_port(r->text, &a) ? type_set_string(r) :
	    type_fails(r, "is not a host", "a host name or address, with or without a port, as game.example.com");
}

const struct type type_host = { .read = read_host, .text = type_text_string, .fini = type_fini_string };

/* SNI has names alone, no addresses (RFC 6066, 3). */
static bool
read_server_name(struct type_reading *r)
{
	char *with_port = mem_printf("%.*s:1", SLICE_FMT(r->text));
	struct value_address a;
	bool is_name = value_host_port(slice_of(with_port), &a) && a.family == VALUE_NAME;

	free(with_port);
	return is_name ? type_set_string(r) : type_fails(r, "is not a host name", "a name, as gw.example.com");
}

const struct type type_server_name = { .read = read_server_name, .text = type_text_string, .fini = type_fini_string };

/* Each "{" of a redirect's target must begin a placeholder. */
static bool
has_known_placeholders(struct slice target)
{
	while (target.p != NULL) {
		struct slice plain = slice_cut(&target, '{'), name;

		if (slice_find(plain, '}') != plain.n)
			return false;
		if (target.p == NULL)
			break;
		name = slice_head(target, slice_find(target, '}'));
		if (!slice_eq(name, SLICE_LIT("host")) && !slice_eq(name, SLICE_LIT("uri")))
			return false;
		target = slice_skip(target, name.n);
		if (target.n == 0)
			return false;
		target = slice_skip(target, 1);
	}
	return true;
}

static bool
is_redirect_target(struct slice target)
{
	return value_is_visible(target) && target.n <= TYPE_URL_BYTES && (slice_has_prefix(target, SLICE_LIT("/")) ||
	    slice_has_prefix(target, SLICE_LIT("http://")) || slice_has_prefix(target, SLICE_LIT("https://")));
}

/* 302 where none is given: a mistake in it is not kept by browsers. */
static bool
read_redirect_status(struct slice text, unsigned *status)
{
	static const unsigned known[] = { 301, 302, 303, 307, 308 };

	*status = 302;
	for (size_t i = 0; i < COUNT(known) && text.n != 0; i++)
		if (value_status(text, status) && *status == known[i])
			return true;
	return text.n == 0;
}

static bool
read_redirect(struct type_reading *r)
{
	struct conf_redirect *to = type_field_to_set(r);
	struct slice status = r->text, target = value_word(&status);

	if (!is_redirect_target(target))
		return type_fails(r, "is not a target of a redirect",
		    "http://, https:// or '/' and visible ASCII without blanks, "
		    "then a status, as https://{host}{uri} 301");
	if (!has_known_placeholders(target))
		return type_fails(r, "has a placeholder that is not known", "{host} and {uri}");
	if (!read_redirect_status(status, &to->status))
		return type_fails(r, "has a status that is no redirect's", "301 302 303 307 308");
	to->target = mem_slicedup(target);
	return true;
}

static char *
text_redirect(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_redirect *to = type_field(row, base);

	return i != 0 || to->target == NULL ? NULL : mem_printf("%s %u", to->target, to->status);
}

static void
fini_redirect(const struct schema_row *row, void *base)
{
	struct conf_redirect *to = (void *)((char *)base + row->at);

	free(to->target);
}

const struct type type_redirect = { .read = read_redirect, .text = text_redirect, .fini = fini_redirect };
