/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields, words, strings, paths. */
#include "conf/type_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/mistake.h"
#include "conf/path.h"
#include "conf/strings.h"

bool
type_fails(struct type_reading *r, const char *what, const char *fmt, ...)
{
	char quoted[MISTAKE_QUOTE];
	va_list args;
	int n = snprintf(r->why, sizeof r->why, "%s %s; allowed: ", mistake_quote(r->text, quoted), what);

	va_start(args, fmt);
	vsnprintf(r->why + n, sizeof r->why - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

const struct type_word *
type_word_find(const struct type_word *words, struct slice text)
{
	while (words->word != NULL && !slice_eq(text, slice_of(words->word)))
		words++;
	return words->word != NULL ? words : NULL;
}

const struct type_word *
type_word_of_value(const struct type_word *words, int value)
{
	while (words->word != NULL && words->value != value)
		words++;
	must(words->word != NULL);
	return words;
}

const char *
type_words_allowed(const struct type_word *words, char text[TYPE_ALLOWED])
{
	size_t n = 0;

	text[0] = '\0';
	for (; words->word != NULL; words++)
		n += (size_t)snprintf(text + n, TYPE_ALLOWED - n, "%s%s", n != 0 ? " " : "", words->word);
	return text;
}

bool
type_set_string(struct type_reading *r)
{
	*(char **)type_field_to_set(r) = mem_slicedup(r->text);
	return true;
}

char *
type_text_string(const struct schema_row *row, const void *base, size_t i)
{
	const char *text = *(char *const *)type_field(row, base);

	return i != 0 || text == NULL ? NULL : mem_strdup(text);
}

void
type_fini_string(const struct schema_row *row, void *base)
{
	free(*(char **)(void *)((char *)base + row->at));
}

bool
type_add_string(struct type_reading *r)
{
	strings_add(type_field_to_set(r), mem_slicedup(r->text));
	return true;
}

char *
type_text_strings(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_strings *list = type_field(row, base);

	return i < list->n ? mem_strdup(list->item[i]) : NULL;
}

void
type_fini_strings(const struct schema_row *row, void *base)
{
	strings_fini((void *)((char *)base + row->at));
}

/* Whether a line of the configuration could hold it. What the operator wrote comes from one; what we put in front may
 * not fit. */
static bool
is_writable_path(const char *path)
{
	for (const char *at = path; *at != '\0'; at++) {
		bool is_blank = *at == ' ' || *at == '\t';

		if (((unsigned char)*at < ' ' && !is_blank) || *at == 0x7f || (is_blank && at[1] == ';'))
			return false;
	}
	return true;
}

char *
type_absolute_path(struct type_reading *r, struct slice name)
{
	char *path = path_absolute(r->place.file, name);

	if (path == NULL) {
		type_fails(r,
		    errno == ENAMETOOLONG ? "is too long" : "is relative, and the working directory is gone",
		    "an absolute path of at most %d bytes", PATH_MAX - 1);
		return NULL;
	}
	if (is_writable_path(path))
		return path;
	free(path);
	type_fails(r, "is relative to a directory whose name has control bytes or ' ;'", "an absolute path");
	return NULL;
}
