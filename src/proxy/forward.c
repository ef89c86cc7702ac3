/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads are copied into one buffer and leave in one write: for the few hundred bytes of a head that costs less than a
 * vector of thirty pieces costs the kernel. Fields that go on as they stood, one behind the other, are copied
 * together.
 */
#include "proxy/forward.h"

#include "http/cookie.h"
#include "proxy/placement.h"

#define FIELD_MARKS (sizeof ": \r\n" - 1)

static void
forward_field(struct buf *to, struct slice name, struct slice value)
{
	char *p = to->p + to->n;
	size_t n = name.n + value.n + FIELD_MARKS;

	if (n > to->room - to->n) {
		to->full = true;
		return;
	}
	memcpy(p, name.p, name.n);
	memcpy(p + name.n, ": ", 2);
	if (value.n != 0)
		memcpy(p + name.n + 2, value.p, value.n);
	memcpy(p + n - 2, "\r\n", 2);
	to->n += n;
}

/* What has gathered of fields as they stood. */
static void
forward_run(struct buf *to, struct slice *run)
{
	buf_add(to, *run);
	*run = SLICE_NONE;
}

/* Unchanged; the run goes out when one comes that does not stand right behind it. */
static void
forward_kept(struct buf *to, struct slice *run, const struct field *f)
{
	if (run->n != 0 && f->plain && f->name.p == run->p + run->n) {
		run->n += f->name.n + f->value.n + FIELD_MARKS;
		return;
	}
	forward_run(to, run);
	if (f->plain)
		*run = slice_make(f->name.p, f->name.n + f->value.n + FIELD_MARKS);
	else
		forward_field(to, f->name, f->value);
}

/* Our cookies stay with us; a gateway's own gets back what it was before we put ours in front. */
static enum cookie_fate
edit_cookie(void *arg, struct cookie_pair *pair)
{
	const struct affinity *a = arg;
	struct slice own;

	switch (affinity_cookie_named(a, pair->name)) {
	case AFFINITY_COOKIE_OURS:
		return COOKIE_DROP;
	case AFFINITY_COOKIE_PREFIXED:
		own = affinity_unprefixed(pair->value);
		if (own.n == pair->value.n)
			return COOKIE_KEEP;
		pair->value = own;
		return COOKIE_REPLACE;
	case AFFINITY_COOKIE_REWRITTEN:
	case AFFINITY_COOKIE_FOREIGN:
		break;
	}
	return COOKIE_KEEP;
}

/* The whole line goes when nothing is left in it. */
static void
forward_cookie(struct buf *to, const struct field *f, struct affinity *a)
{
	size_t line = to->n, n;

	if (!affinity_knows_cookies(a)) {
		forward_field(to, f->name, f->value);
		return;
	}
	if (f->name.n + 2 + f->value.n + 2 > to->room - to->n) {
		to->full = true;
		return;
	}
	buf_add(to, f->name);
	buf_lit(to, ": ");
	n = cookie_edit(f->value, edit_cookie, a, to->p + to->n);
	if (n == 0) {
		to->n = line;
		return;
	}
	to->n += n;
	buf_lit(to, "\r\n");
}

/* What a client may not say for itself: written by us behind the others. */
static bool
is_ours_to_say(enum field_id id, bool trusted)
{
	switch (id) {
	case FIELD_HOST:
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_REQUEST_ID:
		return true;
	case FIELD_X_FORWARDED_HOST:
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_FORWARDED:
		return !trusted;
	default:
		return false;
	}
}

/* What frames a message or speaks for us, with "_" for "-": gateways that make variables of fields (RFC 3875, 4.1.18)
 * read both as one, and might take the client's word for ours. */
static bool
is_disguised(const struct field *f)
{
	char text[sizeof "X-Forwarded-Proto"];

	if (f->id != FIELD_OTHER || f->name.n > sizeof text || slice_find(f->name, '_') == f->name.n)
		return false;
	for (size_t i = 0; i < f->name.n; i++)
		text[i] = f->name.p[i] == '_' ? '-' : f->name.p[i];
	switch (head_field_id(slice_make(text, f->name.n))) {
	case FIELD_CONTENT_LENGTH:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_FORWARDED_HOST:
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_X_REQUEST_ID:
		return true;
	default:
		return false;
	}
}

static void
forward_for(const struct exchange *x, struct buf *to)
{
	char text[ADDR_TEXT];
	size_t n = addr_host_text(&x->client->peer, text);

	buf_lit(to, "X-Forwarded-For: ");
	for (unsigned i = 0; x->client->trusted && i < x->head.fields; i++) {
		if (x->head.field[i].id != FIELD_X_FORWARDED_FOR || x->head.field[i].value.n == 0)
			continue;
		buf_add(to, x->head.field[i].value);
		buf_lit(to, ", ");
	}
	buf_add(to, slice_make(text, n));
	buf_lit(to, "\r\n");
}

static void
forward_x(const struct exchange *x, struct buf *to)
{
	bool trusted = x->client->trusted;

	forward_for(x, to);
	if (!trusted || head_find(&x->head, FIELD_X_FORWARDED_PROTO) == NULL) {
		if (x->client->stream.ssl != NULL)
			buf_lit(to, "X-Forwarded-Proto: https\r\n");
		else
			buf_lit(to, "X-Forwarded-Proto: http\r\n");
	}
	if (x->head.host.n != 0 && (!trusted || head_find(&x->head, FIELD_X_FORWARDED_HOST) == NULL))
		forward_field(to, SLICE_LIT("X-Forwarded-Host"), x->head.host);
	forward_field(to, SLICE_LIT("X-Request-Id"), x->request_id);
}

bool
forward_request(const struct exchange *x, struct buf *to)
{
	const struct head *h = &x->head;
	struct slice run = SLICE_NONE;

	buf_add(to, h->method_text);
	buf_byte(to, ' ');
	buf_add(to, h->target);
	buf_lit(to, " HTTP/1.1\r\n");
	forward_field(to, SLICE_LIT("Host"), h->host);
	for (unsigned i = 0; i < h->fields; i++) {
		const struct field *f = &h->field[i];

		if (f->hop || is_ours_to_say(f->id, x->client->trusted) || is_disguised(f))
			continue;
		if (f->id == FIELD_COOKIE) {
			forward_run(to, &run);
			forward_cookie(to, f, x->service->affinity);
		} else {
			forward_kept(to, &run, f);
		}
	}
	forward_run(to, &run);
	if (h->framing == FRAMING_CHUNKED)
		buf_lit(to, "Transfer-Encoding: chunked\r\n");
	if (x->upgrade)
		buf_lit(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (h->accepts_trailers)
		buf_lit(to, "Connection: TE\r\nTE: trailers\r\n");
	forward_x(x, to);
	buf_lit(to, "\r\n");
	return !to->full;
}

static void
forward_status(struct buf *to, const struct head *h)
{
	unsigned status = h->status;
	char digits[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10) };

	buf_lit(to, "HTTP/1.1 ");
	buf_add(to, slice_make(digits, sizeof digits));
	buf_byte(to, ' ');
	buf_add(to, h->reason);
	buf_lit(to, "\r\n");
}

/* An answer with a cookie for one must not be kept for all: what would let a shared cache do so is left out. */
static void
forward_private(struct buf *to, struct slice value)
{
	while (value.p != NULL) {
		struct slice item = slice_trim(slice_cut(&value, ','));

		if (item.n == 0 || slice_eq_nocase(item, SLICE_LIT("public")) ||
		    slice_eq_nocase(slice_head(item, sizeof "s-maxage=" - 1), SLICE_LIT("s-maxage=")))
			continue;
		buf_lit(to, ", ");
		buf_add(to, item);
	}
}

/* One that the Connection field names stays here. */
static bool
is_cache_control(const struct field *f)
{
	return f->id == FIELD_CACHE_CONTROL && !f->hop;
}

static void
forward_cache_control(struct buf *to, const struct head *h)
{
	buf_lit(to, "Cache-Control: private");
	for (unsigned i = 0; i < h->fields; i++)
		if (is_cache_control(&h->field[i]))
			forward_private(to, h->field[i].value);
	buf_lit(to, "\r\n");
}

static bool
is_private_already(const struct head *h)
{
	for (unsigned i = 0; i < h->fields; i++)
		if (is_cache_control(&h->field[i]) &&
		    (head_list_has(h->field[i].value, SLICE_LIT("private")) ||
		        head_list_has(h->field[i].value, SLICE_LIT("no-store"))))
			return true;
	return false;
}

/* Our cookies; a client that gets none for want of random bytes is as one without cookies. */
static void
forward_our_cookies(struct exchange *x, struct buf *to)
{
	bool by_tls = x->client->stream.ssl != NULL;
	uint64_t now_s = clock_wall_s();
	char value[ISSUE_TEXT];

	for (enum issue_which which = ISSUE_OURS; which <= ISSUE_END_OF_LEGACY; which++) {
		size_t n = affinity_set_cookie(x->service->affinity, x->scene->tools.sealer, &x->choice, which,
		    by_tls, now_s, value);

		if (n != 0)
			forward_field(to, SLICE_LIT("Set-Cookie"), slice_make(value, n));
		if (x->upgrade && which == ISSUE_OURS)
			placement_know_client(x, slice_make(value, n));
	}
}

/* A cookie of the gateway's whose value tells where its client belongs, alone or before its own. One without a value
 * is being deleted, or of no use. */
static void
forward_sealed(const struct exchange *x, struct buf *to, const struct field *f, const struct cookie_set *set,
    bool prefix)
{
	char seal[SEAL_TEXT];
	uint64_t now_s = clock_wall_s();
	size_t n = 0;

	if (set->value.n != 0)
		n = affinity_seal(x->service->affinity, x->scene->tools.sealer, &x->choice, now_s, seal);
	if (n == 0) {
		forward_field(to, f->name, f->value);
		return;
	}
	buf_add(to, f->name);
	buf_lit(to, ": ");
	buf_add(to, set->before);
	buf_add(to, slice_make(seal, n));
	if (prefix) {
		buf_byte(to, '~');
		buf_add(to, set->value);
	}
	buf_add(to, set->after);
	buf_lit(to, "\r\n");
}

/* Ours is ours to set. */
static void
forward_set_cookie(const struct exchange *x, struct buf *to, const struct field *f)
{
	struct cookie_set set = cookie_set_split(f->value);

	switch (affinity_cookie_named(x->service->affinity, set.name)) {
	case AFFINITY_COOKIE_OURS:
		break;
	case AFFINITY_COOKIE_REWRITTEN:
		forward_sealed(x, to, f, &set, false);
		break;
	case AFFINITY_COOKIE_PREFIXED:
		forward_sealed(x, to, f, &set, true);
		break;
	case AFFINITY_COOKIE_FOREIGN:
		forward_field(to, f->name, f->value);
		break;
	}
}

/* Does this answer say to one client where it belongs? */
static bool
answer_is_personal(const struct exchange *x, const struct head *h)
{
	if (x->choice.issue)
		return true;
	if (!affinity_knows_cookies(x->service->affinity))
		return false;
	for (unsigned i = 0; i < h->fields; i++) {
		enum affinity_cookie meaning;

		if (h->field[i].id != FIELD_SET_COOKIE)
			continue;
		meaning = affinity_cookie_named(x->service->affinity, cookie_set_split(h->field[i].value).name);
		if (meaning == AFFINITY_COOKIE_REWRITTEN || meaning == AFFINITY_COOKIE_PREFIXED)
			return true;
	}
	return false;
}

static void
forward_response_framing(const struct exchange *x, const struct head *h, enum head_framing out, struct buf *to)
{
	if (h->status == 101) {
		buf_lit(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
		return;
	}
	if (out == FRAMING_CHUNKED)
		buf_lit(to, "Transfer-Encoding: chunked\r\n");
	if (!x->keep_client)
		buf_lit(to, "Connection: close\r\n");
	else if (x->head.minor == 0)
		buf_lit(to, "Connection: keep-alive\r\n");
}

bool
forward_response(struct exchange *x, const struct head *h, enum head_framing out, struct buf *to)
{
	bool replace_cache = answer_is_personal(x, h) && !is_private_already(h), dated = false;
	bool knows_cookies = affinity_knows_cookies(x->service->affinity);
	struct slice run = SLICE_NONE;

	forward_status(to, h);
	for (unsigned i = 0; i < h->fields; i++) {
		const struct field *f = &h->field[i];

		if (f->hop || (f->id == FIELD_CACHE_CONTROL && replace_cache))
			continue;
		dated |= f->id == FIELD_DATE;
		if (f->id == FIELD_SET_COOKIE && knows_cookies) {
			forward_run(to, &run);
			forward_set_cookie(x, to, f);
		} else {
			forward_kept(to, &run, f);
		}
	}
	forward_run(to, &run);
	if (!dated)
		forward_field(to, SLICE_LIT("Date"), proxy_date(x->proxy));	/* RFC 9110, 6.6.1 */
	if (x->choice.issue)
		forward_our_cookies(x, to);
	if (replace_cache)
		forward_cache_control(to, h);
	forward_response_framing(x, h, out, to);
	buf_lit(to, "\r\n");
	return !to->full;
}

bool
forward_interim(const struct exchange *x, const struct head *h, struct buf *to)
{
	forward_status(to, h);
	for (unsigned i = 0; i < h->fields; i++) {
		const struct field *f = &h->field[i];

		if (f->hop)
			continue;
		if (f->id == FIELD_SET_COOKIE && affinity_knows_cookies(x->service->affinity))
			forward_set_cookie(x, to, f);
		else
			forward_field(to, f->name, f->value);
	}
	buf_lit(to, "\r\n");
	return !to->full;
}
