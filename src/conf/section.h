/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.h - one section while files are being read: whose struct it fills, and where each key was given.
 *
 * Kept until the whole is audited, so that what is seen late is told with the line it comes from.
 */
#ifndef CONF_SECTION_H
#define CONF_SECTION_H

#include "conf/conf.h"
#include "conf/mistake.h"
#include "conf/schema.h"

/* The file of places that are not in a file. */
extern const char section_command_line[];

/* What is known of one of its keys. */
struct section_key {
	struct conf_place place;	/* where it was first given; no file: it was not */
	bool is_bad;			/* it had a mistake, so that its field says nothing */
};

struct section {
	enum schema_kind kind;
	size_t index;			/* which listener, route or pool of the configuration */
	struct conf_place place;	/* of its first heading */
	struct section_key *key;	/* for each row of its kind */
};

struct sections {
	struct section *item;
	size_t n;
};

/* Adds the struct to the configuration too. name is NULL where the kind has none. Valid until the next one is
 * made. */
struct section *section_new(struct sections *all, struct conf *c, enum schema_kind kind, struct slice name,
    struct conf_place place) MUST_CHECK;
/* The first with that kind and name; NULL where there is none. */
struct section *section_find(const struct sections *all, const struct conf *c, enum schema_kind kind,
    struct slice name);
void sections_fini(struct sections *all);

/* The struct that is filled: struct conf_pool and so on. */
void *section_base(const struct section *s, struct conf *c);
struct section_key *section_key(const struct section *s, const struct schema_row *row);
struct section_key *section_key_named(const struct section *s, const char *key);
/* Where the key was given; the section's own place where it was not. */
struct conf_place section_place_of(const struct section *s, const char *key);
/* A mistake of that key, or of the section where key is NULL. On the command line keys have their options' names. */
void section_wrong(const struct section *s, const struct conf *c, struct mistakes *m, struct conf_place place,
    const char *key, const char *fmt, ...) PRINTF_LIKE(6, 7);

#endif
