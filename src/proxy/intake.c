/* SPDX-License-Identifier: BSD-2-Clause */
/* A head comes in one piece nearly always: one read, one parse, no memory asked for. */
#include "proxy/intake.h"

#include <stdlib.h>
#include <string.h>

bool
intake_init(struct intake *in, size_t max_header_bytes, struct slice rest)
{
	in->bytes = in->first;
	in->big = NULL;
	in->room = sizeof in->first;
	in->n = rest.n;
	if (rest.n > in->room) {
		in->bytes = in->big = malloc(rest.n);
		if (in->big == NULL)
			return false;
		in->room = rest.n;
	}
	if (rest.n != 0)
		memcpy(in->bytes, rest.p, rest.n);
	h1_init(&in->h1, H1_REQUEST, max_header_bytes);
	return true;
}

void
intake_fini(struct intake *in)
{
	free(in->big);
}

static bool
intake_grow(struct intake *in)
{
	size_t most = in->h1.max_bytes, room = in->room * 4 < most ? in->room * 4 : most;
	char *big;

	must(room > in->room);		/* with max_bytes the parser has an answer */
	big = realloc(in->big, room);
	if (big == NULL)
		return false;
	if (in->big == NULL)
		memcpy(big, in->first, in->n);
	in->bytes = in->big = big;
	in->room = room;
	return true;
}

static enum intake_result
intake_parse(struct intake *in, struct head *head, enum end_reason *why)
{
	switch (h1_parse(&in->h1, slice_make(in->bytes, in->n), head)) {
	case H1_MORE:
		if (in->n < in->room || intake_grow(in))
			return INTAKE_WAIT;
		*why = END_NO_MEMORY;
		return INTAKE_REFUSED;
	case H1_HEAD:
		return INTAKE_DONE;
	case H1_TOO_LARGE:
		*why = END_HEAD_TOO_LARGE;
		return INTAKE_REFUSED;
	case H1_URI_TOO_LONG:
		*why = END_URI_TOO_LONG;
		return INTAKE_REFUSED;
	case H1_VERSION:
		*why = END_BAD_VERSION;
		return INTAKE_REFUSED;
	case H1_BAD:
		break;
	}
	*why = END_BAD_REQUEST;
	return INTAKE_REFUSED;
}

enum intake_result
intake_read(struct intake *in, struct stream *s, struct head *head, enum end_reason *why)
{
	enum intake_result r = INTAKE_WAIT;

	if (in->n != 0 && in->h1.seen == 0)		/* left by the request before */
		r = intake_parse(in, head, why);
	while (r == INTAKE_WAIT) {
		struct slice got;
		enum stream_result sr = stream_read(s, in->bytes + in->n, in->room - in->n, &got);

		if (sr != STREAM_OK)
			return sr == STREAM_WAIT ? INTAKE_WAIT : sr == STREAM_END ? INTAKE_END : INTAKE_FAILED;
		in->n += got.n;
		r = intake_parse(in, head, why);
	}
	return r;
}

struct slice
intake_rest(const struct intake *in)
{
	return slice_skip(slice_make(in->bytes, in->n), in->h1.head_bytes);
}
