/* SPDX-License-Identifier: BSD-2-Clause */
/* One loop for keys, signals, a timer and the answer that is awaited: a daemon that is away or stuck keeps no key
 * from being heard. */
#include "ctl/top.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/field.h"
#include "ctl/told.h"
#include "ctl/screen.h"
#include "ctl/sheet.h"
#include "ctl/term.h"

#define PERIOD_MS 1000
#define LATE_MS 3000		/* an answer that takes so long is told to be late */

struct top {
	const char *path;
	struct term *term;		/* NULL: one screen is printed */
	struct screen screen;
	json_t *status, *gateways, *before;	/* what the screen borrows */
	uint64_t gateways_us;		/* when they came */
	struct question *question;	/* NULL: none is under way */
	unsigned target;		/* of the question, or the next one */
	uint64_t begun_ms, heard_ms;	/* the round; the last answer */
	char *why;			/* what went wrong last; NULL: nothing */
	char *trouble;			/* the same as the screen has it */
	bool is_over;
};

static uint64_t
now_ms(void)
{
	return clock_exact_us() / 1000;
}

static void
top_init(struct top *t, const char *path)
{
	*t = (struct top){ .path = path, .heard_ms = now_ms() };
}

static void
top_fini(struct top *t)
{
	question_free(t->question);
	json_decref(t->status);
	json_decref(t->gateways);
	json_decref(t->before);
	free(t->why);
	free(t->trouble);
}

/* ---- answers ---- */

/* Another process counts from 0 again. */
static bool
is_another(const json_t *one, const json_t *other)
{
	return !json_equal(json_object_get(one, "pid"), json_object_get(other, "pid")) ||
	    !json_equal(json_object_get(one, "started"), json_object_get(other, "started"));
}

static void
keep_status(struct top *t, json_t *value)
{
	if (is_another(t->status, value)) {
		json_decref(t->gateways);
		t->gateways = NULL;
	}
	json_decref(t->status);
	t->status = value;
}

static void
keep_gateways(struct top *t, json_t *value)
{
	uint64_t now_us = clock_exact_us();

	json_decref(t->before);
	t->before = t->gateways;
	t->gateways = value;
	t->screen.apart_s = (double)(now_us - t->gateways_us) / 1e6;
	t->gateways_us = now_us;
}

/* What is asked, one after the other. */
static const struct {
	const char *target;
	void (*keep)(struct top *t, json_t *value);	/* takes it over */
} targets[] = { { "/v1/status", keep_status }, { "/v1/gateways", keep_gateways } };

/* Takes over why; NULL: all is well. */
static void
set_why(struct top *t, char *why)
{
	free(t->why);
	t->why = why;
}

static void
take_told(struct top *t, struct ask_answer *answer)
{
	struct told r;

	told_init(&r, answer);
	set_why(t, r.good ? NULL : mem_strdup(told_error(&r)));
	if (r.good) {
		targets[t->target].keep(t, json_incref(r.value));
		t->heard_ms = now_ms();
	}
	told_fini(&r);
}

/* The next question, if there is one in this round. */
static void
ask_next(struct top *t)
{
	char *why;

	t->question = question_new(t->path, "GET", targets[t->target].target, &why);
	if (t->question == NULL)
		set_why(t, why);
}

static void
begin_round(struct top *t)
{
	t->begun_ms = now_ms();
	t->target = 0;
	ask_next(t);
}

static void
hear(struct top *t)
{
	struct ask_answer answer;
	char *why;

	switch (question_read(t->question, &answer, &why)) {
	case QUESTION_WAITS:
		return;
	case QUESTION_FAILED:
		set_why(t, why);
		break;
	case QUESTION_ANSWERED:
		take_told(t, &answer);
		break;
	}
	question_free(t->question);
	t->question = NULL;
	if (t->why == NULL && ++t->target < COUNT(targets))
		ask_next(t);
}

/* ---- the screen ---- */

static void
name_trouble(struct top *t)
{
	uint64_t age_ms = now_ms() - t->heard_ms;

	free(t->trouble);
	t->trouble = NULL;
	if (t->why != NULL)
		t->trouble = mem_printf("NOT ANSWERED for %llu s, asking again: %s",
		    (unsigned long long)age_ms / 1000, t->why);
	else if (age_ms >= LATE_MS)
		t->trouble = mem_printf("NO ANSWER for %llu s: stickyd is stopped, or stuck",
		    (unsigned long long)age_ms / 1000);
}

static char *
compose(struct top *t)
{
	name_trouble(t);
	t->screen.status = t->status;
	t->screen.gateways = t->gateways;
	t->screen.before = t->before;
	t->screen.trouble = t->trouble;
	return screen_text(&t->screen);
}

static void
draw(struct top *t)
{
	char *text;

	t->screen.lines = term_lines(t->term);
	t->screen.columns = term_columns(t->term) - 1;	/* at the right edge terminals differ */
	text = compose(t);
	t->is_over |= !term_draw(t->term, text);
	free(text);
}

static void
press_keys(struct top *t)
{
	int key;

	t->is_over |= !term_read(t->term);
	while ((key = term_key(t->term)) != TERM_NONE) {
		t->is_over |= key == 'q' || key == 'Q';
		screen_key(&t->screen, key);
	}
}

/* ---- signals ---- */

static int
signals_take(sigset_t *before)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };
	sigset_t taken;

	sigemptyset(&taken);
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaddset(&taken, numbers[i]);
	must(sigprocmask(SIG_BLOCK, &taken, before) == 0);
	return signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
obey(struct top *t, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGWINCH:
			term_resize(t->term);
			break;
		case SIGTSTP:
			term_leave(t->term);
			raise(SIGSTOP);
			term_enter(t->term);
			break;
		default:
			t->is_over = true;
			break;
		}
	}
}

/* ---- all of it ---- */

static void
turn(struct top *t, int signals)
{
	uint64_t now = now_ms(), due = t->begun_ms + PERIOD_MS;
	struct pollfd at[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		{ .fd = t->question != NULL ? question_fd(t->question) : -1, .events = POLLIN },
	};

	if (poll(at, COUNT(at), due > now ? (int)(due - now) : PERIOD_MS) == -1)
		return;
	if ((at[0].revents & (POLLHUP | POLLERR)) != 0)
		t->is_over = true;
	if (at[0].revents != 0)
		press_keys(t);
	if (at[1].revents != 0)
		obey(t, signals);
	if (at[2].revents != 0)
		hear(t);
	if (t->question == NULL && now_ms() >= t->begun_ms + PERIOD_MS)
		begin_round(t);
	draw(t);
}

int
top_run(const char *path)
{
	const char *why;
	sigset_t before;
	struct top t;
	int signals;

	top_init(&t, path);
	t.screen.has_colour = term_has_colour(STDOUT_FILENO);
	t.screen.has_keys = true;
	signals = signals_take(&before);
	t.term = signals != -1 ? term_new(&why) : NULL;
	if (t.term == NULL) {
		fprintf(stderr, "stickyctl: top: %s; top --once prints one screen\n",
		    signals != -1 ? why : "no signals");
		return EXIT_FAILURE;
	}
	for (begin_round(&t); !t.is_over; )
		turn(&t, signals);
	term_free(t.term);
	close(signals);
	must(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
	top_fini(&t);
	return EXIT_SUCCESS;
}

/* False: not answered. */
static bool
look(struct top *t)
{
	struct ask_answer answer;
	char *why;

	for (t->target = 0; t->target < COUNT(targets) && t->why == NULL; t->target++) {
		if (ask(t->path, "GET", targets[t->target].target, ASK_PATIENCE_S, &answer, &why))
			take_told(t, &answer);
		else
			set_why(t, why);
	}
	return t->why == NULL;
}

int
top_once(const char *path)
{
	struct top t;
	bool good;

	top_init(&t, path);
	good = look(&t) && usleep(PERIOD_MS * 1000) == 0 && look(&t);
	if (good) {
		char *text;

		t.screen.columns = term_width(STDOUT_FILENO);
		t.screen.has_colour = term_has_colour(STDOUT_FILENO);
		text = compose(&t);
		fputs(text, stdout);
		free(text);
	} else {
		sheet_say(stderr, "stickyctl: ", t.why);
	}
	top_fini(&t);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
