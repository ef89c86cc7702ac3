/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8.h - text from anywhere, made fit to be shown.
 *
 * Keys and hosts are what clients sent. What is no UTF-8 (RFC 3629), or would be obeyed by a terminal in place of
 * being shown, or would make the text around it read in another order, is written as an escape.
 */
#ifndef CTL_UTF8_H
#define CTL_UTF8_H

#include "base/check.h"
#include "base/slice.h"

/* How many bytes the character has that s begins with; 0: it begins with none. */
size_t utf8_take(struct slice s, uint32_t *code);
/* In characters: what is named here has no wide ones, and no locale is needed. */
size_t utf8_width(struct slice s);
/* For a terminal: a byte that is none of UTF-8 or a control character as \xNN, what changes the direction as \uNNNN.
 * The caller's. */
char *utf8_safe(const char *text) MUST_CHECK;
/* JSON stays JSON and means the same, but for bytes that are no UTF-8: each becomes the four characters \xNN. *n: its
 * length, for it may hold NUL bytes. The caller's. */
char *utf8_safe_json(struct slice json, size_t *n) MUST_CHECK;

#endif
