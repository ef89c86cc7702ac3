/* SPDX-License-Identifier: BSD-2-Clause */
/* A read and a text function for each type, in the order of their names' kinds: scalars, strings, lists. */
#include "conf/type.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/mistake.h"
#include "conf/path.h"
#include "conf/strings.h"
#include "conf/value.h"

#define ALLOWED 192
#define URL_MAX_BYTES 2048
#define LATER "is not in this version"

static const void *
field_of(const struct schema_row *row, const void *base)
{
	return (const char *)base + row->at;
}

static void *
field_to_set(const struct type_reading *r)
{
	return (char *)r->base + r->row->at;
}

static void *
field_also(const struct type_reading *r)
{
	return (char *)r->base + r->row->also;
}

/* fmt says what is allowed. */
static bool type_fails(struct type_reading *r, const char *what, const char *fmt, ...) PRINTF_LIKE(3, 4);

static bool
type_fails(struct type_reading *r, const char *what, const char *fmt, ...)
{
	char quoted[MISTAKE_QUOTE];
	va_list args;
	int n = snprintf(r->why, sizeof r->why, "%s %s; allowed: ", mistake_quote(r->text, quoted), what);

	va_start(args, fmt);
	vsnprintf(r->why + n, sizeof r->why - (size_t)n, fmt, args);
	va_end(args);
	return false;
}

/* ---- scalars ---- */

static bool
read_switch(struct type_reading *r)
{
	bool *to = field_to_set(r);

	*to = slice_eq(r->text, SLICE_LIT("yes"));
	return *to || slice_eq(r->text, SLICE_LIT("no")) || type_fails(r, "is not a switch", "yes no");
}

static char *
text_switch(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_strdup(*(const bool *)field_of(row, base) ? "yes" : "no");
}

const struct type type_switch = { .read = read_switch, .text = text_switch };

static const struct type_word *
word_find(const struct type_word *words, struct slice text)
{
	while (words->word != NULL && !slice_eq(text, slice_of(words->word)))
		words++;
	return words->word != NULL ? words : NULL;
}

static const struct type_word *
word_of_value(const struct type_word *words, int value)
{
	while (words->word != NULL && words->value != value)
		words++;
	must(words->word != NULL);
	return words;
}

/* Those of this version, with blanks between them. */
static const char *
words_allowed(const struct type_word *words, char text[ALLOWED])
{
	size_t n = 0;

	text[0] = '\0';
	for (; words->word != NULL; words++)
		if (!words->is_later)
			n += (size_t)snprintf(text + n, ALLOWED - n, "%s%s", n != 0 ? " " : "", words->word);
	return text;
}

static bool
read_word(struct type_reading *r)
{
	const struct type_word *found = word_find(r->row->words, r->text);
	char allowed[ALLOWED];

	if (found == NULL || found->is_later)
		return type_fails(r, found != NULL ? LATER : "is not known", "%s",
		    words_allowed(r->row->words, allowed));
	*(int *)field_to_set(r) = found->value;
	return true;
}

static char *
text_word(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_strdup(word_of_value(row->words, *(const int *)field_of(row, base))->word);
}

const struct type type_word = { .read = read_word, .text = text_word };

static bool
read_number(struct type_reading *r, uint64_t *n)
{
	const struct schema_row *row = r->row;
	bool is_number = slice_to_u64(r->text, UINT64_MAX, n);

	if (!is_number || *n < row->min || *n > row->max)
		return type_fails(r, is_number ? "is out of range" : "is not a whole number", "%llu to %llu",
		    (unsigned long long)row->min, (unsigned long long)row->max);
	return true;
}

static bool
read_count(struct type_reading *r)
{
	uint64_t n;

	if (!read_number(r, &n))
		return false;
	*(unsigned *)field_to_set(r) = (unsigned)n;
	return true;
}

static char *
text_count(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_printf("%u", *(const unsigned *)field_of(row, base));
}

const struct type type_count = { .read = read_count, .text = text_count };

/* The set grows until the kernel's fits: glibc's plain one ends at 1024 CPUs. */
static unsigned
usable_cpus(void)
{
	for (int most = 1024; most <= 1024 * 1024; most *= 4) {
		cpu_set_t *set = CPU_ALLOC(most);
		int n = 0, failed;

		if (set == NULL)
			break;
		failed = sched_getaffinity(0, CPU_ALLOC_SIZE(most), set) == -1 ? errno : 0;
		if (failed == 0)
			n = CPU_COUNT_S(CPU_ALLOC_SIZE(most), set);
		CPU_FREE(set);
		if (failed != EINVAL)
			return n > 0 ? (unsigned)n : 1;
	}
	return 1;
}

static unsigned
unsigned_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool
read_workers(struct type_reading *r)
{
	unsigned *workers = field_to_set(r);
	bool *is_auto = field_also(r);
	uint64_t n;

	*is_auto = slice_eq(r->text, SLICE_LIT("auto"));
	if (*is_auto) {
		*workers = unsigned_min(usable_cpus(), (unsigned)r->row->max);
		return true;
	}
	if (!slice_to_u64(r->text, UINT64_MAX, &n) || n < r->row->min || n > r->row->max)
		return type_fails(r, "is not a number of threads", "auto, or %u to %u", (unsigned)r->row->min,
		    (unsigned)r->row->max);
	*workers = (unsigned)n;
	return true;
}

/* What auto came to is told in a comment, so that it stays auto when it is read again. */
static char *
text_workers(const struct schema_row *row, const void *base, size_t i)
{
	unsigned n = *(const unsigned *)field_of(row, base);

	if (i != 0)
		return NULL;
	return mem_printf(*(const bool *)((const char *)base + row->also) ? "auto ; %u here" : "%u", n);
}

const struct type type_workers = { .read = read_workers, .text = text_workers };

static bool
time_fails(struct type_reading *r, const char *what)
{
	char least[VALUE_TIME_TEXT], most[VALUE_TIME_TEXT];

	return type_fails(r, what, "%s%s to %s, written as 500ms 30s 5m 24h", r->row->zero_too ? "0, or " : "",
	    value_time_text(r->row->min, least), value_time_text(r->row->max, most));
}

static bool
read_time(struct type_reading *r)
{
	uint64_t ms;

	if (!value_time(r->text, &ms))
		return time_fails(r, "is not a time");
	if ((ms < r->row->min || ms > r->row->max) && !(ms == 0 && r->row->zero_too))
		return time_fails(r, "is out of range");
	if (r->row->whole_seconds && ms % 1000 != 0)
		return time_fails(r, "is not in whole seconds");
	*(uint64_t *)field_to_set(r) = ms;
	return true;
}

static char *
text_time(const struct schema_row *row, const void *base, size_t i)
{
	char text[VALUE_TIME_TEXT];

	return i != 0 ? NULL : mem_strdup(value_time_text(*(const uint64_t *)field_of(row, base), text));
}

const struct type type_time = { .read = read_time, .text = text_time };

static bool
read_size(struct type_reading *r)
{
	char least[VALUE_TIME_TEXT], most[VALUE_TIME_TEXT];
	uint64_t bytes;
	bool is_size = value_size(r->text, &bytes);

	if (!is_size || bytes < r->row->min || bytes > r->row->max)
		return type_fails(r, is_size ? "is out of range" : "is not a size",
		    "%s to %s, written as 4096 16k 1m", value_size_text(r->row->min, least),
		    value_size_text(r->row->max, most));
	*(size_t *)field_to_set(r) = (size_t)bytes;
	return true;
}

static char *
text_size(const struct schema_row *row, const void *base, size_t i)
{
	char text[VALUE_TIME_TEXT];

	return i != 0 ? NULL : mem_strdup(value_size_text(*(const size_t *)field_of(row, base), text));
}

const struct type type_size = { .read = read_size, .text = text_size };

static bool
read_rate(struct type_reading *r)
{
	return value_rate(r->text, field_to_set(r)) ||
	    type_fails(r, "is not a rate", "0/s to 1000000/s, or 0/m to 1000000/m");
}

static char *
text_rate(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_rate *rate = field_of(row, base);

	return i != 0 ? NULL : mem_printf("%u/%s", rate->count, rate->per_ms > 1000 ? "m" : "s");
}

const struct type type_rate = { .read = read_rate, .text = text_rate };

/* RFC 9110, 15: statuses have three digits; those of 6xx and above mean nothing. */
static bool
read_status(struct slice text, unsigned *status)
{
	uint64_t n;

	if (!slice_to_u64(text, 599, &n) || n < 100)
		return false;
	*status = (unsigned)n;
	return true;
}

static bool
read_status_range(struct type_reading *r)
{
	unsigned *low = field_to_set(r), *high = field_also(r);
	struct slice last = r->text, first = slice_cut(&last, '-');

	if (!read_status(first, low) || !read_status(last.p != NULL ? last : first, high) || *low > *high)
		return type_fails(r, "is not a range of statuses", "100 to 599, written as 204 or 200-399");
	return true;
}

static char *
text_status_range(const struct schema_row *row, const void *base, size_t i)
{
	unsigned low = *(const unsigned *)field_of(row, base);
	unsigned high = *(const unsigned *)(const void *)((const char *)base + row->also);

	if (i != 0)
		return NULL;
	return low == high ? mem_printf("%u", low) : mem_printf("%u-%u", low, high);
}

const struct type type_status_range = { .read = read_status_range, .text = text_status_range };

/* ---- strings ---- */

static bool
set_string(struct type_reading *r)
{
	*(char **)field_to_set(r) = mem_slicedup(r->text);
	return true;
}

static char *
text_string(const struct schema_row *row, const void *base, size_t i)
{
	const char *text = *(char *const *)field_of(row, base);

	return i != 0 || text == NULL ? NULL : mem_strdup(text);
}

static void
fini_string(const struct schema_row *row, void *base)
{
	free(*(char **)(void *)((char *)base + row->at));
}

static bool
read_name(struct type_reading *r)
{
	return value_is_name(r->text) ? set_string(r) :
	    type_fails(r, "is not a name", "1 to 64 letters, digits, '-', '_' and '.'");
}

const struct type type_name = { .read = read_name, .text = text_string, .fini = fini_string };

/* As Debian's adduser has them. */
static bool
read_user(struct type_reading *r)
{
	return value_is_name(r->text) && r->text.n <= 32 && r->text.p[0] != '-' ? set_string(r) :
	    type_fails(r, "is not a user or group", "a name of 1 to 32 letters, digits, '-', '_' and '.'");
}

const struct type type_user = { .read = read_user, .text = text_string, .fini = fini_string };

/* Whether a line of the configuration could hold it. What the operator wrote comes from one; what we put in front may
 * not fit. */
static bool
is_writable_path(const char *path)
{
	for (const char *at = path; *at != '\0'; at++) {
		bool is_blank = *at == ' ' || *at == '\t';

		if (((unsigned char)*at < ' ' && !is_blank) || *at == 0x7f || (is_blank && at[1] == ';'))
			return false;
	}
	return true;
}

/* Kept from the root on, so that it means the same wherever it is printed and read again. NULL with the reason. */
static char *
absolute_path(struct type_reading *r, struct slice name)
{
	char *path = path_absolute(r->place.file, name);

	if (path == NULL) {
		type_fails(r,
		    errno == ENAMETOOLONG ? "is too long" : "is relative, and the working directory is gone",
		    "an absolute path of at most %d bytes", PATH_MAX - 1);
		return NULL;
	}
	if (is_writable_path(path))
		return path;
	free(path);
	type_fails(r, "is relative to a directory whose name has control bytes or ' ;'", "an absolute path");
	return NULL;
}

/* Empty is the default, and not configured. */
static bool
read_state_dir(struct type_reading *r)
{
	char **to = field_to_set(r);

	*(bool *)field_also(r) = !r->is_preset && r->text.n != 0;
	if (r->text.n == 0)
		r->text = slice_of(r->row->preset);
	*to = absolute_path(r, r->text);
	return *to != NULL;
}

/* The default may give way to the user's own directory, where one that is configured is an error: it stays a
 * comment. */
static char *
text_state_dir(const struct schema_row *row, const void *base, size_t i)
{
	const char *path = *(char *const *)field_of(row, base);

	if (i != 0)
		return NULL;
	return *(const bool *)((const char *)base + row->also) ? mem_strdup(path) : mem_printf("; %s", path);
}

const struct type type_state_dir = { .read = read_state_dir, .text = text_state_dir, .fini = fini_string };

/* What has neither slash nor dot is rather a misspelt word than a file. */
static bool
is_file_not_word(struct slice text)
{
	return slice_find(text, '/') != text.n || slice_find(text, '.') != text.n;
}

static bool
read_log_target(struct type_reading *r)
{
	const struct type_word *found = word_find(r->row->words, r->text);
	char **file = field_also(r), allowed[ALLOWED];

	if (found == NULL && !is_file_not_word(r->text))
		return type_fails(r, "is not known", "%s, or a file, as /var/log/stickyd.log or ./stickyd.log",
		    words_allowed(r->row->words, allowed));
	if (found != NULL) {
		*(int *)field_to_set(r) = found->value;
		return true;
	}
	*file = absolute_path(r, r->text);
	if (*file != NULL)
		*(int *)field_to_set(r) = CONF_LOG_FILE;
	return *file != NULL;
}

static char *
text_log_target(const struct schema_row *row, const void *base, size_t i)
{
	int target = *(const int *)field_of(row, base);

	if (i != 0)
		return NULL;
	if (target == CONF_LOG_FILE)
		return mem_strdup(*(char *const *)(const void *)((const char *)base + row->also));
	return mem_strdup(word_of_value(row->words, target)->word);
}

static void
fini_log_target(const struct schema_row *row, void *base)
{
	free(*(char **)(void *)((char *)base + row->also));
}

const struct type type_log_target = { .read = read_log_target, .text = text_log_target, .fini = fini_log_target };

static bool
is_url_path(struct slice text)
{
	return value_is_visible(text) && text.p[0] == '/' && text.n <= URL_MAX_BYTES &&
	    slice_find(text, '#') == text.n;
}

static bool
read_url_path(struct type_reading *r)
{
	return is_url_path(r->text) ? set_string(r) :
	    type_fails(r, "is not a path of a URL",
	    "'/' and more visible ASCII without blanks and '#', at most %d bytes", URL_MAX_BYTES);
}

const struct type type_url_path = { .read = read_url_path, .text = text_string, .fini = fini_string };

static bool
read_cookie_name(struct type_reading *r)
{
	return value_is_token(r->text) && r->text.n <= 64 ? set_string(r) :
	    type_fails(r, "is not a cookie's name", "1 to 64 letters, digits and !#$%%&'*+-.^_`|~ (RFC 6265)");
}

const struct type type_cookie_name = { .read = read_cookie_name, .text = text_string, .fini = fini_string };

/* RFC 6265, 4.1.1: any CHAR but controls and ";"; where it does not begin with "/", browsers ignore it (5.2.4). */
static bool
is_cookie_path(struct slice text)
{
	return value_is_visible(text) && text.p[0] == '/' && slice_find(text, ';') == text.n && text.n <= 1024;
}

static bool
read_cookie_path(struct type_reading *r)
{
	return is_cookie_path(r->text) ? set_string(r) :
	    type_fails(r, "is not a cookie's path",
	    "'/' and more visible ASCII without blanks and ';', at most 1024 bytes");
}

const struct type type_cookie_path = { .read = read_cookie_path, .text = text_string, .fini = fini_string };

/* Browsers ignore a dot in front (RFC 6265, 5.2.3), so it is not kept. */
static bool
read_cookie_domain(struct type_reading *r)
{
	struct slice domain = slice_skip(r->text, slice_has_prefix(r->text, SLICE_LIT(".")) ? 1 : 0);

	if (!value_is_host(domain))
		return type_fails(r, "is not a domain", "a host name, as example.com");
	*(char **)field_to_set(r) = mem_slicedup(domain);
	return true;
}

const struct type type_cookie_domain = { .read = read_cookie_domain, .text = text_string, .fini = fini_string };

/* Each "{" of a redirect's target must begin a placeholder. */
static bool
has_known_placeholders(struct slice target)
{
	while (target.p != NULL) {
		struct slice plain = slice_cut(&target, '{'), name;

		if (slice_find(plain, '}') != plain.n)
			return false;
		if (target.p == NULL)
			break;
		name = slice_head(target, slice_find(target, '}'));
		if (!slice_eq(name, SLICE_LIT("host")) && !slice_eq(name, SLICE_LIT("uri")))
			return false;
		target = slice_skip(target, name.n);
		if (target.n == 0)
			return false;
		target = slice_skip(target, 1);
	}
	return true;
}

static bool
is_redirect_target(struct slice target)
{
	return value_is_visible(target) && target.n <= URL_MAX_BYTES && (slice_has_prefix(target, SLICE_LIT("/")) ||
	    slice_has_prefix(target, SLICE_LIT("http://")) || slice_has_prefix(target, SLICE_LIT("https://")));
}

/* 302 where none is given: a mistake in it is not kept by browsers. */
static bool
read_redirect_status(struct slice text, unsigned *status)
{
	static const unsigned known[] = { 301, 302, 303, 307, 308 };

	*status = 302;
	for (size_t i = 0; i < COUNT(known) && text.n != 0; i++)
		if (read_status(text, status) && *status == known[i])
			return true;
	return text.n == 0;
}

static bool
read_redirect(struct type_reading *r)
{
	struct conf_redirect *to = field_to_set(r);
	struct slice status = r->text, target = value_word(&status);

	if (!is_redirect_target(target))
		return type_fails(r, "is not a target of a redirect",
		    "http://, https:// or '/' and visible ASCII without blanks, "
		    "then a status, as https://{host}{uri} 301");
	if (!has_known_placeholders(target))
		return type_fails(r, "has a placeholder that is not known", "{host} and {uri}");
	if (!read_redirect_status(status, &to->status))
		return type_fails(r, "has a status that is no redirect's", "301 302 303 307 308");
	to->target = mem_slicedup(target);
	return true;
}

static char *
text_redirect(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_redirect *to = field_of(row, base);

	return i != 0 || to->target == NULL ? NULL : mem_printf("%s %u", to->target, to->status);
}

static void
fini_redirect(const struct schema_row *row, void *base)
{
	struct conf_redirect *to = (void *)((char *)base + row->at);

	free(to->target);
}

const struct type type_redirect = { .read = read_redirect, .text = text_redirect, .fini = fini_redirect };

/* ---- lists ---- */

static bool
add_string(struct type_reading *r)
{
	strings_add(field_to_set(r), mem_slicedup(r->text));
	return true;
}

static char *
text_strings(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_strings *list = field_of(row, base);

	return i < list->n ? mem_strdup(list->item[i]) : NULL;
}

static void
fini_strings(const struct schema_row *row, void *base)
{
	strings_fini((void *)((char *)base + row->at));
}

static bool
read_names(struct type_reading *r)
{
	return value_is_name(r->text) ? add_string(r) :
	    type_fails(r, "is not a name", "1 to 64 letters, digits, '-', '_' and '.'");
}

const struct type type_names = { true, read_names, text_strings, fini_strings };

static bool
read_networks(struct type_reading *r)
{
	const char *why;

	return value_network(r->text, &why) ? add_string(r) :
	    type_fails(r, why, "ADDRESS or ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32");
}

const struct type type_networks = { true, read_networks, text_strings, fini_strings };

static bool
read_binds(struct type_reading *r)
{
	struct conf_place *place = field_also(r);
	struct value_address a;

	if (!value_bind(r->text, &a))
		return type_fails(r, "is not an address to listen at",
		    "ADDRESS:PORT in digits, as 0.0.0.0:443, *:80 or [::]:443");
	if (place->file == NULL)
		*place = r->place;
	return add_string(r);
}

const struct type type_binds = { true, read_binds, text_strings, fini_strings };

/* "*.example.com" or a host name, or an IPv6 address in brackets as Host has it (RFC 9110, 7.2). Kept in lower
 * case. */
static bool
is_route_host(struct slice text)
{
	struct value_address a;
	char with_port[64];
	int n;

	if (slice_has_prefix(text, SLICE_LIT("*.")))
		return value_is_host(slice_skip(text, 2));
	if (value_is_host(text))
		return true;
	n = snprintf(with_port, sizeof with_port, "%.*s:0", SLICE_FMT(text));
	return text.n != 0 && text.p[0] == '[' && (size_t)n < sizeof with_port &&
	    value_bind(slice_make(with_port, (size_t)n), &a);
}

static bool
read_hosts(struct type_reading *r)
{
	struct conf_strings *hosts = field_to_set(r);

	if (!is_route_host(r->text))
		return type_fails(r, "is not a host",
		    "a host name without port, as game.example.com or *.example.com");
	add_string(r);
	for (char *at = hosts->item[hosts->n - 1]; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at | 0x20);
	return true;
}

const struct type type_hosts = { true, read_hosts, text_strings, fini_strings };

/* The selectors of the product. Those that take an argument are known by what stands before it. */
static const struct {
	const char *begin;
	bool is_whole;
} selectors_later[] = {
	{ "rewrite:", false }, { "prefix:", false }, { "header:", false }, { "query:", false }, { "path:", false },
	{ "cookie:", false }, { "subprotocol:", false }, { "source", true }, { "source/", false },
	{ "learn:header:", false }, { "learn:cookie:", false },
};

static bool
is_later_selector(struct slice text)
{
	for (size_t i = 0; i < COUNT(selectors_later); i++) {
		struct slice begin = slice_of(selectors_later[i].begin);

		if (slice_eq(text, begin) || (!selectors_later[i].is_whole && slice_has_prefix(text, begin)))
			return true;
	}
	return false;
}

static bool
read_affinity(struct type_reading *r)
{
	const struct conf_strings *list = field_to_set(r);

	if (is_later_selector(r->text))
		return type_fails(r, LATER, "cookie, or nothing at all");
	if (!slice_eq(r->text, SLICE_LIT("cookie")))
		return type_fails(r, "is not a selector",
		    "cookie, or nothing at all (later versions: rewrite:NAME prefix:NAME "
		    "header:NAME query:NAME path:N cookie:NAME subprotocol:PREFIX source learn:header:NAME "
		    "learn:cookie:NAME)");
	if (list->n != 0)
		return type_fails(r, "is listed already", "each selector once");
	return add_string(r);
}

const struct type type_affinity = { true, read_affinity, text_strings, fini_strings };

/* Nothing is kept: there is but one. */
static bool
read_protocols(struct type_reading *r)
{
	return slice_eq(r->text, SLICE_LIT("http/1.1")) ||
	    type_fails(r, slice_eq(r->text, SLICE_LIT("h2")) ? LATER : "is not known", "http/1.1");
}

static char *
text_protocols(const struct schema_row *row, const void *base, size_t i)
{
	(void)row;
	(void)base;
	return i != 0 ? NULL : mem_strdup("http/1.1");
}

const struct type type_protocols = { true, read_protocols, text_protocols, NULL };

/* The loader does it itself. All is in one when it is printed, and an empty one keeps the default from adding
 * files. */
static char *
text_include(const struct schema_row *row, const void *base, size_t i)
{
	(void)row;
	(void)base;
	return i != 0 ? NULL : mem_strdup("; what was included is here");
}

const struct type type_include = { true, NULL, text_include, NULL };

/* Blanks and commas stand between paths, so none may be in one, nor in the directory that is added to it. */
static char *
certificate_path(struct type_reading *r, struct slice name)
{
	char *path = absolute_path(r, name);

	if (path == NULL || strpbrk(path, " \t,") == NULL)
		return path;
	free(path);
	type_fails(r, "is relative to a directory whose name has a blank or a comma", "absolute paths without those");
	return NULL;
}

static bool
read_certificates(struct type_reading *r)
{
	struct conf_certificate **list = field_to_set(r), new = { .place = r->place };
	size_t *n = field_also(r);
	struct slice rest = r->text, certificate = value_word(&rest), key = value_word(&rest);

	if (certificate.n == 0 || key.n == 0 || rest.n != 0)
		return type_fails(r, "is not a certificate and its key",
		    "two paths, as /etc/stickyd/tls/a.pem /etc/stickyd/tls/a.key");
	new.certificate_file = certificate_path(r, certificate);
	new.key_file = new.certificate_file != NULL ? certificate_path(r, key) : NULL;
	if (new.key_file == NULL) {
		free(new.certificate_file);
		return false;
	}
	*list = mem_realloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = new;
	return true;
}

static char *
text_certificates(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_listener *l = base;

	(void)row;
	if (i >= l->certificates)
		return NULL;
	return mem_printf("%s %s", l->certificate[i].certificate_file, l->certificate[i].key_file);
}

static void
fini_certificates(const struct schema_row *row, void *base)
{
	struct conf_listener *l = base;

	(void)row;
	for (size_t i = 0; i < l->certificates; i++) {
		free(l->certificate[i].certificate_file);
		free(l->certificate[i].key_file);
	}
	free(l->certificate);
}

const struct type type_certificates = { true, read_certificates, text_certificates, fini_certificates };

/* A word behind a gateway's address. */
static bool
read_gateway_option(struct type_reading *r, struct slice option, struct conf_gateway *g)
{
	struct slice value = option, name = slice_cut(&value, '=');
	uint64_t weight;

	if (slice_eq(name, SLICE_LIT("max_sessions")) || slice_eq(option, SLICE_LIT("backup")))
		return type_fails(r, "has an option that " LATER, "weight=0 to weight=256");
	if (!slice_eq(name, SLICE_LIT("weight")) || !slice_to_u64(value, 256, &weight))
		return type_fails(r, "has an option that is not known", "weight=0 to weight=256");
	g->weight = (unsigned)weight;
	return true;
}

static bool
read_gateways(struct type_reading *r)
{
	struct conf_pool *p = r->base;
	struct slice rest = r->text, name = value_word(&rest), address = value_word(&rest);
	struct conf_gateway g = { .weight = 1, .place = r->place };
	struct value_address a;

	if (!value_is_name(name) || !value_host_port(address, &a))
		return type_fails(r, "is not a gateway", "NAME HOST:PORT [weight=N], as gw1 10.0.0.11:8000");
	while (rest.n != 0)
		if (!read_gateway_option(r, value_word(&rest), &g))
			return false;
	g.name = mem_slicedup(name);
	g.address = mem_slicedup(address);
	p->gateway = mem_realloc(p->gateway, (p->gateways + 1) * sizeof *p->gateway);
	p->gateway[p->gateways++] = g;
	return true;
}

static char *
text_gateways(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_pool *p = base;

	(void)row;
	if (i >= p->gateways)
		return NULL;
	return mem_printf("%s %s weight=%u", p->gateway[i].name, p->gateway[i].address, p->gateway[i].weight);
}

static void
fini_gateways(const struct schema_row *row, void *base)
{
	struct conf_pool *p = base;

	(void)row;
	for (size_t i = 0; i < p->gateways; i++) {
		free(p->gateway[i].name);
		free(p->gateway[i].address);
	}
	free(p->gateway);
}

const struct type type_gateways = { true, read_gateways, text_gateways, fini_gateways };
