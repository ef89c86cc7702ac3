/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access.h - the access log's line: a record as text or JSON.
 *
 * Pure. Text is one line of key=value pairs behind a time stamp; what came from outside is quoted and escaped, so
 * that a line stays a line and a field a field. JSON is one object a line, always valid UTF-8. Either can be read
 * back, by whoever wants the facts one by one.
 */
#ifndef RUN_ACCESS_H
#define RUN_ACCESS_H

#include "conf/conf.h"
#include "proxy/record.h"

#define ACCESS_FACTS 32		/* more than a line has */
#define ACCESS_LINE 16384	/* longer targets, hosts, agents are cut, each by itself, and end in "..." */

/* Ends with a newline. Never longer than ACCESS_LINE. */
size_t access_format(enum conf_log_format format, const struct record *r, char to[ACCESS_LINE]) MUST_CHECK;

/* A fact by its name in JSON; its value as it stands in the line, escaped, without quotes. */
struct access_fact {
	struct slice name, value;
};

/* What a line of ours says (without its newline), but its time; what is not known is left out. Returns how many. Of
 * other lines: nothing that is outside of them. */
size_t access_facts(struct slice line, struct access_fact to[ACCESS_FACTS]) MUST_CHECK;

#endif
