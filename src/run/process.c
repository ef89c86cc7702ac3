/* SPDX-License-Identifier: BSD-2-Clause */
/* From /proc/self, getrusage(2) and getrlimit(2). */
#include "run/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void
read_memory(struct process_facts *f)
{
	FILE *from = fopen("/proc/self/statm", "re");
	unsigned long long size, resident;
	long page = sysconf(_SC_PAGESIZE);

	if (from == NULL)
		return;
	if (fscanf(from, "%llu %llu", &size, &resident) == 2) {
		f->virtual_bytes = size * (uint64_t)page;
		f->resident_bytes = resident * (uint64_t)page;
	}
	fclose(from);
}

uint64_t
process_resident_bytes(void)
{
	struct process_facts f = { .fds = 0 };

	read_memory(&f);
	return f.resident_bytes;
}

static unsigned
count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0;	/* ".", "..", and the directory itself */
}

static uint64_t
us_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

struct process_facts
process_facts(void)
{
	struct process_facts f = { .fds = count_descriptors() };
	struct rusage used;
	struct rlimit limit;

	read_memory(&f);
	if (getrusage(RUSAGE_SELF, &used) == 0)
		f.cpu_us = us_of(used.ru_utime) + us_of(used.ru_stime);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		f.fds_max = (unsigned)limit.rlim_cur;
	return f;
}
