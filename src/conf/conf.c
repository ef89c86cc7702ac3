/* SPDX-License-Identifier: BSD-2-Clause */
/* The value itself: made by the loader, written and freed by the schema's rows. */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/expand.h"
#include "conf/loader.h"
#include "conf/schema.h"
#include "conf/strings.h"
#include "conf/type.h"

static struct conf *
only_if(bool good, struct conf *c)
{
	if (good)
		return c;
	conf_free(c);
	return NULL;
}

struct conf *
conf_load_anyway(const struct conf_options *options, bool *good, conf_report_fn *report, void *arg)
{
	struct loader l;

	loader_init(&l);
	if (options->file != NULL)
		loader_read_file(&l, options->file);
	else
		loader_read_options(&l, options);
	return loader_finish(&l, good, report, arg);
}

struct conf *
conf_load(const struct conf_options *options, conf_report_fn *report, void *arg)
{
	bool good;
	struct conf *c = conf_load_anyway(options, &good, report, arg);

	return only_if(good, c);
}

struct conf *
conf_load_bytes(const char *bytes, size_t n, const char *name, conf_report_fn *report, void *arg)
{
	struct loader l;
	struct conf *c;
	bool good;

	loader_init(&l);
	loader_read_bytes(&l, slice_make(bytes, n), name);
	c = loader_finish(&l, &good, report, arg);
	return only_if(good, c);
}

static void
fields_fini(enum schema_kind kind, void *base)
{
	SCHEMA_EACH(row, kind)
		if (row->type->fini != NULL)
			row->type->fini(row, base);
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	fields_fini(SCHEMA_GLOBAL, &c->global);
	fields_fini(SCHEMA_LOG, &c->log);
	fields_fini(SCHEMA_ADMIN, &c->admin);
	fields_fini(SCHEMA_STORE, &c->store);
	for (size_t i = 0; i < c->listeners; i++) {
		fields_fini(SCHEMA_LISTENER, &c->listener[i]);
		free(c->listener[i].name);
	}
	for (size_t i = 0; i < c->routes; i++) {
		fields_fini(SCHEMA_ROUTE, &c->route[i]);
		free(c->route[i].name);
	}
	for (size_t i = 0; i < c->pools; i++) {
		fields_fini(SCHEMA_POOL, &c->pool[i]);
		free(c->pool[i].name);
	}
	free(c->listener);
	free(c->route);
	free(c->pool);
	strings_fini(&c->files);
	free(c);
}

/* A list has a line for each item, so that no line is longer than one that could be read. */
static void
row_print(const struct schema_row *row, const void *base, FILE *to)
{
	char *text, *escaped;
	size_t i = 0;

	while ((text = row->type->text(row, base, i)) != NULL) {
		escaped = expand_escape(text);
		fprintf(to, "%s = %s\n", row->key, escaped);
		free(escaped);
		free(text);
		i++;
	}
	if (i == 0 && row->may_be_empty)
		fprintf(to, "%s =\n", row->key);
}

static void
section_print(enum schema_kind kind, const char *name, const void *base, FILE *to)
{
	fprintf(to, "%s[%s%s%s]\n", kind == SCHEMA_GLOBAL ? "" : "\n", schema_sections[kind].name,
	    name != NULL ? " " : "", name != NULL ? name : "");
	SCHEMA_EACH(row, kind)
		row_print(row, base, to);
}

void
conf_print(const struct conf *c, FILE *to)
{
	section_print(SCHEMA_GLOBAL, NULL, &c->global, to);
	section_print(SCHEMA_LOG, NULL, &c->log, to);
	section_print(SCHEMA_ADMIN, NULL, &c->admin, to);
	section_print(SCHEMA_STORE, NULL, &c->store, to);
	for (size_t i = 0; i < c->listeners; i++)
		section_print(SCHEMA_LISTENER, c->listener[i].name, &c->listener[i], to);
	for (size_t i = 0; i < c->routes; i++)
		section_print(SCHEMA_ROUTE, c->route[i].name, &c->route[i], to);
	for (size_t i = 0; i < c->pools; i++)
		section_print(SCHEMA_POOL, c->pool[i].name, &c->pool[i], to);
}

void
conf_print_schema(FILE *to)
{
	for (enum schema_kind kind = 0; kind < SCHEMA_KINDS; kind++)
		SCHEMA_EACH(row, kind)
			fprintf(to, "%s\t%s\t%s\t%s\t%s\n", schema_sections[kind].name, row->key,
			    row->preset != NULL ? row->preset : "", row->restart ? "restart" : "reload", row->help);
}

const struct conf_pool *
conf_pool_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->pools; i++)
		if (strcmp(c->pool[i].name, name) == 0)
			return &c->pool[i];
	return NULL;
}

void
conf_complain(conf_report_fn *report, void *arg, struct conf_place place, const char *fmt, ...)
{
	char *what, *line;
	va_list args;

	va_start(args, fmt);
	what = mem_vprintf(fmt, args);
	va_end(args);
	if (place.file == NULL)
		line = mem_strdup(what);
	else if (place.line == 0)
		line = mem_printf("%s: %s", place.file, what);
	else
		line = mem_printf("%s:%u: %s", place.file, place.line, what);
	report(arg, line);
	free(line);
	free(what);
}
