/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where Redis is: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], as the scheme is registered with IANA, or
 * unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]. What is wrong with one is told without its password.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

#define REDIS_PORT 6379
#define DATABASE_MOST 65535	/* a server has 16 unless told otherwise */
#define FORMS "redis://[[USER]:PASSWORD@]HOST:PORT/DATABASE or unix://[[USER]:PASSWORD@]/PATH?db=DATABASE"

/* The text is told from its last "@" on. */
static bool
url_fails(struct type_reading *r, const char *what)
{
	struct slice whole = r->text, rest = whole;
	char *shown;

	while (slice_find(rest, '@') != rest.n)
		slice_cut(&rest, '@');
	shown = mem_printf("%s%.*s", rest.n != whole.n ? "...@" : "", SLICE_FMT(rest));
	r->text = slice_of(shown);
	type_fails(r, what, FORMS);
	r->text = whole;
	free(shown);
	return false;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) % 16 : -1;
}

/* Percent-decoded (RFC 3986, 2.1); NULL where that can't be done, or comes to a NUL, which nobody could send. */
static char *
decoded(struct slice text)
{
	char *copy = mem_zalloc(text.n + 1), *to = copy;

	for (size_t i = 0; i < text.n; i++) {
		bool is_code = text.p[i] == '%';
		int high = is_code && i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
		int low = is_code && i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;

		if (is_code && (high == -1 || low == -1 || high + low == 0)) {
			free(copy);
			return NULL;
		}
		*to++ = is_code ? (char)(high * 16 + low) : text.p[i];
		i += is_code ? 2 : 0;
	}
	return copy;
}

/* Cuts "USER:PASSWORD@" off, either of which may be empty, or all of it missing. */
static bool
cut_user(struct slice *rest, struct conf_url *u)
{
	size_t end = slice_find(slice_head(*rest, slice_find(*rest, '/')), '@');
	struct slice password = slice_head(*rest, end), user;

	if (end == rest->n || rest->p[end] != '@')
		return true;
	*rest = slice_skip(*rest, end + 1);
	user = slice_cut(&password, ':');
	u->user = user.n != 0 ? decoded(user) : NULL;
	u->password = password.n != 0 ? decoded(password) : NULL;
	return (u->user != NULL) == (user.n != 0) && (u->password != NULL) == (password.n != 0);
}

static bool
read_database(struct slice text, struct conf_url *u)
{
	uint64_t n;

	if (!slice_to_u64(text, DATABASE_MOST, &n))
		return false;
	u->database = (unsigned)n;
	return true;
}

/* Kept without its brackets, where it is an address of IPv6. */
static bool
read_host(struct slice text, struct conf_url *u)
{
	bool is_bracketed = slice_has_prefix(text, SLICE_LIT("["));
	bool has_port = is_bracketed ? text.p[text.n - 1] != ']' : slice_find(text, ':') != text.n;
	char *whole = has_port ? mem_slicedup(text) : mem_printf("%.*s:%d", SLICE_FMT(text), REDIS_PORT);
	struct slice rest = slice_skip(slice_of(whole), is_bracketed ? 1 : 0);
	struct value_address a;
	bool is_host = value_host_port(slice_of(whole), &a);

	if (is_host) {
		u->host = mem_slicedup(slice_cut(&rest, is_bracketed ? ']' : ':'));
		u->port = a.port;
	}
	free(whole);
	return is_host;
}

static bool
read_redis(struct type_reading *r, struct slice rest, struct conf_url *u)
{
	struct slice database = rest, host = slice_cut(&database, '/');

	if (!read_host(host, u))
		return url_fails(r, "has no host that can be one");
	if (database.n != 0 && !read_database(database, u))
		return url_fails(r, "has no database of 0 to 65535 behind its host");
	return true;
}

static bool
read_unix(struct type_reading *r, struct slice rest, struct conf_url *u)
{
	struct slice query = rest, path = slice_cut(&query, '?');

	if (!slice_has_prefix(path, SLICE_LIT("/")) || path.n == 1 || path.n > TYPE_SOCKET_BYTES)
		return url_fails(r, "has no absolute path of a socket, at most 107 bytes");
	if (query.p != NULL &&
	    (!slice_has_prefix(query, SLICE_LIT("db=")) || !read_database(slice_skip(query, 3), u)))
		return url_fails(r, "has no 'db=' and 0 to 65535 behind its '?'");
	u->path = mem_slicedup(path);
	return true;
}

static bool
read_url(struct type_reading *r)
{
	struct conf_url *u = type_field_to_set(r);
	struct slice rest = r->text, scheme = slice_cut(&rest, ':');
	bool is_unix = slice_eq(scheme, SLICE_LIT("unix"));

	if (slice_eq(scheme, SLICE_LIT("rediss")))
		return url_fails(r,
		    "asks for TLS, which is not spoken with Redis: let stunnel(8) or a local proxy do it");
	if (!value_is_visible(r->text) || r->text.n > TYPE_URL_BYTES || !slice_has_prefix(rest, SLICE_LIT("//")) ||
	    !(is_unix || slice_eq(scheme, SLICE_LIT("redis"))))
		return url_fails(r, "is not a URL of Redis");
	rest = slice_skip(rest, 2);
	if (!cut_user(&rest, u))
		return url_fails(r, "has a user or password with a '%' that encodes nothing");
	if (u->user != NULL && u->password == NULL)		/* some clients take this for a password */
		return url_fails(r, "has a user without a password");
	if (is_unix ? !read_unix(r, rest, u) : !read_redis(r, rest, u))
		return false;
	u->text = mem_slicedup(r->text);
	return true;
}

static char *
text_url(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_url *u = type_field(row, base);

	return i != 0 || u->text == NULL ? NULL : mem_strdup(u->text);
}

static void
fini_url(const struct schema_row *row, void *base)
{
	struct conf_url *u = (void *)((char *)base + row->at);

	free(u->text);
	free(u->host);
	free(u->path);
	free(u->user);
	free(u->password);
}

const struct type type_url = { .read = read_url, .text = text_url, .fini = fini_url };
