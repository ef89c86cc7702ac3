/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.h - memory for boot and configuration: these abort when there is none, so nobody has to ask.
 *
 * What serves one client comes from slab.h or malloc, which may answer NULL: then that one client is shed.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/check.h"
#include "base/slice.h"

void *mem_zalloc(size_t bytes) MUST_CHECK;
/* Grows or shrinks; the new part is not cleared. */
void *mem_realloc(void *old, size_t bytes) MUST_CHECK;
char *mem_strdup(const char *text) MUST_CHECK;
/* A NUL-terminated copy. */
char *mem_slicedup(struct slice s) MUST_CHECK;
char *mem_printf(const char *fmt, ...) MUST_CHECK PRINTF_LIKE(1, 2);
char *mem_vprintf(const char *fmt, va_list args) MUST_CHECK PRINTF_LIKE(1, 0);

#endif
