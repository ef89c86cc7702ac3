/* SPDX-License-Identifier: BSD-2-Clause */
/* field.h - what an object that was answered holds. What it lacks is nothing: it may come from another version. */
#ifndef CTL_FIELD_H
#define CTL_FIELD_H

#include <jansson.h>
#include <stdbool.h>

/* NULL: there is no text. */
static inline const char *
field_text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static inline long long
field_number(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* Whole or not. */
static inline double
field_real(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static inline bool
field_flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static inline bool
field_is(const json_t *o, const char *name)
{
	const json_t *value = json_object_get(o, name);

	return value != NULL && !json_is_null(value);
}

#endif
