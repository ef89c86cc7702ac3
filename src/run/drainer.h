/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drainer.h - closes sessions that have to go elsewhere, so slowly that whoever comes back at once is no crowd: those
 * of gateways whose drain's deadline has passed, or that are gone and theirs has; and, when an operator asks for a
 * rebalance, some of those that hold more than their share.
 *
 * In no second are more sessions of a pool closed than its drain_rate (a rebalance has a rate of its own), and no
 * more than a twentieth of that at once, at times that have some jitter. Main thread; it does nothing while nothing
 * is due.
 */
#ifndef RUN_DRAINER_H
#define RUN_DRAINER_H

#include "run/daemon.h"

struct drainer;
struct event_base;

/* The daemon must outlive it; it listens to the daemon's health (health_on_change) where there is one. */
struct drainer *drainer_new(struct event_base *base, struct daemon *d) MUST_CHECK;
void drainer_free(struct drainer *dr);		/* NULL is fine */
/* Something has changed: pools by a reload, a gateway's state or deadline by an operator. */
void drainer_look(struct drainer *dr);
/* Moves sessions of this pool from gateways that have more than their share to those that have less, at most so many
 * in per_ms; *moving: how many that will be. One that is under way is begun anew. False: *why (static). */
bool drainer_rebalance(struct drainer *dr, const struct pool *p, const struct conf_rate *rate, size_t *moving,
    const char **why) MUST_CHECK;

/* Of a rebalance: false: there is none under way in the pool. */
struct drainer_progress {
	struct conf_rate rate;
	size_t left;			/* sessions still to be moved */
};
bool drainer_progress(const struct drainer *dr, const struct pool *p, struct drainer_progress *progress) MUST_CHECK;
/* Gateways that no configuration names any more and that still have sessions, in no order. */
void drainer_each_gone(const struct drainer *dr, void (*fn)(const struct gateway *g, void *arg), void *arg);
/* Sessions of a gateway that are still to be closed since its time is over; 0 where none are. */
size_t drainer_closing(const struct drainer *dr, const struct gateway *g);

#endif
