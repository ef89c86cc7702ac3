/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says what our parser makes of a client's bytes. Reads lines, each the bytes of one connection in hexadecimal;
 * writes a line of JSON for each: the requests that are in it, and how it ends. Bytes above 0x7f are written as the
 * characters of these numbers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/body.h"
#include "http/byte.h"
#include "http/h1.h"

#define MAX_HEAD 16384

static void
put_text(struct slice s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == '"' || c == '\\' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
put_fields(const struct head *h)
{
	for (unsigned i = 0; i < h->fields; i++) {
		printf("%s[", i != 0 ? ", " : "");
		put_text(h->field[i].name);
		printf(", ");
		put_text(h->field[i].value);
		printf("]");
	}
}

/* Puts the data together at the begin of what it came from. */
static enum body_result
read_body(const struct head *h, struct slice *bytes, char *to, struct slice *body)
{
	struct body_reader r;
	struct slice data;
	enum body_result result;
	size_t n = 0;

	body_reader_init(&r, h->framing, h->content_length, NULL);
	while ((result = body_read(&r, bytes, &data)) == BODY_DATA) {
		memmove(to + n, data.p, data.n);
		n += data.n;
	}
	*body = slice_make(to, n);
	return result;
}

static void
put_request(const struct head *h, struct slice body, bool complete)
{
	printf("{\"method\": ");
	put_text(h->method_text);
	printf(", \"target\": ");
	put_text(h->target);
	printf(", \"host\": ");
	put_text(h->host);
	printf(", \"minor\": %u, \"fields\": [", h->minor);
	put_fields(h);
	printf("], \"body\": ");
	put_text(body);
	printf(", \"complete\": %s}", complete ? "true" : "false");
}

/* Why no further request comes. */
static const char *
put_requests(struct slice bytes)
{
	static const char *const ends[] = {
		[H1_BAD] = "bad",
		[H1_TOO_LARGE] = "too-large",
		[H1_URI_TOO_LONG] = "uri-too-long",
		[H1_VERSION] = "version",
	};
	static struct head head;

	for (unsigned n = 0;; n++) {
		struct slice body;
		enum body_result read;
		enum h1_result parsed;
		char *room;
		struct h1 p;

		h1_init(&p, H1_REQUEST, MAX_HEAD);
		parsed = h1_parse(&p, bytes, &head);
		if (parsed == H1_MORE)
			return bytes.n == 0 ? "clean" : "more";
		if (parsed != H1_HEAD)
			return ends[parsed];
		bytes = slice_skip(bytes, p.head_bytes);
		room = mem_realloc(NULL, bytes.n + 1);
		read = read_body(&head, &bytes, room, &body);
		if (n != 0)
			printf(", ");
		put_request(&head, body, read == BODY_DONE);
		free(room);
		if (read != BODY_DONE)
			return read == BODY_BAD ? "bad" : "more";
		if (head.method == METHOD_CONNECT || !head.keep_alive)
			return "close";
	}
}

int
main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got;

	while ((got = getline(&line, &room, stdin)) > 0) {
		const char *end;
		size_t n = 0;

		for (ssize_t i = 0; i + 1 < got; i += 2)
			line[n++] = (char)(byte_hex(line[i]) << 4 | byte_hex(line[i + 1]));
		printf("{\"requests\": [");
		end = put_requests(slice_make(line, n));
		printf("], \"end\": \"%s\"}\n", end);
	}
	free(line);
	return 0;
}
