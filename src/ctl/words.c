/* SPDX-License-Identifier: BSD-2-Clause */
/* Units by tables. */
#include "ctl/words.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"

/* A tenth counts below ten. */
static const char *
with_unit(double n, const char *blank, const char *unit, char text[WORDS])
{
	uint64_t tenths = (uint64_t)(n * 10 + 0.5);

	if (tenths < 100 && tenths % 10 != 0)
		snprintf(text, WORDS, "%" PRIu64 ".%" PRIu64 "%s%s", tenths / 10, tenths % 10, blank, unit);
	else
		snprintf(text, WORDS, "%.0f%s%s", n, blank, unit);
	return text;
}

const char *
words_bytes(uint64_t bytes, char text[WORDS])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	unsigned i = 0;

	while (n >= 1023.5 && i + 1 < COUNT(units)) {
		n /= 1024;
		i++;
	}
	return with_unit(n, " ", units[i], text);
}

const char *
words_rate(double per_s, char text[WORDS])
{
	return with_unit(per_s, "", "", text);
}

const char *
words_us(uint64_t us, char text[WORDS])
{
	if (us < 1000)
		return with_unit((double)us, " ", "us", text);
	if (us < 1000000)
		return with_unit((double)us / 1000, " ", "ms", text);
	return with_unit((double)us / 1000000, " ", "s", text);
}

const char *
words_span(uint64_t s, char text[WORDS])
{
	static const struct {
		uint64_t s, until_s;
		const char *name;
	} units[] = { { 1, 120, "s" }, { 60, 7200, "min" }, { 3600, 48 * 3600, "h" }, { 86400, 0, "days" } };
	unsigned i = 0;

	while (i + 1 < COUNT(units) && s >= units[i].until_s)
		i++;
	snprintf(text, WORDS, "%" PRIu64 " %s", s / units[i].s, units[i].name);
	return text;
}
