/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: counts calls of malloc and its like, by whatever thread or library, into the file that ALLOCATIONS
 * names: one 64-bit number, mapped, so that another process can read it at any time.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own, by their other names: dlsym() itself allocates. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static _Atomic uint64_t nowhere, *count = &nowhere;

static __attribute__((constructor)) void
count_where(void)
{
	const char *name = getenv("ALLOCATIONS");
	int fd = name != NULL ? open(name, O_RDWR | O_CREAT, 0600) : -1;
	void *map;

	if (fd == -1 || ftruncate(fd, sizeof *count) == -1)
		return;
	map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		count = map;
	close(fd);
}

void *
malloc(size_t n)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_realloc(p, n);
}

int
posix_memalign(void **p, size_t alignment, size_t n)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	*p = __libc_memalign(alignment, n);
	return *p != NULL ? 0 : 12;
}
