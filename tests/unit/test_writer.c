/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer: files, rotation, pipes that block, disks that are full, several producers, the end. */
#include "log/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define PATIENCE_MS 20000	/* of a test, when nothing comes */

static char directory[] = "/tmp/stickyd-writer-XXXXXX";

static char *
path(const char *name)
{
	static char text[4][128];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof text[turn], "%s/%s", directory, name);
	return text[turn];
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory + sizeof directory - 7, "XXXXXX");
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "log", "access", "access.1", "pipe", "link", "log.2" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		unlink(path(names[i]));
	return rmdir(directory);
}

static char *
contents(const char *name)
{
	FILE *f = fopen(path(name), "r");
	char *text = NULL;
	size_t room = 0;

	if (f == NULL)
		return mem_strdup("");
	if (getdelim(&text, &room, '\0', f) == -1) {
		free(text);
		text = mem_strdup("");
	}
	fclose(f);
	return text;
}

static bool
has(const char *name, const char *part)
{
	char *text = contents(name);
	bool found = strstr(text, part) != NULL;

	free(text);
	return found;
}

/* Until a file holds this. */
static void
wait_for(const char *name, const char *part)
{
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;

	while (!has(name, part)) {
		if (clock_coarse_ms() > end_ms)
			fail_msg("%s never held \"%s\", but: %s", name, part, contents(name));
		poll(NULL, 0, 1);
	}
}

/* The last one is kept, where there is something to keep it in. */
static void
on_complaint(void *arg, const char *line)
{
	if (arg != NULL)
		snprintf(arg, 256, "%s", line);
	else
		print_error("%s\n", line);
}

static struct writer *
open_writer(const struct conf_log *cf)
{
	struct writer *w = writer_new(cf, on_complaint, NULL);

	assert_non_null(w);
	return w;
}

static struct writer *
start(enum conf_log_target access, char *access_file)
{
	const struct conf_log cf = {
		.output = CONF_LOG_FILE, .output_file = path("log"), .access = access, .access_file = access_file,
	};
	struct writer *w = open_writer(&cf);

	assert_true(writer_start(w));
	return w;
}

static bool
say(struct writer_ring *r, const char *text)
{
	char *to = writer_ring_reserve(r, 16384);

	if (to == NULL)
		return false;
	writer_ring_commit(r, (size_t)sprintf(to, "%s\n", text));
	return true;
}

static void
test_both_logs(void **state)
{
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct writer_ring *a = writer_ring_new(w), *b = writer_ring_new(w);
	struct stat st;
	char *text;

	(void)state;
	log_info("hello, %s", "world\n");
	log_warn("again");
	assert_true(say(a, "one"));
	assert_true(say(b, "two"));
	writer_free(w);
	text = contents("log");
	/* 2026-11-22T16:37:41.123Z info hello, world\x0a */
	assert_int_equal(text[23], 'Z');
	assert_memory_equal(text + 24, " info hello, world\\x0a\n2", 24);
	assert_non_null(strstr(text, "Z warn again\n"));
	free(text);
	text = contents("access");
	assert_true(strcmp(text, "one\ntwo\n") == 0 || strcmp(text, "two\none\n") == 0);
	free(text);
	assert_int_equal(stat(path("access"), &st), 0);
	assert_int_equal(st.st_mode & 07137, 0);
}

static void
test_off(void **state)
{
	const struct conf_log cf = { .output = CONF_LOG_FILE, .output_file = path("log"), .access = CONF_LOG_OFF };
	struct writer *w = open_writer(&cf);

	(void)state;
	assert_null(writer_ring_reserve(writer_ring_new(w), 100));
	assert_int_equal(writer_dropped(w), 0);
	writer_free(w);		/* never started */
	writer_free(NULL);
}

static void
test_cannot_open(void **state)
{
	const struct conf_log cf = {
		.output = CONF_LOG_FILE, .output_file = path("log"),
		.access = CONF_LOG_FILE, .access_file = path("missing/access"), .access_place = { "a.ini", 7 },
	};
	char said[256] = "", expected[256];

	(void)state;
	assert_null(writer_new(&cf, on_complaint, said));
	snprintf(expected, sizeof expected, "a.ini:7: [log] access: %s: No such file or directory", cf.access_file);
	assert_string_equal(said, expected);
	said[0] = '\0';
	assert_false(writer_check(&cf, on_complaint, said));
	assert_string_equal(said, expected);
}

static void
test_reopen(void **state)
{
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct writer_ring *r = writer_ring_new(w);

	(void)state;
	assert_true(say(r, "before"));
	wait_for("access", "before\n");
	assert_int_equal(rename(path("access"), path("access.1")), 0);
	writer_reopen(w);
	assert_true(say(r, "after"));
	wait_for("access", "after\n");
	assert_false(has("access.1", "after"));
	assert_false(has("access", "before"));
	/* where that can't be, the old one goes on */
	assert_int_equal(unlink(path("access")), 0);
	assert_int_equal(mkdir(path("access"), 0700), 0);
	writer_reopen(w);
	wait_for("log", "error access log: ");
	wait_for("log", "can't be opened anew, the old file stays: Is a directory\n");
	assert_int_equal(rmdir(path("access")), 0);
	writer_free(w);
}

static void
test_chown(void **state)
{
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct stat st;

	(void)state;
	if (geteuid() == 0) {
		assert_true(writer_chown(w, 12, 34));
		assert_int_equal(stat(path("access"), &st), 0);
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	} else {
		assert_true(writer_chown(w, geteuid(), getegid()));
	}
	writer_free(w);
}

/* A full disk: what does not fit in the ring is lost and said once it is over; the rest is all there, in order. */
static void
test_full_disk(void **state)
{
	struct writer *w;
	struct writer_ring *r;
	unsigned kept = 0, lost = 0, number = 0;
	char text[64], *all, *at;

	(void)state;
	assert_int_equal(symlink("/dev/full", path("link")), 0);
	w = start(CONF_LOG_FILE, path("link"));
	r = writer_ring_new(w);
	for (; lost < 10; number++) {
		snprintf(text, sizeof text, "line %u, as long as an ordinary one", number);
		if (say(r, text))
			kept++;
		else
			lost++;
	}
	wait_for("log", "No space left on device\n");
	assert_int_equal(writer_dropped(w), lost);
	assert_int_equal(unlink(path("link")), 0);
	assert_int_equal(symlink(path("access"), path("link")), 0);
	writer_reopen(w);
	wait_for("log", "warn access log: 10 lines were lost");
	assert_true(say(r, "the end"));
	wait_for("access", "the end\n");
	writer_free(w);
	all = contents("access");
	at = all;
	for (unsigned i = 0; i < kept; i++) {
		int used = 0;

		assert_int_equal(sscanf(at, "line %u, as long as an ordinary one%n", &number, &used), 1);
		assert_int_equal(number, i);
		at += used + 1;
	}
	assert_string_equal(at, "the end\n");
	free(all);
	all = contents("log");
	assert_non_null(strstr(all, "No space left"));
	assert_null(strstr(strstr(all, "No space left") + 1, "No space left"));
	free(all);
}

/* path()'s texts do not last. */
static char *
kept(char to[128], const char *name)
{
	return strcpy(to, path(name));
}

static void
commit(struct writer *w, const struct conf_log *cf)
{
	struct writer_change *change = writer_prepare(w, cf, on_complaint, NULL);

	assert_non_null(change);
	writer_commit(w, change);
}

/* Reloads: each log goes elsewhere, is switched off and on; what is not changed is not touched. */
static void
test_change(void **state)
{
	char log[128], log2[128], file[128];
	struct conf_log cf = { .output = CONF_LOG_FILE, .output_file = kept(log, "log"), .access = CONF_LOG_OFF };
	struct conf_log other = { .output = CONF_LOG_FILE, .output_file = kept(log2, "log.2") };
	struct writer *w = open_writer(&cf);
	struct writer_ring *r = writer_ring_new(w);
	struct stat before, after;

	(void)state;
	other.access = CONF_LOG_FILE;
	other.access_file = kept(file, "access");
	assert_true(writer_start(w));
	assert_false(say(r, "nobody wants it"));
	log_info("here");
	writer_discard(writer_prepare(w, &other, on_complaint, NULL));
	writer_discard(NULL);
	commit(w, &cf);			/* the same */
	assert_int_equal(stat(path("log"), &before), 0);
	commit(w, &other);
	assert_true(say(r, "one"));
	wait_for("access", "one\n");
	log_info("there");
	wait_for("log.2", " info there\n");
	assert_true(has("log", " info here\n") && !has("log", "there") && !has("log.2", " here"));
	assert_int_equal(stat(path("log"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	cf.access = CONF_LOG_FILE;
	cf.access_file = file;
	assert_true(say(r, "two"));
	assert_int_equal(rename(path("access"), path("access.1")), 0);
	commit(w, &cf);			/* the access log is not touched, so it is not opened anew */
	assert_true(say(r, "three"));
	wait_for("access.1", "two\nthree\n");
	cf.access = CONF_LOG_OFF;
	commit(w, &cf);
	assert_false(say(r, "nobody wants it"));
	commit(w, &other);		/* quickly: the writer may not have got round to it */
	for (unsigned i = 0; !has("access", "four\n") && i < PATIENCE_MS; i++) {
		assert_true(say(r, "four"));		/* the first may still go to where the others went */
		poll(NULL, 0, 1);
	}
	commit(w, &cf);
	writer_free(w);
	assert_true(has("access", "four\n"));
	assert_false(has("access", "three") || has("access", "nobody") || has("access.1", "nobody"));
}

static void
test_change_refused(void **state)
{
	char log[128], file[128];
	const struct conf_log bad = {
		.output = CONF_LOG_FILE, .output_file = kept(log, "missing/log"), .output_place = { "a.ini", 3 },
		.access = CONF_LOG_FILE, .access_file = kept(file, "missing/access"), .access_place = { "a.ini", 4 },
	};
	struct writer *w = start(CONF_LOG_OFF, NULL);
	char said[256] = "", expected[256];

	(void)state;
	assert_null(writer_prepare(w, &bad, on_complaint, said));
	snprintf(expected, sizeof expected, "a.ini:4: [log] access: %s: No such file or directory", bad.access_file);
	assert_string_equal(said, expected);
	log_info("as before");
	wait_for("log", "as before\n");
	writer_free(w);
}

/* Several threads write while the logs go from file to file, and are reopened: each line is in one of them, once. */
static void
test_changes_under_load(void **state)
{
	enum { LINES = 20000 };
	char log[128], file[2][128];
	struct conf_log cf = { .output = CONF_LOG_FILE, .output_file = kept(log, "log"), .access = CONF_LOG_FILE };
	struct writer *w;
	struct writer_ring *r[2];
	unsigned seen[2 * LINES] = { 0 };
	char text[64], *all, *rest;

	(void)state;
	kept(file[1], "access.1");
	cf.access_file = kept(file[0], "access");
	w = open_writer(&cf);
	assert_true(writer_start(w));
	for (unsigned i = 0; i < 2; i++)
		r[i] = writer_ring_new(w);
	for (unsigned i = 0; i < LINES; i++) {
		snprintf(text, sizeof text, "line %u", 2 * i);
		assert_true(say(r[0], text));
		snprintf(text, sizeof text, "line %u", 2 * i + 1);
		assert_true(say(r[1], text));
		if (i % 97 == 0) {
			cf.access_file = file[i % 2];
			commit(w, &cf);
		} else if (i % 101 == 0) {
			writer_reopen(w);
		}
	}
	writer_free(w);
	for (unsigned at = 0; at < 2; at++) {
		unsigned number;

		all = rest = contents(at == 0 ? "access" : "access.1");
		for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; seen[number]++)
			assert_true(sscanf(line, "line %u", &number) == 1 && number < 2 * LINES);
		free(all);
	}
	for (unsigned i = 0; i < 2 * LINES; i++)
		assert_int_equal(seen[i], 1);
}

/* A file that can't grow further in the midst of a line, as with a full disk; what is opened next begins with it. */
static void
test_torn_line(void **state)
{
	char filler[1000], log[128], link[128];
	struct rlimit before, small;
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct writer_ring *a = writer_ring_new(w), *b = writer_ring_new(w);
	struct conf_log cf = { .output = CONF_LOG_FILE, .output_file = kept(log, "log"), .access = CONF_LOG_FILE };

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1000;
	memset(filler, 'x', sizeof filler);
	filler[989] = '\0';
	assert_true(say(a, filler));
	wait_for("access", "xx\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_true(say(a, "a line that is cut"));
	wait_for("log", "File too large\n");
	assert_true(say(b, "one behind it"));
	assert_int_equal(rename(path("access"), path("access.1")), 0);
	writer_reopen(w);
	wait_for("access", "one behind it\n");
	assert_true(has("access", "a line that is cut\none behind it\n"));
	/* and the same when the log goes elsewhere: the rest to the new place, from the line's beginning */
	filler[995 - strlen("a line that is cut\none behind it\n\n")] = '\0';
	assert_true(say(a, filler));
	wait_for("access", "xx\n");
	wait_for("log", "is written again\n");
	assert_true(say(a, "another line"));
	wait_for("access", "anoth");
	cf.access_file = kept(link, "link");
	commit(w, &cf);
	wait_for("link", "another line\n");
	assert_false(has("access", "another"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	writer_free(w);
}

static void
test_removed_file(void **state)
{
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct writer_ring *r = writer_ring_new(w);
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;

	(void)state;
	assert_true(say(r, "before"));
	wait_for("access", "before\n");
	assert_int_equal(unlink(path("access")), 0);
	while (access(path("access"), F_OK) != 0 && clock_coarse_ms() < end_ms) {
		assert_true(say(r, "somewhere"));
		poll(NULL, 0, 10);
	}
	assert_true(say(r, "after"));
	wait_for("access", "after\n");
	assert_false(has("access", "before"));
	writer_free(w);
}

static size_t
drain(int fd, char *to, size_t room, size_t wanted)
{
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;
	size_t n = 0;

	while (n < wanted && clock_coarse_ms() < end_ms) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = poll(&p, 1, 100) == 1 ? read(fd, to + n, room - n) : 0;

		if (got > 0)
			n += (size_t)got;
	}
	return n;
}

/* Standard output is a pipe that nobody reads: the daemon's log goes on, nothing is lost but what does not fit. */
static void
blocked_stream(int reader, int writer)
{
	enum { LINES = 20000 };
	int stdout_before = dup(STDOUT_FILENO);
	char *all = malloc(1 << 20), *at = all, text[64];
	struct writer *w;
	struct writer_ring *r;
	size_t wanted = 0;

	fflush(stdout);
	dup2(writer, STDOUT_FILENO);
	w = start(CONF_LOG_STDOUT, NULL);
	r = writer_ring_new(w);
	for (unsigned i = 0; i < LINES; i++) {
		wanted += (size_t)snprintf(text, sizeof text, "line %u and more of it", i) + 1;
		must(say(r, text));
	}
	log_info("goes on");
	wait_for("log", " info goes on\n");
	must(drain(reader, all, 1 << 20, wanted) == wanted);
	writer_free(w);
	dup2(stdout_before, STDOUT_FILENO);
	close(stdout_before);
	for (unsigned i = 0; i < LINES; i++) {
		size_t n = (size_t)snprintf(text, sizeof text, "line %u and more of it\n", i);

		assert_memory_equal(at, text, n);
		at += n;
	}
	assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
	close(reader);
	close(writer);
	free(all);
}

static void
test_blocked_pipe(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	blocked_stream(fd[0], fd[1]);
}

static void
test_blocked_socket(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	blocked_stream(fd[0], fd[1]);
}

/* The end does not wait for a reader that never comes; a dead one does no harm. */
static void
test_pipe_at_the_end(void **state)
{
	struct writer *w;
	struct writer_ring *r;
	uint64_t began_ms;
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path("pipe"), 0600), 0);
	reader = open(path("pipe"), O_RDONLY | O_NONBLOCK);
	w = start(CONF_LOG_FILE, path("pipe"));
	r = writer_ring_new(w);
	for (unsigned i = 0; i < 20000; i++)
		must(say(r, "a line that fills the pipe"));
	began_ms = clock_coarse_ms();
	writer_free(w);
	assert_in_range(clock_coarse_ms() - began_ms, 900, 1900);

	w = start(CONF_LOG_FILE, path("pipe"));
	r = writer_ring_new(w);
	close(reader);
	assert_true(say(r, "to nobody"));
	wait_for("log", ": Broken pipe\n");
	writer_free(w);
}

struct producer {
	pthread_t thread;
	struct writer_ring *ring;
	unsigned number;
};

static void *
produce(void *arg)
{
	struct producer *p = arg;
	char text[64];

	for (unsigned i = 0; i < 30000;) {
		snprintf(text, sizeof text, "%u %u", p->number, i);
		if (say(p->ring, text))
			i++;
		else
			poll(NULL, 0, 1);
		if (i % 1000 == 0)
			log_info("producer %u is at %u", p->number, i);
	}
	return NULL;
}

static void
test_producers(void **state)
{
	struct writer *w = start(CONF_LOG_FILE, path("access"));
	struct producer p[4];
	unsigned next[4] = { 0 }, number, line;
	char *all, *at;
	int used;

	(void)state;
	for (unsigned i = 0; i < COUNT(p); i++) {
		p[i] = (struct producer){ .ring = writer_ring_new(w), .number = i };
		assert_int_equal(pthread_create(&p[i].thread, NULL, produce, &p[i]), 0);
	}
	for (unsigned i = 0; i < COUNT(p); i++)
		pthread_join(p[i].thread, NULL);
	writer_free(w);
	all = contents("access");
	for (at = all; *at != '\0'; at += used) {
		char *rest;

		number = (unsigned)strtoul(at, &rest, 10);
		line = (unsigned)strtoul(rest, &rest, 10);
		assert_int_equal(*rest, '\n');
		used = (int)(rest + 1 - at);
		assert_true(number < COUNT(p));
		assert_int_equal(line, next[number]++);
	}
	for (unsigned i = 0; i < COUNT(p); i++)
		assert_int_equal(next[i], 30000);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_logs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reopen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_blocked_pipe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_blocked_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pipe_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_producers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_change_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes_under_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
