/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's head, or with the first byte odd an answer's, looked at by every kind of selector as one request is:
 * with one scratch for all, whose size the second byte chooses; the first also whether keys must be signed, and the
 * address. Keys lie in the head or in the scratch, are never empty, and all stand there unchanged at the end. Nobody
 * can name a gateway, since nobody has the key; and a second look sees the same.
 */
#include "affinity/selector.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"
#include "http/h1.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD_BYTES (32 * 1024)
#define NOW 1700000000

enum { IS_ANSWER = BIT(0), IS_SIGNED = BIT(1), IS_V6 = BIT(2), IS_NOBODY = BIT(3), HAS_LARGE_SCRATCH = BIT(4) };

static char pool_name[] = "game", name_of_gateway[] = "gw1", address[] = "127.0.0.1:1";
static char ours[] = "STICKYD", twin[] = "CORS";
static char k[] = "k", sid[] = "sid", x_key[] = "X-Key", cookie[] = "cookie", prefix[] = "key.", none[] = "";

static struct conf_gateway gateway = { .name = name_of_gateway, .address = address, .weight = 1 };
static const struct conf_pool cf = {
	.name = pool_name, .gateway = &gateway, .gateways = 1, .cookie = { .name = ours, .cors_twin = twin },
};

static const struct conf_selector selectors[] = {
	{ .kind = CONF_SELECTOR_COOKIE },
	{ .kind = CONF_SELECTOR_REWRITE, .name = sid },
	{ .kind = CONF_SELECTOR_PREFIX, .name = sid },
	{ .kind = CONF_SELECTOR_HEADER, .name = x_key },
	{ .kind = CONF_SELECTOR_HEADER, .name = cookie },
	{ .kind = CONF_SELECTOR_QUERY, .name = k },
	{ .kind = CONF_SELECTOR_PATH, .segment = 1 },
	{ .kind = CONF_SELECTOR_PATH, .segment = 3 },
	{ .kind = CONF_SELECTOR_COOKIE_KEY, .name = k },
	{ .kind = CONF_SELECTOR_SUBPROTOCOL, .name = prefix },
	{ .kind = CONF_SELECTOR_SUBPROTOCOL, .name = none },
	{ .kind = CONF_SELECTOR_SOURCE, .bits_v4 = 32, .bits_v6 = 128 },
	{ .kind = CONF_SELECTOR_SOURCE, .bits_v4 = 23, .bits_v6 = 61 },
	{ .kind = CONF_SELECTOR_LEARN_HEADER, .name = x_key },
	{ .kind = CONF_SELECTOR_LEARN_COOKIE, .name = sid },
};

static void
no_report(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	must(!"a pool without mistakes");
}

static struct sealer *
sealer_of(struct slice keys)
{
	unsigned line;
	const char *why;
	struct seal_ring *r = seal_ring_parse(keys, &line, &why);
	struct sealer *s = sealer_new(r);

	seal_ring_free(r);
	return s;
}

static bool
lies_in(struct slice s, struct slice bytes)
{
	return bytes.n != 0 && s.p >= bytes.p && s.p + s.n <= bytes.p + bytes.n;
}

/* What was seen, with a copy of the key. */
struct note {
	enum selector_sight sight;
	struct selector_found found;
	char *key;
};

static void
look_at_all(const struct selector_request *rq, struct slice bytes, struct note notes[COUNT(selectors)])
{
	for (size_t i = 0; i < COUNT(selectors); i++) {
		struct note *n = &notes[i];
		size_t used = rq->scratch->n;

		n->sight = selector_look(&selectors[i], rq, &n->found);
		n->key = NULL;
		must(n->sight != SELECTOR_GATEWAY && n->sight != SELECTOR_GONE && n->found.gateway == NULL);
		must((n->sight == SELECTOR_INVALID) == (n->found.why != NULL));
		must(!rq->scratch->full && rq->scratch->n >= used && rq->scratch->n <= rq->scratch->room);
		if (n->sight != SELECTOR_KEY) {
			must(rq->scratch->n == used);
			continue;
		}
		must(selector_has_key(&selectors[i]) && n->found.key.n != 0 && n->found.key.n <= SELECTOR_KEY_MAX);
		must(lies_in(n->found.key, bytes) ||
		    lies_in(n->found.key, slice_skip(buf_slice(rq->scratch), used)));
		n->key = mem_slicedup(n->found.key);
	}
}

static void
must_agree(struct note a[COUNT(selectors)], struct note b[COUNT(selectors)])
{
	for (size_t i = 0; i < COUNT(selectors); i++) {
		must(a[i].sight == b[i].sight && a[i].found.why == b[i].found.why);
		must((a[i].key == NULL) == (b[i].key == NULL) && a[i].found.key.n == b[i].found.key.n);
		if (a[i].key != NULL) {
			/* b's copy was made later: nothing that came behind has written to a's */
			must(memcmp(a[i].key, b[i].key, a[i].found.key.n) == 0);
			must(memcmp(a[i].key, b[i].found.key.p, a[i].found.key.n) == 0);
		}
		free(a[i].key);
		free(b[i].key);
	}
}

static void
client_of(uint8_t choice, struct addr *client)
{
	*client = (struct addr){ .len = 0 };
	if ((choice & IS_NOBODY) == 0)
		must(addr_parse((choice & IS_V6) != 0 ? SLICE_LIT("[2001:db8::a:7fff:1]:2") : SLICE_LIT("10.1.255.3:4"),
		    client));
}

static void
check_request(struct selector_request *rq, uint8_t choice, uint8_t room, struct slice bytes)
{
	size_t bytes_of_scratch = (choice & HAS_LARGE_SCRATCH) != 0 ? SELECTOR_KEY_MAX : room;
	char *text = mem_zalloc(bytes_of_scratch + 1);
	struct buf scratch = buf_of(text, bytes_of_scratch);
	struct note once[COUNT(selectors)], again[COUNT(selectors)];
	struct addr client;

	client_of(choice, &client);
	rq->client = &client;
	rq->scratch = &scratch;
	look_at_all(rq, bytes, once);
	scratch.n = 0;
	look_at_all(rq, bytes, again);
	must_agree(once, again);
	free(text);
}

static void
check_answer(const struct head *answer, struct slice bytes)
{
	struct slice key;

	for (size_t i = 0; i < COUNT(selectors); i++) {
		if (!selector_learn(&selectors[i], answer, &key))
			continue;
		must(selectors[i].kind == CONF_SELECTOR_LEARN_HEADER ||
		    selectors[i].kind == CONF_SELECTOR_LEARN_COOKIE);
		must(key.n != 0 && key.n <= SELECTOR_KEY_MAX && lies_in(key, bytes));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pool *pool;
	static struct sealer *sealer;
	static struct signature *signature;
	static struct head head;
	struct selector_request rq = { .head = &head, .now_s = NOW };
	struct slice bytes;
	struct h1 p;

	if (size < 2)
		return 0;
	if (pool == NULL) {
		pool = pool_new(&cf, no_report, NULL);
		sealer = sealer_of(SLICE_LIT(KEY));
		signature = signature_new(SLICE_LIT("a secret of sixteen bytes"));
	}
	rq.pool = pool;
	rq.sealer = sealer;
	rq.signature = (data[0] & IS_SIGNED) != 0 ? signature : NULL;
	bytes = slice_make((const char *)data + 2, size - 2);
	h1_init(&p, (data[0] & IS_ANSWER) != 0 ? H1_RESPONSE : H1_REQUEST, HEAD_BYTES);
	if (h1_parse(&p, bytes, &head) != H1_HEAD)
		return 0;
	if (p.kind == H1_RESPONSE)
		check_answer(&head, bytes);
	else
		check_request(&rq, data[0], data[1], bytes);
	return 0;
}
