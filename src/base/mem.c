/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation that does not fail: a daemon that can't build its configuration can do nothing better than say so. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
mem_made(void *p)
{
	if (p == NULL) {
		fputs("stickyd: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
mem_zalloc(size_t bytes)
{
	return mem_made(calloc(1, bytes));
}

void *
mem_realloc(void *old, size_t bytes)
{
	return mem_made(realloc(old, bytes));
}

char *
mem_strdup(const char *text)
{
	return mem_made(strdup(text));
}

char *
mem_slicedup(struct slice s)
{
	char *copy = mem_zalloc(s.n + 1);

	if (s.n != 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

char *
mem_vprintf(const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) == -1)
		text = NULL;
	return mem_made(text);
}

char *
mem_printf(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = mem_vprintf(fmt, args);
	va_end(args);
	return text;
}
