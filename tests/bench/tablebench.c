/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the table costs: memory, a lookup in a small and in a large one, several threads on its shards against one big
 * lock (a table of one shard), chains under chosen keys, and how long a call may take while a snapshot is copied.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/table.h"
#include "base/clock.h"

#include <uthash.h>

#define MILLION 1000000
#define TTL 86400
#define NOW 1000
#define THREADS 4
#define ROUNDS 9
#define ROUND_US 300000
#define LOOKUPS 400000
#define CHOSEN 10000
#define CHOSEN_BITS 12

static const struct slice pool = { "game", 4 };

static struct table_key
key_of(const struct table *t, unsigned i)
{
	char text[24];

	return table_key(t, pool, slice_make(text, (size_t)snprintf(text, sizeof text, "player-%013u", i)));
}

static void
fill(struct table *t, unsigned keys)
{
	for (unsigned i = 0; i < keys; i++) {
		struct table_key k = key_of(t, i);

		table_bind(t, &k, i % 10, NOW, false, NULL);
	}
}

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t all, resident = 0;

	if (f == NULL || fscanf(f, "%zu %zu", &all, &resident) != 2)
		exit(1);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *of)
{
	qsort(of, ROUNDS, sizeof *of, compare);
	return of[ROUNDS / 2];
}

static double
lookup_ns(struct table *t, unsigned keys)
{
	static char text[LOOKUPS][20];
	uint64_t began, found = 0;
	struct table_binding b;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		char whole[24];

		snprintf(whole, sizeof whole, "player-%013u", (unsigned)random() % keys);
		memcpy(text[i], whole, sizeof text[i]);
	}
	began = clock_exact_us();
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct table_key k = table_key(t, pool, slice_make(text[i], sizeof text[i]));

		found += table_get(t, &k, NOW, &b);
	}
	if (found < LOOKUPS)
		exit(1);
	return (double)(clock_exact_us() - began) * 1000 / LOOKUPS;
}

static void
measure_lookups(struct table *small, struct table *large)
{
	double s[ROUNDS], l[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		s[i] = lookup_ns(small, 1000);
		l[i] = lookup_ns(large, MILLION);
	}
	printf("lookup of a key of 20 bytes: %.0f ns at 1,000 keys, %.0f ns at 1,000,000 (medians of %d rounds)\n",
	    median(s), median(l), ROUNDS);
}

struct user {
	pthread_t thread;
	struct table *table;
	unsigned seed;
	uint64_t calls, longest_us;
	bool timed;
};

static atomic_bool stop;

/* Nine of ten get, one binds. */
static void *
use_table(void *arg)
{
	struct user *u = arg;
	struct table_binding b;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct table_key k = key_of(u->table, (unsigned)rand_r(&u->seed) % MILLION);
		uint64_t began = u->timed ? clock_exact_us() : 0, took;

		if (u->calls++ % 10 == 0)
			table_bind(u->table, &k, u->calls % 10, NOW, false, NULL);
		else
			(void)!table_get(u->table, &k, NOW, &b);
		took = u->timed ? clock_exact_us() - began : 0;
		if (took > u->longest_us)
			u->longest_us = took;
	}
	return NULL;
}

static void
users_start(struct user *u, struct table *t, bool timed)
{
	atomic_store(&stop, false);
	for (unsigned i = 0; i < THREADS; i++) {
		u[i] = (struct user){ .table = t, .seed = i + 1, .timed = timed };
		if (pthread_create(&u[i].thread, NULL, use_table, &u[i]) != 0)
			exit(1);
	}
}

static void
users_end(struct user *u)
{
	atomic_store(&stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(u[i].thread, NULL);
}

static double
calls_per_second_and_core(struct table *t)
{
	struct user u[THREADS];
	uint64_t began = clock_exact_us(), calls = 0;

	users_start(u, t, false);
	usleep(ROUND_US);
	users_end(u);
	for (unsigned i = 0; i < THREADS; i++)
		calls += u[i].calls;
	return (double)calls * 1e6 / (double)(clock_exact_us() - began) / THREADS;
}

static void
measure_threads(struct table *sharded, struct table *one_lock)
{
	double s[ROUNDS], o[ROUNDS], ratio[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		s[i] = calls_per_second_and_core(sharded);
		o[i] = calls_per_second_and_core(one_lock);
		ratio[i] = s[i] / o[i];
	}
	printf("%d threads, 9 get to 1 bind: %.0f calls per second and core in shards, %.0f under one lock; "
	    "ratio %.2f (medians of %d rounds)\n", THREADS, median(s), median(o), median(ratio), ROUNDS);
}

static uint64_t
longest_call_us(struct table *t, bool copying, size_t *copied)
{
	static struct table_entry e[512];
	struct user u[THREADS];
	uint64_t longest = 0, at = 0;
	size_t n;

	users_start(u, t, true);
	usleep(ROUND_US / 2);
	while (copying && (n = table_copy(t, &at, e, COUNT(e))) != 0)
		*copied += n;
	if (!copying)
		usleep(ROUND_US / 2);
	users_end(u);
	for (unsigned i = 0; i < THREADS; i++)
		longest = u[i].longest_us > longest ? u[i].longest_us : longest;
	return longest;
}

static void
measure_copying(struct table *t)
{
	double without[ROUNDS], with[ROUNDS];
	size_t copied = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		without[i] = (double)longest_call_us(t, false, NULL);
		with[i] = (double)longest_call_us(t, true, &copied);
	}
	printf("longest call of %d threads: %.0f us, %.0f us while %zu keys are copied (medians of %d rounds)\n", THREADS,
	    median(without), median(with), copied / ROUNDS, ROUNDS);
}

/* Keys that an unkeyed hash, uthash's own, puts into 1 of 4096 buckets. */
static void
measure_chains(void)
{
	struct table *t = table_new(CHOSEN, TTL), *plain = table_new(CHOSEN, TTL);
	unsigned hash, chosen = 0;

	fill(plain, CHOSEN);
	for (unsigned i = 0; chosen < CHOSEN; i++) {
		char text[12];
		int n = snprintf(text, sizeof text, "%u", i);
		struct table_key k;

		HASH_JEN(text, n, hash);
		if ((hash & ((1U << CHOSEN_BITS) - 1)) != 0)
			continue;
		k = table_key(t, pool, slice_make(text, (size_t)n));
		table_bind(t, &k, 1, NOW, false, NULL);
		chosen++;
	}
	printf("longest chain of %d keys: %u in sequence; %u of those that Jenkins' hash puts into 1 of %u buckets\n", CHOSEN,
	    table_longest_chain(plain), table_longest_chain(t), 1U << CHOSEN_BITS);
	table_free(t);
	table_free(plain);
}

int
main(void)
{
	size_t before = resident_bytes(), after, keys;
	struct table *large = table_new(MILLION, TTL), *small = table_new(1000, TTL), *one;

	fill(large, MILLION);
	after = resident_bytes();
	keys = table_counts(large).keys;
	printf("memory: %.1f bytes a key, %zu keys\n", (double)(after - before) / (double)keys, keys);
	fill(small, 1000);
	one = table_new_sharded(MILLION, TTL, 1);
	fill(one, MILLION);
	measure_lookups(small, large);
	measure_threads(large, one);
	measure_copying(large);
	printf("longest chain of %zu keys in sequence: %u\n", keys, table_longest_chain(large));
	measure_chains();
	table_free(large);
	table_free(small);
	table_free(one);
	return 0;
}
