/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schema.h - every key of every section, in one table.
 *
 * The loader reads by it, conf_print writes by it, conf_free frees by it, and `make check` compares the sample file
 * and the manual page with it: a new key is one row here, a field in conf.h, and its lines in those two.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum schema_kind {
	SCHEMA_GLOBAL,
	SCHEMA_LOG,
	SCHEMA_ADMIN,
	SCHEMA_STORE,
	SCHEMA_LISTENER,
	SCHEMA_ROUTE,
	SCHEMA_POOL,
	SCHEMA_KINDS
};

struct type;			/* type.h: how a value is read and written */
struct type_word;

struct schema_row {
	enum schema_kind kind;
	const char *key;
	const struct type *type;
	const char *preset;		/* the text that counts where none is given; NULL: none does */
	bool restart;			/* a reload does not change it */
	bool may_be_empty;		/* "key =" is none at all */
	bool zero_too;			/* of a time: 0 as well as min to max */
	bool whole_seconds;		/* of a time */
	uint64_t min, max;
	const struct type_word *words;	/* ends with NULL */
	size_t at, also;		/* of the field in the section's struct; of a second, where there is one */
	size_t place_at;		/* of the place where it was given, for those who open it; 0: not kept */
	const char *help;
};

struct schema_section {
	const char *name;
	bool is_named;			/* [kind name] */
};

extern const struct schema_section schema_sections[SCHEMA_KINDS];

/* The rows of a kind, from begin up to but without end. */
const struct schema_row *schema_begin(enum schema_kind kind);
const struct schema_row *schema_end(enum schema_kind kind);
#define SCHEMA_EACH(row, kind) \
	for (const struct schema_row *row = schema_begin(kind), *row##_end = schema_end(kind); row != row##_end; \
	    row++)

/* NULL where there is none. */
const struct schema_row *schema_find(enum schema_kind kind, struct slice key);

#endif
