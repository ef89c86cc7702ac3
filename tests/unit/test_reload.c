/* SPDX-License-Identifier: BSD-2-Clause */
/* Reloads of a daemon that runs: who is told what, when several ask, when it is too late, and what is left behind. */
#include "run/reload.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "run/admin.h"
#include "small_daemon.h"
#include "wire.h"

#define INI \
	"[global]\nuser =\nworkers = 2\nstate_dir = %s/state\n[admin]\nsocket = %s/admin.sock\n" \
	"[listener l]\nbind = 127.0.0.1:%u\npool = p\n[pool p]\ncheck = none\ngateway = a 127.0.0.1:1\n%s\n"

struct asked {
	unsigned answers;
	bool good;
	size_t mistakes;
	char mistake[256];			/* the first */
	struct reload *reload;			/* or NULL; how many it had ended by then */
	size_t ended;
};

struct world {
	char directory[32], *file;
	struct conf_options options;
	unsigned port;
	struct daemon *daemon;
	struct mailbox *main;
	struct reload *reload;
	unsigned adopted, gone;
};

static void
no_log(enum log_level level, struct slice text)
{
	(void)level;
	(void)text;
}

static void
on_failed_connects(void *arg, size_t number)
{
	(void)arg;
	(void)number;
}

static void
on_shown(void *arg, size_t number)
{
	(void)number;
	reload_note_shown(((struct world *)arg)->reload);
}

static void
on_gone(void *arg, size_t number)
{
	(void)number;
	((struct world *)arg)->gone++;
}

static void
on_adopted(void *arg)
{
	((struct world *)arg)->adopted++;
}

static void
on_done(void *arg, const struct reload_outcome *outcome)
{
	struct asked *a = arg;

	a->answers++;
	a->good = outcome->good;
	a->mistakes = outcome->mistakes->n;
	a->ended = a->reload != NULL ? reload_history(a->reload)->total : 0;
	if (a->mistakes != 0)
		snprintf(a->mistake, sizeof a->mistake, "%s", outcome->mistakes->item[0]);
}

/* The file as it is, with this at its end: of the pool. */
static void
world_write(struct world *w, const char *more)
{
	FILE *f = fopen(w->file, "we");

	assert_non_null(f);
	fprintf(f, INI, w->directory, w->directory, w->port, more);
	assert_int_equal(fclose(f), 0);
}

static void
world_start(struct world *w)
{
	const struct worker_events events = {
		.on_failed_connects = on_failed_connects, .on_shown = on_shown, .on_gone = on_gone, .arg = w,
	};
	struct conf *cf = conf_load(&w->options, small_report, NULL);

	assert_non_null(cf);
	w->daemon = daemon_prepare(cf, false, small_report, NULL);
	assert_non_null(w->daemon);
	assert_true(daemon_open(w->daemon, false, small_report, NULL));
	assert_true(daemon_start(w->daemon, w->main, &events, small_report, NULL));
	w->reload = reload_new(w->daemon, &w->options, w->main, on_adopted, w);
}

static void
world_init(struct world *w)
{
	struct sockaddr_in at;

	log_to(no_log);
	*w = (struct world){ .directory = "/tmp/stickyd-reload-XXXXXX", .main = mailbox_new() };
	assert_non_null(mkdtemp(w->directory));
	w->file = mem_printf("%s/stickyd.ini", w->directory);
	w->options = (struct conf_options){ .file = w->file };
	close(wire_listen(&at));
	w->port = ntohs(at.sin_port);
	world_write(w, "");
	world_start(w);
}

/* What comes is heard until this is so. */
#define WORLD_HEAR(w, cond) \
	do { \
		struct pollfd mail = { .fd = mailbox_fd((w)->main), .events = POLLIN }; \
		while (!(cond)) { \
			assert_int_equal(poll(&mail, 1, WIRE_LIMIT_MS), 1); \
			mailbox_deliver((w)->main); \
		} \
	} while (0)

static void
world_fini(struct world *w)
{
	char *all = mem_printf("rm -rf %s", w->directory);

	for (unsigned i = 0; i < w->daemon->workers; i++)
		worker_abort(w->daemon->worker[i]);
	WORLD_HEAR(w, w->gone == w->daemon->workers);
	daemon_end_workers(w->daemon);
	reload_free(w->reload);
	mailbox_free(w->main);
	daemon_free(w->daemon);
	assert_int_equal(system(all), 0);
	free(all);
	free(w->file);
	log_to(NULL);
}

static size_t
editions(const struct world *w)
{
	size_t n = 0;

	LIST_EACH (at, after, &w->daemon->editions)
		n++;
	return n;
}

/* Asked for before the workers ran, it is begun when they do; the edition from before goes when all have left it. */
static void
when_it_may(void **state)
{
	struct edition *before;
	struct asked a = { .answers = 0 };
	struct world w;

	(void)state;
	world_init(&w);
	before = w.daemon->edition;
	reload_request(w.reload, on_done, &a);
	assert_false(reload_is_under_way(w.reload));
	world_write(&w, "gateway = b 127.0.0.1:2");
	reload_allow(w.reload);
	assert_true(reload_is_under_way(w.reload));
	WORLD_HEAR(&w, a.answers == 1 && editions(&w) == 1);
	assert_true(a.good);
	assert_int_equal(w.adopted, 1);
	assert_ptr_not_equal(w.daemon->edition, before);
	assert_int_equal(w.daemon->edition->pool[0]->gateways, 2);
	assert_int_equal(reload_history(w.reload)->total, 1);
	world_fini(&w);
}

/* All mistakes are told, and nothing has changed. */
static void
mistakes(void **state)
{
	struct edition *before;
	struct asked a = { .answers = 0 };
	struct world w;

	(void)state;
	world_init(&w);
	before = w.daemon->edition;
	reload_allow(w.reload);
	world_write(&w, "balance = fair\ngateway = b 127.0.0.1");
	reload_request(w.reload, on_done, &a);
	WORLD_HEAR(&w, a.answers == 1);
	assert_false(a.good);
	assert_int_equal(a.mistakes, 2);
	assert_ptr_equal(w.daemon->edition, before);
	assert_int_equal(w.adopted, 0);
	assert_int_equal(reload_history(w.reload)->failed, 1);
	assert_int_equal(reload_history(w.reload)->mistakes.n, 2);
	world_fini(&w);
}

/* Who asks while one is under way wants what the file says now: he gets the next one's outcome. */
static void
while_one_is_under_way(void **state)
{
	struct asked first = { .answers = 0 }, second[2] = { { .answers = 0 }, { .answers = 0 } };
	struct world w;

	(void)state;
	world_init(&w);
	first.reload = second[0].reload = second[1].reload = w.reload;
	reload_allow(w.reload);
	reload_request(w.reload, on_done, &first);
	for (unsigned i = 0; i < 2; i++)
		reload_request(w.reload, on_done, &second[i]);
	WORLD_HEAR(&w, second[0].answers == 1 && second[1].answers == 1 && editions(&w) == 1);
	assert_int_equal(first.answers, 1);
	assert_true(first.good && second[0].good && second[1].good);
	assert_int_equal(first.ended, 1);
	assert_int_equal(second[0].ended, 2);
	assert_int_equal(second[1].ended, 2);
	assert_int_equal(reload_history(w.reload)->total, 2);
	world_fini(&w);
}

/* What was prepared is given back; and when it comes to nothing that it was forbidden for, all is as before. */
static void
too_late(void **state)
{
	struct edition *before;
	struct asked a = { .answers = 0 }, waits = { .answers = 0 }, late = { .answers = 0 };
	struct world w;

	(void)state;
	world_init(&w);
	before = w.daemon->edition;
	reload_allow(w.reload);
	reload_request(w.reload, on_done, &a);
	reload_request(w.reload, on_done, &waits);
	reload_forbid(w.reload, "for a test");
	assert_int_equal(waits.answers, 1);
	assert_string_equal(waits.mistake, "for a test");
	WORLD_HEAR(&w, a.answers == 1);
	assert_false(a.good);
	assert_false(reload_is_under_way(w.reload));
	assert_ptr_equal(w.daemon->edition, before);
	reload_request(w.reload, on_done, &late);
	assert_int_equal(late.answers, 1);
	assert_string_equal(late.mistake, "for a test");
	reload_allow(w.reload);
	reload_request(w.reload, on_done, &late);
	WORLD_HEAR(&w, late.answers == 2);
	assert_true(late.good);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_it_may),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(while_one_is_under_way),
		cmocka_unit_test(too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
