/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of "name  value", and tables where there are many of a kind. What an answer lacks is left out: it may come
 * from another version. */
#include "ctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/grid.h"

/* ---- what came ---- */

static const char *
text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static long long
number_of(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* A row "name  value" of a list; nothing where there is no value. */
static void
add_line(struct grid *g, const char *name, const char *value)
{
	if (value == NULL)
		return;
	grid_add(g, name);
	grid_add(g, value);
}

static void
add_number(struct grid *g, const char *name, const json_t *o, const char *field)
{
	grid_add(g, name);
	grid_addf(g, "%lld", number_of(o, field));
}

/* A time and how long ago that was. */
static void
add_time(struct grid *g, const char *name, const json_t *o, const char *field)
{
	char *words_name = mem_printf("%s_words", field);
	const char *at = text_of(o, field), *words = text_of(o, words_name);

	if (at != NULL) {
		grid_add(g, name);
		grid_addf(g, "%s (%s)", at, words != NULL ? words : "?");
	}
	free(words_name);
}

static void
print_list(struct grid *g, const char *indent)
{
	grid_print(g, indent, stdout);
	grid_fini(g);
}

/* ---- status, gateways ---- */

static void
add_store(struct grid *g, const json_t *store)
{
	const char *type = text_of(store, "type");

	grid_add(g, "store");
	if (type == NULL || strcmp(type, "redis") != 0) {
		grid_add(g, type);
		return;
	}
	grid_addf(g, "redis, %s; %lld asked, %lld without an answer, %lld still to be told",
	    json_is_true(json_object_get(store, "well")) ? "well" : "NOT WELL", number_of(store, "asked"),
	    number_of(store, "silent"), number_of(store, "waiting"));
}

void
show_status(const json_t *o)
{
	const json_t *table = json_object_get(o, "table");
	struct grid g;

	grid_init(&g, 2, 0);
	add_line(&g, "version", text_of(o, "version"));
	add_number(&g, "pid", o, "pid");
	add_time(&g, "started", o, "started");
	add_number(&g, "workers", o, "workers");
	grid_add(&g, "sessions");
	grid_addf(&g, "%lld now, %lld in all", number_of(o, "sessions"), number_of(o, "sessions_total"));
	add_number(&g, "connections", o, "connections_total");
	grid_add(&g, "requests");
	grid_addf(&g, "%lld, %lld refused as malformed", number_of(o, "requests_total"),
	    number_of(o, "bad_requests_total"));
	grid_add(&g, "keys");
	grid_addf(&g, "%lld of %lld", number_of(table, "keys"), number_of(table, "max_keys"));
	add_store(&g, json_object_get(o, "store"));
	print_list(&g, "");
}

void
show_gateways(const json_t *o)
{
	static const char *const heads[] = {
		"POOL", "GATEWAY", "ADDRESS", "STATE", "WEIGHT", "SESSIONS", "MAX", "LOAD",
	};
	const json_t *list = json_object_get(o, "gateways"), *at;
	struct grid g;
	size_t i;

	grid_init(&g, COUNT(heads), BIT(4) | BIT(5) | BIT(6) | BIT(7));
	for (i = 0; i < COUNT(heads); i++)
		grid_add(&g, heads[i]);
	json_array_foreach(list, i, at) {
		bool backup = json_is_true(json_object_get(at, "backup"));

		grid_add(&g, text_of(at, "pool"));
		grid_add(&g, text_of(at, "name"));
		grid_add(&g, text_of(at, "address"));
		grid_addf(&g, "%s%s", text_of(at, "state"), backup ? " backup" : "");
		grid_addf(&g, "%lld", number_of(at, "weight"));
		grid_addf(&g, "%lld", number_of(at, "sessions"));
		if (number_of(at, "max_sessions") != 0)
			grid_addf(&g, "%lld", number_of(at, "max_sessions"));
		else
			grid_add(&g, NULL);
		grid_addf(&g, "%lld", number_of(at, "load"));
	}
	print_list(&g, "");
}

/* ---- the table ---- */

void
show_count(const json_t *o)
{
	struct grid g;

	grid_init(&g, 2, BIT(1));
	add_number(&g, "keys", o, "keys");
	add_number(&g, "room for", o, "max_keys");
	add_number(&g, "evicted", o, "evicted");
	add_number(&g, "expired", o, "expired");
	print_list(&g, "");
}

void
show_deleted(const json_t *o)
{
	(void)o;
	puts("deleted");
}

/* What a shared store says of the key. */
static void
add_stored(struct grid *g, const json_t *stored)
{
	const char *error = text_of(stored, "error"), *gateway = text_of(stored, "gateway");

	if (!json_is_object(stored))
		return;
	grid_add(g, "in the store");
	if (error != NULL)
		grid_addf(g, "not known: %s", error);
	else
		grid_add(g, gateway != NULL ? gateway : "not bound");
}

static void
add_gateway(struct grid *g, const json_t *o)
{
	const char *gateway = text_of(o, "gateway"), *state = text_of(o, "state");

	if (state == NULL)
		return;
	grid_add(g, "gateway");
	if (gateway != NULL)
		grid_addf(g, "%s (%s)", gateway, state);
	else
		grid_add(g, "one that the pool no longer has");
}

void
show_bindings(const json_t *o)
{
	const json_t *list = json_object_get(o, "bindings"), *at;
	struct grid g;
	size_t i;

	json_array_foreach(list, i, at) {
		grid_init(&g, 2, 0);
		add_line(&g, "pool", text_of(at, "pool"));
		add_gateway(&g, at);
		add_time(&g, "since", at, "since");
		add_time(&g, "last seen", at, "seen");
		add_time(&g, "confirmed", at, "confirmed");
		add_stored(&g, json_object_get(at, "store"));
		print_list(&g, "");
		if (i + 1 != json_array_size(list))
			putchar('\n');
	}
}

/* ---- explain ---- */

/* What a word of the API means, where it needs more words. */
static const char *
in_words(const char *word)
{
	static const struct {
		const char *word, *means;
	} words[] = {
		{ "malformed", "it is no sealed cookie, or one that was cut or changed" },
		{ "forged", "no key of this proxy opens it for this pool" },
		{ "idle", "it was unused for longer than cookie_idle" },
		{ "expired", "it was given longer ago than cookie_life" },
		{ "future", "it is from the future: a clock is wrong" },
		{ "signature", "its signature is wrong" },
		{ "unknown", "it names none of the pool's gateways" },
		{ "new", "gets a gateway by balance, as a newcomer" },
		{ "kept", "is kept" },
		{ "reassigned", "is given to another gateway" },
		{ "waits", "waits for its gateway" },
		{ "refused", "is refused" },
		{ "cookie", "a sealed cookie" },
		{ "legacy-cookie", "another balancer's cookie" },
		{ "key", "a key" },
		{ "nothing", "nothing that the pool looks for" },
	};

	for (size_t i = 0; word != NULL && i < COUNT(words); i++)
		if (strcmp(word, words[i].word) == 0)
			return words[i].means;
	return word;
}

static char *
joined(const json_t *list)
{
	char *all = NULL;
	const json_t *at;
	size_t i;

	json_array_foreach(list, i, at) {
		char *longer = mem_printf("%s%s%s", all != NULL ? all : "", all != NULL ? ", " : "",
		    json_string_value(at));

		free(all);
		all = longer;
	}
	return all;
}

static void
print_moves(const json_t *moves)
{
	struct grid g;
	const json_t *at;
	size_t i;

	if (json_array_size(moves) == 0)
		return;
	puts("  last moves");
	grid_init(&g, 5, 0);
	json_array_foreach(moves, i, at) {
		const char *from = text_of(at, "from"), *to = text_of(at, "to");

		grid_add(&g, text_of(at, "at"));
		grid_addf(&g, "(%s)", text_of(at, "at_words"));
		grid_addf(&g, "from %s", from != NULL ? from : "one that is gone");
		grid_addf(&g, "to %s", to != NULL ? to : "one that is gone");
		grid_add(&g, text_of(at, "why"));
	}
	print_list(&g, "    ");
}

static void
add_sight(struct grid *g, const json_t *o)
{
	char *selectors = joined(json_object_get(o, "selectors"));
	const char *why = text_of(o, "why"), *name = text_of(o, "name");

	grid_add(g, "taken for");
	grid_addf(g, "%s%s%s", in_words(text_of(o, "kind")), name != NULL ? " named " : "", name != NULL ? name : "");
	add_line(g, "looked for by", selectors);
	if (why != NULL) {
		grid_add(g, "does not count");
		grid_addf(g, "%s: %s", why, in_words(why));
	}
	free(selectors);
}

static void
show_explanation(const json_t *o)
{
	const char *because = text_of(o, "because");
	struct grid g;

	grid_init(&g, 2, 0);
	add_sight(&g, o);
	add_gateway(&g, o);
	add_line(&g, "bound by", text_of(o, "bound_by"));
	add_line(&g, "by rendezvous", text_of(o, "owner"));
	add_time(&g, "since", o, "since");
	add_time(&g, "last seen", o, "seen");
	add_time(&g, "confirmed", o, "confirmed");
	add_stored(&g, json_object_get(o, "store"));
	grid_add(&g, "now");
	grid_addf(&g, "%s%s%s", in_words(text_of(o, "now")), because != NULL ? ": its gateway is " : "",
	    because != NULL ? because : "");
	print_list(&g, "  ");
	print_moves(json_object_get(o, "moves"));
}

void
show_explanations(const json_t *o)
{
	const json_t *list = json_object_get(o, "pools"), *at;
	size_t i;

	json_array_foreach(list, i, at) {
		char *pool = grid_safe(text_of(at, "pool") != NULL ? text_of(at, "pool") : "?");

		printf("pool %s\n", pool);
		free(pool);
		show_explanation(at);
	}
}
