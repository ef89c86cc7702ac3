/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A seal is the base64url (RFC 4648, 5) of version, nonce, ciphertext and tag. What can be refused by its length,
 * alphabet or version is refused before any cipher is asked: anybody may send us anything.
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define KEY_BYTES 32
#define VERSION 1

/* Random, since proxies that share a key share no counter: after 2^32 seals under one key the chance that two
 * nonces were alike is 2^-33; NIST SP 800-38D, 8.3 wants 2^-32 or less. That is a year of a hundred new seals a
 * second. */
#define NONCE_BYTES 12
#define BINDING_BYTES 16
#define TAG_BYTES 16
#define RAW_BYTES (1 + NONCE_BYTES + BINDING_BYTES + TAG_BYTES)
#define TEXT_BYTES (RAW_BYTES / 3 * 4)

_Static_assert(RAW_BYTES % 3 == 0, "no padding, and no spare bits in the last character that could differ");
_Static_assert(TEXT_BYTES <= SEAL_TEXT, "the header promises room");

/* A key file of more than this is none: eight keys and a page of comments. */
#define FILE_BYTES 8192
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
	EVP_CIPHER_CTX *close;
	EVP_CIPHER_CTX *open[SEAL_KEYS];
	unsigned keys;
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of each character of the alphabet, plus one; 0: not of it. */
static const unsigned char digits[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	['z'] = 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	['-'] = 63, ['_'] = 64,
};

static void
text_from_raw(const unsigned char raw[RAW_BYTES], char text[TEXT_BYTES])
{
	for (unsigned i = 0; i < RAW_BYTES; i += 3, text += 4) {
		uint32_t three = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];

		for (unsigned k = 0; k < 4; k++)
			text[k] = alphabet[three >> (18 - 6 * k) & 63];
	}
}

static bool
raw_from_text(const char text[TEXT_BYTES], unsigned char raw[RAW_BYTES])
{
	for (unsigned i = 0; i < TEXT_BYTES; i += 4, raw += 3) {
		uint32_t four = 0;

		for (unsigned k = 0; k < 4; k++) {
			unsigned digit = digits[(unsigned char)text[i + k]];

			if (digit == 0)
				return false;
			four = four << 6 | (digit - 1);
		}
		raw[0] = (unsigned char)(four >> 16);
		raw[1] = (unsigned char)(four >> 8);
		raw[2] = (unsigned char)four;
	}
	return true;
}

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

void
seal_ring_free(struct seal_ring *r)
{
	if (r == NULL)
		return;
	EVP_CIPHER_free(r->cipher);
	OPENSSL_cleanse(r, sizeof *r);
	free(r);
}

/* Up to `room` bytes, or -1 with errno. */
static ssize_t
read_all(int fd, char *to, size_t room)
{
	size_t n = 0;

	while (n < room) {
		ssize_t got = read(fd, to + n, room - n);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* Whoever reads the key can make cookies: it is not used where others may have read it. */
static char *
key_file_refused(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return mem_printf("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return mem_printf("%s: is not a regular file", path);
	if ((st.st_mode & 07777 & ~0600U) != 0)
		return mem_printf("%s: has mode %04o, which is wider than 0600; others may have read the key", path,
		    st.st_mode & 07777U);
	return NULL;
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

static struct seal_ring *
ring_read(int fd, const char *path, char **why)
{
	struct seal_ring *r = NULL;
	char text[FILE_BYTES + 1];
	ssize_t n;

	*why = key_file_refused(fd, path);
	if (*why != NULL)
		return NULL;
	n = read_all(fd, text, sizeof text);
	if (n == -1)
		*why = mem_printf("%s: %s", path, strerror(errno));
	else if ((size_t)n == sizeof text)
		*why = mem_printf("%s: is longer than %d bytes", path, FILE_BYTES);
	else
		r = ring_from_text(path, slice_make(text, (size_t)n), why);
	OPENSSL_cleanse(text, sizeof text);
	return r;
}

/* So few bytes are written as a whole or, on a full disk, not. */
static bool
write_whole(int fd, const char *bytes, size_t n)
{
	ssize_t wrote = write(fd, bytes, n);

	if (wrote == (ssize_t)n)
		return true;
	if (wrote != -1)
		errno = ENOSPC;
	return false;
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
	good = good && write_whole(fd, text, sizeof text) && fsync(fd) == 0;
	OPENSSL_cleanse(key, sizeof key);
	OPENSSL_cleanse(text, sizeof text);
	return good;
}

static bool
sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd != -1 && fsync(fd) == 0;

	if (fd != -1)
		close(fd);
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
	    sync_directory(directory);
	int saved = errno;

	if (fd != -1) {
		close(fd);
		unlink(aside);
	}
	free(aside);
	errno = saved;
	return good;
}

/* Without blocking, should somebody have put a pipe there. */
static int
key_file_open(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

struct seal_ring *
seal_ring_load(const char *state_dir, char **why)
{
	char *path = mem_printf("%s/" KEY_FILE, state_dir);
	int fd = key_file_open(path);
	struct seal_ring *r = NULL;

	if (fd == -1 && errno == ENOENT && key_file_make(state_dir, path))
		fd = key_file_open(path);
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

	s->close = EVP_CIPHER_CTX_new();
	must(s->close != NULL && EVP_EncryptInit_ex2(s->close, r->cipher, r->key[0], NULL, NULL) == 1);
	for (; s->keys < r->keys; s->keys++) {
		EVP_CIPHER_CTX *open = s->open[s->keys] = EVP_CIPHER_CTX_new();

		must(open != NULL && EVP_DecryptInit_ex2(open, r->cipher, r->key[s->keys], NULL, NULL) == 1);
	}
	return s;
}

void
sealer_free(struct sealer *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->close);
	for (unsigned i = 0; i < SEAL_KEYS; i++)
		EVP_CIPHER_CTX_free(s->open[i]);
	free(s);
}

static bool
ctx_close(EVP_CIPHER_CTX *ctx, struct slice pool, const unsigned char plain[BINDING_BYTES],
    unsigned char raw[RAW_BYTES])
{
	unsigned char *nonce = raw + 1, *sealed = nonce + NONCE_BYTES, *tag = sealed + BINDING_BYTES;
	int n;

	return RAND_bytes(nonce, NONCE_BYTES) == 1 &&
	    EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 &&
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
	if (!ctx_close(s->close, pool, plain, raw)) {
		ERR_clear_error();	/* or TLS would take it for its own */
		return 0;
	}
	text_from_raw(raw, text);
	return TEXT_BYTES;
}

enum seal_result
seal_open(struct sealer *s, struct slice pool, struct slice text, struct seal_binding *b)
{
	unsigned char plain[BINDING_BYTES], raw[RAW_BYTES];

	if (text.n != TEXT_BYTES || !raw_from_text(text.p, raw) || raw[0] != VERSION)
		return SEAL_MALFORMED;
	for (unsigned i = 0; i < s->keys; i++) {
		if (!ctx_open(s->open[i], pool, raw, plain))
			continue;
		b->tag = number_from_bytes(plain, 8);
		b->born_s = (uint32_t)number_from_bytes(plain + 8, 4);
		b->seen_s = (uint32_t)number_from_bytes(plain + 12, 4);
		return SEAL_OPEN;
	}
	ERR_clear_error();
	return SEAL_FORGED;
}
