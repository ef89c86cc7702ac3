/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads of requests and responses. The first byte chooses which, and the largest head; the second where the bytes are
 * cut. The answer is the same for all of them at once, in two pieces, and one by one. A head that was accepted lies
 * in the bytes, and written anew it is accepted again and means the same.
 */
#include "http/h1.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fuzz.h"

#define ROOM 8192

struct answer {
	enum h1_result result;
	const char *why;
	size_t head_bytes;
};

static struct h1
parser_of(uint8_t choice)
{
	struct h1 p;

	h1_init(&p, choice & 1 ? H1_RESPONSE : H1_REQUEST, choice & 2 ? 100 : ROOM);
	p.to_head = choice & 4;
	p.to_connect = choice & 8;
	return p;
}

/* In pieces of `step` after a first one of `first`, each time in other memory of exactly that size. */
static struct answer
parse_cut(uint8_t choice, struct slice bytes, size_t first, size_t step, struct head *head)
{
	struct h1 p = parser_of(choice);
	enum h1_result r = H1_MORE;

	for (size_t n = first; r == H1_MORE; n += step) {
		struct slice piece = slice_head(bytes, n);
		char *copy = mem_slicedup(piece);
		char *exact = mem_realloc(copy, piece.n != 0 ? piece.n : 1);

		r = h1_parse(&p, slice_make(exact, piece.n), head);
		free(exact);
		if (piece.n == bytes.n)
			break;
	}
	return (struct answer){ r, p.why, r == H1_HEAD ? p.head_bytes : 0 };
}

static void
must_agree(struct answer a, struct answer b)
{
	must(a.result == b.result && a.head_bytes == b.head_bytes);
	must(a.why == b.why || (a.why != NULL && b.why != NULL && strcmp(a.why, b.why) == 0));
}

static void
must_lie_in(struct slice s, struct slice bytes)
{
	must(s.n == 0 || (s.p >= bytes.p && s.p + s.n <= bytes.p + bytes.n));
}

static struct slice
write_anew(const struct head *h, bool response, struct buf *b)
{
	if (response) {
		buf_lit(b, "HTTP/1.");
		buf_byte(b, h->minor != 0 ? '1' : '0');
		buf_byte(b, ' ');
		buf_u64_wide(b, h->status, 3);
		buf_byte(b, ' ');
		buf_add(b, h->reason);
	} else {
		buf_add(b, h->method_text);
		buf_byte(b, ' ');
		buf_add(b, h->target);
		buf_lit(b, " HTTP/1.");
		buf_byte(b, h->minor != 0 ? '1' : '0');
	}
	buf_lit(b, "\r\n");
	for (unsigned i = 0; i < h->fields; i++) {
		buf_add(b, h->field[i].name);
		buf_lit(b, ": ");
		buf_add(b, h->field[i].value);
		buf_lit(b, "\r\n");
	}
	buf_lit(b, "\r\n");
	return buf_slice(b);
}

static void
must_mean_the_same(const struct head *a, const struct head *b)
{
	must(a->fields == b->fields && a->framing == b->framing && a->content_length == b->content_length);
	must(a->minor == b->minor && a->keep_alive == b->keep_alive && a->expect_continue == b->expect_continue);
	must(a->upgrade_websocket == b->upgrade_websocket && a->accepts_trailers == b->accepts_trailers);
	for (unsigned i = 0; i < a->fields; i++) {
		must(slice_eq(a->field[i].name, b->field[i].name) && slice_eq(a->field[i].value, b->field[i].value));
		must(a->field[i].id == b->field[i].id && a->field[i].hop == b->field[i].hop);
	}
}

/* As field.plain promises: copied as it stands, it is what would be written anew. */
static bool
stands_plain(const struct field *f, struct slice bytes)
{
	const char *end = f->value.p + f->value.n;

	return f->value.p == f->name.p + f->name.n + 2 && memcmp(f->name.p + f->name.n, ": ", 2) == 0 &&
	    bytes.p + bytes.n - end >= 2 && memcmp(end, "\r\n", 2) == 0;
}

static void
check_head(uint8_t choice, struct slice bytes)
{
	static struct head head, again;
	static char text[2 * ROOM];
	struct h1 p = parser_of(choice), q = parser_of(choice);
	struct buf b = buf_of(text, sizeof text);

	if (h1_parse(&p, bytes, &head) != H1_HEAD)
		return;
	must(p.head_bytes <= bytes.n && p.head_bytes <= p.max_bytes && head.fields <= HEAD_FIELDS);
	for (unsigned i = 0; i < head.fields; i++) {
		must_lie_in(head.field[i].name, bytes);
		must_lie_in(head.field[i].value, bytes);
		must(head_is_token(head.field[i].name) && head.field[i].id == head_field_id(head.field[i].name));
		must(!head.field[i].plain || stands_plain(&head.field[i], bytes));
	}
	q.max_bytes = sizeof text;	/* blanks may be added behind the colons */
	must(h1_parse(&q, write_anew(&head, p.kind == H1_RESPONSE, &b), &again) == H1_HEAD && !b.full);
	must(q.head_bytes == b.n);
	must_mean_the_same(&head, &again);
	if (p.kind == H1_REQUEST) {
		must(slice_eq(head.target, again.target) && head.method == again.method);
		must(head.path.n + (head.query.p != NULL) + head.query.n == (head.target.p[0] == '/' ? head.target.n : 0));
		must(head_host_name(&head).n <= head.host.n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head head;
	struct slice bytes;
	struct answer whole;

	if (size < 2 || size > ROOM)
		return 0;
	bytes = slice_make((const char *)data + 2, size - 2);
	whole = parse_cut(data[0], bytes, bytes.n, 1, &head);
	must((whole.why == NULL) == (whole.result == H1_HEAD || whole.result == H1_MORE));
	must_agree(whole, parse_cut(data[0], bytes, data[1], bytes.n + 1, &head));
	must_agree(whole, parse_cut(data[0], bytes, 0, bytes.n > 1024 ? 7 : 1, &head));
	check_head(data[0], bytes);
	return 0;
}
