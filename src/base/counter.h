/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.h - a number that one thread counts up and any thread may read.
 *
 * Its owner pays what a plain addition costs: no locked instruction, since nobody else writes.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t n;
};

/* The owner's thread. */
static inline void
counter_add(struct counter *c, uint64_t n)
{
	atomic_store_explicit(&c->n, atomic_load_explicit(&c->n, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t
counter_read(const struct counter *c)
{
	return atomic_load_explicit(&c->n, memory_order_relaxed);
}

#endif
