/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slice.h - a borrowed run of bytes.
 *
 * A slice never owns and is never NUL-terminated; whoever made the bytes says how long they live. An empty slice may
 * have p == NULL. ASCII only where case is folded: HTTP's tokens are ASCII (RFC 9110, 5.6.2).
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE_NONE ((struct slice){ NULL, 0 })
#define SLICE_LIT(text) ((struct slice){ (text), sizeof(text) - 1 })
#define SLICE_FMT(s) (int)(s).n, (s).p != NULL ? (s).p : ""	/* for "%.*s" */

static inline struct slice
slice_of(const char *text)
{
	return (struct slice){ text, text != NULL ? strlen(text) : 0 };
}

static inline struct slice
slice_make(const char *p, size_t n)
{
	return (struct slice){ p, n };
}

/* The first n bytes, or all where there are fewer. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.n ? n : s.n };
}

/* Without the first n bytes; empty where there are no more. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	if (n > s.n)
		n = s.n;
	return (struct slice){ s.n != 0 ? s.p + n : s.p, s.n - n };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
slice_has_prefix(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* Its first eight bytes as a number, the first the lowest, on every machine; what is not there is 0. Of fewer than
 * eight some are read twice, which is quicker than one by one. */
static inline uint64_t
slice_word(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	uint64_t word;
	uint32_t first, last;

	if (s.n >= sizeof word) {
		memcpy(&word, p, sizeof word);
		return le64toh(word);
	}
	if (s.n >= sizeof first) {
		memcpy(&first, p, sizeof first);
		memcpy(&last, p + s.n - sizeof last, sizeof last);
		return le32toh(first) | (uint64_t)le32toh(last) << 8 * (s.n - sizeof last);
	}
	if (s.n == 0)
		return 0;
	return p[0] | (uint64_t)p[s.n / 2] << 8 * (s.n / 2) | (uint64_t)p[s.n - 1] << 8 * (s.n - 1);
}

/* Equal but for the case of ASCII letters. */
bool slice_eq_nocase(struct slice a, struct slice b);
/* Where byte c first stands, or s.n. */
size_t slice_find(struct slice s, char c);
/* Without blanks and tabs at both ends (RFC 9110's OWS). */
static inline struct slice
slice_trim(struct slice s)
{
	while (s.n != 0 && (*s.p == ' ' || *s.p == '\t'))
		s = (struct slice){ s.p + 1, s.n - 1 };
	while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}
/* Cuts off and returns what stands before the first sep; *rest keeps what comes behind it (empty, p == NULL, when
 * there was none). To be called until rest->p is NULL. */
struct slice slice_cut(struct slice *rest, char sep);
/* A decimal number without sign, all of s; false when it is not one or is above max. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value);

#endif
