/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules, and the table that the compiler makes of them. */
#include "http/byte.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define IN(c, first, last) ((c) >= (first) && (c) <= (last))
#define IS_DIGIT(c) IN(c, '0', '9')
#define IS_ALNUM(c) (IS_DIGIT(c) || IN(c, 'A', 'Z') || IN(c, 'a', 'z'))
#define IS_PRINTABLE(c) IN(c, 0x21, 0x7e)
#define IS_TOKEN(c) \
	(IS_ALNUM(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' || \
	    IN(c, '^', '`') || (c) == '|' || (c) == '~')
#define IS_TEXT(c) (IS_PRINTABLE(c) || (c) == ' ' || (c) == '\t' || (c) >= 0x80)
/* A comma would make two hosts of one where a list is expected (X-Forwarded-Host), and a percent-encoded name can
 * be read as two different ones. */
#define IS_HOST(c) \
	(IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '!' || (c) == '$' || \
	    IN(c, '&', '+') || (c) == ';' || (c) == '=')
#define IS_BASE64(c) (IS_ALNUM(c) || (c) == '+' || (c) == '/')

#define CLASSES(c) \
	((IS_TOKEN(c) ? BYTE_TOKEN : 0) | (IS_TEXT(c) ? BYTE_TEXT : 0) | \
	    (IS_PRINTABLE(c) && (c) != '#' ? BYTE_TARGET : 0) | (IS_HOST(c) ? BYTE_HOST : 0) | \
	    (IS_BASE64(c) ? BYTE_BASE64 : 0) | (IS_DIGIT(c) ? BYTE_DIGIT : 0))
#define FOUR(c) CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define QUARTER(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

const unsigned char byte_classes[256] = { QUARTER(0), QUARTER(64), QUARTER(128), QUARTER(192) };

#ifdef __SSE2__
#define BLOCK 16

/* The bytes from first to last, compared without sign. */
static inline __m128i
range(__m128i b, char first, char last)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(_mm_max_epu8(b, _mm_set1_epi8(first)), _mm_set1_epi8(last)), b);
}

static inline __m128i
equal(__m128i b, char c)
{
	return _mm_cmpeq_epi8(b, _mm_set1_epi8(c));
}

/* Which bytes are surely of the class: of text, all but the tab; of a token, the letters, digits and hyphens that
 * names are made of. */
static inline __m128i
members(__m128i b, enum byte_class class)
{
	if (class == BYTE_TEXT)
		return _mm_andnot_si128(equal(b, 0x7f), _mm_cmpeq_epi8(_mm_max_epu8(b, _mm_set1_epi8(' ')), b));
	if (class == BYTE_TARGET)
		return _mm_andnot_si128(equal(b, '#'), range(b, 0x21, 0x7e));
	return _mm_or_si128(_mm_or_si128(range(_mm_or_si128(b, _mm_set1_epi8(0x20)), 'a', 'z'), range(b, '0', '9')),
	    equal(b, '-'));
}

/* How far whole blocks are surely of the class. */
static inline size_t
span_blocks(struct slice s, size_t from, enum byte_class class)
{
	while (s.n - from >= BLOCK) {
		__m128i b = _mm_loadu_si128((const __m128i *)(s.p + from));
		unsigned sure = (unsigned)_mm_movemask_epi8(members(b, class));

		if (sure != 0xffff)
			return from + (unsigned)__builtin_ctz(~sure);
		from += BLOCK;
	}
	return from;
}
#else
static inline size_t
span_blocks(struct slice s, size_t from, enum byte_class class)
{
	(void)s;
	(void)class;
	return from;
}
#endif

size_t
byte_span_text(struct slice s, size_t from)
{
	return byte_span(s, span_blocks(s, from, BYTE_TEXT), BYTE_TEXT);
}

size_t
byte_span_target(struct slice s, size_t from)
{
	return byte_span(s, span_blocks(s, from, BYTE_TARGET), BYTE_TARGET);
}

size_t
byte_span_token(struct slice s, size_t from)
{
	return byte_span(s, span_blocks(s, from, BYTE_TOKEN), BYTE_TOKEN);
}
