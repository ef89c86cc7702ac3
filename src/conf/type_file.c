/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, directories and sockets, and what may stand in place of one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/type_parts.h"

static bool
set_path(struct type_reading *r)
{
	char **to = type_field_to_set(r);

	*to = type_absolute_path(r, r->text);
	return *to != NULL;
}

static bool
read_file(struct type_reading *r)
{
	return r->text.n != 0 ? set_path(r) : type_fails(r, "is no file", "a path, as /etc/stickyd/admin.token");
}

const struct type type_file = { .read = read_file, .text = type_text_string, .fini = type_fini_string };

/* A path whose default may give way to the user's own, where one that is configured is an error. Empty is the
 * default, and not configured. */
static void
note_if_configured(struct type_reading *r)
{
	*(bool *)type_also_to_set(r) = !r->is_preset && r->text.n != 0;
	if (r->text.n == 0)
		r->text = slice_of(r->row->preset);
}

static bool
read_state_dir(struct type_reading *r)
{
	note_if_configured(r);
	return set_path(r);
}

/* The default stays a comment, so that it is not configured when it is read again. */
static char *
text_state_dir(const struct schema_row *row, const void *base, size_t i)
{
	const char *path = *(char *const *)type_field(row, base);

	if (i != 0)
		return NULL;
	return *(const bool *)type_also(row, base) ? mem_strdup(path) : mem_printf("; %s", path);
}

const struct type type_state_dir = { .read = read_state_dir, .text = text_state_dir, .fini = type_fini_string };

/* Of a Unix socket, or "off". */
static bool
read_socket(struct type_reading *r)
{
	char **to = type_field_to_set(r);

	note_if_configured(r);
	if (slice_eq(r->text, SLICE_LIT("off")))
		return true;
	if (!set_path(r))
		return false;
	return strlen(*to) <= TYPE_SOCKET_BYTES ||
	    type_fails(r, "is too long for a socket", "off, or a path of at most %d bytes from the root on",
	    TYPE_SOCKET_BYTES);
}

static char *
text_socket(const struct schema_row *row, const void *base, size_t i)
{
	const char *path = *(char *const *)type_field(row, base);

	return i == 0 && path == NULL ? mem_strdup("off") : text_state_dir(row, base, i);
}

const struct type type_socket = { .read = read_socket, .text = text_socket, .fini = type_fini_string };

/* What has neither slash nor dot is rather a misspelt word than a file. */
static bool
is_file_not_word(struct slice text)
{
	return slice_find(text, '/') != text.n || slice_find(text, '.') != text.n;
}

static bool
read_log_target(struct type_reading *r)
{
	const struct type_word *found = type_word_find(r->row->words, r->text);
	char **file = type_also_to_set(r), allowed[TYPE_ALLOWED];

	if (found == NULL && !is_file_not_word(r->text))
		return type_fails(r, "is not known", "%s, or a file, as /var/log/stickyd.log or ./stickyd.log",
		    type_words_allowed(r->row->words, allowed));
	if (found != NULL) {
		*(int *)type_field_to_set(r) = found->value;
		return true;
	}
	*file = type_absolute_path(r, r->text);
	if (*file != NULL)
		*(int *)type_field_to_set(r) = CONF_LOG_FILE;
	return *file != NULL;
}

static char *
text_log_target(const struct schema_row *row, const void *base, size_t i)
{
	int target = *(const int *)type_field(row, base);

	if (i != 0)
		return NULL;
	if (target == CONF_LOG_FILE)
		return mem_strdup(*(char *const *)type_also(row, base));
	return mem_strdup(type_word_of_value(row->words, target)->word);
}

static void
fini_log_target(const struct schema_row *row, void *base)
{
	free(*(char **)(void *)((char *)base + row->also));
}

const struct type type_log_target = { .read = read_log_target, .text = text_log_target, .fini = fini_log_target };

/* The loader does it itself. All is in one when it is printed, and an empty one keeps the default from adding
 * files. */
static char *
text_include(const struct schema_row *row, const void *base, size_t i)
{
	(void)row;
	(void)base;
	return i != 0 ? NULL : mem_strdup("; what was included is here");
}

const struct type type_include = { true, NULL, text_include, NULL };
