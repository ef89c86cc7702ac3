/* SPDX-License-Identifier: BSD-2-Clause */
/* stickyctl: what an operator asks a running stickyd. A command is one struct; all it knows is the admin socket. */
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/nearest.h"
#include "ctl/ask.h"
#include "ctl/line.h"
#include "ctl/told.h"
#include "ctl/sheet.h"
#include "ctl/show.h"
#include "ctl/tail.h"
#include "ctl/top.h"
#include "ctl/utf8.h"

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define WORDS_MAX 2
#define ANY_NUMBER UINT_MAX
#define RELOAD_PATIENCE_S 600	/* name servers may be slow */

struct command {
	const char *name, *sub;		/* sub: its second word; NULL: it has none */
	const char *words, *help;	/* for the usage */
	unsigned least, most;		/* words behind its name; ANY_NUMBER: it is done for each */
	bool has_clients_words;		/* which may begin with "-" */
	unsigned takes;			/* options of its own */
	const char *method, *path;
	const char *param[WORDS_MAX];	/* what each word is called there; an option has its own name */
	void (*show)(const json_t *answer);
	unsigned patience_s;		/* 0: as others have */
	int (*run)(const struct command *c, const struct line *l);	/* NULL: by asking that */
};

static bool
has(const struct line *l, enum line_option option)
{
	return l->option[option] != NULL;
}

/* ---- one question ---- */

static char *
target_add(char *target, const char *name, const char *value)
{
	char *encoded = ask_encode(slice_of(value));
	char *longer = mem_printf("%s%c%s=%s", target, strchr(target, '?') != NULL ? '&' : '?', name, encoded);

	free(encoded);
	free(target);
	return longer;
}

static char *
command_target(const struct command *c, const struct line *l, const char **word, size_t words)
{
	char *target = mem_strdup(c->path);

	for (size_t i = 0; i < words; i++)
		target = target_add(target, c->param[i], word[i]);
	for (unsigned i = 0; i < LINE_OPTIONS; i++)
		if ((c->takes & BIT(i)) != 0 && has(l, i))
			target = target_add(target, line_option_name(i), l->option[i]);
	return target;
}

static int
told_show(const struct command *c, const struct told *r, bool as_json)
{
	if (!r->good)
		told_complain(r, stderr);
	else if (as_json)
		fwrite(r->json, 1, r->json_bytes, stdout);
	else
		c->show(r->value);
	return r->good ? EXIT_GOOD : EXIT_FAILED;
}

static int
command_ask(const struct command *c, const struct line *l, const char **word, size_t words)
{
	unsigned patience_s = c->patience_s != 0 ? c->patience_s : ASK_PATIENCE_S;
	char *target = command_target(c, l, word, words), *why;
	int status = EXIT_FAILED;
	struct ask_answer answer;
	struct told r;

	if (ask(l->option[LINE_SOCKET], c->method, target, patience_s, &answer, &why)) {
		told_init(&r, &answer);
		status = told_show(c, &r, has(l, LINE_JSON));
		told_fini(&r);
	} else {
		sheet_say(stderr, "stickyctl: ", why);
		free(why);
	}
	free(target);
	return status;
}

/* One that fails doesn't keep the others from being done. */
static int
command_ask_all(const struct command *c, const struct line *l)
{
	int status = EXIT_GOOD;

	if (c->most != ANY_NUMBER)
		return command_ask(c, l, l->word, l->words);
	for (size_t i = 0; i < l->words; i++)
		if (command_ask(c, l, l->word + i, 1) != EXIT_GOOD)
			status = EXIT_FAILED;
	return status;
}

/* ---- more than one question ---- */

static int
run_events(const struct command *c, const struct line *l)
{
	if (has(l, LINE_FOLLOW))
		return tail_follow(l->option[LINE_SOCKET], has(l, LINE_JSON));
	return command_ask(c, l, NULL, 0);
}

static int
run_top(const struct command *c, const struct line *l)
{
	bool is_live = !has(l, LINE_ONCE) && isatty(STDOUT_FILENO);

	if (has(l, LINE_JSON)) {
		fprintf(stderr, "stickyctl: %s is for people; status and gateways have --json\n", c->name);
		return EXIT_USAGE;
	}
	return is_live ? top_run(l->option[LINE_SOCKET]) : top_once(l->option[LINE_SOCKET]);
}

/* ---- the commands ---- */

static const struct command commands[] = {
	{ .name = "status", .words = "", .help = "the process: version, state, rates, event loops' lag",
	  .method = "GET", .path = "/v1/status", .show = show_status },
	{ .name = "gateways", .words = "", .help = "a row for each gateway and each pool",
	  .method = "GET", .path = "/v1/gateways", .show = show_gateways },
	{ .name = "drain", .words = "GW ... [--deadline 10m]", .help = "keeps its clients, gets no new ones",
	  .least = 1, .most = ANY_NUMBER, .takes = BIT(LINE_DEADLINE),
	  .method = "POST", .path = "/v1/drain", .param = { "gateway" }, .show = show_gateway },
	{ .name = "ready", .words = "GW ...", .help = "back into service", .least = 1, .most = ANY_NUMBER,
	  .method = "POST", .path = "/v1/ready", .param = { "gateway" }, .show = show_gateway },
	{ .name = "down", .words = "GW ...", .help = "out of service now; live sessions stay",
	  .least = 1, .most = ANY_NUMBER,
	  .method = "POST", .path = "/v1/down", .param = { "gateway" }, .show = show_gateway },
	{ .name = "weight", .words = "GW N", .help = "its share of newcomers; 0: none", .least = 2, .most = 2,
	  .method = "POST", .path = "/v1/weight", .param = { "gateway", "weight" }, .show = show_gateway },
	{ .name = "sessions", .words = "[--gateway GW] [--pool POOL] [--key K] [--limit N]",
	  .help = "a row for each live session",
	  .takes = BIT(LINE_GATEWAY) | BIT(LINE_POOL) | BIT(LINE_KEY) | BIT(LINE_LIMIT),
	  .method = "GET", .path = "/v1/sessions", .show = show_sessions },
	{ .name = "table", .sub = "get", .words = "K", .help = "where a key is bound", .least = 1, .most = 1,
	  .has_clients_words = true,
	  .method = "GET", .path = "/v1/table", .param = { "key" }, .show = show_bindings },
	{ .name = "table", .sub = "set", .words = "K GW", .help = "bind a key to a gateway", .least = 2, .most = 2,
	  .has_clients_words = true,
	  .method = "PUT", .path = "/v1/table", .param = { "key", "gateway" }, .show = show_bindings },
	{ .name = "table", .sub = "delete", .words = "K", .help = "forget where it is bound", .least = 1, .most = 1,
	  .has_clients_words = true,
	  .method = "DELETE", .path = "/v1/table", .param = { "key" }, .show = show_deleted },
	{ .name = "table", .sub = "count", .words = "", .help = "how many keys there are",
	  .method = "GET", .path = "/v1/table/count", .show = show_count },
	{ .name = "explain", .words = "'cookie or key'", .help = "where this client belongs, and why",
	  .least = 1, .most = 1, .has_clients_words = true,
	  .method = "GET", .path = "/v1/explain", .param = { "text" }, .show = show_explanations },
	{ .name = "rebalance", .words = "POOL [--rate 50/s]", .help = "moves sessions to gateways that have fewer",
	  .least = 1, .most = 1, .takes = BIT(LINE_RATE),
	  .method = "POST", .path = "/v1/rebalance", .param = { "pool" }, .show = show_rebalance },
	{ .name = "reload", .words = "", .help = "takes the configuration anew, and waits until it is in force",
	  .method = "POST", .path = "/v1/reload", .show = show_reload, .patience_s = RELOAD_PATIENCE_S },
	{ .name = "reopen", .words = "", .help = "opens the log files anew",
	  .method = "POST", .path = "/v1/reopen", .show = show_reopened },
	{ .name = "events", .words = "[--follow]", .help = "what the log said last", .takes = BIT(LINE_FOLLOW),
	  .method = "GET", .path = "/v1/events", .show = show_events, .run = run_events },
	{ .name = "top", .words = "[--once]", .help = "a live screen", .takes = BIT(LINE_ONCE), .run = run_top },
};

static void
command_call(const struct command *c, FILE *to)
{
	fprintf(to, "%s%s%s%s%s", c->name, c->sub != NULL ? " " : "", c->sub != NULL ? c->sub : "",
	    c->words[0] != '\0' ? " " : "", c->words);
}

/* The help stands beside a command, or below one that is long. */
static void
usage_line(const struct command *c, FILE *to)
{
	enum { HELP_AT = 30 };
	char *call;
	size_t n;
	FILE *text = open_memstream(&call, &n);

	must(text != NULL);
	command_call(c, text);
	must(fclose(text) == 0);
	fprintf(to, "  %s", call);
	if (n + 4 > HELP_AT) {
		putc('\n', to);
		n = 0;
	} else {
		n += 2;
	}
	fprintf(to, "%*s%s\n", (int)(HELP_AT - n), "", c->help);
	free(call);
}

static void
usage(FILE *to)
{
	fputs("usage: stickyctl [-s SOCKET] [--json] [-V] [-h] COMMAND\n", to);
	for (size_t i = 0; i < COUNT(commands); i++)
		usage_line(&commands[i], to);
}

static const struct command *
refuse(const char *what, const char *word, const struct nearest *n)
{
	char hint[NEAREST_HINT], *safe = utf8_safe(word);

	fprintf(stderr, "stickyctl: %s '%s'%s\n", what, safe, nearest_hint(n, hint));
	free(safe);
	if (hint[0] == '\0')
		usage(stderr);
	return NULL;
}

/* NULL: told why. */
static const struct command *
command_find(char **argument)
{
	const char *sub = argument[1] != NULL ? argument[1] : "";
	struct nearest name, second;
	bool known = false;

	nearest_init(&name, slice_of(argument[0]));
	nearest_init(&second, slice_of(sub));
	for (size_t i = 0; i < COUNT(commands); i++) {
		const struct command *c = &commands[i];

		nearest_try(&name, c->name);
		if (strcmp(c->name, argument[0]) != 0)
			continue;
		known = true;
		if (c->sub == NULL || strcmp(c->sub, sub) == 0)
			return c;
		nearest_try(&second, c->sub);
	}
	return known ? refuse("there is no such part of the command:", sub, &second) :
	    refuse("there is no command", argument[0], &name);
}

static int
refuse_words(const struct command *c)
{
	fputs("stickyctl: it is: ", stderr);
	command_call(c, stderr);
	fputs("\n", stderr);
	return EXIT_USAGE;
}

static int
command_run(const struct command *c, struct line *l, char **argument)
{
	if (!line_rest(l, argument, c->takes, c->has_clients_words)) {
		sheet_say(stderr, "stickyctl: ", l->why);
		return refuse_words(c);
	}
	if (has(l, LINE_HELP)) {
		command_call(c, stdout);
		printf("\n  %s\n", c->help);
		return EXIT_GOOD;
	}
	if (l->words < c->least || l->words > c->most)
		return refuse_words(c);
	return c->run != NULL ? c->run(c, l) : command_ask_all(c, l);
}

static int
run(struct line *l, char **argument)
{
	const struct command *c;

	argument = line_front(l, argument);
	if (argument == NULL)
		sheet_say(stderr, "stickyctl: ", l->why);
	if (has(l, LINE_VERSION)) {
		puts("stickyctl " PACKAGE_VERSION);
		return EXIT_GOOD;
	}
	if (has(l, LINE_HELP)) {
		usage(stdout);
		return EXIT_GOOD;
	}
	if (argument == NULL || *argument == NULL) {
		usage(stderr);
		return EXIT_USAGE;
	}
	c = command_find(argument);
	return c != NULL ? command_run(c, l, argument + (c->sub != NULL ? 2 : 1)) : EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct line l;
	int status;

	(void)argc;
	line_init(&l);
	status = run(&l, argv + 1);
	line_fini(&l);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("stickyctl: the answer could not be written\n", stderr);
		status = EXIT_FAILED;
	}
	return status;
}
