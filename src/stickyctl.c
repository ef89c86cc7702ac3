/* SPDX-License-Identifier: BSD-2-Clause */
/* stickyctl: what an operator asks a running stickyd. A command is one struct; all it knows is the admin socket. */
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/nearest.h"
#include "ctl/ask.h"
#include "ctl/grid.h"
#include "ctl/show.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { OPTION_JSON = 256 };

struct options {
	const char *path;		/* of the socket; NULL: where it is by default */
	bool as_json;
};

struct command {
	const char *name, *sub;		/* sub: its second word; NULL: it has none */
	const char *words, *help;	/* for the usage */
	int takes;			/* words behind its name */
	const char *method, *target;	/* each "%" is one of those words, encoded */
	void (*show)(const json_t *answer);
};

/* ---- the commands ---- */

static const struct command commands[] = {
	{ "status", NULL, "", "version, uptime, workers, sessions", 0, "GET", "/v1/status", show_status },
	{ "gateways", NULL, "", "a row each", 0, "GET", "/v1/gateways", show_gateways },
	{ "table", "get", "K", "where a key is bound", 1, "GET", "/v1/table?key=%", show_bindings },
	{ "table", "set", "K GW", "bind a key to a gateway (NAME or POOL/NAME)", 2, "PUT",
	  "/v1/table?key=%&gateway=%", show_bindings },
	{ "table", "delete", "K", "forget where it is bound", 1, "DELETE", "/v1/table?key=%", show_deleted },
	{ "table", "count", "", "how many keys there are", 0, "GET", "/v1/table/count", show_count },
	{ "explain", NULL, "'cookie or key'", "where this client belongs, and why", 1, "GET", "/v1/explain?text=%",
	  show_explanations },
};

static void
usage(FILE *to)
{
	struct grid g;

	fputs("usage: stickyctl [-s SOCKET] [--json] [-V] [-h] COMMAND\n", to);
	grid_init(&g, 2, 0);
	for (size_t i = 0; i < COUNT(commands); i++) {
		const struct command *c = &commands[i];

		grid_addf(&g, "%s%s%s%s%s", c->name, c->sub != NULL ? " " : "", c->sub != NULL ? c->sub : "",
		    c->words[0] != '\0' ? " " : "", c->words);
		grid_add(&g, c->help);
	}
	grid_print(&g, "  ", to);
	grid_fini(&g);
}

static const struct command *
refuse(const char *what, const char *word, const struct nearest *n)
{
	char hint[NEAREST_HINT], *safe = grid_safe(word);

	fprintf(stderr, "stickyctl: %s '%s'%s\n", what, safe, nearest_hint(n, hint));
	free(safe);
	usage(stderr);
	return NULL;
}

/* NULL: told why. */
static const struct command *
command_find(int argc, char **argv)
{
	const char *sub = argc > 1 ? argv[1] : "";
	struct nearest name, second;
	bool known = false;

	nearest_init(&name, slice_of(argv[0]));
	nearest_init(&second, slice_of(sub));
	for (size_t i = 0; i < COUNT(commands); i++) {
		const struct command *c = &commands[i];

		nearest_try(&name, c->name);
		if (strcmp(c->name, argv[0]) != 0)
			continue;
		known = true;
		if (c->sub == NULL || strcmp(c->sub, sub) == 0)
			return c;
		nearest_try(&second, c->sub);
	}
	return known ? refuse("there is no such part of the command:", sub, &second) :
	    refuse("there is no command", argv[0], &name);
}

static char *
command_target(const struct command *c, char **words)
{
	struct slice rest = slice_of(c->target), before = slice_cut(&rest, '%');
	char *target = mem_slicedup(before);

	for (; rest.p != NULL; words++) {
		char *word = ask_encode(slice_of(*words)), *longer;

		before = slice_cut(&rest, '%');
		longer = mem_printf("%s%s%.*s", target, word, SLICE_FMT(before));
		free(word);
		free(target);
		target = longer;
	}
	return target;
}

static int
answer_show(const struct command *c, const struct ask_answer *answer, bool as_json)
{
	json_t *value = json_loadb(answer->body, answer->bytes, 0, NULL);
	const char *error = json_string_value(json_object_get(value, "error"));
	bool good = answer->status / 100 == 2 && value != NULL;

	if (good && as_json) {
		fwrite(answer->body, 1, answer->bytes, stdout);
	} else if (good) {
		c->show(value);
	} else {
		char *safe = grid_safe(error != NULL ? error : "what answers there is no stickyd");

		fprintf(stderr, "stickyctl: %s\n", safe);
		free(safe);
	}
	json_decref(value);
	return good ? 0 : EXIT_FAILED;
}

static int
command_run(const struct command *c, char **words, const struct options *o)
{
	char *target = command_target(c, words), *why;
	struct ask_answer answer;
	int status = EXIT_FAILED;

	if (ask(o->path, c->method, target, &answer, &why)) {
		status = answer_show(c, &answer, o->as_json);
		free(answer.body);
	} else {
		fprintf(stderr, "stickyctl: %s\n", why);
		free(why);
	}
	free(target);
	return status;
}

/* -1: there is a command to run; else the exit status. */
static int
options_read(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*o = (struct options){ .path = NULL };
	/* "+": nothing behind the command is an option, since a key may begin with "-" */
	while ((option = getopt_long(argc, argv, "+s:Vh", known, NULL)) != -1) {
		switch (option) {
		case 's':
			o->path = optarg;
			break;
		case OPTION_JSON:
			o->as_json = true;
			break;
		case 'V':
			puts("stickyctl " PACKAGE_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	const struct command *c;
	struct options o;
	int status = options_read(&o, argc, argv), name;

	if (status != -1)
		return status;
	argc -= optind;
	argv += optind;
	c = command_find(argc, argv);
	if (c == NULL)
		return EXIT_USAGE;
	name = c->sub != NULL ? 2 : 1;
	if (argc - name != c->takes) {
		fprintf(stderr, "stickyctl: %s takes %d word%s%s%s; options stand before the command\n", c->name,
		    c->takes, c->takes == 1 ? "" : "s", c->takes != 0 ? ": " : "", c->words);
		return EXIT_USAGE;
	}
	return command_run(c, argv + name, &o);
}
