/* SPDX-License-Identifier: BSD-2-Clause */
/* A handful of files, looked at one by one. */
#include "run/page.h"

const struct page *
page_find(struct slice path)
{
	for (size_t i = 0; i < page_count; i++)
		if (slice_eq(path, slice_of(page_files[i].path)))
			return &page_files[i];
	return NULL;
}

bool
page_is_known(const struct page *pg, struct slice if_none_match)
{
	struct slice rest = if_none_match;

	while (rest.p != NULL) {
		struct slice tag = slice_trim(slice_cut(&rest, ','));

		if (slice_has_prefix(tag, SLICE_LIT("W/")))
			tag = slice_skip(tag, 2);	/* weak or not is no matter here */
		if (slice_eq(tag, slice_of(pg->etag)) || slice_eq(tag, SLICE_LIT("*")))
			return true;
	}
	return false;
}
