/* SPDX-License-Identifier: BSD-2-Clause */
/* The table on disk: there and back, cut and damaged in every way, and what a crash or a full directory leaves. */
#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define KEYS 200
#define TTL 1000
#define NOW 100000
#define HEAD 40

static char directory[64], path[96], damaged[128];
static _Atomic unsigned logged;		/* warnings and notices */

static void
count_lines(enum log_level level, struct slice text)
{
	(void)text;
	if (level <= LOG_LEVEL_NOTICE)
		atomic_fetch_add(&logged, 1);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/stickyd-snapshot.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/" SNAPSHOT_FILE, directory);
	snprintf(damaged, sizeof damaged, "%s.damaged", path);
	logged = 0;
	log_to(count_lines);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	log_to(NULL);
	unlink(path);
	unlink(damaged);
	rmdir(path);
	rmdir(damaged);
	return rmdir(directory);	/* nothing else may be there */
}

static struct table_key
key_of(const struct table *t, unsigned i)
{
	char text[24];

	return table_key(t, SLICE_LIT("game"), slice_make(text, (size_t)snprintf(text, sizeof text, "player-%u", i)));
}

/* Bound one second after the other, the last at NOW. */
static struct table *
table_of(unsigned keys)
{
	struct table *t = table_new(KEYS, TTL);

	for (unsigned i = 0; i < keys; i++) {
		struct table_key k = key_of(t, i);

		table_bind(t, &k, i, NOW - keys + 1 + i, true, NULL);
	}
	return t;
}

static void
write_file(const char *to, struct slice bytes)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd != -1 && file_write(fd, bytes.p, bytes.n));
	close(fd);
}

/* To be freed. */
static struct slice
read_snapshot(void)
{
	static const size_t room = 1 << 16;
	char *bytes = mem_zalloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t n = file_read(fd, bytes, room);

	assert_true(fd != -1 && n > 0);
	close(fd);
	return slice_make(bytes, (size_t)n);
}

static bool
is_there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void
test_there_and_back(void **state)
{
	struct table *t = table_of(KEYS), *back = table_new(KEYS, TTL);
	struct table_binding b;
	struct stat st;

	(void)state;
	assert_true(snapshot_load(directory, back, NOW));	/* there is none: fine */
	assert_int_equal(logged, 0);
	assert_true(snapshot_write(directory, t, NOW));
	assert_int_equal(logged, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(logged, 1);
	assert_int_equal(table_counts(back).keys, KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		struct table_key k = key_of(back, i);

		assert_true(table_peek(back, &k, NOW, &b));
		assert_true(b.tag == i && b.born_s == NOW - KEYS + 1 + i && b.seen_s == b.born_s);
		assert_int_equal(b.confirmed_s, 0);	/* what was said meanwhile was not heard */
	}
	table_free(t);
	table_free(back);
}

/* The order of use is kept, whatever the order in the file: in a smaller table the oldest are missing. */
static void
test_smaller(void **state)
{
	struct table *t = table_of(KEYS), *back = table_new(10, TTL);
	struct table_binding b;
	struct table_key k = key_of(t, 3);

	(void)state;
	assert_true(table_get(t, &k, NOW, &b));
	assert_true(snapshot_write(directory, t, NOW));
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(table_counts(back).keys, 10);
	for (unsigned i = 0; i < KEYS; i++) {
		k = key_of(back, i);
		assert_int_equal(table_peek(back, &k, NOW, &b), i == 3 || i >= KEYS - 9);
	}
	table_free(t);
	table_free(back);
}

static void
test_expired(void **state)
{
	struct table *t = table_of(KEYS), *back = table_new(KEYS, TTL);

	(void)state;
	assert_true(snapshot_write(directory, t, NOW));
	assert_true(snapshot_load(directory, back, NOW + TTL - 49));
	assert_int_equal(table_counts(back).keys, 50);
	table_free(t);
	table_free(back);
}

static bool
reads(struct slice bytes, const char **why)
{
	struct table *t = table_new(KEYS, TTL);
	bool good = snapshot_read(bytes, t, NOW, why);

	assert_true(good == (*why == NULL));
	assert_true(good || table_counts(t).keys == 0);
	table_free(t);
	return good;
}

static void
test_damage(void **state)
{
	struct table *t = table_of(KEYS);
	struct slice whole;
	const char *why;
	char *bytes;

	(void)state;
	assert_true(snapshot_write(directory, t, NOW));
	whole = read_snapshot();
	bytes = (char *)whole.p;
	assert_true(reads(whole, &why));
	for (size_t cut = 0; cut < whole.n; cut++) {
		/* exactly so many bytes, so that a sanitizer sees a read beyond them */
		char *part = mem_zalloc(cut);

		memcpy(part, whole.p, cut);
		assert_false(reads(slice_make(part, cut), &why));
		free(part);
	}
	for (size_t bit = 0; bit < whole.n * 8; bit += bit < (HEAD + 64) * 8 ? 1 : 61) {
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		assert_false(reads(whole, &why));
		bytes[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_true(reads(whole, &why));
	bytes[8] = 2;
	assert_false(reads(whole, &why));
	assert_string_equal(why, "it is of another version");
	bytes[8] = 1;
	bytes[whole.n - 1] ^= 1;
	assert_false(reads(whole, &why));
	assert_string_equal(why, "it is damaged");
	free(bytes);
	table_free(t);
}

/* What can't be believed is set aside, and the next one is written and read as ever. */
static void
check_set_aside(void)
{
	struct table *t = table_of(10), *back = table_new(KEYS, TTL);

	logged = 0;
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(logged, 1);
	assert_int_equal(table_counts(back).keys, 0);
	assert_true(is_there(damaged) && !is_there(path));
	assert_true(snapshot_write(directory, t, NOW));
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(table_counts(back).keys, 10);
	table_free(t);
	table_free(back);
}

static void
test_set_aside(void **state)
{
	struct table *t = table_of(KEYS);
	struct slice whole;

	(void)state;
	write_file(path, SLICE_NONE);
	check_set_aside();
	assert_true(snapshot_write(directory, t, NOW));
	whole = read_snapshot();
	for (size_t cut = 0; cut < whole.n; cut += 64) {
		write_file(path, slice_head(whole, cut));
		check_set_aside();
	}
	free((char *)whole.p);
	table_free(t);
}

static void
test_directory_in_its_place(void **state)
{
	struct table *t = table_of(1);

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(snapshot_write(directory, t, NOW));	/* and leaves nothing behind: tear_down looks */
	check_set_aside();
	table_free(t);
}

/* A link to itself can be opened by nobody, not even by root. */
static void
test_unreadable(void **state)
{
	struct table *t = table_of(0);

	(void)state;
	assert_int_equal(symlink(SNAPSHOT_FILE, path), 0);
	assert_true(snapshot_load(directory, t, NOW));
	assert_int_equal(logged, 1);
	assert_false(is_there(path));		/* or the next snapshot would take its place */
	table_free(t);
}

/* A process that was killed while it wrote: the old one counts, and what it left is removed. */
static void
test_killed(void **state)
{
	struct table *t = table_of(7), *back = table_new(KEYS, TTL);
	char aside[128], similar[128];

	(void)state;
	snprintf(aside, sizeof aside, "%s.new-aB3xY9", path);
	snprintf(similar, sizeof similar, "%s.backup", path);
	assert_true(snapshot_write(directory, t, NOW));
	write_file(aside, SLICE_LIT("stickyd\n"));
	write_file(damaged, SLICE_NONE);
	write_file(similar, SLICE_NONE);
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(table_counts(back).keys, 7);
	assert_true(!is_there(aside) && is_there(damaged) && is_there(similar));
	unlink(similar);
	table_free(t);
	table_free(back);
}

static void
wait_for(bool (*is_so)(void))
{
	uint64_t end_us = clock_exact_us() + 10 * 1000 * 1000;

	while (!is_so() && clock_exact_us() < end_us)
		usleep(1000);
	assert_true(is_so());
}

static bool
is_written(void)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool
has_logged(void)
{
	return logged != 0;
}

static void
test_thread(void **state)
{
	struct table *t = table_of(5), *back = table_new(KEYS, UINT32_MAX);
	struct snapshot *s = snapshot_begin(directory, t, 1);
	struct table_key k = key_of(t, 100);

	(void)state;
	assert_non_null(s);
	wait_for(is_written);
	table_bind(t, &k, 100, NOW, false, NULL);
	snapshot_end(s);		/* writes once more */
	assert_true(snapshot_load(directory, back, NOW));
	assert_int_equal(table_counts(back).keys, 6);
	table_free(t);
	table_free(back);
	snapshot_end(NULL);
}

static void
test_at_exit_only(void **state)
{
	struct table *t = table_of(5);
	struct snapshot *s = snapshot_begin(directory, t, 0);

	(void)state;
	assert_false(is_there(path));
	snapshot_end(s);
	assert_true(is_there(path));
	table_free(t);
}

/* Many failures are one line, and that it goes on again is another. */
static void
test_logged_once(void **state)
{
	struct table *t = table_of(5);
	struct snapshot *s;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	s = snapshot_begin(directory, t, 1);
	wait_for(has_logged);
	usleep(20 * 1000);
	assert_int_equal(logged, 1);
	assert_int_equal(rmdir(path), 0);
	wait_for(is_written);
	snapshot_end(s);
	assert_int_equal(logged, 2);
	table_free(t);
}

static atomic_bool stop;

static void *
use_table(void *arg)
{
	struct table_binding b;

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct table_key k = key_of(arg, i % 5000);

		if (table_claim(arg, &k, i % 5000, NOW, &b) != TABLE_NEW && b.tag != i % 5000)
			return arg;
	}
	return NULL;
}

/* Written again and again while others use it: each is whole. */
static void
test_in_use(void **state)
{
	struct table *t = table_new_sharded(2000, TTL, 4), *back;
	pthread_t thread[2];
	void *wrong;

	(void)state;
	atomic_store(&stop, false);
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, use_table, t), 0);
	for (unsigned i = 0; i < 10; i++) {
		back = table_new(2000, TTL);
		assert_true(snapshot_write(directory, t, NOW));
		assert_true(snapshot_load(directory, back, NOW));
		assert_false(is_there(damaged));
		table_free(back);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < COUNT(thread); i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	table_free(t);
}

/* As for another process: by a descriptor that has no name. */
static void
test_descriptor(void **state)
{
	struct table *t = table_of(5), *back = table_new(KEYS, TTL);
	int fd = memfd_create("table", MFD_CLOEXEC), pipe_fd[2];
	const char *why;

	(void)state;
	assert_true(snapshot_write_fd(fd, t, NOW));
	assert_true(snapshot_read_fd(fd, back, NOW, &why));
	assert_int_equal(table_counts(back).keys, 5);
	assert_memory_equal(table_hash_key(back), table_hash_key(t), TABLE_HASH_KEY);
	table_free(back);
	back = table_new(KEYS, TTL);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_false(snapshot_read_fd(fd, back, NOW, &why));
	assert_string_equal(why, "it is cut short");
	close(fd);
	assert_false(snapshot_read_fd(fd, back, NOW, &why));
	assert_string_equal(why, strerror(EBADF));
	assert_false(snapshot_write_fd(fd, t, NOW));
	assert_int_equal(pipe(pipe_fd), 0);
	assert_false(snapshot_read_fd(pipe_fd[0], back, NOW, &why));
	assert_string_equal(why, "it is no regular file");
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	assert_int_equal(table_counts(back).keys, 0);
	assert_int_equal(logged, 0);
	table_free(t);
	table_free(back);
}

/* Another process writes it from now on. */
static void
test_drop(void **state)
{
	struct table *t = table_of(5);
	struct snapshot *s = snapshot_begin(directory, t, 1);

	(void)state;
	assert_non_null(s);
	wait_for(is_written);
	snapshot_drop(s);
	assert_int_equal(unlink(path), 0);
	snapshot_drop(NULL);
	snapshot_end(s);
	assert_false(is_there(path));
	assert_int_equal(logged, 0);
	table_free(t);
}

/* A reload: another interval, another directory, and once more after it was dropped. */
static void
test_change(void **state)
{
	struct table *t = table_of(5);
	struct snapshot *s = snapshot_begin("/nonexistent", t, 0);
	struct table_key k = key_of(t, 100);

	(void)state;
	assert_non_null(s);
	snapshot_change(s, directory, 1);
	wait_for(is_written);
	snapshot_drop(s);
	assert_int_equal(unlink(path), 0);
	snapshot_change(s, directory, 1);
	wait_for(is_written);
	snapshot_change(s, directory, 0);
	table_bind(t, &k, 100, NOW, false, NULL);
	snapshot_end(s);
	table_free(t);
	t = table_new(KEYS, UINT32_MAX);
	assert_true(snapshot_load(directory, t, NOW));
	assert_int_equal(table_counts(t).keys, 6);
	table_free(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_smaller),
		TEST(test_expired),
		TEST(test_damage),
		TEST(test_set_aside),
		TEST(test_directory_in_its_place),
		TEST(test_unreadable),
		TEST(test_killed),
		TEST(test_thread),
		TEST(test_at_exit_only),
		TEST(test_logged_once),
		TEST(test_in_use),
		TEST(test_descriptor),
		TEST(test_drop),
		TEST(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
