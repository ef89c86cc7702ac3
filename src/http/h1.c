/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One walk over the lines, from wherever the last call got to: a line is searched for its end, then taken apart into
 * the head. When bytes came in pieces the caller may have moved them, so the finished head is walked once more. Then
 * its fields are read for their meaning. Each offence is found at a certain byte, by the same rules however much
 * follows: that makes the answer independent of how the bytes were cut.
 */
#include "http/h1.h"

#include <arpa/inet.h>
#include <string.h>

#include "http/byte.h"

#define H1_VERSION_TEXT 8	/* "HTTP/1.1" */
#define H1_STATUS_TEXT 12	/* "HTTP/1.1 200" */
#define H1_PORT_MAX 65535

void
h1_init(struct h1 *p, enum h1_kind kind, size_t max_bytes)
{
	*p = (struct h1){ .kind = kind, .max_bytes = max_bytes };
}

static enum h1_result
refuse(struct h1 *p, enum h1_result result, const char *why)
{
	p->why = why;
	return result;
}

static enum h1_result
bad(struct h1 *p, const char *why)
{
	return refuse(p, H1_BAD, why);
}

/* The version's text is all of s. */
static enum h1_result
parse_version(struct h1 *p, struct slice s, struct head *head)
{
	if (s.n != H1_VERSION_TEXT || memcmp(s.p, "HTTP/", 5) != 0 || !byte_is(s.p[5], BYTE_DIGIT) || s.p[6] != '.' ||
	    !byte_is(s.p[7], BYTE_DIGIT))
		return bad(p, "no HTTP version");
	if (s.p[5] != '1')
		return refuse(p, H1_VERSION, "not HTTP/1");
	head->minor = s.p[7] != '0';	/* a higher minor is to be read as the highest known (RFC 9110, 2.5) */
	return H1_HEAD;
}

static enum head_method
method_of(struct slice s)
{
	static const struct {
		struct slice text;
		enum head_method method;
	} methods[] = {
		{ SLICE_LIT("GET"), METHOD_GET },	  { SLICE_LIT("POST"), METHOD_POST },
		{ SLICE_LIT("HEAD"), METHOD_HEAD },	  { SLICE_LIT("OPTIONS"), METHOD_OPTIONS },
		{ SLICE_LIT("PUT"), METHOD_PUT },	  { SLICE_LIT("DELETE"), METHOD_DELETE },
		{ SLICE_LIT("PATCH"), METHOD_PATCH },	  { SLICE_LIT("CONNECT"), METHOD_CONNECT },
		{ SLICE_LIT("TRACE"), METHOD_TRACE },
	};

	for (size_t i = 0; i < COUNT(methods); i++)
		if (slice_eq(s, methods[i].text))
			return methods[i].method;
	return METHOD_OTHER;
}

static bool
is_port(struct slice s)
{
	uint64_t port;

	return s.n == 0 || slice_to_u64(s, H1_PORT_MAX, &port);	/* may be empty (RFC 3986, 3.2.3) */
}

static bool
is_ipv6(struct slice s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (s.n >= sizeof text)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return strlen(text) == s.n && inet_pton(AF_INET6, text, &address) == 1;
}

/* uri-host [ ":" port ] (RFC 9110, 7.2), not empty and without user information (4.2.4). Of the forms in brackets,
 * only IPv6 addresses exist. */
static bool
is_authority(struct slice s)
{
	size_t end;

	if (s.n != 0 && s.p[0] == '[') {
		end = slice_find(s, ']');
		if (end == s.n || !is_ipv6(slice_make(s.p + 1, end - 1)))
			return false;
		end++;
	} else {
		end = byte_span(s, 0, BYTE_HOST);
	}
	return end != 0 && (end == s.n || (s.p[end] == ':' && is_port(slice_skip(s, end + 1))));
}

static void
set_origin(struct head *head, struct slice target)
{
	size_t at = slice_find(target, '?');

	head->target = target;
	head->path = slice_head(target, at);
	if (at != target.n)
		head->query = slice_skip(target, at + 1);
}

/* Without a path the target is "/", or "*" for OPTIONS (RFC 9112, 3.2.1 and 3.2.4). A query right behind the
 * authority would need a "/" put before it, so it is refused. */
static enum h1_result
parse_absolute(struct h1 *p, struct slice rest, struct head *head)
{
	size_t end = slice_find(rest, '/');

	head->host = slice_head(rest, end);
	if (!is_authority(head->host))
		return bad(p, "a malformed authority in the target");
	if (end != rest.n)
		set_origin(head, slice_skip(rest, end));
	else if (head->method == METHOD_OPTIONS)
		head->target = SLICE_LIT("*");
	else
		set_origin(head, SLICE_LIT("/"));
	return H1_HEAD;
}

/* The scheme and what separates it from the authority; 0: none that we know. */
static size_t
scheme_bytes(struct slice s)
{
	static const struct slice schemes[] = { SLICE_LIT("http://"), SLICE_LIT("https://") };

	for (size_t i = 0; i < COUNT(schemes); i++)
		if (slice_eq_nocase(slice_head(s, schemes[i].n), schemes[i]))
			return schemes[i].n;
	return 0;
}

/* RFC 9112, 3.2: four forms, and a method decides which of them may be. */
static enum h1_result
parse_target(struct h1 *p, struct slice s, struct head *head)
{
	size_t scheme;

	if (head->method == METHOD_CONNECT) {
		if (!is_authority(s) || !byte_is(s.p[s.n - 1], BYTE_DIGIT) || slice_find(s, ':') == s.n)
			return bad(p, "CONNECT without host and port");
		head->target = head->host = s;
		return H1_HEAD;
	}
	if (LIKELY(s.p[0] == '/')) {
		set_origin(head, s);
		return H1_HEAD;
	}
	if (s.n == 1 && s.p[0] == '*' && head->method == METHOD_OPTIONS) {
		head->target = s;
		return H1_HEAD;
	}
	scheme = scheme_bytes(s);
	if (scheme == 0)
		return bad(p, "a malformed target");
	return parse_absolute(p, slice_skip(s, scheme), head);
}

static enum h1_result
parse_request_line(struct h1 *p, struct slice line, struct head *head)
{
	struct slice rest = line, method, target;
	enum h1_result r;

	method = slice_cut(&rest, ' ');
	target = slice_cut(&rest, ' ');
	if (rest.p == NULL || target.n == 0 || slice_find(rest, ' ') != rest.n)
		return bad(p, "not three words in the request line");
	if (!head_is_token(method))
		return bad(p, "a malformed method");
	if (byte_span_target(target, 0) != target.n)
		return bad(p, "a malformed target");
	r = parse_version(p, rest, head);
	if (r != H1_HEAD)
		return r;
	head->method = method_of(method);
	head->method_text = method;
	head->path = head->query = head->host = SLICE_NONE;
	return parse_target(p, target, head);
}

/* The blank before an empty reason is often forgotten, and nobody can read such a line differently. */
static enum h1_result
parse_status_line(struct h1 *p, struct slice line, struct head *head)
{
	enum h1_result r = parse_version(p, slice_head(line, H1_VERSION_TEXT), head);
	uint64_t status;

	if (r != H1_HEAD)
		return r;
	if (line.n < H1_STATUS_TEXT || line.p[H1_VERSION_TEXT] != ' ' ||
	    !slice_to_u64(slice_make(line.p + H1_VERSION_TEXT + 1, 3), 599, &status) || status < 100 ||
	    (line.n > H1_STATUS_TEXT && line.p[H1_STATUS_TEXT] != ' '))
		return bad(p, "a malformed status line");
	head->status = (unsigned)status;
	head->reason = slice_skip(line, H1_STATUS_TEXT + 1);
	return H1_HEAD;
}

static bool
is_hop_by_nature(enum field_id id)
{
	switch (id) {
	case FIELD_CONNECTION:
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_TE:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_UPGRADE:
		return true;
	default:
		return false;
	}
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A blank before the colon has a reason of its own: it is how requests were smuggled past proxies (RFC 9112, 5.1). */
static const char *
why_no_field(struct slice line, size_t colon)
{
	if (is_blank(line.p[0]))
		return "a folded line";
	if (colon == 0 && line.p[0] == ':')
		return "a field without a name";
	if (colon != line.n && is_blank(line.p[colon]))
		return "white space in a field's name";
	return colon == line.n ? "a line without a colon" : "a malformed field name";
}

/* What stands behind the colon; nearly always that is one blank, the value and nothing else. */
static inline void
take_value(struct field *f, struct slice s)
{
	f->plain = s.n >= 2 && s.p[0] == ' ' && !is_blank(s.p[1]) && !is_blank(s.p[s.n - 1]);
	f->value = f->plain ? slice_make(s.p + 1, s.n - 1) : slice_trim(s);
}

/* line is the front of bytes. That it ends there, where no token goes on, spares a short name being looked at byte by
 * byte. */
static enum h1_result
parse_field(struct h1 *p, struct slice bytes, struct slice line, struct field *f)
{
	size_t colon = byte_span_token(bytes, 0);

	if (UNLIKELY(colon == 0 || colon == line.n || line.p[colon] != ':'))
		return bad(p, why_no_field(line, colon));
	f->name = slice_head(line, colon);
	take_value(f, slice_make(line.p + colon + 1, line.n - colon - 1));
	f->id = head_field_id(f->name);
	f->hop = is_hop_by_nature(f->id);
	return H1_HEAD;
}

/* line is the front of bytes. */
static enum h1_result
parse_line(struct h1 *p, struct slice bytes, struct slice line, struct head *head)
{
	enum h1_result r;

	if (p->started) {
		if (p->fields == HEAD_FIELDS)
			return refuse(p, H1_TOO_LARGE, "too many fields");
		return parse_field(p, bytes, line, &head->field[p->fields++]);
	}
	r = p->kind == H1_REQUEST ? parse_request_line(p, line, head) : parse_status_line(p, line, head);
	p->started = r == H1_HEAD;
	return r;
}

/* What can't begin a message is known by its first bytes: TLS spoken to a plain port, for instance. */
static bool
is_false_start(const struct h1 *p, struct slice line)
{
	if (p->kind == H1_REQUEST)
		return line.n != 0 && !byte_is(line.p[0], BYTE_TOKEN) && line.p[0] != '\r';
	return !slice_has_prefix(SLICE_LIT("HTTP/"), slice_head(line, 5));
}

static const char *
why_no_text(char c)
{
	if (c == '\n')
		return "a line feed without carriage return";
	return c == '\0' ? "a NUL byte" : "a byte that can't stand there";
}

/* H1_HEAD: the line that begins at p->line is complete, and p->seen stands at its end. */
static enum h1_result
find_line(struct h1 *p, struct slice bytes, struct slice *line)
{
	size_t at = byte_span_text(bytes, p->seen);

	p->seen = at;
	if (at < bytes.n && bytes.p[at] != '\r')
		return bad(p, why_no_text(bytes.p[at]));
	if (at + 1 >= bytes.n)
		return H1_MORE;
	if (bytes.p[at + 1] != '\n')
		return bad(p, "a carriage return without line feed");
	*line = slice_make(bytes.p + p->line, at - p->line);
	return H1_HEAD;
}

/* Takes lines as long as there are complete ones; H1_HEAD when the last was the empty one. */
static enum h1_result
walk(struct h1 *p, struct slice bytes, struct head *head)
{
	struct slice line;
	enum h1_result r;

	for (;;) {
		bool started = p->started;

		if (!started && is_false_start(p, slice_skip(bytes, p->line)))
			return bad(p, "no HTTP at all");
		r = find_line(p, bytes, &line);
		if (r == H1_HEAD && line.n != 0)
			r = parse_line(p, slice_skip(bytes, p->line), line, head);
		else if (r == H1_HEAD && !started && p->line != 0)
			r = bad(p, "two empty lines where a request should begin");
		if (r != H1_HEAD)
			return r;
		p->line = p->seen = p->seen + 2;
		if (line.n == 0 && started)
			return H1_HEAD;
	}
}

/* What the fields together say of connection and framing. */
struct meaning {
	const struct field *host, *coding;
	struct field *length;
	bool close, keep_alive, upgrade, websocket;
	bool nominates;		/* Connection names fields */
};

static bool
may_be_nominated(enum field_id id)
{
	switch (id) {
	case FIELD_CONTENT_LENGTH:
	case FIELD_EXPECT:
	case FIELD_FORWARDED:
	case FIELD_HOST:
	case FIELD_SEC_WEBSOCKET_ACCEPT:
	case FIELD_SEC_WEBSOCKET_EXTENSIONS:
	case FIELD_SEC_WEBSOCKET_KEY:
	case FIELD_SEC_WEBSOCKET_PROTOCOL:
	case FIELD_SEC_WEBSOCKET_VERSION:
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_FORWARDED_HOST:
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_X_REQUEST_ID:
		return false;
	default:
		return true;
	}
}

/* RFC 9110, 7.6.1. */
static void
nominate(struct head *head, struct slice list)
{
	struct slice option;

	while (head_list_next(&list, &option))
		for (unsigned i = 0; i < head->fields; i++)
			if (may_be_nominated(head->field[i].id) && slice_eq_nocase(head->field[i].name, option))
				head->field[i].hop = true;
}

static const char *
read_connection(struct meaning *m, struct slice list)
{
	struct slice option;

	while (head_list_next(&list, &option)) {
		if (slice_eq_nocase(option, SLICE_LIT("close")))
			m->close = true;
		else if (slice_eq_nocase(option, SLICE_LIT("keep-alive")))
			m->keep_alive = true;
		else if (slice_eq_nocase(option, SLICE_LIT("upgrade")))
			m->upgrade = true;
		else if (head_is_token(option))
			m->nominates = true;
		else
			return "a malformed Connection";
	}
	return NULL;
}

/* One field; returns what is wrong with it. */
static const char *
read_field(struct head *head, struct meaning *m, struct field *f)
{
	switch (f->id) {
	case FIELD_HOST:
		if (m->host != NULL)
			return "two Hosts";
		m->host = f;
		break;
	case FIELD_CONTENT_LENGTH:
		if (m->length != NULL)
			return "two Content-Lengths";
		m->length = f;
		break;
	case FIELD_TRANSFER_ENCODING:
		if (m->coding != NULL)
			return "two Transfer-Encodings";
		m->coding = f;
		break;
	case FIELD_CONNECTION:
		return read_connection(m, f->value);
	case FIELD_UPGRADE:
		m->websocket |= head_list_has(f->value, SLICE_LIT("websocket"));
		break;
	case FIELD_TE:
		head->accepts_trailers |= head_list_has(f->value, SLICE_LIT("trailers"));
		break;
	case FIELD_EXPECT:
		/* of a 1.0 client it means nothing (RFC 9110, 10.1.1) */
		head->expect_continue |= head->minor != 0 && head_list_has(f->value, SLICE_LIT("100-continue"));
		break;
	default:
		break;
	}
	return NULL;
}

static const char *
read_fields(struct head *head, struct meaning *m)
{
	const char *why = NULL;

	for (unsigned i = 0; i < head->fields && why == NULL; i++)
		why = read_field(head, m, &head->field[i]);
	for (unsigned i = 0; i < head->fields && why == NULL && m->nominates; i++)
		if (head->field[i].id == FIELD_CONNECTION)
			nominate(head, head->field[i].value);
	return why;
}

/* RFC 9112, 6: which codings and lengths may stand together; above a 63-bit length sums could overflow. */
static const char *
read_framing(struct head *head, const struct meaning *m)
{
	head->framing = FRAMING_NONE;
	head->content_length = 0;
	if (m->coding != NULL) {
		if (m->length != NULL)
			return "Transfer-Encoding and Content-Length";
		if (head->minor == 0)
			return "Transfer-Encoding in HTTP/1.0";
		if (!slice_eq_nocase(m->coding->value, SLICE_LIT("chunked")))
			return "a Transfer-Encoding other than chunked";
		head->framing = FRAMING_CHUNKED;
	} else if (m->length != NULL) {
		if (!slice_to_u64(m->length->value, INT64_MAX, &head->content_length))
			return "a malformed Content-Length";
		head->framing = FRAMING_LENGTH;
	}
	return NULL;
}

/* RFC 9112, 3.2; an absolute-form's authority would override Host (3.2.2), so the two had better agree. */
static const char *
read_host(struct head *head, const struct meaning *m)
{
	if (m->host == NULL)
		return head->minor == 0 ? NULL : "no Host";
	if (m->host->value.n != 0 && !is_authority(m->host->value))
		return "a malformed Host";
	if (head->host.n != 0 && !slice_eq_nocase(head->host, m->host->value))
		return "a Host that differs from the target's";
	head->host = m->host->value;
	return NULL;
}

/* RFC 9112, 6.3: which responses have no body, whatever their fields say, and which may not say so (RFC 9110, 8.6;
 * a zero is forgiven and goes no further). */
static const char *
read_response_framing(const struct h1 *p, struct head *head, const struct meaning *m)
{
	if (head->status < 200 || head->status == 204) {
		if (head->framing == FRAMING_CHUNKED || head->content_length != 0)
			return "a body's framing in a response that has none";
		head->framing = FRAMING_NONE;
		if (m->length != NULL)
			m->length->hop = true;
	} else if (p->to_head || head->status == 304 || (p->to_connect && head->status < 300)) {
		head->framing = FRAMING_NONE;
		head->content_length = 0;
	} else if (head->framing == FRAMING_NONE) {
		head->framing = FRAMING_CLOSE;
		head->keep_alive = false;
	}
	return NULL;
}

/* An Upgrade in HTTP/1.0 must be ignored (RFC 9110, 7.8). */
static const char *
read_meaning(const struct h1 *p, struct head *head)
{
	struct meaning m = { 0 };
	const char *why;

	head->expect_continue = head->accepts_trailers = false;
	why = read_fields(head, &m);
	if (why == NULL)
		why = read_framing(head, &m);
	if (why != NULL)
		return why;
	head->keep_alive = !m.close && (head->minor != 0 || m.keep_alive);
	head->upgrade_websocket = m.upgrade && m.websocket && head->minor != 0;
	return p->kind == H1_REQUEST ? read_host(head, &m) : read_response_framing(p, head, &m);
}

static void
start_over(struct h1 *p)
{
	p->line = p->seen = 0;
	p->fields = 0;
	p->started = false;
}

static enum h1_result
too_large(struct h1 *p)
{
	if (p->kind == H1_REQUEST && !p->started)
		return refuse(p, H1_URI_TOO_LONG, "the request line is too long");
	return refuse(p, H1_TOO_LARGE, "the head is too long");
}

enum h1_result
h1_parse(struct h1 *p, struct slice bytes, struct head *head)
{
	bool resumed = p->line != 0;
	struct slice window = slice_head(bytes, p->max_bytes);
	enum h1_result r = walk(p, window, head);
	const char *why;

	if (r == H1_MORE && bytes.n >= p->max_bytes)
		return too_large(p);
	if (r == H1_HEAD && resumed) {
		start_over(p);
		r = walk(p, window, head);
	}
	if (r != H1_HEAD)
		return r;
	head->fields = p->fields;
	p->head_bytes = p->line;
	why = read_meaning(p, head);
	return why != NULL ? bad(p, why) : H1_HEAD;
}

static const struct {
	unsigned status;
	const char *text;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 511, "Network Authentication Required" },
};

const char *
h1_reason(unsigned status)
{
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}
