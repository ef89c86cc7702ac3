/* SPDX-License-Identifier: BSD-2-Clause */
/* The two phases: prepared on a thread, committed on the main one. */
#include "run/reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/strings.h"
#include "run/notify.h"

enum reload_state {
	RELOAD_NOT_YET,		/* the workers do not run yet */
	RELOAD_IDLE,
	RELOAD_PREPARING,	/* the thread runs */
	RELOAD_SHOWING,		/* the workers go over */
	RELOAD_SETTLING,	/* the thread runs once more */
	RELOAD_FORBIDDEN,
};

/* Who asked. */
struct reload_asker {
	struct list list;
	reload_done_fn *fn;
	void *arg;
};

struct reload {
	enum reload_state state;
	struct daemon *daemon;
	const struct conf_options *options;
	struct mailbox *main;
	void (*on_adopted)(void *arg);
	void *arg;
	pthread_t thread;
	const char *forbidden;		/* once the one under way has ended, and why; NULL: it is not */
	struct list asked, answering;	/* of askers: for the next one, for the one under way */
	struct daemon_change change;	/* what the thread has made */
	struct conf_strings mistakes, notices;
	bool resizes;			/* the table gets another size */
	unsigned showing;		/* workers that have still to go over */
	struct reload_history history;
};

struct reload *
reload_new(struct daemon *d, const struct conf_options *options, struct mailbox *main, void (*on_adopted)(void *arg),
    void *arg)
{
	struct reload *r = mem_zalloc(sizeof *r);

	r->daemon = d;
	r->options = options;
	r->main = main;
	r->on_adopted = on_adopted;
	r->arg = arg;
	list_init(&r->asked);
	list_init(&r->answering);
	return r;
}

/* ---- the outcome ---- */

static void
reload_answer(struct list *askers, const struct reload_outcome *outcome)
{
	LIST_EACH (at, after, askers) {
		struct reload_asker *a = LIST_ENTRY_OF(at, struct reload_asker, list);

		list_remove(at);
		if (a->fn != NULL)
			a->fn(a->arg, outcome);
		free(a);
	}
}

static void
reload_refuse(struct list *askers, const char *why)
{
	struct conf_strings mistakes = { NULL, 0 }, none = { NULL, 0 };

	if (!list_is_empty(askers))
		log_warn("the configuration is not reloaded: %s", why);
	strings_add(&mistakes, mem_strdup(why));
	reload_answer(askers, &(struct reload_outcome){ false, &mistakes, &none });
	strings_fini(&mistakes);
}

static void
reload_note(struct reload *r, bool good)
{
	struct reload_history *h = &r->history;

	h->total++;
	h->failed += !good;
	h->good = good;
	h->last_s = clock_wall_us() / 1000000;
	if (good)
		h->last_good_s = h->last_s;
	strings_fini(&h->mistakes);
	h->mistakes = r->mistakes;
	r->mistakes = (struct conf_strings){ NULL, 0 };
}

static void reload_begin(struct reload *r);

static void
reload_end(struct reload *r, bool good)
{
	reload_note(r, good);
	r->state = r->forbidden != NULL ? RELOAD_FORBIDDEN : RELOAD_IDLE;
	if (r->forbidden == NULL)
		notify_ready();
	reload_answer(&r->answering, &(struct reload_outcome){ good, &r->history.mistakes, &r->notices });
	if (r->state == RELOAD_IDLE && !list_is_empty(&r->asked))
		reload_begin(r);
}

static void
reload_fail(struct reload *r)
{
	for (size_t i = 0; i < r->mistakes.n; i++)
		log_error("%s", r->mistakes.item[i]);
	log_error("the configuration was not reloaded (%zu mistake%s): the one from before is still in force",
	    r->mistakes.n, r->mistakes.n == 1 ? "" : "s");
	reload_end(r, false);
}

/* ---- the first phase: the thread's ---- */

static void
on_mistake(void *arg, const char *line)
{
	struct reload *r = arg;

	strings_add(&r->mistakes, mem_strdup(line));
}

static void on_prepared(void *arg, size_t good);

static void *
reload_prepare(void *arg)
{
	struct reload *r = arg;
	struct conf *cf = conf_load(r->options, on_mistake, r);
	bool good = cf != NULL && daemon_prepare_change(r->daemon, cf, &r->change, on_mistake, r);

	mailbox_post(r->main, on_prepared, r, good);
	return NULL;
}

/* Returns errno. */
static int
reload_start_thread(struct reload *r, void *(*fn)(void *arg))
{
	sigset_t all, old;
	int error;

	sigfillset(&all);		/* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&r->thread, NULL, fn, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		pthread_setname_np(r->thread, "reload");
	return error;
}

static void
reload_begin(struct reload *r)
{
	int error;

	list_move_all(&r->answering, &r->asked);
	strings_fini(&r->notices);
	r->notices = (struct conf_strings){ NULL, 0 };
	log_notice("reloading the configuration");
	daemon_offer_ports(r->daemon);
	notify_reloading();
	r->state = RELOAD_PREPARING;
	error = reload_start_thread(r, reload_prepare);
	if (error == 0)
		return;
	strings_add(&r->mistakes, mem_printf("no thread can be started: %s", strerror(error)));
	reload_fail(r);
}

/* ---- the second: the main thread's ---- */

static void
reload_notice(struct reload *r, const char *text)
{
	log_warn("%s", text);
	strings_add(&r->notices, mem_strdup(text));
}

static bool
differ(const char *a, const char *b)
{
	return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

static void
reload_notice_restarts(struct reload *r, const struct conf_global *was, const struct conf_global *is)
{
	if (was->workers != is->workers)
		reload_notice(r, "[global] workers: a restart (or USR2) is needed for the new number");
	if (differ(was->user, is->user))
		reload_notice(r, "[global] user: a restart is needed to become another user");
	if (differ(was->group, is->group))
		reload_notice(r, "[global] group: a restart is needed to become of another group");
}

static void
reload_commit(struct reload *r)
{
	struct daemon *d = r->daemon;
	const struct conf_store *was = &d->edition->conf->store, *is = &r->change.edition->conf->store;

	r->resizes = was->max_keys != is->max_keys || was->ttl_ms != is->ttl_ms;
	reload_notice_restarts(r, &d->edition->conf->global, &r->change.edition->conf->global);
	daemon_adopt(d, &r->change);
	r->state = RELOAD_SHOWING;
	r->showing = d->workers;
	r->on_adopted(r->arg);
	daemon_show(d);
}

static void
on_prepared(void *arg, size_t good)
{
	struct reload *r = arg;

	pthread_join(r->thread, NULL);
	if (r->forbidden != NULL && good) {
		daemon_drop_change(&r->change);
		strings_add(&r->mistakes, mem_strdup("it is too late: the process is about to end"));
		good = false;
	}
	if (good)
		reload_commit(r);
	else
		reload_fail(r);
}

static void
reload_succeed(struct reload *r)
{
	log_notice("the configuration has been reloaded: %zu pools, %zu listeners", r->daemon->edition->pools,
	    r->daemon->edition->listeners);
	reload_end(r, true);
}

static void
reload_note_settled(struct reload *r, bool good)
{
	if (!good)
		reload_notice(r, "[store] max_keys: there is no memory for so large a table: it stays as it was");
	reload_succeed(r);
}

static void
on_settled(void *arg, size_t good)
{
	struct reload *r = arg;

	pthread_join(r->thread, NULL);
	reload_note_settled(r, good);
}

static void *
reload_settle(void *arg)
{
	struct reload *r = arg;

	mailbox_post(r->main, on_settled, r, daemon_settle(r->daemon));
	return NULL;
}

void
reload_note_shown(struct reload *r)
{
	if (r->state != RELOAD_SHOWING || --r->showing != 0)
		return;
	r->state = RELOAD_SETTLING;
	if (!r->resizes)
		reload_succeed(r);
	else if (reload_start_thread(r, reload_settle) != 0)
		reload_note_settled(r, false);
}

/* ---- who asks ---- */

void
reload_request(struct reload *r, reload_done_fn *fn, void *arg)
{
	struct reload_asker *a = mem_zalloc(sizeof *a);

	a->fn = fn;
	a->arg = arg;
	list_add_tail(&r->asked, &a->list);
	if (r->forbidden != NULL) {
		log_warn("the configuration is not reloaded: %s", r->forbidden);
		reload_refuse(&r->asked, r->forbidden);
	} else if (r->state == RELOAD_IDLE)
		reload_begin(r);
}

void
reload_allow(struct reload *r)
{
	r->forbidden = NULL;
	if (r->state == RELOAD_NOT_YET || r->state == RELOAD_FORBIDDEN)
		r->state = RELOAD_IDLE;
	if (r->state == RELOAD_IDLE && !list_is_empty(&r->asked))
		reload_begin(r);
}

void
reload_forbid(struct reload *r, const char *why)
{
	r->forbidden = why;
	if (!reload_is_under_way(r))
		r->state = RELOAD_FORBIDDEN;
	reload_refuse(&r->asked, why);
}

bool
reload_is_under_way(const struct reload *r)
{
	return r->state == RELOAD_PREPARING || r->state == RELOAD_SHOWING || r->state == RELOAD_SETTLING;
}

const struct reload_history *
reload_history(const struct reload *r)
{
	return &r->history;
}

void
reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	if (r->state == RELOAD_PREPARING) {
		pthread_join(r->thread, NULL);
		daemon_drop_change(&r->change);
	} else if (r->state == RELOAD_SETTLING) {
		pthread_join(r->thread, NULL);
	}
	reload_refuse(&r->answering, "the process has ended");
	reload_refuse(&r->asked, "the process has ended");
	strings_fini(&r->mistakes);
	strings_fini(&r->notices);
	strings_fini(&r->history.mistakes);
	free(r);
}
