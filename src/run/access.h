/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access.h - the access log's line: a record as text or JSON.
 *
 * Pure. Text is one line of key=value pairs behind a time stamp; what came from outside is quoted and escaped, so
 * that a line stays a line and a field a field. JSON is one object a line, always valid UTF-8.
 */
#ifndef RUN_ACCESS_H
#define RUN_ACCESS_H

#include "conf/conf.h"
#include "proxy/record.h"

#define ACCESS_LINE 16384	/* longer targets, hosts, agents are cut, each by itself, and end in "..." */

/* Ends with a newline. Never longer than ACCESS_LINE. */
size_t access_format(enum conf_log_format format, const struct record *r, char to[ACCESS_LINE]) MUST_CHECK;

#endif
