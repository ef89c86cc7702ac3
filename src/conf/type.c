/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, times, words: what has a value, not a text. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

static bool
read_switch(struct type_reading *r)
{
	bool *to = type_field_to_set(r);

	*to = slice_eq(r->text, SLICE_LIT("yes"));
	return *to || slice_eq(r->text, SLICE_LIT("no")) || type_fails(r, "is not a switch", "yes no");
}

static char *
text_switch(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_strdup(*(const bool *)type_field(row, base) ? "yes" : "no");
}

const struct type type_switch = { .read = read_switch, .text = text_switch };

static bool
read_word(struct type_reading *r)
{
	const struct type_word *found = type_word_find(r->row->words, r->text);
	char allowed[TYPE_ALLOWED];

	if (found == NULL)
		return type_fails(r, "is not known", "%s", type_words_allowed(r->row->words, allowed));
	*(int *)type_field_to_set(r) = found->value;
	return true;
}

static char *
text_word(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_strdup(type_word_of_value(row->words, *(const int *)type_field(row, base))->word);
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
	*(unsigned *)type_field_to_set(r) = (unsigned)n;
	return true;
}

static char *
text_count(const struct schema_row *row, const void *base, size_t i)
{
	return i != 0 ? NULL : mem_printf("%u", *(const unsigned *)type_field(row, base));
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
	unsigned *workers = type_field_to_set(r);
	bool *is_auto = type_also_to_set(r);
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
	unsigned n = *(const unsigned *)type_field(row, base);

	if (i != 0)
		return NULL;
	return mem_printf(*(const bool *)type_also(row, base) ? "auto ; %u here" : "%u", n);
}

const struct type type_workers = { .read = read_workers, .text = text_workers };

static bool
time_fails(struct type_reading *r, const char *what)
{
	char least[VALUE_TIME_TEXT], most[VALUE_TIME_TEXT];

	return type_fails(r, what, "%s%s to %s, written as %s30s 5m 24h", r->row->zero_too ? "0, or " : "",
	    value_time_text(r->row->min, least), value_time_text(r->row->max, most),
	    r->row->whole_seconds ? "" : "500ms ");
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
	*(uint64_t *)type_field_to_set(r) = ms;
	return true;
}

static char *
text_time(const struct schema_row *row, const void *base, size_t i)
{
	char text[VALUE_TIME_TEXT];

	return i != 0 ? NULL : mem_strdup(value_time_text(*(const uint64_t *)type_field(row, base), text));
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
	*(size_t *)type_field_to_set(r) = (size_t)bytes;
	return true;
}

static char *
text_size(const struct schema_row *row, const void *base, size_t i)
{
	char text[VALUE_TIME_TEXT];

	return i != 0 ? NULL : mem_strdup(value_size_text(*(const size_t *)type_field(row, base), text));
}

const struct type type_size = { .read = read_size, .text = text_size };

/* Where no limit is not meant, the least is 1. */
static bool
read_rate(struct type_reading *r)
{
	struct conf_rate *to = type_field_to_set(r);
	unsigned least = (unsigned)r->row->min;
	bool is_rate = value_rate(r->text, to);

	return (is_rate && to->count >= least) ||
	    type_fails(r, is_rate ? "is out of range" : "is not a rate", "%u/s to 1000000/s, or %u/m to 1000000/m",
	    least, least);
}

static char *
text_rate(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_rate *rate = type_field(row, base);

	return i != 0 ? NULL : mem_printf("%u/%s", rate->count, rate->per_ms > 1000 ? "m" : "s");
}

const struct type type_rate = { .read = read_rate, .text = text_rate };
