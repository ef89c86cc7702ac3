/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * head.h - the head of a request or a response as facts: a line and fields.
 *
 * No socket, no clock. All slices borrow from the bytes that were parsed, which must outlive the head. How the bytes
 * were framed (HTTP/1 today) is not known here: h1.h fills a head, another framing may too.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/check.h"
#include "base/slice.h"

#define HEAD_FIELDS 128		/* more than this is refused with 431: Apache's limit is 100, nginx has none */

/* The fields whose meaning concerns a proxy; anything else is FIELD_OTHER. */
enum field_id {
	FIELD_OTHER,
	FIELD_CACHE_CONTROL,
	FIELD_CONNECTION,
	FIELD_CONTENT_LENGTH,
	FIELD_COOKIE,
	FIELD_DATE,
	FIELD_EXPECT,
	FIELD_FORWARDED,
	FIELD_HOST,
	FIELD_KEEP_ALIVE,
	FIELD_PROXY_CONNECTION,
	FIELD_REFERER,
	FIELD_SEC_WEBSOCKET_ACCEPT,
	FIELD_SEC_WEBSOCKET_EXTENSIONS,
	FIELD_SEC_WEBSOCKET_KEY,
	FIELD_SEC_WEBSOCKET_PROTOCOL,
	FIELD_SEC_WEBSOCKET_VERSION,
	FIELD_SET_COOKIE,
	FIELD_TE,
	FIELD_TRANSFER_ENCODING,
	FIELD_UPGRADE,
	FIELD_USER_AGENT,
	FIELD_X_FORWARDED_FOR,
	FIELD_X_FORWARDED_HOST,
	FIELD_X_FORWARDED_PROTO,
	FIELD_X_REQUEST_ID,
};

struct field {
	struct slice name;	/* as it was written */
	struct slice value;	/* without white space at its ends */
	enum field_id id;
	/* Hop-by-hop: by its nature, or because Connection names it (RFC 9110, 7.6.1). What frames and routes a
	 * message can't be named away: Host, Content-Length, Expect, Sec-WebSocket-*, and what a proxy says for
	 * itself (Forwarded, X-Forwarded-*, X-Request-Id). */
	bool hop;
	/* In the bytes stand the name, ": ", the value and CRLF, and nothing else: they can be copied together. */
	bool plain;
};

enum head_method {
	METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_CONNECT, METHOD_OPTIONS,
	METHOD_TRACE, METHOD_PATCH,
};

enum head_framing {
	FRAMING_NONE,		/* no body */
	FRAMING_LENGTH,		/* content_length bytes */
	FRAMING_CHUNKED,
	FRAMING_CLOSE,		/* a response that ends with its connection (RFC 9112, 6.3, item 8) */
};

struct head {
	/* a request's line */
	enum head_method method;
	struct slice method_text;
	/* As it was sent, in origin-form or "*" (an absolute-form has been taken apart); CONNECT's is its
	 * authority. */
	struct slice target;
	struct slice path;		/* of an origin-form, without query, not decoded; else empty */
	struct slice query;		/* behind "?"; p == NULL: none */
	struct slice host;		/* of Host or the absolute-form's authority, with any port; may be empty */
	/* a response's */
	unsigned status;
	struct slice reason;
	/* both */
	unsigned minor;			/* HTTP/1.minor */
	enum head_framing framing;
	uint64_t content_length;	/* with FRAMING_LENGTH (a 304 and what answers HEAD have NONE) */
	bool keep_alive;		/* the connection may go on, by version, Connection and framing together */
	bool expect_continue;
	bool upgrade_websocket;		/* Connection has "upgrade" and Upgrade has "websocket" */
	bool accepts_trailers;		/* TE: trailers */
	unsigned fields;
	struct field field[HEAD_FIELDS];
};

/* RFC 9110, 5.6.2. An empty slice is no token. */
bool head_is_token(struct slice s);
/* The id of a field's name, which must be a token, whatever its case. */
enum field_id head_field_id(struct slice name);
/* Defined idempotent by RFC 9110, 9.2.2: may be sent again. */
bool head_is_idempotent(enum head_method method);
/* The first field with this id, or NULL. */
const struct field *head_find(const struct head *h, enum field_id id);
/* Cuts the next element off a comma-separated list, without blanks around it; empty ones do not count (RFC 9110,
 * 5.6.1.2). False: no more. Commas in quoted strings are not known here: for lists of tokens. */
bool head_list_next(struct slice *rest, struct slice *element) MUST_CHECK;
/* Whether a comma-separated list value holds this token, whatever its case. */
bool head_list_has(struct slice list, struct slice token);
/* The host without port and in no particular case; "[::1]" keeps its brackets. */
struct slice head_host_name(const struct head *h);

#endif
