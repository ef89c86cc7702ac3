/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file, all numbers little-endian:
 *
 *	head	"stickyd\n", version (4 bytes), 0 (4), when it was written (8), the table's hash key (16)
 *	entry	key (8 + 8), the gateway's tag (8), born (4), last seen (4); as many as there are, in no order
 *	sum	SHA-256 of all before it (32)
 *
 * What a shared store has confirmed is not kept: what was said there while we were away has not been heard.
 */
#include "store/snapshot.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define MAGIC "stickyd\n"
#define VERSION 1
#define HEAD_BYTES 40
#define ENTRY_BYTES 32
#define SUM_BYTES 32
#define ASIDE_BEGINS SNAPSHOT_FILE ".new-"
#define ASIDE ASIDE_BEGINS "XXXXXX"
#define BATCH 512	/* entries copied under one lock: some 10 us */

struct snapshot {
	struct table *table;
	bool failing;		/* and that was logged */
	pthread_t thread;
	pthread_mutex_t lock;	/* for what follows */
	pthread_cond_t news;
	char *directory;
	uint64_t interval_ms;
	uint64_t since_us;	/* the interval counts from here */
	bool stopping;
	bool dropped;		/* nothing takes the file's place any more */
};

/* The last step of writing: puts what was written aside in its place, or not. False with errno. */
typedef bool place_fn(void *arg, const char *aside, const char *path);

static void
put32(unsigned char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof v);
}

static void
put64(unsigned char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof v);
}

static uint32_t
get32(const char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof v);
	return le32toh(v);
}

static uint64_t
get64(const char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof v);
	return le64toh(v);
}

/* ---- reading ---- */

static bool
has_right_sum(struct slice bytes)
{
	unsigned char sum[SUM_BYTES];
	size_t n = bytes.n - SUM_BYTES;

	must(EVP_Digest(bytes.p, n, sum, NULL, EVP_sha256(), NULL) == 1);
	return memcmp(sum, bytes.p + n, SUM_BYTES) == 0;
}

/* The version before the sum: another one's may be anything. NULL: nothing. */
static const char *
what_is_wrong(struct slice bytes)
{
	if (!slice_has_prefix(bytes, SLICE_LIT(MAGIC)))
		return "it is no snapshot of a table";
	if (bytes.n < HEAD_BYTES + SUM_BYTES)
		return "it is cut short";
	if (get32(bytes.p + 8) != VERSION)
		return "it is of another version";
	if ((bytes.n - HEAD_BYTES - SUM_BYTES) % ENTRY_BYTES != 0)
		return "it is cut short";
	return has_right_sum(bytes) ? NULL : "it is damaged";
}

static struct table_entry
entry_get(const char *from)
{
	return (struct table_entry){
		.key = { get64(from), get64(from + 8) },
		.binding = { .tag = get64(from + 16), .born_s = get32(from + 24), .seen_s = get32(from + 28) },
	};
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* By when they were seen, and as they stand in the file where that is the same. */
static uint64_t *
in_order_of_use(const char *entries, size_t n)
{
	uint64_t *order = mem_zalloc((n + 1) * sizeof *order);

	for (size_t i = 0; i < n; i++)
		order[i] = (uint64_t)get32(entries + i * ENTRY_BYTES + 28) << 32 | i;
	qsort(order, n, sizeof *order, compare_u64);
	return order;
}

bool
snapshot_read(struct slice bytes, struct table *t, uint32_t now_s, const char **why)
{
	const char *entries = bytes.p + HEAD_BYTES;
	uint64_t *order;
	size_t n;

	*why = what_is_wrong(bytes);
	if (*why != NULL)
		return false;
	n = (bytes.n - HEAD_BYTES - SUM_BYTES) / ENTRY_BYTES;
	table_set_hash_key(t, (const unsigned char *)bytes.p + 24);
	order = in_order_of_use(entries, n);
	for (size_t i = 0; i < n; i++) {
		struct table_entry e = entry_get(entries + (uint32_t)order[i] * (size_t)ENTRY_BYTES);

		table_restore(t, &e, now_s);
	}
	free(order);
	return true;
}

/* A process that was killed while it wrote leaves its file. An operator's copy, such as
 * table.snapshot.backup, stays. */
static void
remove_stale(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		struct slice name = slice_of(e->d_name);

		if (name.n == sizeof ASIDE - 1 && slice_has_prefix(name, SLICE_LIT(ASIDE_BEGINS)) &&
		    unlinkat(dirfd(d), e->d_name, 0) == 0)
			log_notice("%s/%s: removed: it was never finished", directory, e->d_name);
	}
	closedir(d);
}

static bool
set_aside(const char *path, const char *why)
{
	char *aside = mem_printf("%s.damaged", path);
	bool good = rename(path, aside) == 0;

	if (good)
		log_warn("%s: %s: set aside as %s; bindings by key begin anew", path, why, aside);
	else
		log_error("%s: %s, and it can't be set aside as %s: %s", path, why, aside, strerror(errno));
	free(aside);
	return good;
}

static void
log_loaded(const char *path, struct table *t, struct slice bytes, uint32_t now_s)
{
	uint64_t written_s = get64(bytes.p + 16);

	log_notice("%s: %zu keys, written %" PRIu64 " s ago", path, table_counts(t).keys,
	    now_s > written_s ? now_s - written_s : 0);
}

/* To be freed; NULL with errno. */
static char *
read_bytes(int fd, size_t size, size_t *n)
{
	char *bytes = malloc(size + 1);
	ssize_t got = bytes != NULL && lseek(fd, 0, SEEK_SET) == 0 ? file_read(fd, bytes, size) : -1;

	if (got == -1) {
		free(bytes);
		return NULL;
	}
	*n = (size_t)got;
	return bytes;
}

/* Likewise, NULL with *why. */
static char *
read_all(int fd, size_t *n, const char **why)
{
	bool is_known, is_regular;
	char *bytes = NULL;
	struct stat st;

	is_known = fstat(fd, &st) == 0;
	is_regular = is_known && S_ISREG(st.st_mode);
	if (is_regular)
		bytes = read_bytes(fd, (size_t)st.st_size, n);
	if (bytes == NULL)
		*why = is_known && !is_regular ? "it is no regular file" : strerror(errno);
	return bytes;
}

bool
snapshot_read_fd(int fd, struct table *t, uint32_t now_s, const char **why)
{
	size_t n;
	char *bytes = read_all(fd, &n, why);
	bool good = bytes != NULL && snapshot_read(slice_make(bytes, n), t, now_s, why);

	free(bytes);
	return good;
}

static bool
load_open(const char *path, int fd, struct table *t, uint32_t now_s)
{
	const char *why;
	size_t n;
	char *bytes = read_all(fd, &n, &why);
	bool good = bytes != NULL && snapshot_read(slice_make(bytes, n), t, now_s, &why);

	if (good)
		log_loaded(path, t, slice_make(bytes, n), now_s);
	else
		good = set_aside(path, why);
	free(bytes);
	return good;
}

bool
snapshot_load(const char *directory, struct table *t, uint32_t now_s)
{
	char *path = mem_printf("%s/" SNAPSHOT_FILE, directory);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool good = true;

	if (fd != -1) {
		good = load_open(path, fd, t, now_s);
		close(fd);
	} else if (errno != ENOENT) {
		good = set_aside(path, strerror(errno));	/* or the next one would take its place */
	}
	remove_stale(directory);
	free(path);
	return good;
}

/* ---- writing ---- */

/* A file under way. */
struct writing {
	int fd;
	EVP_MD_CTX *sum;
};

static bool
write_summed(struct writing *w, const unsigned char *bytes, size_t n)
{
	must(EVP_DigestUpdate(w->sum, bytes, n) == 1);
	return file_write(w->fd, bytes, n);
}

static bool
write_head(struct writing *w, const struct table *t, uint32_t now_s)
{
	unsigned char head[HEAD_BYTES] = MAGIC;

	put32(head + 8, VERSION);
	put64(head + 16, now_s);
	memcpy(head + 24, table_hash_key(t), TABLE_HASH_KEY);
	return write_summed(w, head, sizeof head);
}

static void
entry_put(unsigned char *to, const struct table_entry *e)
{
	put64(to, e->key.high);
	put64(to + 8, e->key.low);
	put64(to + 16, e->binding.tag);
	put32(to + 24, e->binding.born_s);
	put32(to + 28, e->binding.seen_s);
}

static bool
write_entries(struct writing *w, struct table *t)
{
	struct table_entry batch[BATCH];
	unsigned char bytes[BATCH * ENTRY_BYTES];
	uint64_t at = 0;
	size_t n;

	while ((n = table_copy(t, &at, batch, BATCH)) != 0) {
		for (size_t i = 0; i < n; i++)
			entry_put(bytes + i * ENTRY_BYTES, &batch[i]);
		if (!write_summed(w, bytes, n * ENTRY_BYTES))
			return false;
	}
	return true;
}

static bool
write_sum(struct writing *w)
{
	unsigned char sum[SUM_BYTES];

	must(EVP_DigestFinal_ex(w->sum, sum, NULL) == 1);
	return file_write(w->fd, sum, sizeof sum);
}

bool
snapshot_write_fd(int fd, struct table *t, uint32_t now_s)
{
	struct writing w = { fd, EVP_MD_CTX_new() };
	bool good;

	must(w.sum != NULL && EVP_DigestInit_ex(w.sum, EVP_sha256(), NULL) == 1);
	good = write_head(&w, t, now_s) && write_entries(&w, t) && write_sum(&w);
	EVP_MD_CTX_free(w.sum);
	return good;
}

static bool
take_place(void *arg, const char *aside, const char *path)
{
	(void)arg;
	return rename(aside, path) == 0;
}

/* Until its name is there on the disk too, the old one is the one that counts. False with errno. */
static bool
write_aside(const char *directory, const char *aside, int fd, struct table *t, uint32_t now_s,
    place_fn *place, void *arg)
{
	char *path = mem_printf("%s/" SNAPSHOT_FILE, directory);
	bool good = snapshot_write_fd(fd, t, now_s) && fsync(fd) == 0 && place(arg, aside, path) &&
	    file_sync_directory(directory);

	free(path);
	return good;
}

/* False with errno. */
static bool
snapshot_try(const char *directory, struct table *t, uint32_t now_s, place_fn *place, void *arg)
{
	char *aside = mem_printf("%s/" ASIDE, directory);
	int fd = mkostemp(aside, O_CLOEXEC), saved;	/* mode 0600 */
	bool good = fd != -1 && write_aside(directory, aside, fd, t, now_s, place, arg);

	saved = errno;
	if (fd != -1)
		close(fd);
	if (fd != -1 && !good)
		unlink(aside);
	free(aside);
	errno = saved;
	return good;
}

static void
log_failure(const char *directory)
{
	log_warn("%s/" SNAPSHOT_FILE ": can't be written: %s", directory, strerror(errno));
}

bool
snapshot_write(const char *directory, struct table *t, uint32_t now_s)
{
	bool good = snapshot_try(directory, t, now_s, take_place, NULL);

	if (!good)
		log_failure(directory);
	return good;
}

/* ---- the thread ---- */

/* Whoever drops it waits for this, not for a disk. */
static bool
take_place_unless_dropped(void *arg, const char *aside, const char *path)
{
	struct snapshot *s = arg;
	bool good = false;

	errno = ECANCELED;
	pthread_mutex_lock(&s->lock);
	if (!s->dropped)
		good = take_place(NULL, aside, path);
	pthread_mutex_unlock(&s->lock);
	return good;
}

/* Logs each change, not each failure. */
static void
snapshot_judge(struct snapshot *s, const char *directory, bool good)
{
	if (!good && errno == ECANCELED)
		return;
	if (!good && !s->failing)
		log_failure(directory);
	else if (good && s->failing)
		log_notice("%s/" SNAPSHOT_FILE ": is written again", directory);
	s->failing = !good;
}

/* What is to be written where: a copy, to be freed. NULL: nothing. */
static char *
snapshot_target(struct snapshot *s)
{
	char *directory;

	pthread_mutex_lock(&s->lock);
	directory = !s->dropped ? mem_strdup(s->directory) : NULL;
	pthread_mutex_unlock(&s->lock);
	return directory;
}

static void
snapshot_turn(struct snapshot *s)
{
	char *directory = snapshot_target(s);
	uint32_t now_s = (uint32_t)(clock_wall_us() / 1000000);

	if (directory == NULL)
		return;
	snapshot_judge(s, directory, snapshot_try(directory, s->table, now_s, take_place_unless_dropped, s));
	free(directory);
}

/* When the next one is due has come, or there is news: then perhaps it has not. Locked. */
static bool
snapshot_is_due(struct snapshot *s)
{
	uint64_t until_us = s->since_us + s->interval_ms * 1000;
	struct timespec until = { (time_t)(until_us / 1000000), (long)(until_us % 1000000 * 1000) };

	if (s->interval_ms != 0 && !s->dropped)
		return pthread_cond_timedwait(&s->news, &s->lock, &until) != 0;
	pthread_cond_wait(&s->news, &s->lock);
	return false;
}

/* False: it is to end. */
static bool
snapshot_wait(struct snapshot *s)
{
	bool stopping;

	pthread_mutex_lock(&s->lock);
	s->since_us = clock_exact_us();
	while (!s->stopping && !snapshot_is_due(s))
		;
	stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return !stopping;
}

/* The last one, when it is to end, is written here too. */
static void *
snapshot_run(void *arg)
{
	struct snapshot *s = arg;

	pthread_setname_np(pthread_self(), "snapshot");
	while (snapshot_wait(s))
		snapshot_turn(s);
	snapshot_turn(s);
	return NULL;
}

/* Signals are the main thread's. */
static int
snapshot_start_thread(struct snapshot *s)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&s->thread, NULL, snapshot_run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

static void
snapshot_free(struct snapshot *s)
{
	pthread_cond_destroy(&s->news);
	pthread_mutex_destroy(&s->lock);
	free(s->directory);
	free(s);
}

struct snapshot *
snapshot_begin(const char *directory, struct table *t, uint64_t interval_ms)
{
	struct snapshot *s = mem_zalloc(sizeof *s);
	pthread_condattr_t monotonic;
	int e;

	s->directory = mem_strdup(directory);
	s->table = t;
	s->interval_ms = interval_ms;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->news, &monotonic);
	pthread_condattr_destroy(&monotonic);
	e = snapshot_start_thread(s);
	if (e == 0)
		return s;
	snapshot_free(s);
	errno = e;
	return NULL;
}

void
snapshot_change(struct snapshot *s, const char *directory, uint64_t interval_ms)
{
	pthread_mutex_lock(&s->lock);
	free(s->directory);
	s->directory = mem_strdup(directory);
	s->interval_ms = interval_ms;
	s->dropped = false;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->lock);
}

void
snapshot_drop(struct snapshot *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->dropped = true;
	pthread_mutex_unlock(&s->lock);
}

void
snapshot_end(struct snapshot *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	snapshot_free(s);
}
