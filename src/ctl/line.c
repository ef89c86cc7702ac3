/* SPDX-License-Identifier: BSD-2-Clause */
/* getopt_long() would take what begins with "-" for an option wherever it stands, or nowhere behind the first word.
 * */
#include "ctl/line.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/nearest.h"

static const struct {
	const char *name;
	char letter;		/* 0: none */
	bool has_value;
} options[LINE_OPTIONS] = {
	[LINE_SOCKET] = { "--socket", 's', true }, [LINE_JSON] = { "--json", 0, false },
	[LINE_VERSION] = { "--version", 'V', false }, [LINE_HELP] = { "--help", 'h', false },
	[LINE_DEADLINE] = { "--deadline", 0, true }, [LINE_RATE] = { "--rate", 0, true },
	[LINE_GATEWAY] = { "--gateway", 0, true }, [LINE_POOL] = { "--pool", 0, true },
	[LINE_KEY] = { "--key", 0, true }, [LINE_LIMIT] = { "--limit", 0, true },
	[LINE_FOLLOW] = { "--follow", 0, false }, [LINE_ONCE] = { "--once", 0, false },
};

void
line_init(struct line *l)
{
	*l = (struct line){ .word = NULL };
}

void
line_fini(struct line *l)
{
	free(l->word);
	free(l->why);
}

const char *
line_option_name(enum line_option option)
{
	return options[option].name + strlen("--");
}

/* "--name", "--name=value", "-l", "-lvalue". Returns LINE_OPTIONS if it is none of these; value: what stands in the
 * same argument, NULL where nothing does. */
static unsigned
option_find(const char *argument, unsigned takes, const char **value)
{
	struct slice rest = slice_of(argument), name;
	unsigned i;

	*value = NULL;
	if (slice_has_prefix(rest, SLICE_LIT("--"))) {
		name = slice_cut(&rest, '=');
		*value = rest.p;
		for (i = 0; i < LINE_OPTIONS; i++)
			if ((takes & BIT(i)) != 0 && slice_eq(name, slice_of(options[i].name)))
				break;
		return i;
	}
	for (i = 0; i < LINE_OPTIONS; i++)
		if ((takes & BIT(i)) != 0 && options[i].letter != 0 && argument[1] == options[i].letter)
			break;
	*value = argument[2] != '\0' ? argument + 2 : NULL;
	return i < LINE_OPTIONS && (*value == NULL || options[i].has_value) ? i : LINE_OPTIONS;
}

static bool
refuse_option(struct line *l, const char *argument, unsigned takes)
{
	struct slice rest = slice_of(argument);
	char hint[NEAREST_HINT];
	struct nearest n;

	nearest_init(&n, slice_cut(&rest, '='));
	for (unsigned i = 0; i < LINE_OPTIONS; i++)
		if ((takes & BIT(i)) != 0)
			nearest_try(&n, options[i].name);
	l->why = mem_printf("there is no option '%s' here%s", argument, nearest_hint(&n, hint));
	return false;
}

/* Returns how many arguments it is, 0 with why. */
static size_t
option_take(struct line *l, unsigned option, const char *value, const char *next)
{
	size_t n = 1;

	if (!options[option].has_value && value != NULL) {
		l->why = mem_printf("%s takes no value", options[option].name);
		return 0;
	}
	if (options[option].has_value && value == NULL) {
		value = next;
		n = 2;
	}
	if (options[option].has_value && value == NULL) {
		l->why = mem_printf("%s needs a value", options[option].name);
		return 0;
	}
	l->option[option] = options[option].has_value ? value : "";
	return n;
}

static bool
looks_like_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0';
}

char **
line_front(struct line *l, char **argument)
{
	while (*argument != NULL && looks_like_option(*argument) && strcmp(*argument, "--") != 0) {
		const char *value;
		unsigned option = option_find(*argument, LINE_FRONT, &value);
		size_t n = option < LINE_OPTIONS ? option_take(l, option, value, argument[1])
		    : refuse_option(l, *argument, LINE_FRONT);

		if (n == 0)
			return NULL;
		argument += n;
	}
	return *argument != NULL && strcmp(*argument, "--") == 0 ? argument + 1 : argument;
}

static void
word_add(struct line *l, const char *word)
{
	l->word = mem_realloc(l->word, (l->words + 1) * sizeof *l->word);
	l->word[l->words++] = word;
}

bool
line_rest(struct line *l, char **argument, unsigned takes, bool has_clients_words)
{
	bool only_words = false;

	takes |= LINE_EVERYWHERE;
	while (*argument != NULL) {
		const char *value = NULL;
		unsigned option = only_words || !looks_like_option(*argument) ? LINE_OPTIONS
		    : option_find(*argument, takes, &value);
		size_t n = 1;

		if (option < LINE_OPTIONS)
			n = option_take(l, option, value, argument[1]);
		else if (!only_words && strcmp(*argument, "--") == 0)
			only_words = true;
		else if (!only_words && !has_clients_words && looks_like_option(*argument))
			return refuse_option(l, *argument, takes);
		else
			word_add(l, *argument);
		if (n == 0)
			return false;
		argument += n;
	}
	return true;
}
