/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a Redis server says. Cut into replies the same way however it arrives; whatever is taken for an answer or a
 * message lies in its reply and names no key that was not asked for.
 */
#include "store/script.h"

#include "fuzz.h"

#define PIECE 7

static void
check_inside(struct slice s, const redisReply *r)
{
	must(s.n <= r->len && s.p >= r->str && s.p + s.n <= r->str + r->len);
}

static void
check_reply(const redisReply *r)
{
	struct script_answer a;
	struct script_moved m;

	for (unsigned asked = 0; asked <= 3; asked += 3) {
		if (!script_parse_answer(r, asked, &a))
			continue;
		must(a.which <= asked && r->elements == 4);
		check_inside(a.gateway, r->element[1]);
		check_inside(a.error, r->element[3]);
	}
	if (script_parse_moved(r, &m)) {
		check_inside(m.sender, r->element[2]);
		check_inside(m.pool, r->element[2]);
		check_inside(m.key, r->element[2]);
		must(m.sender.n + m.pool.n + m.key.n + 2 == r->element[2]->len);
		must(!script_parse_subscribed(r));
	}
	if (r->type == REDIS_REPLY_ERROR)
		must((script_parse_error(slice_make(r->str, r->len)) == SCRIPT_UNKNOWN) ==
		    slice_has_prefix(slice_make(r->str, r->len), SLICE_LIT("NOSCRIPT")));
}

/* How many replies there are; SIZE_MAX: it is no Redis. */
static size_t
read_all(const char *bytes, size_t n, size_t piece)
{
	redisReplyObjectFunctions functions;
	redisReader *reader = redis_reader_new(&functions);
	size_t replies = 0;
	bool good = true;

	for (size_t at = 0; good && at < n; at += piece) {
		redisReply *r = NULL;

		must(redisReaderFeed(reader, bytes + at, n - at < piece ? n - at : piece) == REDIS_OK);
		while ((good = redis_reader_next(reader, &r)) && r != NULL) {
			check_reply(r);
			freeReplyObject(r);
			replies++;
		}
		if (r != NULL)
			freeReplyObject(r);
	}
	redisReaderFree(reader);
	return good ? replies : SIZE_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole;

	if (size == 0)
		return 0;
	whole = read_all((const char *)data, size, size);
	if (size < REDIS_REPLY_MAX)
		must(read_all((const char *)data, size, PIECE) == whole);
	return 0;
}
