/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of things, users, paths of URLs. */
#include "conf/type_parts.h"
#include "conf/value.h"

static bool
read_name(struct type_reading *r)
{
	return value_is_name(r->text) ? type_set_string(r) :
	    type_fails(r, "is not a name", "1 to 64 letters, digits, '-', '_' and '.'");
}

const struct type type_name = { .read = read_name, .text = type_text_string, .fini = type_fini_string };

/* As Debian's adduser has them. */
static bool
read_user(struct type_reading *r)
{
	return value_is_name(r->text) && r->text.n <= 32 && r->text.p[0] != '-' ? type_set_string(r) :
	    type_fails(r, "is not a user or group", "a name of 1 to 32 letters, digits, '-', '_' and '.'");
}

const struct type type_user = { .read = read_user, .text = type_text_string, .fini = type_fini_string };

static bool
read_names(struct type_reading *r)
{
	return value_is_name(r->text) ? type_add_string(r) :
	    type_fails(r, "is not a name", "1 to 64 letters, digits, '-', '_' and '.'");
}

const struct type type_names = { true, read_names, type_text_strings, type_fini_strings };

static bool
is_url_path(struct slice text)
{
	return value_is_visible(text) && text.p[0] == '/' && text.n <= TYPE_URL_BYTES &&
	    slice_find(text, '#') == text.n;
}

static bool
read_url_path(struct type_reading *r)
{
	return is_url_path(r->text) ? type_set_string(r) :
	    type_fails(r, "is not a path of a URL",
	    "'/' and more visible ASCII without blanks and '#', at most %d bytes", TYPE_URL_BYTES);
}

const struct type type_url_path = { .read = read_url_path, .text = type_text_string, .fini = type_fini_string };
