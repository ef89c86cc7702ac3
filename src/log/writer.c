/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two channels, the daemon's log and the access log, each with an output and rings. What an output does not take
 * stays in the rings; these fill, and what then comes is dropped: so lines are lost whole, the newest of a bad time,
 * and a full disk needs no other care than to try again.
 */
#include "log/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/ring.h"
#include "log/output.h"

#define WRITER_RING ((size_t)1 << 20)
#define WRITER_PIECES 64	/* two for each ring: what is written at once */
#define WRITER_GATHER_MS 20	/* between two turns: some lines are one write, and one wake-up */
#define WRITER_RETRY_MS 1000	/* an output that failed */
#define WRITER_SAY_MS 1000	/* between two complaints about lost lines */
#define WRITER_STOP_MS 1000
#define WRITER_LOOK_MS 1000	/* between two looks whether a file is still there */
#define WRITER_LINE (LOG_LINE + 64)	/* a text with its time and level */

struct writer_ring {
	struct ring *ring;
	struct writer *writer;
	struct writer_channel *channel;
	struct writer_ring *next;	/* of its channel */
	_Atomic uint64_t dropped;
};

/* Where a channel's lines go. */
struct writer_place {
	enum conf_log_target target;
	char *file;			/* NULL: it is none */
	struct output *output;		/* NULL: off */
};

struct writer_channel {
	const char *name;
	bool marked;			/* its lines are */
	atomic_bool on;
	struct writer_place place;	/* target and file are the main thread's, output the writer's once it runs */
	_Atomic(struct writer_ring *) rings;	/* added while the writer runs, never taken off */
	/* the writer's: */
	enum output_result state;
	struct writer_ring *torn;	/* whose line is not written to its end; NULL: all are */
	uint64_t retry_ms;		/* of a failed output */
	uint64_t looked_ms;
	bool lost;			/* its file is, and can't be made anew; that was said */
	uint64_t said_dropped, said_ms;
};

struct writer_change {
	struct { bool is_new; struct writer_place place; } log, access;
};

/* What a producer has to know of the writer. It leaves the two others for AWAKE itself, with a wake-up. */
enum writer_state { WRITER_AWAKE, WRITER_GATHERS, WRITER_SLEEPS };

struct writer {
	struct writer_channel log, access;
	struct writer_ring *log_ring;
	pthread_mutex_t log_lock;	/* its producers are many */
	pthread_t thread;
	bool started;
	int wake_fd;
	atomic_int state;
	atomic_bool stopping, reopening;
	_Atomic(struct writer_change *) change;	/* committed, for the writer to make; NULL: none */
};

static _Atomic(struct writer *) writer_of_log;

/* ---- producers ---- */

static void
writer_wake(struct writer *w)
{
	uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof one) == -1)
		must(errno == EAGAIN);		/* it will wake anyway */
}

static struct writer_ring *
writer_channel_add(struct writer *w, struct writer_channel *c)
{
	struct writer_ring *r = mem_zalloc(sizeof *r);

	r->ring = ring_new(WRITER_RING);
	r->writer = w;
	r->channel = c;
	r->next = atomic_load(&c->rings);
	while (!atomic_compare_exchange_weak(&c->rings, &r->next, r))
		;
	return r;
}

struct writer_ring *
writer_ring_new(struct writer *w)
{
	return writer_channel_add(w, &w->access);
}

char *
writer_ring_reserve(struct writer_ring *r, size_t max)
{
	char *to;

	if (!atomic_load_explicit(&r->channel->on, memory_order_relaxed))
		return NULL;
	to = ring_reserve(r->ring, max);
	if (to == NULL)
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
	return to;
}

void
writer_ring_commit(struct writer_ring *r, size_t n)
{
	struct writer *w = r->writer;
	int state;

	ring_commit(r->ring, n);
	state = atomic_load(&w->state);
	if (state == WRITER_AWAKE || (state == WRITER_GATHERS && ring_used(r->ring) < WRITER_RING / 2))
		return;
	if (atomic_compare_exchange_strong(&w->state, &state, WRITER_AWAKE))
		writer_wake(w);
}

/* With its time and level in front, at the moment it was said. */
static void
writer_log_text(struct buf *to, enum log_level level, struct slice text)
{
	char at[CLOCK_TEXT];

	clock_text(clock_wall_us(), at);
	buf_byte(to, OUTPUT_MARK(level));
	buf_add(to, slice_make(at, sizeof at));
	buf_byte(to, ' ');
	buf_add(to, slice_of(log_level_name(level)));
	buf_byte(to, ' ');
	buf_add(to, text);
	buf_byte(to, '\n');
	must(!to->full);
}

static void
writer_log(enum log_level level, struct slice text)
{
	struct writer *w = atomic_load(&writer_of_log);
	char *room;

	pthread_mutex_lock(&w->log_lock);
	room = writer_ring_reserve(w->log_ring, WRITER_LINE);
	if (room != NULL) {
		struct buf line = buf_of(room, WRITER_LINE);

		writer_log_text(&line, level, text);
		writer_ring_commit(w->log_ring, line.n);
	}
	pthread_mutex_unlock(&w->log_lock);
}

static uint64_t
writer_channel_dropped(const struct writer_channel *c)
{
	uint64_t n = 0;

	for (const struct writer_ring *r = atomic_load(&c->rings); r != NULL; r = r->next)
		n += atomic_load_explicit(&r->dropped, memory_order_relaxed);
	return n;
}

uint64_t
writer_dropped(const struct writer *w)
{
	return writer_channel_dropped(&w->log) + writer_channel_dropped(&w->access);
}

/* ---- the thread ---- */

static bool
writer_channel_is_empty(const struct writer_channel *c)
{
	for (const struct writer_ring *r = atomic_load(&c->rings); r != NULL; r = r->next)
		if (ring_used(r->ring) != 0)
			return false;
	return true;
}

static bool
writer_channel_is_stuck(const struct writer_channel *c)
{
	return c->state == OUTPUT_FAILED && clock_coarse_ms() < c->retry_ms;
}

static void
writer_channel_set_state(struct writer_channel *c, enum output_result state, int error)
{
	const char *name = output_name(c->place.output);

	if (state == OUTPUT_FAILED)
		c->retry_ms = clock_coarse_ms() + WRITER_RETRY_MS;
	if (state == OUTPUT_FAILED && c->state != OUTPUT_FAILED)
		log_error("%s: %s: %s", c->name, name, strerror(error));
	else if (state == OUTPUT_DONE && c->state == OUTPUT_FAILED)
		log_notice("%s: %s: is written again", c->name, name);
	c->state = state;
}

/* Takes off what was dealt with; notes whose line is not. */
static void
writer_channel_consume(struct writer_channel *c, struct writer_ring **from, const struct slice *piece, size_t pieces,
    size_t taken)
{
	bool torn = output_is_torn(c->place.output);

	for (size_t i = 0; i < pieces; i++) {
		size_t n = slice_head(piece[i], taken).n;

		if (n != 0 && torn)
			c->torn = from[i];
		ring_consume(from[i]->ring, n);
		taken -= n;
	}
	if (!torn)
		c->torn = NULL;
}

/* False: the output takes no more for now. */
static bool
writer_channel_put(struct writer_channel *c, struct writer_ring **from, const struct slice *piece, size_t pieces)
{
	size_t taken;
	enum output_result result = output_write(c->place.output, piece, pieces, c->marked, &taken);
	int error = errno;

	writer_channel_consume(c, from, piece, pieces, taken);
	writer_channel_set_state(c, result, error);
	return result == OUTPUT_DONE;
}

/* False: it takes no more for now. */
static bool
writer_channel_mend(struct writer_channel *c)
{
	struct writer_ring *from[] = { c->torn, c->torn };
	struct slice piece[2];

	return c->torn == NULL || ring_peek(c->torn->ring, piece) == 0 || writer_channel_put(c, from, piece, 2);
}

/* Nobody wants it any more. */
static void
writer_channel_forget(struct writer_channel *c)
{
	struct slice piece[2];

	for (struct writer_ring *r = atomic_load(&c->rings); r != NULL; r = r->next)
		ring_consume(r->ring, ring_peek(r->ring, piece));
	c->torn = NULL;
}

/* What is there now, but not what comes meanwhile, so that neither channel waits for the other for long. */
static void
writer_channel_drain(struct writer_channel *c)
{
	struct writer_ring *r = atomic_load(&c->rings), *from[WRITER_PIECES];
	struct slice piece[WRITER_PIECES];

	if (c->place.output == NULL || writer_channel_is_stuck(c) || !writer_channel_mend(c))
		return;
	while (r != NULL) {
		size_t n = 0;

		for (; r != NULL && n + 2 <= WRITER_PIECES; r = r->next) {
			if (ring_peek(r->ring, piece + n) == 0)
				continue;
			from[n] = from[n + 1] = r;
			n += 2;
		}
		if (n != 0 && !writer_channel_put(c, from, piece, n))
			return;
	}
}

static bool
writer_channel_has_news(const struct writer_channel *c)
{
	return c->place.output != NULL && c->state != OUTPUT_BLOCKED && !writer_channel_is_stuck(c) &&
	    !writer_channel_is_empty(c);
}

/* Once its output goes on again: before, the complaint might be lost as well. */
static void
writer_channel_complain(struct writer_channel *c)
{
	uint64_t dropped = writer_channel_dropped(c), now_ms = clock_coarse_ms();

	if (dropped == c->said_dropped || c->place.output == NULL || c->state != OUTPUT_DONE ||
	    now_ms < c->said_ms + WRITER_SAY_MS)
		return;
	log_warn("%s: %" PRIu64 " lines were lost: %s did not take them in time", c->name, dropped - c->said_dropped,
	    output_name(c->place.output));
	c->said_dropped = dropped;
	c->said_ms = now_ms;
}

/* How long its affairs can wait. */
static uint64_t
writer_channel_patience(const struct writer_channel *c)
{
	uint64_t at_ms, now_ms = clock_coarse_ms();

	if (c->place.output == NULL)
		return UINT64_MAX;
	if (c->state == OUTPUT_FAILED && !writer_channel_is_empty(c))
		at_ms = c->retry_ms;
	else if (c->state == OUTPUT_DONE && writer_channel_dropped(c) != c->said_dropped)
		at_ms = c->said_ms + WRITER_SAY_MS;
	else
		return UINT64_MAX;
	return at_ms > now_ms ? at_ms - now_ms : 0;
}

static void
writer_channel_reopen(struct writer_channel *c)
{
	if (c->place.output == NULL)
		return;
	if (!output_reopen(c->place.output))
		log_error("%s: %s: can't be opened anew, the old file stays: %s", c->name,
		    output_name(c->place.output), strerror(errno));
	c->retry_ms = 0;
}

/* Was its file removed? It is not worth a look for each line. */
static void
writer_channel_look(struct writer_channel *c)
{
	uint64_t now_ms = clock_coarse_ms();
	bool was_lost = c->lost;

	if (c->place.output == NULL || now_ms < c->looked_ms + WRITER_LOOK_MS)
		return;
	c->looked_ms = now_ms;
	c->lost = output_is_lost(c->place.output) && !output_reopen(c->place.output);
	if (c->lost && !was_lost)
		log_error("%s: %s: was removed, and can't be made anew: %s", c->name, output_name(c->place.output),
		    strerror(errno));
}

/* ---- other places ---- */

static void
place_fini(struct writer_place *p)
{
	output_close(p->output);
	free(p->file);
	*p = (struct writer_place){ .output = NULL };
}

static bool
place_is(const struct writer_place *p, enum conf_log_target target, const char *file)
{
	return p->target == target && (target != CONF_LOG_FILE || strcmp(p->file, file) == 0);
}

/* False: *why (to be freed). */
static bool
place_open(struct writer_place *p, enum conf_log_target target, const char *file, char **why)
{
	*p = (struct writer_place){ .target = target, .file = target == CONF_LOG_FILE ? mem_strdup(file) : NULL };
	if (target == CONF_LOG_OFF)
		return true;
	p->output = output_open(target, file, why);
	if (p->output == NULL)
		place_fini(p);
	return p->output != NULL;
}

/* What the old one does not take, the new one gets, from the beginning of a line on. */
static void
writer_channel_move(struct writer_channel *c, struct output *to)
{
	struct output *before = c->place.output;

	writer_channel_drain(c);
	if (to != NULL && before != NULL)
		output_inherit(to, before);
	if (to == NULL)
		writer_channel_forget(c);
	output_close(before);
	c->place.output = to;
	c->state = OUTPUT_DONE;
	c->lost = false;
}

static void
writer_make_change(struct writer *w)
{
	struct writer_change *change = atomic_exchange(&w->change, NULL);

	if (change == NULL)
		return;
	if (change->access.is_new)
		writer_channel_move(&w->access, change->access.place.output);
	if (change->log.is_new)
		writer_channel_move(&w->log, change->log.place.output);
	free(change);
}

/* ---- turns ---- */

/* The access log first, since what is to be said of it goes into the other. */
static void
writer_turn(struct writer *w)
{
	writer_make_change(w);
	if (atomic_exchange(&w->reopening, false)) {
		writer_channel_reopen(&w->access);
		writer_channel_reopen(&w->log);
	}
	writer_channel_look(&w->access);
	writer_channel_look(&w->log);
	writer_channel_drain(&w->access);
	writer_channel_complain(&w->access);
	writer_channel_complain(&w->log);
	writer_channel_drain(&w->log);
}

static int
writer_blocked_fd(const struct writer_channel *c)
{
	return c->state == OUTPUT_BLOCKED ? output_fd(c->place.output) : -1;
}

/* Until woken, or until a blocked output has room: then true. */
static bool
writer_poll(struct writer *w, uint64_t timeout_ms)
{
	struct pollfd p[] = {
		{ .fd = w->wake_fd, .events = POLLIN },
		{ .fd = writer_blocked_fd(&w->log), .events = POLLOUT },
		{ .fd = writer_blocked_fd(&w->access), .events = POLLOUT },
	};
	uint64_t woken;

	if (poll(p, COUNT(p), timeout_ms < INT_MAX ? (int)timeout_ms : -1) <= 0)
		return false;
	if (p[0].revents != 0 && read(w->wake_fd, &woken, sizeof woken) == -1)
		must(errno == EAGAIN);
	return p[1].revents != 0 || p[2].revents != 0;
}

static void
writer_wait(struct writer *w)
{
	uint64_t log_ms = writer_channel_patience(&w->log), access_ms = writer_channel_patience(&w->access);
	bool has_room = false;

	atomic_store(&w->state, WRITER_SLEEPS);
	if (!writer_channel_has_news(&w->log) && !writer_channel_has_news(&w->access))
		has_room = writer_poll(w, log_ms < access_ms ? log_ms : access_ms);
	if (!has_room) {
		atomic_store(&w->state, WRITER_GATHERS);
		writer_poll(w, WRITER_GATHER_MS);
	}
	atomic_store(&w->state, WRITER_AWAKE);
}

/* Producers have ended. Who does not take the rest in time does not get it. */
static void
writer_finish(struct writer *w)
{
	uint64_t end_ms = clock_coarse_ms() + WRITER_STOP_MS, now_ms;

	w->log.retry_ms = w->access.retry_ms = 0;
	w->log.said_ms = w->access.said_ms = 0;
	writer_turn(w);
	while (w->log.state == OUTPUT_BLOCKED || w->access.state == OUTPUT_BLOCKED) {
		now_ms = clock_coarse_ms();
		if (now_ms >= end_ms)
			break;
		writer_poll(w, end_ms - now_ms);
		writer_turn(w);
	}
}

static void *
writer_run(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(&w->stopping)) {
		writer_turn(w);
		writer_wait(w);
	}
	writer_finish(w);
	return NULL;
}

/* ---- its life ---- */

static void
log_complain(const struct conf_log *cf, bool is_access, char *why, conf_report_fn *report, void *arg)
{
	conf_complain(report, arg, is_access ? cf->access_place : cf->output_place, "[log] %s: %s",
	    is_access ? "access" : "output", why);
	free(why);
}

static void
writer_channel_close(struct writer_channel *c)
{
	struct writer_ring *r = atomic_load(&c->rings);

	while (r != NULL) {
		struct writer_ring *next = r->next;

		ring_free(r->ring);
		free(r);
		r = next;
	}
	place_fini(&c->place);
}

/* False: reported. */
static bool
log_open(struct writer_place *p, const struct conf_log *cf, bool is_access, conf_report_fn *report, void *arg)
{
	char *why;

	if (is_access ? place_open(p, cf->access, cf->access_file, &why) :
	    place_open(p, cf->output, cf->output_file, &why))
		return true;
	log_complain(cf, is_access, why, report, arg);
	return false;
}

static void
writer_channel_open(struct writer_channel *c)
{
	atomic_store(&c->on, c->place.output != NULL);
}

struct writer *
writer_new(const struct conf_log *cf, conf_report_fn *report, void *arg)
{
	struct writer *w = mem_zalloc(sizeof *w);
	bool good;

	pthread_mutex_init(&w->log_lock, NULL);
	w->log.name = "log";
	w->log.marked = true;
	w->access.name = "access log";
	w->log_ring = writer_channel_add(w, &w->log);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd == -1)
		conf_complain(report, arg, (struct conf_place){ NULL, 0 }, "eventfd: %s", strerror(errno));
	good = log_open(&w->log.place, cf, false, report, arg);
	good = log_open(&w->access.place, cf, true, report, arg) && good && w->wake_fd != -1;
	if (!good) {
		writer_free(w);
		return NULL;
	}
	writer_channel_open(&w->log);
	writer_channel_open(&w->access);
	return w;
}

bool
writer_check(const struct conf_log *cf, conf_report_fn *report, void *arg)
{
	char *why;
	bool log_good = output_check(cf->output, cf->output_file, &why), access_good;

	if (!log_good)
		log_complain(cf, false, why, report, arg);
	access_good = output_check(cf->access, cf->access_file, &why);
	if (!access_good)
		log_complain(cf, true, why, report, arg);
	return log_good && access_good;
}

bool
writer_chown(struct writer *w, unsigned uid, unsigned gid)
{
	return (w->log.place.output == NULL || output_chown(w->log.place.output, uid, gid)) &&
	    (w->access.place.output == NULL || output_chown(w->access.place.output, uid, gid));
}

/* Signals are the main thread's. */
static bool
writer_start_thread(struct writer *w)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&w->thread, NULL, writer_run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e == 0;
}

bool
writer_start(struct writer *w)
{
	w->started = writer_start_thread(w);
	if (w->started) {
		atomic_store(&writer_of_log, w);
		log_to(writer_log);
	}
	return w->started;
}

void
writer_reopen(struct writer *w)
{
	atomic_store(&w->reopening, true);
	writer_wake(w);
}

/* ---- another configuration ---- */

struct writer_change *
writer_prepare(const struct writer *w, const struct conf_log *cf, conf_report_fn *report, void *arg)
{
	struct writer_change *change = mem_zalloc(sizeof *change);
	bool good = true;

	change->log.is_new = !place_is(&w->log.place, cf->output, cf->output_file);
	change->access.is_new = !place_is(&w->access.place, cf->access, cf->access_file);
	if (change->log.is_new)
		good = log_open(&change->log.place, cf, false, report, arg);
	if (change->access.is_new)
		good = log_open(&change->access.place, cf, true, report, arg) && good;
	if (good)
		return change;
	writer_discard(change);
	return NULL;
}

void
writer_discard(struct writer_change *change)
{
	if (change == NULL)
		return;
	place_fini(&change->log.place);
	place_fini(&change->access.place);
	free(change);
}

/* The main thread's part of it. Of an earlier change that the writer has not got round to, what this one does not
 * change is taken over, the rest is closed unused. */
static void
writer_channel_commit(struct writer_channel *c, bool *is_new, struct writer_place *place, bool pending,
    struct writer_place *earlier)
{
	if (*is_new) {
		free(c->place.file);
		c->place.target = place->target;
		c->place.file = place->file;
		place->file = NULL;
		atomic_store(&c->on, place->output != NULL);
	} else if (pending) {
		place->output = earlier->output;
		earlier->output = NULL;
		*is_new = true;
	}
}

void
writer_commit(struct writer *w, struct writer_change *change)
{
	static struct writer_change none;
	struct writer_change *before = atomic_exchange(&w->change, NULL), *earlier = before != NULL ? before : &none;

	writer_channel_commit(&w->log, &change->log.is_new, &change->log.place, earlier->log.is_new,
	    &earlier->log.place);
	writer_channel_commit(&w->access, &change->access.is_new, &change->access.place, earlier->access.is_new,
	    &earlier->access.place);
	writer_discard(before);
	atomic_store(&w->change, change);
	writer_wake(w);
}

/* False: it hangs in a system call that only a file on a dead network or syslog knows, and so may we not free what
 * it uses. */
static bool
writer_stop(struct writer *w)
{
	struct timespec until;
	bool stopped;

	atomic_store(&w->stopping, true);
	writer_wake(w);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2 * WRITER_STOP_MS / 1000;
	stopped = pthread_timedjoin_np(w->thread, NULL, &until) == 0;
	log_to(NULL);
	return stopped;
}

void
writer_free(struct writer *w)
{
	if (w == NULL || (w->started && !writer_stop(w)))
		return;
	writer_discard(atomic_load(&w->change));
	writer_channel_close(&w->log);
	writer_channel_close(&w->access);
	if (w->wake_fd != -1)
		close(w->wake_fd);
	pthread_mutex_destroy(&w->log_lock);
	free(w);
}
