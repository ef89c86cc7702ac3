/* SPDX-License-Identifier: BSD-2-Clause */
/* Gateways, what happens when one can't serve, the cookie that names one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

#define SESSIONS_MOST 10000000

/* ---- gateways ---- */

static bool
option_number(struct slice text, uint64_t most, unsigned *to)
{
	uint64_t n;

	if (!slice_to_u64(text, most, &n))
		return false;
	*to = (unsigned)n;
	return true;
}

/* A word behind a gateway's address. */
static bool
read_gateway_option(struct slice option, struct conf_gateway *g)
{
	struct slice value = option, name = slice_cut(&value, '=');

	if (slice_eq(name, SLICE_LIT("weight")))
		return option_number(value, CONF_WEIGHT_MOST, &g->weight);
	if (slice_eq(name, SLICE_LIT("max_sessions")))
		return option_number(value, SESSIONS_MOST, &g->max_sessions);
	if (!slice_eq(option, SLICE_LIT("backup")))
		return false;
	g->backup = true;
	return true;
}

static bool
read_gateways(struct type_reading *r)
{
	struct conf_pool *p = r->base;
	struct slice rest = r->text, name = value_word(&rest), address = value_word(&rest);
	struct conf_gateway g = { .weight = 1, .place = r->place };
	struct value_address a;

	if (!value_is_name(name) || !value_host_port(address, &a))
		return type_fails(r, "is not a gateway",
		    "NAME HOST:PORT [weight=N] [max_sessions=N] [backup], "
		    "as gw1 10.0.0.11:8000");
	while (rest.n != 0)
		if (!read_gateway_option(value_word(&rest), &g))
			return type_fails(r, "has an option that is not known",
			    "weight=0 to weight=%d, max_sessions=0 to max_sessions=%d, backup", CONF_WEIGHT_MOST,
			    SESSIONS_MOST);
	g.name = mem_slicedup(name);
	g.address = mem_slicedup(address);
	p->gateway = mem_realloc(p->gateway, (p->gateways + 1) * sizeof *p->gateway);
	p->gateway[p->gateways++] = g;
	return true;
}

static char *
text_gateways(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_pool *p = base;
	const struct conf_gateway *g;
	char sessions[32] = "";

	(void)row;
	if (i >= p->gateways)
		return NULL;
	g = &p->gateway[i];
	if (g->max_sessions != 0)
		snprintf(sessions, sizeof sessions, " max_sessions=%u", g->max_sessions);
	return mem_printf("%s %s weight=%u%s%s", g->name, g->address, g->weight, sessions,
	    g->backup ? " backup" : "");
}

static void
fini_gateways(const struct schema_row *row, void *base)
{
	struct conf_pool *p = base;

	(void)row;
	for (size_t i = 0; i < p->gateways; i++) {
		free(p->gateway[i].name);
		free(p->gateway[i].address);
	}
	free(p->gateway);
}

const struct type type_gateways = { true, read_gateways, text_gateways, fini_gateways };

/* ---- on_down, on_full ---- */

static bool
policy_fails(struct type_reading *r, const char *what)
{
	char least[VALUE_TIME_TEXT], most[VALUE_TIME_TEXT];

	return type_fails(r, what, "reassign reject wait:TIME, with a time of %s to %s, written as 500ms 30s 5m",
	    value_time_text(r->row->min, least), value_time_text(r->row->max, most));
}

static bool
read_policy(struct type_reading *r)
{
	struct conf_policy *to = type_field_to_set(r);
	struct slice time = r->text, word = slice_cut(&time, ':');

	*to = (struct conf_policy){ .kind = CONF_POLICY_REASSIGN };
	if (slice_eq(r->text, SLICE_LIT("reassign")))
		return true;
	if (slice_eq(r->text, SLICE_LIT("reject"))) {
		to->kind = CONF_POLICY_REJECT;
		return true;
	}
	to->kind = CONF_POLICY_WAIT;
	if (!slice_eq(word, SLICE_LIT("wait")) || !value_time(time, &to->wait_ms))
		return policy_fails(r, "is not known");
	return (to->wait_ms >= r->row->min && to->wait_ms <= r->row->max) || policy_fails(r, "is out of range");
}

static char *
text_policy(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_policy *policy = type_field(row, base);
	char time[VALUE_TIME_TEXT];

	if (i != 0)
		return NULL;
	if (policy->kind == CONF_POLICY_WAIT)
		return mem_printf("wait:%s", value_time_text(policy->wait_ms, time));
	return mem_strdup(policy->kind == CONF_POLICY_REJECT ? "reject" : "reassign");
}

const struct type type_policy = { .read = read_policy, .text = text_policy };

/* ---- the cookie ---- */

static bool
read_cookie_name(struct type_reading *r)
{
	return value_is_token(r->text) && r->text.n <= TYPE_NAME_BYTES ? type_set_string(r) :
	    type_fails(r, "is not a cookie's name", "1 to 64 letters, digits and !#$%%&'*+-.^_`|~ (RFC 6265)");
}

const struct type type_cookie_name = { .read = read_cookie_name, .text = type_text_string, .fini = type_fini_string };

/* RFC 6265, 4.1.1: any CHAR but controls and ";"; where it does not begin with "/", browsers ignore it (5.2.4). */
static bool
is_cookie_path(struct slice text)
{
	return value_is_visible(text) && text.p[0] == '/' && slice_find(text, ';') == text.n && text.n <= 1024;
}

static bool
read_cookie_path(struct type_reading *r)
{
	return is_cookie_path(r->text) ? type_set_string(r) :
	    type_fails(r, "is not a cookie's path",
	    "'/' and more visible ASCII without blanks and ';', at most 1024 bytes");
}

const struct type type_cookie_path = { .read = read_cookie_path, .text = type_text_string, .fini = type_fini_string };

/* Browsers ignore a dot in front (RFC 6265, 5.2.3), so it is not kept. */
static bool
read_cookie_domain(struct type_reading *r)
{
	struct slice domain = slice_skip(r->text, slice_has_prefix(r->text, SLICE_LIT(".")) ? 1 : 0);

	if (!value_is_host(domain))
		return type_fails(r, "is not a domain", "a host name, as example.com");
	*(char **)type_field_to_set(r) = mem_slicedup(domain);
	return true;
}

const struct type type_cookie_domain = {
	.read = read_cookie_domain, .text = type_text_string, .fini = type_fini_string
};
