/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A seal is the base64url (RFC 4648, 5) of version, nonce, ciphertext and tag. What can be refused by its length,
 * alphabet or version is refused before any cipher is asked: anybody may send us anything. What has opened is
 * remembered (opened.h).
 */
#include "affinity/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "affinity/opened.h"
#include "base/base64url.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"

#define KEY_BYTES 32
#define VERSION 1

/* Random, since proxies that share a key share no counter: after 2^32 seals under one key the chance that two
 * nonces were alike is 2^-33; NIST SP 800-38D, 8.3 wants 2^-32 or less. That is a year of a hundred new seals a
 * second. */
#define NONCE_BYTES 12
/* Drawn at once: a draw costs nearly as much as the rest of a seal, however little is drawn, and nonces are no
 * secrets. But none is used later than in its second: a machine that is brought back from a snapshot, twice perhaps,
 * would use them twice. */
#define NONCES_DRAWN 64
#define BINDING_BYTES 16
#define TAG_BYTES 16
#define RAW_BYTES (1 + NONCE_BYTES + BINDING_BYTES + TAG_BYTES)
#define TEXT_BYTES (RAW_BYTES / 3 * 4)

_Static_assert(RAW_BYTES % 3 == 0, "no padding, and no spare bits in the last character that could differ");
_Static_assert(TEXT_BYTES <= SEAL_TEXT, "the header promises room");
_Static_assert(TEXT_BYTES == OPENED_TEXT, "whole texts are remembered");

#define KEY_FILE "seal.key"

/* Authenticated before the pool's name; its NUL separates the two. */
static const char purpose[] = "stickyd cookie v1";

struct seal_ring {
	EVP_CIPHER *cipher;
	unsigned keys;
	unsigned char key[SEAL_KEYS][KEY_BYTES];
};

/* Keying costs more than opening does, so each key keeps a context of its own, and only the nonce is set each
 * time. */
struct sealer {
	unsigned users;
	EVP_CIPHER_CTX *close;
	EVP_CIPHER_CTX *open[SEAL_KEYS];
	unsigned keys;
	unsigned nonces;			/* not used yet: the first so many, and drawn in */
	uint32_t drawn_s;
	unsigned char nonce[NONCES_DRAWN][NONCE_BYTES];
	struct opened *opened;
};

static void
bytes_from_number(unsigned char *to, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		to[n] = (unsigned char)v;
		v >>= 8;
	}
}

static uint64_t
number_from_bytes(const unsigned char *from, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *from++;
	return v;
}

/* --- a ring --- */

static bool
key_from_hex(struct slice hex, unsigned char key[KEY_BYTES])
{
	if (hex.n != 2 * KEY_BYTES)
		return false;
	for (size_t i = 0; i < KEY_BYTES; i++) {
		int high = OPENSSL_hexchar2int((unsigned char)hex.p[2 * i]);
		int low = OPENSSL_hexchar2int((unsigned char)hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static const char *
ring_add_line(struct seal_ring *r, struct slice line)
{
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	if (r->keys == SEAL_KEYS)
		return "has more than 8 keys";
	if (!key_from_hex(line, r->key[r->keys]))
		return "is not a key of 64 hexadecimal digits";
	r->keys++;
	return NULL;
}

static const char *
ring_finish(struct seal_ring *r)
{
	if (r->keys == 0)
		return "has no key";
	r->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	return r->cipher != NULL ? NULL : "cannot be used: this OpenSSL has no AES-256-GCM";
}

struct seal_ring *
seal_ring_parse(struct slice text, unsigned *line, const char **why)
{
	struct seal_ring *r = mem_zalloc(sizeof *r);
	struct slice rest = text;

	*why = NULL;
	for (*line = 0; *why == NULL && rest.p != NULL; ++*line)
		*why = ring_add_line(r, slice_trim(slice_cut(&rest, '\n')));
	if (*why == NULL) {
		*line = 0;
		*why = ring_finish(r);
	}
	if (*why == NULL)
		return r;
	seal_ring_free(r);
	return NULL;
}

/* Nobody who could measure it brings keys along. */
bool
seal_ring_same(const struct seal_ring *a, const struct seal_ring *b)
{
	return a->keys == b->keys && memcmp(a->key, b->key, a->keys * sizeof a->key[0]) == 0;
}

void
seal_ring_free(struct seal_ring *r)
{
	if (r == NULL)
		return;
	EVP_CIPHER_free(r->cipher);
	OPENSSL_cleanse(r, sizeof *r);
	free(r);
}

static struct seal_ring *
ring_from_text(const char *path, struct slice text, char **why)
{
	unsigned line;
	const char *what;
	struct seal_ring *r = seal_ring_parse(text, &line, &what);

	if (r == NULL)
		*why = line != 0 ? mem_printf("%s:%u: %s", path, line, what) : mem_printf("%s: %s", path, what);
	return r;
}

/* Whoever reads the key can make cookies. */
static struct seal_ring *
ring_read(int fd, const char *path, char **why)
{
	struct seal_ring *r = NULL;
	struct secret file;

	if (secret_read(&file, fd, path, SECRET_OURS, why))
		r = ring_from_text(path, slice_make(file.text, file.n), why);
	secret_wipe(&file);
	return r;
}

static bool
write_key(int fd)
{
	unsigned char key[KEY_BYTES];
	char text[2 * KEY_BYTES + 1];
	bool good = RAND_priv_bytes(key, sizeof key) == 1;

	for (unsigned i = 0; i < KEY_BYTES; i++) {
		text[2 * i] = "0123456789abcdef"[key[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
	}
	text[2 * KEY_BYTES] = '\n';
	if (!good)
		errno = EIO;	/* no random numbers */
	good = good && file_write(fd, text, sizeof text) && fsync(fd) == 0;
	OPENSSL_cleanse(key, sizeof key);
	OPENSSL_cleanse(text, sizeof text);
	return good;
}

/* Unlike a rename, a link fails where there is a file already: then somebody else was faster, and that is as good.
 * What is there is whole and on the disk, as it was before it got its name. */
static bool
key_file_make(const char *directory, const char *path)
{
	char *aside = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(aside, O_CLOEXEC);	/* mode 0600 */
	bool good = fd != -1 && write_key(fd) && (link(aside, path) == 0 || errno == EEXIST) &&
	    file_sync_directory(directory);
	int saved = errno;

	if (fd != -1) {
		close(fd);
		unlink(aside);
	}
	free(aside);
	errno = saved;
	return good;
}

struct seal_ring *
seal_ring_load(const char *state_dir, char **why)
{
	char *path = mem_printf("%s/" KEY_FILE, state_dir);
	int fd = secret_open(path);
	struct seal_ring *r = NULL;

	if (fd == -1 && errno == ENOENT && key_file_make(state_dir, path))
		fd = secret_open(path);
	if (fd != -1) {
		r = ring_read(fd, path, why);
		close(fd);
	} else
		*why = mem_printf("%s: %s", path, strerror(errno));
	free(path);
	return r;
}

/* --- a sealer --- */

/* Nothing of this can fail but for want of memory, and then we end as in mem.c. */
struct sealer *
sealer_new(const struct seal_ring *r)
{
	struct sealer *s = mem_zalloc(sizeof *s);

	s->users = 1;
	s->close = EVP_CIPHER_CTX_new();
	must(s->close != NULL && EVP_EncryptInit_ex2(s->close, r->cipher, r->key[0], NULL, NULL) == 1);
	for (; s->keys < r->keys; s->keys++) {
		EVP_CIPHER_CTX *open = s->open[s->keys] = EVP_CIPHER_CTX_new();

		must(open != NULL && EVP_DecryptInit_ex2(open, r->cipher, r->key[s->keys], NULL, NULL) == 1);
	}
	s->opened = opened_new();
	return s;
}

struct sealer *
sealer_share(struct sealer *s)
{
	s->users++;
	return s;
}

void
sealer_free(struct sealer *s)
{
	if (s == NULL || --s->users != 0)
		return;
	EVP_CIPHER_CTX_free(s->close);
	for (unsigned i = 0; i < SEAL_KEYS; i++)
		EVP_CIPHER_CTX_free(s->open[i]);
	opened_free(s->opened);
	free(s);
}

static bool
sealer_nonce(struct sealer *s, uint32_t now_s, unsigned char nonce[NONCE_BYTES])
{
	if (s->nonces == 0 || s->drawn_s != now_s) {
		s->nonces = 0;
		if (RAND_bytes(s->nonce[0], sizeof s->nonce) != 1)
			return false;
		s->nonces = NONCES_DRAWN;
		s->drawn_s = now_s;
	}
	memcpy(nonce, s->nonce[--s->nonces], NONCE_BYTES);
	return true;
}

/* raw has its nonce. */
static bool
ctx_close(EVP_CIPHER_CTX *ctx, struct slice pool, const unsigned char plain[BINDING_BYTES],
    unsigned char raw[RAW_BYTES])
{
	unsigned char *nonce = raw + 1, *sealed = nonce + NONCE_BYTES, *tag = sealed + BINDING_BYTES;
	int n;

	return EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 &&
	    EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)purpose, sizeof purpose) == 1 &&
	    EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)pool.p, (int)pool.n) == 1 &&
	    EVP_EncryptUpdate(ctx, sealed, &n, plain, BINDING_BYTES) == 1 &&
	    EVP_EncryptFinal_ex(ctx, sealed + n, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
}

static bool
ctx_open(EVP_CIPHER_CTX *ctx, struct slice pool, const unsigned char raw[RAW_BYTES],
    unsigned char plain[BINDING_BYTES])
{
	const unsigned char *nonce = raw + 1, *sealed = nonce + NONCE_BYTES;
	unsigned char tag[TAG_BYTES];	/* OpenSSL's ctrl wants one that it could write to */
	int n;

	memcpy(tag, sealed + BINDING_BYTES, TAG_BYTES);
	return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)purpose, sizeof purpose) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)pool.p, (int)pool.n) == 1 &&
	    EVP_DecryptUpdate(ctx, plain, &n, sealed, BINDING_BYTES) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
	    EVP_DecryptFinal_ex(ctx, plain + n, &n) == 1;
}

size_t
seal_close(struct sealer *s, struct slice pool, const struct seal_binding *b, char text[SEAL_TEXT])
{
	unsigned char plain[BINDING_BYTES], raw[RAW_BYTES] = { VERSION };

	bytes_from_number(plain, b->tag, 8);
	bytes_from_number(plain + 8, b->born_s, 4);
	bytes_from_number(plain + 12, b->seen_s, 4);
	if (!sealer_nonce(s, b->seen_s, raw + 1) || !ctx_close(s->close, pool, plain, raw)) {
		ERR_clear_error();	/* or TLS would take it for its own */
		return 0;
	}
	base64url_encode(raw, sizeof raw, text);
	return TEXT_BYTES;
}

static bool
raw_from_text(struct slice text, unsigned char raw[RAW_BYTES])
{
	return text.n == TEXT_BYTES && base64url_decode(text, raw) && raw[0] == VERSION;
}

bool
seal_is_shaped(struct slice text)
{
	unsigned char raw[RAW_BYTES];

	return raw_from_text(text, raw);
}

static bool
sealer_open_raw(struct sealer *s, struct slice pool, const unsigned char raw[RAW_BYTES], struct seal_binding *b)
{
	unsigned char plain[BINDING_BYTES];

	for (unsigned i = 0; i < s->keys; i++) {
		if (!ctx_open(s->open[i], pool, raw, plain))
			continue;
		b->tag = number_from_bytes(plain, 8);
		b->born_s = (uint32_t)number_from_bytes(plain + 8, 4);
		b->seen_s = (uint32_t)number_from_bytes(plain + 12, 4);
		b->is_outdated = i != 0;
		return true;
	}
	ERR_clear_error();
	return false;
}

static enum seal_result
sealer_open_anew(struct sealer *s, struct slice pool, struct slice text, struct seal_binding *b)
{
	unsigned char raw[RAW_BYTES];

	if (!raw_from_text(text, raw))
		return SEAL_MALFORMED;
	if (!sealer_open_raw(s, pool, raw, b))
		return SEAL_FORGED;
	opened_keep(s->opened, pool, text.p, b);
	return SEAL_OPEN;
}

enum seal_result
seal_open(struct sealer *s, struct slice pool, struct slice text, struct seal_binding *b)
{
	if (text.n != TEXT_BYTES)
		return SEAL_MALFORMED;
	if (opened_find(s->opened, pool, text.p, b))
		return SEAL_OPEN;
	return sealer_open_anew(s, pool, text, b);
}
