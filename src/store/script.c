/* SPDX-License-Identifier: BSD-2-Clause */
/* The script and the words around it. */
#include "store/script.h"

#include <openssl/evp.h>
#include <string.h>

#define NAMESPACE SLICE_LIT("stickyd:")
#define HASHED SLICE_LIT("sha256:")

/*
 * ARGV: proposed, asked, ttl in ms, sender, pool, then for each key its text where its name does not show it. Errors
 * of commands are caught (pcall) and told in the answer, since the rest of it is good all the same.
 */
const char script_text[] =
    "local name, asked, ttl = ARGV[1], tonumber(ARGV[2]), ARGV[3]\n"
    "local which, written, err, was = 0, 1, '', {}\n"
    "local function failed(r)\n"
    "  if type(r) ~= 'table' or not r.err then return false end\n"
    "  err = r.err\n"
    "  return true\n"
    "end\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local v = redis.pcall('GET', key)\n"
    "  if failed(v) then v = false end\n"
    "  was[i] = v\n"
    "  if v and which == 0 and i <= asked then which, name = i, v end\n"
    "end\n"
    "for i, key in ipairs(KEYS) do\n"
    "  if was[i] == name then\n"
    "    if failed(redis.pcall('PEXPIRE', key, ttl)) then written = 0 end\n"
    "  elseif failed(redis.pcall('SET', key, name, 'PX', ttl)) then\n"
    "    written = 0\n"
    "  elseif was[i] then\n"
    "    local text = ARGV[5 + i]\n"
    "    if text == '' then text = string.sub(key, #ARGV[5] + 10) end\n"
    "    failed(redis.pcall('PUBLISH', '" SCRIPT_CHANNEL "', ARGV[4] .. ' ' .. ARGV[5] .. ':' .. text))\n"
    "  end\n"
    "end\n"
    "return { which, name, written, err }\n";

void
script_sha(char to[SCRIPT_SHA])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];

	must(EVP_Digest(script_text, strlen(script_text), md, NULL, EVP_sha1(), NULL) == 1);
	for (unsigned i = 0; i < SCRIPT_SHA; i++)
		to[i] = digits[i % 2 == 0 ? md[i / 2] >> 4 : md[i / 2] & 15];
}

static bool
is_hashed(struct slice key)
{
	return key.n > SCRIPT_KEY_MAX || slice_has_prefix(key, HASHED);
}

static void
put_hash(struct slice key, struct buf *to)
{
	unsigned char md[EVP_MAX_MD_SIZE];

	must(EVP_Digest(key.p, key.n, md, NULL, EVP_sha256(), NULL) == 1);
	buf_add(to, HASHED);
	for (unsigned i = 0; i < 32; i += 8) {
		uint64_t eight = 0;

		for (unsigned j = 0; j < 8; j++)
			eight = eight << 8 | md[i + j];
		buf_hex64(to, eight);
	}
}

void
script_name(struct slice pool, struct slice key, struct buf *to)
{
	buf_add(to, NAMESPACE);
	buf_add(to, pool);
	buf_byte(to, ':');
	if (is_hashed(key))
		put_hash(key, to);
	else
		buf_add(to, key);
}

static void
add_word(struct script_command *c, struct slice word)
{
	must(c->words < COUNT(c->word));
	c->word[c->words++] = word;
}

static void
add_number(struct script_command *c, struct buf *numbers, uint64_t n)
{
	size_t from = numbers->n;

	buf_u64(numbers, n);
	add_word(c, slice_skip(buf_slice(numbers), from));
}

static void
add_names(struct script_command *c, const struct script_request *rq)
{
	struct buf names = buf_of(c->names, sizeof c->names);

	for (unsigned i = 0; i < rq->keys; i++) {
		size_t from = names.n;

		script_name(rq->pool, rq->key[i], &names);
		add_word(c, slice_skip(buf_slice(&names), from));
	}
	must(!names.full);
}

void
script_write(struct script_command *c, const struct script_request *rq, struct slice sha)
{
	struct buf numbers = buf_of(c->numbers, sizeof c->numbers);

	c->words = 0;
	add_word(c, sha.n != 0 ? SLICE_LIT("EVALSHA") : SLICE_LIT("EVAL"));
	add_word(c, sha.n != 0 ? sha : slice_of(script_text));
	add_number(c, &numbers, rq->keys);
	add_names(c, rq);
	add_word(c, rq->proposed);
	add_number(c, &numbers, rq->asked);
	add_number(c, &numbers, rq->ttl_ms);
	add_word(c, rq->sender);
	add_word(c, rq->pool);
	for (unsigned i = 0; i < rq->keys; i++)
		add_word(c, is_hashed(rq->key[i]) ? rq->key[i] : SLICE_NONE);
}

bool
script_message(const struct script_moved *m, struct buf *to)
{
	buf_add(to, m->sender);
	buf_byte(to, ' ');
	buf_add(to, m->pool);
	buf_byte(to, ':');
	buf_add(to, m->key);
	return !to->full;
}

/* ---- what comes back ---- */

static bool
is_text(const redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_STRING;
}

static bool
is_number(const redisReply *r, long long most)
{
	return r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer >= 0 && r->integer <= most;
}

static bool
is_list(const redisReply *r, size_t n)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements == n;
}

static struct slice
text_of(const redisReply *r)
{
	return slice_make(r->str, r->len);
}

bool
script_parse_answer(const redisReply *r, unsigned asked, struct script_answer *a)
{
	if (!is_list(r, 4) || !is_number(r->element[0], asked) || !is_text(r->element[1]) ||
	    !is_number(r->element[2], 1) || !is_text(r->element[3]))
		return false;
	a->which = (unsigned)r->element[0]->integer;
	a->gateway = text_of(r->element[1]);
	a->written = r->element[2]->integer == 1;
	a->error = text_of(r->element[3]);
	return true;
}

enum script_error
script_parse_error(struct slice text)
{
	return slice_has_prefix(text, SLICE_LIT("NOSCRIPT")) ? SCRIPT_UNKNOWN : SCRIPT_REFUSED;
}

bool
script_parse_moved(const redisReply *r, struct script_moved *m)
{
	if (!is_list(r, 3) || !is_text(r->element[0]) || !is_text(r->element[1]) || !is_text(r->element[2]) ||
	    !slice_eq(text_of(r->element[0]), SLICE_LIT("message")) ||
	    !slice_eq(text_of(r->element[1]), SLICE_LIT(SCRIPT_CHANNEL)))
		return false;
	m->key = text_of(r->element[2]);
	m->sender = slice_cut(&m->key, ' ');
	if (m->key.p == NULL)
		return false;
	m->pool = slice_cut(&m->key, ':');
	return m->key.p != NULL;
}

bool
script_parse_subscribed(const redisReply *r)
{
	return is_list(r, 3) && is_text(r->element[0]) && is_text(r->element[1]) && is_number(r->element[2], 1) &&
	       slice_eq(text_of(r->element[0]), SLICE_LIT("subscribe")) &&
	       slice_eq(text_of(r->element[1]), SLICE_LIT(SCRIPT_CHANNEL));
}
