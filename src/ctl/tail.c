/* SPDX-License-Identifier: BSD-2-Clause */
/* By asking twice a second what is new: the daemon need not know who follows. */
#include "ctl/tail.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/field.h"
#include "ctl/told.h"
#include "ctl/sheet.h"
#include "ctl/show.h"

#define PAUSE_US 500000

void
tail_init(struct tail *t)
{
	*t = (struct tail){ .number = 0 };
}

void
tail_fini(struct tail *t)
{
	free(t->at);
}

long long
tail_after(const struct tail *t)
{
	return t->number > 0 ? t->number - 1 : 0;
}

static void
tail_step(struct tail *t, long long number, const char *at)
{
	char *copy = mem_strdup(at);

	free(t->at);
	*t = (struct tail){ .number = number, .at = copy };
}

static void
tell(const json_t *event, bool as_json, FILE *to)
{
	if (!as_json) {
		show_event(event, to);
		return;
	}
	json_dumpf(event, to, JSON_COMPACT);
	putc('\n', to);
}

bool
tail_take(struct tail *t, const json_t *answer, bool as_json, FILE *to)
{
	const json_t *list = json_object_get(answer, "events"), *at;
	bool is_anew = field_number(answer, "last") < t->number;
	size_t i;

	json_array_foreach(list, i, at) {
		long long number = field_number(at, "number");
		const char *when = field_text(at, "at") != NULL ? field_text(at, "at") : "";

		is_anew |= number == t->number && strcmp(when, t->at) != 0;
		if (is_anew)
			break;
		if (number <= t->number)
			continue;
		tell(at, as_json, to);
		tail_step(t, number, when);
	}
	if (!is_anew)
		return true;
	tail_step(t, 0, "");
	return false;
}

/* False: not answered. */
static bool
ask_and_tell(struct tail *t, const char *path, bool as_json, char **why)
{
	char *target = mem_printf("/v1/events?after=%lld", tail_after(t));
	struct ask_answer answer;
	struct told r;
	bool good = ask(path, "GET", target, ASK_PATIENCE_S, &answer, why);

	free(target);
	if (!good)
		return false;
	told_init(&r, &answer);
	good = r.good;
	if (!good)
		*why = mem_strdup(told_error(&r));
	else if (!tail_take(t, r.value, as_json, stdout))
		fputs("stickyctl: stickyd has started anew\n", stderr);
	told_fini(&r);
	return good;
}

int
tail_follow(const char *path, bool as_json)
{
	bool heard = false, well = true;
	struct tail t;
	char *why;

	tail_init(&t);
	do {
		bool good = ask_and_tell(&t, path, as_json, &why);

		if (!good && well)
			sheet_say(stderr, "stickyctl: ", why);
		if (!good)
			free(why);
		well = good;
		heard |= good;
	} while (heard && fflush(stdout) == 0 && usleep(PAUSE_US) == 0);
	tail_fini(&t);
	return EXIT_FAILURE;
}
