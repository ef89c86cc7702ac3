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

/* NULL when neither limit is set: then iplimit_enter(NULL, ...) always says yes and costs nothing. */
struct iplimit *iplimit_new(unsigned max_connections, struct conf_rate rate);
void iplimit_free(struct iplimit *l);		/* NULL is fine */
/* May one more connection of this address come in? Counted when so, to be left once. */
bool iplimit_enter(struct iplimit *l, const struct addr *a, uint64_t now_ms) MUST_CHECK;
void iplimit_leave(struct iplimit *l, const struct addr *a);

#endif
