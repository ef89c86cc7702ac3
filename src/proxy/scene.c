/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenes come and go with reloads, doors with the names of listeners. */
#include "proxy/scene.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/proxy.h"

/* ---- doors ---- */

static struct door *
door_new(struct proxy *p, const char *name)
{
	struct door *d = mem_zalloc(sizeof *d);

	d->proxy = p;
	d->name = mem_strdup(name);
	d->meter = meters_open(&p->meters, name);
	return d;
}

static void
door_free(struct door *d)
{
	free(d->name);
	free(d);
}

/* The last client of a door that leads nowhere: it held the scene in which its listener lives. */
static void
door_fall(struct door *d)
{
	struct scene *s = d->scene;

	door_free(d);
	scene_leave(s);
}

void
door_enter(struct door *d)
{
	d->clients++;
}

void
door_leave(struct door *d)
{
	must(d->clients != 0);
	if (--d->clients == 0 && d->retired)
		door_fall(d);
}

/* Its listener is not in the new scene. Requests under way are answered, sessions go on. */
static void
door_retire(struct door *d)
{
	struct proxy *p = d->proxy;

	d->retired = true;
	scene_enter(d->scene);
	if (d->clients == 0) {
		door_fall(d);
		return;
	}
	LIST_EACH (at, after, &p->client_list) {
		struct client *c = LIST_ENTRY_OF(at, struct client, link);

		if (c->door == d)
			client_stop(c);
	}
}

static struct door *
scene_door(const struct scene *s, const char *name)
{
	for (size_t i = 0; s != NULL && i < s->setup.listeners; i++)
		if (strcmp(s->door[i]->name, name) == 0)
			return s->door[i];
	return NULL;
}

/* ---- scenes ---- */

static struct tls_context *
scene_tls(const struct scene *s, const struct door *d)
{
	size_t i = 0;

	while (s->door[i] != d)
		i++;
	return s->tls[i];
}

static bool
scene_make_doors(struct scene *s, const struct scene *before)
{
	const struct scene_setup *setup = &s->setup;

	s->door = mem_zalloc((setup->listeners + 1) * sizeof(struct door *));
	s->tls = mem_zalloc((setup->listeners + 1) * sizeof(struct tls_context *));
	for (size_t i = 0; i < setup->listeners; i++) {
		struct listener *l = setup->listener[i];
		struct door *d = scene_door(before, l->conf->name);

		s->door[i] = d != NULL ? d : door_new(s->proxy, l->conf->name);
		if (l->tls == NULL)
			continue;
		s->tls[i] = listener_tls_context(l, s->proxy->number, d != NULL ? scene_tls(before, d) : NULL);
		if (s->tls[i] == NULL)
			return false;
	}
	return true;
}

struct scene *
scene_new(struct proxy *p, const struct scene_setup *setup, const struct scene *before)
{
	struct scene *s = mem_zalloc(sizeof *s);

	s->proxy = p;
	s->setup = *setup;
	s->tools.scratch = mem_zalloc(SELECTOR_KEY_MAX);
	s->tally = mem_zalloc((setup->services + 1) * sizeof *s->tally);
	for (size_t i = 0; i < setup->services; i++)
		s->tally[i] =
		    tally_view_new(&p->tallies, setup->service[i].conf->name, setup->service[i].affinity);
	if (scene_make_doors(s, before))
		return s;
	scene_free(s);
	return NULL;
}

/* Doors that nobody ever came to see; the others belong to their worker. */
static void
scene_free_doors(struct scene *s)
{
	for (size_t i = 0; i < s->setup.listeners; i++)
		if (!s->shown && s->door[i] != NULL && s->door[i]->scene == NULL)
			door_free(s->door[i]);
	free(s->door);
}

void
scene_free(struct scene *s)
{
	if (s == NULL)
		return;
	must(s->uses == 0);
	for (size_t i = 0; i < s->setup.services; i++)
		tally_view_fini(&s->tally[i]);
	for (size_t i = 0; s->tls != NULL && i < s->setup.listeners; i++)
		tls_context_free(s->tls[i]);
	free(s->tally);
	free(s->tls);
	scene_free_doors(s);
	free(s->tools.scratch);
	free(s);
}

/* ---- who is in a scene ---- */

void
scene_enter(struct scene *s)
{
	s->uses++;
}

/* Its store's connection ends with it, unless another scene goes on with it. */
void
scene_leave(struct scene *s)
{
	struct proxy *p = s->proxy;

	must(s->uses != 0);
	if (--s->uses != 0)
		return;
	store_retire(s->tools.store, &p->leaving_stores);
	sealer_free(s->tools.sealer);
	p->on_scene_over(p->arg, s);
}

/* What remembers or is connected goes on, where keys and server are the same. */
static void
scene_take_tools(struct scene *s, const struct scene *before)
{
	const struct scene_setup *is = &s->setup, *was = before != NULL ? &before->setup : NULL;

	if (was != NULL && seal_ring_same(was->ring, is->ring))
		s->tools.sealer = sealer_share(before->tools.sealer);
	else
		s->tools.sealer = sealer_new(is->ring);
	if (was != NULL && was->store == is->store)
		s->tools.store = store_share(before->tools.store);
	else if (is->store != NULL)
		s->tools.store = store_new(s->proxy->loop, is->store);
}

static void
scene_open_doors(struct scene *s)
{
	for (size_t i = 0; i < s->setup.listeners; i++) {
		struct door *d = s->door[i];

		d->scene = s;
		d->listener = s->setup.listener[i];
		d->routes = s->setup.routes[i];
		d->tls = s->tls[i];
	}
}

static void
scene_close_doors(struct scene *s)
{
	for (size_t i = 0; i < s->setup.listeners; i++)
		if (s->door[i]->scene == s)
			door_retire(s->door[i]);
}

void
proxy_show(struct proxy *p, struct scene *s)
{
	struct scene *before = p->scene;

	if (s != NULL) {
		s->shown = true;
		scene_take_tools(s, before);
		scene_open_doors(s);
		scene_enter(s);
	}
	p->scene = s;
	if (before == NULL)
		return;
	scene_close_doors(before);
	scene_leave(before);
	links_drop_gone(p->links);
}
