/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces variables by what the environment says; what it says is not expanded again. */
#include "conf/expand.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/mistake.h"

static bool expand_fails(struct expand *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool
expand_fails(struct expand *e, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(e->why, sizeof e->why, fmt, args);
	va_end(args);
	return false;
}

static bool
expand_add(struct expand *e, struct slice s)
{
	if (s.n > sizeof e->text - e->n)
		return expand_fails(e, "is longer than %zu bytes, variables replaced", sizeof e->text);
	if (s.n != 0)
		memcpy(e->text + e->n, s.p, s.n);
	e->n += s.n;
	return true;
}

/* As the shell has them: letters, digits and "_", no digit in front. */
static bool
is_variable(struct slice name)
{
	static const char allowed[] = "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '\0' || strchr(allowed, name.p[i]) == NULL)
			return false;
	return name.n != 0 && (name.p[0] < '0' || name.p[0] > '9');
}

/* inside is what stands between "${" and "}". */
static bool
expand_variable(struct expand *e, struct slice inside)
{
	struct slice rest = inside, name = slice_cut(&rest, ':');
	bool has_default = slice_has_prefix(rest, SLICE_LIT("-"));
	char quoted[MISTAKE_QUOTE], *copy;
	const char *value;

	if (!is_variable(name) || (rest.p != NULL && !has_default))
		return expand_fails(e,
		    "%s is not a variable; allowed: ${NAME} or ${NAME:-default}, and $${ for a plain ${",
		    mistake_quote(slice_make(inside.p - 2, inside.n + 3), quoted));
	copy = mem_slicedup(name);
	value = getenv(copy);
	free(copy);
	if (has_default && (value == NULL || value[0] == '\0'))
		return expand_add(e, slice_skip(rest, 1));
	if (value == NULL)
		return expand_fails(e,
		    "the environment has no variable %s; set it, or give a default as ${NAME:-default}",
		    mistake_quote(name, quoted));
	return expand_add(e, slice_of(value));
}

/* What could not have been written into the file must not come from the environment either: it would read differently
 * when the effective configuration is printed and read again. */
static bool
expand_is_writable(struct expand *e)
{
	for (size_t i = 0; i < e->n; i++) {
		unsigned char c = (unsigned char)e->text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return expand_fails(e, "the environment puts the control byte \\x%02x into this value", c);
		if (c == ';' && (i == 0 || e->text[i - 1] == ' ' || e->text[i - 1] == '\t'))
			return expand_fails(e, "the environment puts a ' ;' into this value, which begins a comment");
	}
	return true;
}

bool
expand_value(struct expand *e, struct slice text)
{
	bool replaced = false;

	e->n = 0;
	while (text.n != 0) {
		size_t dollar = slice_find(text, '$');
		struct slice from = slice_skip(text, dollar);
		size_t end;

		if (!expand_add(e, slice_head(text, dollar)))
			return false;
		if (slice_has_prefix(from, SLICE_LIT("$${"))) {
			if (!expand_add(e, SLICE_LIT("${")))
				return false;
			text = slice_skip(from, 3);
			continue;
		}
		if (!slice_has_prefix(from, SLICE_LIT("${"))) {
			if (!expand_add(e, slice_head(from, 1)))
				return false;
			text = slice_skip(from, 1);
			continue;
		}
		from = slice_skip(from, 2);
		end = slice_find(from, '}');
		if (end == from.n)
			return expand_fails(e,
			    "a '${' has no '}'; allowed: ${NAME} or ${NAME:-default}, and $${ for a plain ${");
		if (!expand_variable(e, slice_head(from, end)))
			return false;
		text = slice_skip(from, end + 1);
		replaced = true;
	}
	return !replaced || expand_is_writable(e);
}

char *
expand_escape(const char *text)
{
	char *escaped = mem_zalloc(strlen(text) * 3 / 2 + 2), *to = escaped;

	for (; *text != '\0'; text++) {
		if (text[0] == '$' && text[1] == '{')
			*to++ = '$';
		*to++ = *text;
	}
	return escaped;
}
