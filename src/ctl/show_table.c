/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of keys and cookies: bindings, and where their clients belong. */
#include "ctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/sheet.h"

/* ---- the table ---- */

void
show_count(const json_t *o)
{
	struct grid g;

	grid_init(&g, 2, BIT(1));
	sheet_number(&g, "keys", o, "keys");
	sheet_number(&g, "room for", o, "max_keys");
	sheet_number(&g, "evicted", o, "evicted");
	sheet_number(&g, "expired", o, "expired");
	sheet_print(&g, "");
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
	const char *error = field_text(stored, "error"), *gateway = field_text(stored, "gateway");

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
	const char *gateway = field_text(o, "gateway"), *state = field_text(o, "state");

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
		sheet_init(&g);
		sheet_line(&g, "pool", field_text(at, "pool"));
		add_gateway(&g, at);
		sheet_time(&g, "since", at, "since");
		sheet_time(&g, "last seen", at, "seen");
		sheet_time(&g, "confirmed", at, "confirmed");
		add_stored(&g, json_object_get(at, "store"));
		sheet_print(&g, "");
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
		const char *from = field_text(at, "from"), *to = field_text(at, "to");

		grid_add(&g, field_text(at, "at"));
		grid_addf(&g, "(%s)", field_text(at, "at_words"));
		grid_addf(&g, "from %s", from != NULL ? from : "one that is gone");
		grid_addf(&g, "to %s", to != NULL ? to : "one that is gone");
		grid_add(&g, field_text(at, "why"));
	}
	sheet_print(&g, "    ");
}

static void
add_sight(struct grid *g, const json_t *o)
{
	char *selectors = joined(json_object_get(o, "selectors"));
	const char *why = field_text(o, "why"), *name = field_text(o, "name");

	grid_add(g, "taken for");
	grid_addf(g, "%s%s%s", in_words(field_text(o, "kind")), name != NULL ? " named " : "",
	    name != NULL ? name : "");
	sheet_line(g, "looked for by", selectors);
	if (why != NULL) {
		grid_add(g, "does not count");
		grid_addf(g, "%s: %s", why, in_words(why));
	}
	free(selectors);
}

static void
show_explanation(const json_t *o)
{
	const char *because = field_text(o, "because");
	struct grid g;

	sheet_init(&g);
	add_sight(&g, o);
	add_gateway(&g, o);
	sheet_line(&g, "bound by", field_text(o, "bound_by"));
	sheet_line(&g, "by rendezvous", field_text(o, "owner"));
	sheet_time(&g, "since", o, "since");
	sheet_time(&g, "last seen", o, "seen");
	sheet_time(&g, "confirmed", o, "confirmed");
	add_stored(&g, json_object_get(o, "store"));
	grid_add(&g, "now");
	grid_addf(&g, "%s%s%s", in_words(field_text(o, "now")), because != NULL ? ": its gateway is " : "",
	    because != NULL ? because : "");
	sheet_print(&g, "  ");
	print_moves(json_object_get(o, "moves"));
}

void
show_explanations(const json_t *o)
{
	const json_t *list = json_object_get(o, "pools"), *at;
	size_t i;

	json_array_foreach(list, i, at) {
		sheet_say(stdout, "pool ", field_text(at, "pool"));
		show_explanation(at);
	}
}
