/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene.h - what a reload replaces as a whole, as one worker sees it: the services, the routes, each listener's
 * settings, what the sealing keys and the store are.
 *
 * The main thread makes it (scene_new), the worker shows it between two turns (proxy_show): from then on new requests
 * are begun with it. An exchange keeps the scene that it began with, counted without atomics, since all who count are
 * the worker's; a session keeps none. When nobody is left in a scene that is not shown any more the worker says so
 * (proxy->on_scene_over), and the main thread frees it.
 *
 * A door is a listener as its clients know it. It stays over reloads, for as long as a listener of its name is
 * there, and then until its last client has gone.
 */
#ifndef PROXY_SCENE_H
#define PROXY_SCENE_H

#include "proxy/route.h"
#include "proxy/meter.h"
#include "proxy/tally.h"

struct listener;
struct proxy;
struct scene;
struct tls_context;

struct door {
	struct proxy *proxy;
	struct scene *scene;		/* whose the next four are; */
	struct listener *listener;
	const struct routes *routes;
	struct tls_context *tls;	/* NULL: plain */
	struct meter *meter;
	bool retired;			/* its listener is no more: who is there may finish */
	unsigned clients;
	char *name;
};

struct scene_setup {
	const struct service *service;
	size_t services;
	struct listener *const *listener;
	struct routes *const *routes;	/* one for each listener */
	size_t listeners;
	const struct seal_ring *ring;
	struct store_shared *store;	/* NULL: the table is all there is */
	void *owner;			/* for whoever frees it */
};

struct scene {
	struct list list;		/* its maker's */
	struct proxy *proxy;
	struct scene_setup setup;
	bool shown;
	struct affinity_tools tools;
	struct tally_view *tally;	/* one for each service */
	struct door **door;		/* one for each listener */
	struct tls_context **tls;	/* likewise; NULL: plain */
	unsigned uses;			/* being shown is one; exchanges, retired doors */
};

/* For a proxy whose worker shows `before` (NULL: none yet). Main thread; what setup points to must outlive the
 * result. NULL: out of memory, for TLS. */
struct scene *scene_new(struct proxy *p, const struct scene_setup *setup, const struct scene *before) MUST_CHECK;
/* One that is over, or was never shown; main thread, or when the worker has ended. NULL is fine. */
void scene_free(struct scene *s);

void scene_enter(struct scene *s);
void scene_leave(struct scene *s);

/* Before the worker runs, or on its thread. What was shown before is left. NULL: nothing any more, in the end. */
void proxy_show(struct proxy *p, struct scene *s);
/* A client of this door has come, or its memory has gone. */
void door_enter(struct door *d);
void door_leave(struct door *d);

#endif
