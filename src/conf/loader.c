/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections and keys as the reader tells of them; the schema says what to do with each. */
#include "conf/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/audit.h"
#include "conf/nearest.h"
#include "conf/path.h"
#include "conf/reader.h"
#include "conf/strings.h"
#include "conf/type.h"
#include "conf/value.h"

#define DEEPEST 8			/* files that include one another: deeper ones are a mistake, not a need */
#define FILE_BYTES (16 * 1024 * 1024)	/* some 100,000 gateways; a log or a disk given by mistake is larger */

/* A text being read, inside the one that includes it. */
struct loader_source {
	struct loader_source *outer;
	const char *name;
	unsigned depth;
	bool is_file;
	dev_t dev;
	ino_t ino;
	enum { BEFORE_SECTIONS, IN_SECTION, IN_UNKNOWN } state;
	size_t section;			/* IN_SECTION: which of the loader's */
};

static struct section *
loader_section(struct loader *l)
{
	return &l->sections.item[l->source->section];
}

/* of a line outside of any section that is known */
static void
loader_wrong_line(struct loader *l, unsigned line, char *what)
{
	mistakes_add(&l->mistakes, (struct conf_place){ l->source->name, line }, what);
}

static char *
place_text(struct conf_place place)
{
	return place.line != 0 ? mem_printf("%s:%u", place.file, place.line) : mem_strdup(place.file);
}

/* ---- values ---- */

static void
loader_read(struct loader *l, size_t section, const struct schema_row *row, struct slice text,
    struct conf_place place)
{
	const struct section *s = &l->sections.item[section];
	struct type_reading r = { .row = row, .base = section_base(s, l->conf), .text = text, .place = place };

	if (row->place_at != 0)
		*(struct conf_place *)(void *)((char *)r.base + row->place_at) = place;
	if (row->type->read(&r))
		return;
	section_key(s, row)->is_bad = true;
	section_wrong(s, l->conf, &l->mistakes, place, row->key, "%s", r.why);
}

static void
loader_read_value(struct loader *l, size_t section, const struct schema_row *row, struct slice text,
    struct conf_place place)
{
	if (!row->type->is_list) {
		loader_read(l, section, row, text, place);
		return;
	}
	while (text.p != NULL)
		loader_read(l, section, row, slice_trim(slice_cut(&text, ',')), place);
}

static void loader_include(struct loader *l, size_t section, struct slice patterns, struct conf_place place);

/* One time and no more, but for lists. */
static bool
is_first(struct loader *l, const struct schema_row *row, struct conf_place place)
{
	const struct section *s = loader_section(l);
	struct section_key *key = section_key(s, row);
	char *first;

	if (key->place.file == NULL) {
		key->place = place;
		return true;
	}
	if (row->type->is_list)
		return true;
	first = place_text(key->place);
	section_wrong(s, l->conf, &l->mistakes, place, row->key, "is given twice, first at %s; allowed: once", first);
	free(first);
	return false;
}

static void
loader_unknown_key(struct loader *l, struct slice key, struct conf_place place)
{
	const struct section *s = loader_section(l);
	char *copy = mem_slicedup(key), hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, key);
	SCHEMA_EACH(row, s->kind)
		nearest_try(&n, row->key);
	section_wrong(s, l->conf, &l->mistakes, place, copy, "unknown key%s",
	    n.name != NULL ? nearest_hint(&n, hint) : "; see stickyd.ini(5)");
	free(copy);
}

static void
loader_key(struct loader *l, const struct schema_row *row, struct slice value, struct conf_place place)
{
	size_t section = l->source->section;

	if (!is_first(l, row, place))
		return;
	if (!expand_value(&l->expand, value)) {
		section_key(loader_section(l), row)->is_bad = true;
		section_wrong(loader_section(l), l->conf, &l->mistakes, place, row->key, "%s", l->expand.why);
		return;
	}
	value = slice_trim(slice_make(l->expand.text, l->expand.n));
	if (value.n == 0 && row->may_be_empty)
		return;
	if (row->type == &type_include)
		loader_include(l, section, value, place);
	else
		loader_read_value(l, section, row, value, place);
}

static void
on_pair(void *arg, unsigned line, struct slice key, struct slice value)
{
	struct loader *l = arg;
	struct conf_place place = { l->source->name, line };
	const struct schema_row *row;
	char quoted[MISTAKE_QUOTE];

	if (l->source->state == BEFORE_SECTIONS)
		loader_wrong_line(l, line,
		    mem_printf("%s stands before any section; begin with a line as [global] or [listener NAME]",
		    mistake_quote(key, quoted)));
	if (l->source->state != IN_SECTION)
		return;
	row = schema_find(loader_section(l)->kind, key);
	if (row != NULL)
		loader_key(l, row, value, place);
	else
		loader_unknown_key(l, key, place);
}

static void
on_broken(void *arg, unsigned line, const char *what, struct slice line_text)
{
	struct loader *l = arg;
	char quoted[MISTAKE_QUOTE];
	const char *subject = line_text.n != 0 ? mistake_quote(line_text, quoted) : "the line";

	if (l->source->state == IN_SECTION)
		section_wrong(loader_section(l), l->conf, &l->mistakes, (struct conf_place){ l->source->name, line },
		    NULL, "%s %s", subject, what);
	else
		loader_wrong_line(l, line, mem_printf("%s %s", subject, what));
}

/* ---- headings ---- */

static void
loader_unknown_section(struct loader *l, unsigned line, struct slice kind)
{
	char hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, kind);
	for (size_t i = 0; i < SCHEMA_KINDS; i++)
		nearest_try(&n, schema_sections[i].name);
	if (n.name == NULL)
		snprintf(hint, sizeof hint, "; allowed: [global] [log] [admin] [store] "
		    "[listener NAME] [route NAME] [pool NAME]");
	else
		nearest_hint(&n, hint);
	loader_wrong_line(l, line, mem_printf("[%.*s]: unknown section%s", SLICE_FMT(slice_head(kind, 64)), hint));
}

static bool
is_known_kind(struct slice text, enum schema_kind *kind)
{
	for (*kind = 0; *kind < SCHEMA_KINDS; (*kind)++)
		if (slice_eq(text, slice_of(schema_sections[*kind].name)))
			return true;
	return false;
}

static bool
is_good_heading(struct loader *l, unsigned line, enum schema_kind kind, struct slice name)
{
	const char *word = schema_sections[kind].name;
	char quoted[MISTAKE_QUOTE];

	if (!schema_sections[kind].is_named && name.n != 0)
		loader_wrong_line(l, line, mem_printf("[%s] has the name %s; allowed: [%s] without a name", word,
		    mistake_quote(name, quoted), word));
	else if (schema_sections[kind].is_named && name.n == 0)
		loader_wrong_line(l, line, mem_printf("[%s] has no name; allowed: [%s NAME]", word, word));
	else if (schema_sections[kind].is_named && !value_is_name(name))
		loader_wrong_line(l, line,
		    mem_printf("[%s] has the name %s; allowed: 1 to 64 letters, digits, '-', '_' and '.'", word,
		    mistake_quote(name, quoted)));
	else
		return true;
	return false;
}

/* The keys of a section whose name is taken are checked all the same: it gets a struct of its own. */
static size_t
loader_open_section(struct loader *l, enum schema_kind kind, struct slice name, struct conf_place place)
{
	const struct section *there = section_find(&l->sections, l->conf, kind, name), *made;
	char *first;

	if (there != NULL && !schema_sections[kind].is_named)
		return (size_t)(there - l->sections.item);
	if (there != NULL) {
		first = place_text(there->place);
		section_wrong(there, l->conf, &l->mistakes, place, NULL,
		    "the name is taken, first at %s; allowed: each name once", first);
		free(first);
	}
	made = section_new(&l->sections, l->conf, kind, name, place);
	return (size_t)(made - l->sections.item);
}

static void
on_heading(void *arg, unsigned line, struct slice heading)
{
	struct loader *l = arg;
	struct loader_source *source = l->source;
	struct slice name = heading, word = value_word(&name);
	enum schema_kind kind;

	source->state = IN_UNKNOWN;
	if (heading.p == NULL)
		return;
	if (!is_known_kind(word, &kind)) {
		loader_unknown_section(l, line, word);
		return;
	}
	if (!is_good_heading(l, line, kind, name))
		return;
	source->section = loader_open_section(l, kind, name, (struct conf_place){ source->name, line });
	source->state = IN_SECTION;
}

/* ---- texts ---- */

static const struct reader_ops loader_ops = { on_heading, on_pair, on_broken };

static void
loader_read_source(struct loader *l, struct loader_source *source, struct slice text)
{
	source->outer = l->source;
	source->depth = l->source != NULL ? l->source->depth + 1 : 1;
	source->state = BEFORE_SECTIONS;
	l->source = source;
	reader_run(text, &loader_ops, l);
	l->source = source->outer;
}

/* All of an open file; false with errno. */
static bool
read_all(int fd, char **bytes, size_t *n)
{
	ssize_t got;

	*bytes = NULL;
	*n = 0;
	do {
		*bytes = mem_realloc(*bytes, *n + 64 * 1024);
		got = read(fd, *bytes + *n, 64 * 1024);
		if (got > 0)
			*n += (size_t)got;
		if (*n > FILE_BYTES) {
			errno = EFBIG;
			got = -1;
		}
	} while (got > 0);
	if (got == 0)
		return true;
	free(*bytes);
	return false;
}

static bool
is_being_read(const struct loader *l, const struct stat *st)
{
	for (const struct loader_source *s = l->source; s != NULL; s = s->outer)
		if (s->is_file && s->dev == st->st_dev && s->ino == st->st_ino)
			return true;
	return false;
}

/* NULL, or why it could not be read. */
static const char *
loader_try_file(struct loader *l, const char *file)
{
	struct loader_source source = { .is_file = true };
	struct stat st;
	char *bytes, *name;
	size_t n;
	int fd;

	if (l->source != NULL && l->source->depth >= DEEPEST)
		return "files include one another more than 8 deep";
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return strerror(errno);
	if (fstat(fd, &st) == 0 && is_being_read(l, &st)) {
		close(fd);
		return "it is being read already: it includes itself";
	}
	if (!read_all(fd, &bytes, &n)) {
		int why = errno;

		close(fd);
		return strerror(why);
	}
	close(fd);
	name = mem_strdup(file);
	strings_add(&l->conf->files, name);
	source.name = name;
	source.dev = st.st_dev;
	source.ino = st.st_ino;
	loader_read_source(l, &source, slice_make(bytes, n));
	free(bytes);
	return NULL;
}

/* ---- include ---- */

/* A directory that is not there holds no files; one that can't be read may. */
static int
on_glob_error(const char *path, int why)
{
	(void)path;
	return why != ENOENT && why != ENOTDIR;
}

static void
loader_include_file(struct loader *l, size_t section, const char *file, struct conf_place place)
{
	const char *why = loader_try_file(l, file);
	char quoted[MISTAKE_QUOTE];

	if (why != NULL)
		section_wrong(&l->sections.item[section], l->conf, &l->mistakes, place, "include",
		    "%s can't be read: %s", mistake_quote(slice_of(file), quoted), why);
}

/* That nothing matches is fine. */
static void
loader_include_glob(struct loader *l, size_t section, const char *pattern, struct conf_place place)
{
	char quoted[MISTAKE_QUOTE];
	glob_t found;
	int result = glob(pattern, 0, on_glob_error, &found);

	for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
		loader_include_file(l, section, found.gl_pathv[i], place);
	if (result != 0 && result != GLOB_NOMATCH)
		section_wrong(&l->sections.item[section], l->conf, &l->mistakes, place, "include",
		    "the directory of %s can't be read", mistake_quote(slice_of(pattern), quoted));
	globfree(&found);
}

static void
loader_include_item(struct loader *l, size_t section, struct slice item, struct conf_place place)
{
	bool is_glob =
	    slice_find(item, '*') != item.n || slice_find(item, '?') != item.n || slice_find(item, '[') != item.n;
	char *path;

	if (item.n == 0) {
		section_wrong(&l->sections.item[section], l->conf, &l->mistakes, place, "include",
		    "'' is no name of a file; allowed: names and patterns, as conf.d/*.ini");
		return;
	}
	path = is_glob ? path_beside_for_glob(place.file, item) : path_beside(place.file, item);
	if (is_glob)
		loader_include_glob(l, section, path, place);
	else
		loader_include_file(l, section, path, place);
	free(path);
}

static void
loader_include(struct loader *l, size_t section, struct slice patterns, struct conf_place place)
{
	char *copy;
	struct slice rest;

	if (l->source != NULL && !l->source->is_file) {
		section_wrong(&l->sections.item[section], l->conf, &l->mistakes, place, "include",
		    "is only possible in a file");
		return;
	}
	copy = mem_slicedup(patterns);		/* the files' own values will take its place */
	rest = slice_of(copy);
	while (rest.p != NULL)
		loader_include_item(l, section, slice_trim(slice_cut(&rest, ',')), place);
	free(copy);
}

/* ---- the whole ---- */

void
loader_init(struct loader *l)
{
	*l = (struct loader){ .conf = mem_zalloc(sizeof *l->conf) };
}

/* Sections without a name are there in any case, for their defaults. Returns the number of [global]. */
static size_t
loader_begin(struct loader *l, const char *name)
{
	size_t global = l->sections.n;

	for (enum schema_kind kind = SCHEMA_GLOBAL; kind < SCHEMA_KINDS; kind++)
		if (!schema_sections[kind].is_named)
			loader_open_section(l, kind, SLICE_NONE, (struct conf_place){ name, 0 });
	l->first = name;
	return global;
}

void
loader_read_file(struct loader *l, const char *file)
{
	const struct schema_row *include = schema_find(SCHEMA_GLOBAL, SLICE_LIT("include"));
	size_t global = loader_begin(l, file);
	const char *why = loader_try_file(l, file);

	l->is_unreadable = why != NULL;
	if (why != NULL)
		mistakes_add(&l->mistakes, (struct conf_place){ file, 0 },
		    mem_printf("the file can't be read: %s", why));
	else if (section_key(&l->sections.item[global], include)->place.file == NULL)
		loader_include(l, global, slice_of(include->preset), (struct conf_place){ file, 0 });
}

void
loader_read_bytes(struct loader *l, struct slice bytes, const char *name)
{
	struct loader_source source = { .name = mem_strdup(name) };

	strings_add(&l->conf->files, (char *)source.name);
	loader_begin(l, source.name);
	loader_read_source(l, &source, bytes);
}

static void
loader_option(struct loader *l, size_t section, const char *key, struct slice value)
{
	const struct section *s = &l->sections.item[section];
	const struct schema_row *row = schema_find(s->kind, slice_of(key));
	struct conf_place place = { section_command_line, 0 };

	section_key(s, row)->place = place;
	loader_read_value(l, section, row, value, place);
}

/* "A:P", "NAME A:P" or "NAME=A:P" and options, as the file has it. Names that were not given are gw1, gw2 ... */
static char *
gateway_text(const char *option, size_t number)
{
	struct slice rest = slice_of(option), first = value_word(&rest);
	struct slice address = first, name = slice_cut(&address, '=');

	if (address.p != NULL)
		return mem_printf("%.*s %.*s %.*s", SLICE_FMT(name), SLICE_FMT(address), SLICE_FMT(rest));
	if (slice_find(first, ':') == first.n && rest.n != 0)
		return mem_strdup(option);
	return mem_printf("gw%zu %s", number, option);
}

void
loader_read_options(struct loader *l, const struct conf_options *options)
{
	struct conf_place place = { section_command_line, 0 };
	size_t listener, pool;

	loader_begin(l, section_command_line);
	listener = loader_open_section(l, SCHEMA_LISTENER, SLICE_LIT("cli"), place);
	pool = loader_open_section(l, SCHEMA_POOL, SLICE_LIT("cli"), place);
	loader_option(l, listener, "pool", SLICE_LIT("cli"));
	for (size_t i = 0; i < options->listens; i++)
		loader_option(l, listener, "bind", slice_of(options->listen[i]));
	for (size_t i = 0; i < options->gateways; i++) {
		char *text = gateway_text(options->gateway[i], i + 1);

		loader_option(l, pool, "gateway", slice_of(text));
		free(text);
	}
}

static void
read_preset(void *base, const struct schema_row *row)
{
	struct slice rest = slice_of(row->preset);
	bool is_read = true;

	while (rest.p != NULL && is_read) {
		struct type_reading r = { .row = row, .base = base, .is_preset = true };

		r.text = slice_trim(row->type->is_list ? slice_cut(&rest, ',') : rest);
		is_read = row->type->read(&r);
		if (!row->type->is_list)
			break;
	}
	must(is_read);
}

static void
section_fill(const struct section *s, struct conf *c)
{
	SCHEMA_EACH(row, s->kind)
		if (row->type->read != NULL && row->preset != NULL &&
		    section_key(s, row)->place.file == NULL)
			read_preset(section_base(s, c), row);
}

struct conf *
loader_finish(struct loader *l, bool *good, conf_report_fn *report, void *arg)
{
	struct conf *c = l->conf;

	for (size_t i = 0; i < l->sections.n; i++)
		section_fill(&l->sections.item[i], c);
	if (!l->is_unreadable)
		audit_conf(c, &l->sections, l->first, &l->mistakes);
	*good = mistakes_report(&l->mistakes, &c->files, report, arg) == 0;
	mistakes_fini(&l->mistakes);
	sections_fini(&l->sections);
	if (!l->is_unreadable)
		return c;
	conf_free(c);
	return NULL;
}
