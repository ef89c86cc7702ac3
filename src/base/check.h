/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - what we promise ourselves.
 *
 * must() is for our own mistakes and stays in release builds; it is never used on input, nor on what the environment
 * may do. ALIVE() checks the magic number of what came back through a void pointer.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define BIT(n) (1U << (n))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Says where and what, then aborts. */
void check_failed(const char *file, int line, const char *what) __attribute__((noreturn, cold));

#define must(cond) (LIKELY(cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))
#define ALIVE(ptr, number) must((ptr) != NULL && (ptr)->magic == (number))

#endif
