/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.h - kinds of values: how each is read into its field, written as text again, and freed.
 *
 * A type that is a list is read item by item; the others once. The row says where the field is and what is allowed.
 * Numbers, times and words are in type.c; the others beside what they are of, in type_*.c.
 */
#ifndef CONF_TYPE_H
#define CONF_TYPE_H

#include "base/slice.h"
#include "conf/conf.h"
#include "conf/schema.h"

#define TYPE_WHY 640

struct type_reading {
	const struct schema_row *row;
	void *base;			/* the section's struct */
	struct slice text;		/* variables replaced, no blanks around it; of a list: one item */
	struct conf_place place;
	bool is_preset;			/* the text is the row's own */
	char why[TYPE_WHY];		/* "'x' is not ...; allowed: ..." */
};

struct type {
	bool is_list;
	bool (*read)(struct type_reading *r);
	/* The i-th item as text, to be freed; NULL where there are no more. What is no list has one item, or none. */
	char *(*text)(const struct schema_row *row, const void *base, size_t i);
	void (*fini)(const struct schema_row *row, void *base);		/* NULL: nothing to free */
};

struct type_word {
	const char *word;
	int value;
};

extern const struct type type_affinity, type_binds, type_certificates, type_cookie_domain, type_cookie_name,
    type_cookie_path, type_count, type_file, type_gateways, type_host, type_hosts, type_include, type_listen,
    type_log_target, type_method, type_name, type_names, type_networks, type_policy, type_protocols, type_rate,
    type_redirect, type_server_name, type_size, type_socket, type_state_dir, type_statuses, type_switch, type_time,
    type_url, type_url_path, type_user, type_word, type_workers;

#endif
