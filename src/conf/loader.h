/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.h - files, bytes or the command line, read into a configuration.
 *
 * One way: init, any of the loads, finish. Mistakes are kept; nothing is reported before the end.
 */
#ifndef CONF_LOADER_H
#define CONF_LOADER_H

#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/mistake.h"
#include "conf/section.h"

struct loader_source;

struct loader {
	struct conf *conf;
	struct sections sections;
	struct mistakes mistakes;
	const char *first;			/* of the files; places that are nowhere else are in it */
	bool is_unreadable;			/* that one: then what is missing is not worth telling */
	struct loader_source *source;		/* being read now; NULL: none */
	struct expand expand;
};

void loader_init(struct loader *l);
/* With all it includes. */
void loader_read_file(struct loader *l, const char *file);
void loader_read_bytes(struct loader *l, struct slice bytes, const char *name);
void loader_read_options(struct loader *l, const struct conf_options *options);
/* Fills in what was not given, audits, reports. With mistakes *good is false, and the result has what could be read;
 * NULL when that is nothing. The loader is done with. */
struct conf *loader_finish(struct loader *l, bool *good, conf_report_fn *report, void *arg) MUST_CHECK;

#endif
