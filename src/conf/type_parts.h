/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type_parts.h - what the types are made of: where a value goes, how its text comes back, what is said if it is
 * wrong.
 *
 * For type.c and its neighbours type_*.c alone; everybody else knows type.h.
 */
#ifndef CONF_TYPE_PARTS_H
#define CONF_TYPE_PARTS_H

#include "conf/type.h"

#define TYPE_ALLOWED 192
#define TYPE_URL_BYTES 2048
#define TYPE_SOCKET_BYTES 107	/* of sun_path (unix(7)), with its NUL 108 */
#define TYPE_NAME_BYTES 64	/* of a cookie, a header, a parameter */

/* The row's field in a section's struct, and its second one. */
static inline const void *
type_field(const struct schema_row *row, const void *base)
{
	return (const char *)base + row->at;
}

static inline const void *
type_also(const struct schema_row *row, const void *base)
{
	return (const char *)base + row->also;
}

static inline void *
type_field_to_set(const struct type_reading *r)
{
	return (char *)r->base + r->row->at;
}

static inline void *
type_also_to_set(const struct type_reading *r)
{
	return (char *)r->base + r->row->also;
}

/* Always false: "'TEXT' WHAT; allowed: ...", where fmt says what is allowed. */
bool type_fails(struct type_reading *r, const char *what, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Words. */
const struct type_word *type_word_find(const struct type_word *words, struct slice text);	/* NULL: unknown */
const struct type_word *type_word_of_value(const struct type_word *words, int value);
/* With blanks between them. Returns text. */
const char *type_words_allowed(const struct type_word *words, char text[TYPE_ALLOWED]);

/* For types whose field is a string, NULL where none was given; type_set_string is always true. */
bool type_set_string(struct type_reading *r);
char *type_text_string(const struct schema_row *row, const void *base, size_t i);
void type_fini_string(const struct schema_row *row, void *base);

/* For types whose field is a struct conf_strings; type_add_string is always true. */
bool type_add_string(struct type_reading *r);
char *type_text_strings(const struct schema_row *row, const void *base, size_t i);
void type_fini_strings(const struct schema_row *row, void *base);

/* A file's name from the root on, so that it means the same wherever it is printed and read again; to be freed. NULL:
 * type_fails has been called. */
char *type_absolute_path(struct type_reading *r, struct slice name) MUST_CHECK;

#endif
