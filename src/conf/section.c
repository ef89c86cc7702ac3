/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections and the structs they fill. */
#include "conf/section.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char section_command_line[] = "command line";

/* A cleared struct behind the last of an array. */
static void *
array_grow(void *array, size_t n, size_t bytes)
{
	char *grown = mem_realloc(array, (n + 1) * bytes);

	memset(grown + n * bytes, 0, bytes);
	return grown;
}

static size_t
conf_add(struct conf *c, enum schema_kind kind, struct slice name, struct conf_place place)
{
	switch (kind) {
	case SCHEMA_LISTENER:
		c->listener = array_grow(c->listener, c->listeners, sizeof *c->listener);
		c->listener[c->listeners].name = mem_slicedup(name);
		c->listener[c->listeners].place = place;
		return c->listeners++;
	case SCHEMA_ROUTE:
		c->route = array_grow(c->route, c->routes, sizeof *c->route);
		c->route[c->routes].name = mem_slicedup(name);
		c->route[c->routes].place = place;
		return c->routes++;
	case SCHEMA_POOL:
		c->pool = array_grow(c->pool, c->pools, sizeof *c->pool);
		c->pool[c->pools].name = mem_slicedup(name);
		c->pool[c->pools].place = place;
		return c->pools++;
	default:
		return 0;
	}
}

struct section *
section_new(struct sections *all, struct conf *c, enum schema_kind kind, struct slice name, struct conf_place place)
{
	struct section *s;

	all->item = array_grow(all->item, all->n, sizeof *all->item);
	s = &all->item[all->n++];
	s->kind = kind;
	s->place = place;
	s->index = conf_add(c, kind, name, place);
	s->key = mem_zalloc((size_t)(schema_end(kind) - schema_begin(kind)) * sizeof *s->key);
	return s;
}

/* NULL where the kind has none. */
static const char *
section_name(const struct section *s, const struct conf *c)
{
	switch (s->kind) {
	case SCHEMA_LISTENER:
		return c->listener[s->index].name;
	case SCHEMA_ROUTE:
		return c->route[s->index].name;
	case SCHEMA_POOL:
		return c->pool[s->index].name;
	default:
		return NULL;
	}
}

struct section *
section_find(const struct sections *all, const struct conf *c, enum schema_kind kind, struct slice name)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->item[i].kind == kind && slice_eq(slice_of(section_name(&all->item[i], c)), name))
			return &all->item[i];
	return NULL;
}

void
sections_fini(struct sections *all)
{
	for (size_t i = 0; i < all->n; i++)
		free(all->item[i].key);
	free(all->item);
}

void *
section_base(const struct section *s, struct conf *c)
{
	switch (s->kind) {
	case SCHEMA_GLOBAL:
		return &c->global;
	case SCHEMA_LOG:
		return &c->log;
	case SCHEMA_ADMIN:
		return &c->admin;
	case SCHEMA_STORE:
		return &c->store;
	case SCHEMA_LISTENER:
		return &c->listener[s->index];
	case SCHEMA_ROUTE:
		return &c->route[s->index];
	case SCHEMA_POOL:
		return &c->pool[s->index];
	default:
		return NULL;		/* there is no other */
	}
}

struct section_key *
section_key(const struct section *s, const struct schema_row *row)
{
	return &s->key[row - schema_begin(s->kind)];
}

struct section_key *
section_key_named(const struct section *s, const char *key)
{
	return section_key(s, schema_find(s->kind, slice_of(key)));
}

struct conf_place
section_place_of(const struct section *s, const char *key)
{
	struct conf_place place = section_key_named(s, key)->place;

	return place.file != NULL ? place : s->place;
}

static char *
heading_text(const struct section *s, const struct conf *c)
{
	const char *name = section_name(s, c);

	return mem_printf("[%s%s%s]", schema_sections[s->kind].name, name != NULL ? " " : "",
	    name != NULL ? name : "");
}

void
section_wrong(const struct section *s, const struct conf *c, struct mistakes *m, struct conf_place place,
    const char *key, const char *fmt, ...)
{
	va_list args;
	char *what, *heading;

	va_start(args, fmt);
	what = mem_vprintf(fmt, args);
	va_end(args);
	heading = heading_text(s, c);
	if (key == NULL)
		mistakes_add(m, place, mem_printf("%s: %s", heading, what));
	else if (place.file == section_command_line)
		mistakes_add(m, place, mem_printf("--%s: %s", strcmp(key, "bind") == 0 ? "listen" : key, what));
	else
		mistakes_add(m, place, mem_printf("%s %s: %s", heading, key, what));
	free(heading);
	free(what);
}
