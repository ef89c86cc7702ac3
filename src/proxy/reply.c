/* SPDX-License-Identifier: BSD-2-Clause */
/* Says no more than the status: why, is the operator's affair and stands in the log under the request's id. */
#include "proxy/reply.h"

#include "http/h1.h"

static void
reply_page(const struct reply *r, struct buf *to)
{
	buf_lit(to, "<!doctype html><title>");
	buf_u64(to, r->status);
	buf_byte(to, ' ');
	buf_add(to, slice_of(h1_reason(r->status)));
	buf_lit(to, "</title><h1>");
	buf_u64(to, r->status);
	buf_byte(to, ' ');
	buf_add(to, slice_of(h1_reason(r->status)));
	buf_lit(to, "</h1>");
	if (r->request_id.n != 0) {
		buf_lit(to, "<p>Request ");
		buf_add(to, r->request_id);
		buf_lit(to, "</p>");
	}
	buf_byte(to, '\n');
}

static void
reply_connection(const struct reply *r, struct buf *to)
{
	if (!r->keep_alive)
		buf_lit(to, "Connection: close\r\n");
	else if (r->minor_0)
		buf_lit(to, "Connection: keep-alive\r\n");
}

bool
reply_write(const struct reply *r, struct buf *to)
{
	char bytes[512];
	struct buf page = buf_of(bytes, sizeof bytes);

	reply_page(r, &page);
	must(!page.full);		/* request ids are bounded */
	buf_lit(to, "HTTP/1.1 ");
	buf_u64_wide(to, r->status, 3);
	buf_byte(to, ' ');
	buf_add(to, slice_of(h1_reason(r->status)));
	buf_lit(to, "\r\nDate: ");
	buf_add(to, r->date);
	if (r->location.n != 0) {
		buf_lit(to, "\r\nLocation: ");
		buf_add(to, r->location);
	} else {
		buf_lit(to, "\r\nCache-Control: no-store");
	}
	if (r->retry_after_s != 0) {
		buf_lit(to, "\r\nRetry-After: ");
		buf_u64(to, r->retry_after_s);
	}
	buf_lit(to, "\r\nX-Request-Id: ");
	buf_add(to, r->request_id);
	buf_lit(to, "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ");
	buf_u64(to, page.n);
	buf_lit(to, "\r\n");
	reply_connection(r, to);
	buf_lit(to, "\r\n");
	if (!r->no_body)
		buf_add(to, buf_slice(&page));
	return !to->full;
}
