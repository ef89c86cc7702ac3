/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of selectors of a pool. Each form is a row: what it begins with, what may stand behind that. What a
 * selector finds in a request is affinity/selector's affair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/nearest.h"
#include "conf/type_parts.h"
#include "conf/value.h"

#define SEGMENTS_MOST 64
#define V4_BITS 32
#define V6_BITS 128

/* RFC 9110, 5.1 and RFC 6265, 4.1.1; of subprotocols RFC 6455, 4.1. */
static bool
read_token(struct slice text, struct conf_selector *s)
{
	s->name = mem_slicedup(text);
	return value_is_token(text) && text.n <= TYPE_NAME_BYTES;
}

/* As it is when decoded; what would have to be encoded in a query is no part of one. */
static bool
read_parameter(struct slice text, struct conf_selector *s)
{
	s->name = mem_slicedup(text);
	return value_is_visible(text) && text.n <= TYPE_NAME_BYTES && strpbrk(s->name, "&=#+%;") == NULL;
}

static bool
read_segment(struct slice text, struct conf_selector *s)
{
	uint64_t n;

	if (!slice_to_u64(text, SEGMENTS_MOST, &n) || n == 0)
		return false;
	s->segment = (unsigned)n;
	return true;
}

/* "24" or "24/64". */
static bool
read_bits(struct slice text, struct conf_selector *s)
{
	struct slice v6 = text, v4 = slice_cut(&v6, '/');
	uint64_t bits_v4, bits_v6 = V6_BITS;

	if (!slice_to_u64(v4, V4_BITS, &bits_v4) || (v6.p != NULL && !slice_to_u64(v6, V6_BITS, &bits_v6)))
		return false;
	s->bits_v4 = (unsigned)bits_v4;
	s->bits_v6 = (unsigned)bits_v6;
	return true;
}

#define TOKEN_ALLOWED "1 to 64 letters, digits and !#$%&'*+-.^_`|~"

static const struct form {
	const char *begin;
	enum conf_selector_kind kind;
	bool (*read)(struct slice argument, struct conf_selector *s);	/* NULL: there is none */
	const char *name, *allowed;					/* of the argument */
} forms[] = {
	{ "cookie", CONF_SELECTOR_COOKIE, NULL, "", NULL },
	{ "rewrite:", CONF_SELECTOR_REWRITE, read_token, "NAME", TOKEN_ALLOWED },
	{ "prefix:", CONF_SELECTOR_PREFIX, read_token, "NAME", TOKEN_ALLOWED },
	{ "header:", CONF_SELECTOR_HEADER, read_token, "NAME", TOKEN_ALLOWED },
	{ "query:", CONF_SELECTOR_QUERY, read_parameter, "NAME", "1 to 64 of visible ASCII but &=#+%;" },
	{ "path:", CONF_SELECTOR_PATH, read_segment, "N", "1 to 64" },
	{ "cookie:", CONF_SELECTOR_COOKIE_KEY, read_token, "NAME", TOKEN_ALLOWED },
	{ "subprotocol:", CONF_SELECTOR_SUBPROTOCOL, read_token, "PREFIX", TOKEN_ALLOWED },
	{ "source", CONF_SELECTOR_SOURCE, NULL, "", NULL },
	{ "source/", CONF_SELECTOR_SOURCE, read_bits, "BITS", "0 to 32 of IPv4, and behind a '/' 0 to 128 of IPv6" },
	{ "learn:header:", CONF_SELECTOR_LEARN_HEADER, read_token, "NAME", TOKEN_ALLOWED },
	{ "learn:cookie:", CONF_SELECTOR_LEARN_COOKIE, read_token, "NAME", TOKEN_ALLOWED },
};

/* NULL: it is none of them. */
static const struct form *
form_find(struct slice text)
{
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct slice begin = slice_of(forms[i].begin);

		if (slice_eq(text, begin) || (forms[i].read != NULL && slice_has_prefix(text, begin)))
			return &forms[i];
	}
	return NULL;
}

/* What is compared with the forms goes up to the last separator: names have none. */
static bool
form_unknown(struct type_reading *r)
{
	char what[64 + NEAREST_HINT], allowed[256] = "", hint[NEAREST_HINT];
	size_t begin = r->text.n, n = 0;
	struct nearest nearest;

	while (begin != 0 && r->text.p[begin - 1] != ':' && r->text.p[begin - 1] != '/')
		begin--;
	nearest_init(&nearest, begin != 0 ? slice_head(r->text, begin) : r->text);
	for (size_t i = 0; i < COUNT(forms); i++) {
		nearest_try(&nearest, forms[i].begin);
		n += (size_t)snprintf(allowed + n, sizeof allowed - n, "%s%s%s", n != 0 ? " " : "", forms[i].begin,
		    forms[i].name);
	}
	snprintf(what, sizeof what, "is not a selector%s", nearest_hint(&nearest, hint));
	return type_fails(r, what, "%s, or nothing at all", allowed);
}

static bool
form_fails(struct type_reading *r, const struct form *f)
{
	char what[32];

	snprintf(what, sizeof what, "has no %s that can be one", f->name);
	return type_fails(r, what, "%s%s, with %s", f->begin, f->name, f->allowed);
}

/* Names of headers are one in any case (RFC 9110, 5.1). */
static bool
is_same(const struct conf_selector *a, const struct conf_selector *b)
{
	bool is_header = a->kind == CONF_SELECTOR_HEADER || a->kind == CONF_SELECTOR_LEARN_HEADER;
	struct slice name = slice_of(a->name), other = slice_of(b->name);

	return a->kind == b->kind && a->segment == b->segment && a->bits_v4 == b->bits_v4 &&
	    a->bits_v6 == b->bits_v6 && (is_header ? slice_eq_nocase(name, other) : slice_eq(name, other));
}

static bool
is_listed(const struct conf_pool *p, const struct conf_selector *s)
{
	for (size_t i = 0; i < p->selectors; i++)
		if (is_same(&p->selector[i], s))
			return true;
	return false;
}

static bool
read_selector(struct type_reading *r, struct conf_selector *s)
{
	const struct form *f = form_find(r->text);

	if (f == NULL)
		return form_unknown(r);
	s->kind = f->kind;
	if (f->kind == CONF_SELECTOR_SOURCE) {
		s->bits_v4 = V4_BITS;
		s->bits_v6 = V6_BITS;
	}
	return f->read == NULL || f->read(slice_skip(r->text, strlen(f->begin)), s) || form_fails(r, f);
}

static bool
read_affinity(struct type_reading *r)
{
	struct conf_pool *p = r->base;
	struct conf_selector s = { .name = NULL };
	bool is_good = read_selector(r, &s);

	if (is_good && is_listed(p, &s))
		is_good = type_fails(r, "is listed already", "each selector once");
	if (is_good && p->selectors == CONF_SELECTORS_MAX)
		is_good = type_fails(r, "is one too many", "at most %d selectors", CONF_SELECTORS_MAX);
	if (!is_good) {
		free(s.name);
		return false;
	}
	s.text = mem_slicedup(r->text);
	p->selector = mem_realloc(p->selector, (p->selectors + 1) * sizeof *p->selector);
	p->selector[p->selectors++] = s;
	return true;
}

static char *
text_affinity(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_pool *p = base;

	(void)row;
	return i < p->selectors ? mem_strdup(p->selector[i].text) : NULL;
}

static void
fini_affinity(const struct schema_row *row, void *base)
{
	struct conf_pool *p = base;

	(void)row;
	for (size_t i = 0; i < p->selectors; i++) {
		free(p->selector[i].text);
		free(p->selector[i].name);
	}
	free(p->selector);
}

const struct type type_affinity = { true, read_affinity, text_affinity, fini_affinity };
