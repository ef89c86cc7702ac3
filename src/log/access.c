/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One list of facts, two spellings. In text every field but the last, the user agent, is without a blank: so the
 * fields have the same numbers on all lines, for awk, and the user agent is all that stands behind "agent=". This
 * runs on the workers, once a request, hence no printf, and eight bytes at a time where there is nothing to escape.
 */
#include "log/access.h"

#include "base/buf.h"
#include "base/clock.h"

/* What is cut where, in bytes as they are written. */
#define CUT_METHOD 64
#define CUT_TARGET 8000
#define CUT_HOST 512
#define CUT_ID 256
#define CUT_REFERER 3000
#define CUT_AGENT 2000
#define CUT_NOT 1500		/* our own words, numbers, addresses, names of 64 bytes, a selector */
#define DOTS 3
_Static_assert(CUT_METHOD + CUT_TARGET + CUT_HOST + CUT_ID + CUT_REFERER + CUT_AGENT + CUT_NOT <= ACCESS_LINE,
    "the longest line fits");

/* The least byte that stands for itself. JSON never escapes a blank. */
#define BLANKS_KEPT 0x20
#define BLANKS_ESCAPED 0x21

#define EIGHT(byte) (0x0101010101010101U * (byte))

struct line {
	struct buf to;
	bool json;
};

/* A fact's name; its value comes next. A macro, so that each is written as a constant. */
#define FACT(l, word) ((l)->json ? buf_lit(&(l)->to, ",\"" word "\":") : buf_lit(&(l)->to, " " word "="))

/* ---- escaping ---- */

static inline bool
is_plain(unsigned char c, unsigned char floor)
{
	return c >= floor && c < 0x7f && c != '"' && c != '\\';
}

/* Whether all of them are. */
static inline bool
eight_are_plain(uint64_t w, unsigned char floor)
{
	uint64_t below = w - EIGHT(floor), above = w | (w + EIGHT(1));
	uint64_t quote = (w ^ EIGHT('"')) - EIGHT(1), backslash = (w ^ EIGHT('\\')) - EIGHT(1);

	return ((below | above | quote | backslash) & EIGHT(0x80)) == 0;
}

static void
unit_hex(struct buf *unit, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	buf_byte(unit, hex[c >> 4]);
	buf_byte(unit, hex[c & 15]);
}

/* Each of these writes what stands for the first character of s, and returns how many bytes of s that is. */
static size_t
unit_of_text(struct slice s, struct buf *unit)
{
	buf_lit(unit, "\\x");
	unit_hex(unit, (unsigned char)s.p[0]);
	return 1;
}

/* How many bytes the character at the front of s has in UTF-8; 0 when it is none (RFC 3629, 4). */
static size_t
utf8_size(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0], low = 0x80, high = 0xbf;
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
		if ((unsigned char)s.p[i] < low || (unsigned char)s.p[i] > high)
			return 0;
	return n;
}

static size_t
unit_of_json(struct slice s, struct buf *unit)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = utf8_size(s);

	if (n == 0) {
		buf_lit(unit, "\xef\xbf\xbd");		/* U+FFFD, as for any reader of broken UTF-8 */
		return 1;
	}
	if (c < 0x20) {
		buf_lit(unit, "\\u00");
		unit_hex(unit, c);
	} else {
		if (c == '"' || c == '\\')
			buf_byte(unit, '\\');
		buf_add(unit, slice_head(s, n));
	}
	return n;
}

/* Copies what stands for itself from the front of s, up to stop; returns where it ended. */
static char *
copy_plain(char *to, const char *stop, struct slice *s, unsigned char floor)
{
	size_t n = 0, most = slice_head(*s, (size_t)(stop - to)).n;
	uint64_t w;

	for (; n + 8 <= most; n += 8) {
		memcpy(&w, s->p + n, 8);
		if (!eight_are_plain(w, floor))
			break;
		memcpy(to + n, &w, 8);
	}
	for (; n < most && is_plain((unsigned char)s->p[n], floor); n++)
		to[n] = s->p[n];
	*s = slice_skip(*s, n);
	return to + n;
}

/* In `most` bytes, or cut, which dots show. */
static void
line_escaped(struct line *l, struct slice s, size_t most, unsigned char floor)
{
	size_t stop = l->to.n + most - DOTS;

	for (;;) {
		char bytes[8];
		struct buf unit = buf_of(bytes, sizeof bytes);
		size_t n;

		l->to.n = (size_t)(copy_plain(l->to.p + l->to.n, l->to.p + stop, &s, floor) - l->to.p);
		if (s.n == 0)
			return;
		n = l->json ? unit_of_json(s, &unit) : unit_of_text(s, &unit);
		if (l->to.n + unit.n > stop) {
			buf_lit(&l->to, "...");
			return;
		}
		buf_add(&l->to, buf_slice(&unit));
		s = slice_skip(s, n);
	}
}

/* ---- values ---- */

static void
line_none(struct line *l)
{
	if (l->json)
		buf_lit(&l->to, "null");
	else
		buf_byte(&l->to, '-');
}

static void
line_number(struct line *l, uint64_t v, bool is_known)
{
	if (is_known)
		buf_u64(&l->to, v);
	else
		line_none(l);
}

static void
line_ms(struct line *l, uint64_t us)
{
	unsigned part = us % 1000;
	char digits[] = { '.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10) };

	buf_u64(&l->to, us / 1000);
	buf_add(&l->to, slice_make(digits, sizeof digits));
}

static inline void
line_switch(struct line *l, bool is_on)
{
	if (l->json)
		buf_add(&l->to, is_on ? SLICE_LIT("true") : SLICE_LIT("false"));
	else
		buf_add(&l->to, is_on ? SLICE_LIT("yes") : SLICE_LIT("no"));
}

/* In text what has no blank needs no quotes. */
static void
line_bare_quote(struct line *l)
{
	if (l->json)
		buf_byte(&l->to, '"');
}

/* Of our own making, or a name that the configuration has checked: nothing to escape. "-" is what a record has for
 * none. */
static void
line_word(struct line *l, const char *word)
{
	if (word[0] == '-' && word[1] == '\0') {
		line_none(l);
		return;
	}
	line_bare_quote(l);
	buf_add(&l->to, slice_of(word));
	line_bare_quote(l);
}

/* From outside. */
static void
line_quoted(struct line *l, struct slice s, size_t most, unsigned char floor)
{
	if (s.n == 0) {
		line_none(l);
		return;
	}
	buf_byte(&l->to, '"');
	line_escaped(l, s, most, floor);
	buf_byte(&l->to, '"');
}

/* Our own, or one that a trusted proxy sent. */
static void
line_id(struct line *l, struct slice id)
{
	if (id.n == 0) {
		line_none(l);
		return;
	}
	line_bare_quote(l);
	line_escaped(l, id, CUT_ID, BLANKS_ESCAPED);
	line_bare_quote(l);
}

/* ---- the facts ---- */

static void
line_begin(struct line *l, const struct record *r)
{
	char at[CLOCK_TEXT];

	clock_text(r->at_us, at);
	if (l->json)
		buf_lit(&l->to, "{\"time\":\"");
	buf_add(&l->to, slice_make(at, sizeof at));
	if (l->json)
		buf_lit(&l->to, "\",\"kind\":");
	else
		buf_byte(&l->to, ' ');
	line_word(l, r->kind == RECORD_SESSION ? "session" : "request");
}

static void
line_addresses(struct line *l, const struct record *r)
{
	char client[ADDR_TEXT], peer[ADDR_TEXT];

	FACT(l, "client");
	line_word(l, addr_text(&r->client, client));
	FACT(l, "peer");
	line_word(l, addr_eq(&r->client, &r->peer) ? client : addr_text(&r->peer, peer));
}

static void
line_places(struct line *l, const struct record *r)
{
	FACT(l, "listener");
	line_word(l, r->listener);
	FACT(l, "tls");
	line_switch(l, r->tls);
	FACT(l, "pool");
	line_word(l, r->pool);
	FACT(l, "gateway");
	line_word(l, r->gateway);
	FACT(l, "how");
	line_word(l, r->how);
	FACT(l, "because");
	line_word(l, r->because[0] != '\0' ? r->because : "-");
}

static void
line_request_json(struct line *l, const struct record *r)
{
	FACT(l, "method");
	line_quoted(l, r->method, CUT_METHOD, BLANKS_ESCAPED);
	FACT(l, "target");
	line_quoted(l, r->target, CUT_TARGET, BLANKS_ESCAPED);
	FACT(l, "version");
	if (r->method.n == 0)
		line_none(l);
	else
		line_word(l, r->minor == 0 ? "1.0" : "1.1");
}

/* As it was asked; always three fields to awk. */
static void
line_request_text(struct line *l, const struct record *r)
{
	if (r->method.n == 0 || r->target.n == 0) {
		buf_lit(&l->to, " \"- - -\"");
		return;
	}
	buf_lit(&l->to, " \"");
	line_escaped(l, r->method, CUT_METHOD, BLANKS_ESCAPED);
	buf_byte(&l->to, ' ');
	line_escaped(l, r->target, CUT_TARGET, BLANKS_ESCAPED);
	buf_lit(&l->to, " HTTP/1.");
	buf_u64(&l->to, r->minor);
	buf_byte(&l->to, '"');
}

static void
line_request(struct line *l, const struct record *r)
{
	if (l->json)
		line_request_json(l, r);
	else
		line_request_text(l, r);
	FACT(l, "host");
	line_quoted(l, r->host, CUT_HOST, BLANKS_ESCAPED);
	FACT(l, "status");
	line_number(l, r->status, r->status != 0);
}

static void
line_counts(struct line *l, const struct record *r)
{
	bool is_session = r->kind == RECORD_SESSION;

	FACT(l, "in");
	line_number(l, r->bytes_in, true);
	FACT(l, "out");
	line_number(l, r->bytes_out, true);
	FACT(l, "msgs_in");
	line_number(l, r->messages_in, is_session);
	FACT(l, "msgs_out");
	line_number(l, r->messages_out, is_session);
	FACT(l, "close");
	line_number(l, r->close_code, r->close_code != 0);
}

static void
line_times(struct line *l, const struct record *r)
{
	FACT(l, "queue_ms");
	line_ms(l, r->queue_us);
	FACT(l, "response_ms");
	if (r->response_us != 0)
		line_ms(l, r->response_us);
	else
		line_none(l);
	FACT(l, "total_ms");
	line_ms(l, r->total_us);
}

static void
line_end(struct line *l, const struct record *r)
{
	FACT(l, "retries");
	line_number(l, r->retries, true);
	FACT(l, "why");
	line_word(l, end_info(r->why)->word);
	FACT(l, "by");
	line_word(l, end_whose_name(r->whose));
	FACT(l, "id");
	line_id(l, r->request_id);
	FACT(l, "referer");
	line_quoted(l, r->referer, CUT_REFERER, BLANKS_ESCAPED);
	FACT(l, "agent");
	line_quoted(l, r->user_agent, CUT_AGENT, BLANKS_KEPT);
}

size_t
access_format(enum conf_log_format format, const struct record *r, char to[ACCESS_LINE])
{
	struct line l = { buf_of(to, ACCESS_LINE), format == CONF_FORMAT_JSON };

	line_begin(&l, r);
	line_addresses(&l, r);
	line_places(&l, r);
	line_request(&l, r);
	line_counts(&l, r);
	line_times(&l, r);
	line_end(&l, r);
	if (l.json)
		buf_byte(&l.to, '}');
	buf_byte(&l.to, '\n');
	must(!l.to.full);
	return l.to.n;
}

/* ---- read back ---- */

struct facts {
	struct access_fact *to;
	size_t n;
};

static void
facts_add(struct facts *f, struct slice name, struct slice value)
{
	if (f->n == ACCESS_FACTS || value.n == 0 || slice_eq(value, SLICE_LIT("-")) ||
	    slice_eq(value, SLICE_LIT("null")) || slice_eq(name, SLICE_LIT("time")))
		return;
	f->to[f->n++] = (struct access_fact){ name, value };
}

/* Takes a value in quotes off the front: an escaped one stands behind a backslash, in text there is none. */
static struct slice
take_quoted(struct slice *rest)
{
	struct slice s = slice_skip(*rest, 1);
	size_t n = 0;

	while (n < s.n && s.p[n] != '"')
		n += s.p[n] == '\\' ? 2 : 1;
	*rest = slice_skip(s, n + 1);
	return slice_head(s, n);
}

static struct slice
take_value(struct slice *rest, char end)
{
	struct slice value;

	if (rest->n == 0 || rest->p[0] != '"')
		return slice_cut(rest, end);
	value = take_quoted(rest);
	*rest = slice_skip(*rest, 1);		/* what ends it */
	return value;
}

static size_t
facts_of_json(struct facts *f, struct slice rest)
{
	rest = slice_head(slice_skip(rest, 1), rest.n - 2);
	while (rest.n != 0 && rest.p[0] == '"') {
		struct slice name = take_quoted(&rest);

		rest = slice_skip(rest, 1);	/* the colon */
		facts_add(f, name, take_value(&rest, ','));
	}
	return f->n;
}

static void
facts_of_request(struct facts *f, struct slice request)
{
	facts_add(f, SLICE_LIT("method"), slice_cut(&request, ' '));
	facts_add(f, SLICE_LIT("target"), slice_cut(&request, ' '));
	facts_add(f, SLICE_LIT("version"),
	    slice_skip(request, slice_has_prefix(request, SLICE_LIT("HTTP/")) ? strlen("HTTP/") : 0));
}

static size_t
facts_of_text(struct facts *f, struct slice rest)
{
	(void)slice_cut(&rest, ' ');		/* the time */
	facts_add(f, SLICE_LIT("kind"), slice_cut(&rest, ' '));
	while (rest.n != 0) {
		if (rest.p[0] == '"') {
			facts_of_request(f, take_value(&rest, ' '));
		} else {
			struct slice name = slice_cut(&rest, '=');

			facts_add(f, name, take_value(&rest, ' '));
		}
	}
	return f->n;
}

size_t
access_facts(struct slice line, struct access_fact to[ACCESS_FACTS])
{
	struct facts f = { .to = to };

	if (line.n >= 2 && line.p[0] == '{')
		return facts_of_json(&f, line);
	return facts_of_text(&f, line);
}
