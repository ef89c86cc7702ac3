/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.h - the dashboard's files, which are part of the program.
 *
 * src/dashboard/ has them as they are written; src/dashboard/embed makes page_files.c of them in every build, so that
 * the page and the calls it uses are of one version, and no directory has to be found. Never changes; any thread.
 */
#ifndef RUN_PAGE_H
#define RUN_PAGE_H

#include "base/check.h"
#include "base/slice.h"

/* A strict one: the page brings all it needs and speaks with nobody but us. data: is for its icon alone. */
#define PAGE_POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct page {
	const char *path, *type;
	const unsigned char *bytes;
	size_t n;
	const char *etag;		/* with its quotes (RFC 9110, 8.8.3) */
};

extern const struct page page_files[];
extern const size_t page_count;

/* path is what stands before the question mark; "/" is the page itself. NULL: there is none. */
const struct page *page_find(struct slice path) MUST_CHECK;
/* Whether somebody who sends this If-None-Match (p == NULL: none) has the page already (RFC 9110, 13.1.2). */
bool page_is_known(const struct page *pg, struct slice if_none_match) MUST_CHECK;

#endif
