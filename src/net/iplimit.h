/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iplimit.h - how many connections one address holds, and how fast it opens them.
 *
 * One for a listener, shared by all workers, in shards by a keyed hash (clients choose their addresses). IPv6 counts
 * by /64, which is what one customer gets. Memory is bounded: an address is forgotten once it holds nothing and its
 * bucket is full again, and in a flood the least recently seen of those without connections goes first.
 */
#ifndef NET_IPLIMIT_H
#define NET_IPLIMIT_H

#include "conf/conf.h"
#include "net/addr.h"

struct iplimit;

/* 0 connections, a rate of 0: no limit of this kind. */
struct iplimit *iplimit_new(unsigned max_connections, struct conf_rate rate) MUST_CHECK;
void iplimit_free(struct iplimit *l);		/* NULL is fine */
/* Other limits from now on: who is here stays, counts and buckets go on. Any thread. */
void iplimit_set(struct iplimit *l, unsigned max_connections, struct conf_rate rate);
/* May one more connection of this address come in? While there is no limit nothing is counted, which costs nothing:
 * whether this one was is told by *counted, to be kept with the connection, and it is left once if so, whatever the
 * limits are by then. (So a limit that is set by a reload counts those who come after it.) l: may be NULL. */
bool iplimit_enter(struct iplimit *l, const struct addr *a, uint64_t now_ms, bool *counted) MUST_CHECK;
/* One that was counted goes. */
void iplimit_leave(struct iplimit *l, const struct addr *a);

#endif
