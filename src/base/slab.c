/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of some 16 KiB are cut into objects and kept until the worker ends: a peak leaves its memory for the next
 * one. */
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_PLAIN 1
#endif
#endif
#ifndef SLAB_PLAIN
#define SLAB_PLAIN 0
#endif

#define SLAB_PAGE (16 * 1024)
#define SLAB_ALIGN 16

struct slab_free {
	struct slab_free *next;
};
struct slab_page {
	struct slab_page *next;
	_Alignas(SLAB_ALIGN) char bytes[];
};

void
slab_init(struct slab *s, size_t object_bytes)
{
	if (object_bytes < sizeof(struct slab_free))
		object_bytes = sizeof(struct slab_free);
	*s = (struct slab){
		.object_bytes = (object_bytes + SLAB_ALIGN - 1) & ~(size_t)(SLAB_ALIGN - 1),
		.loose = SLAB_PLAIN,
	};
}

void
slab_init_loose(struct slab *s, size_t object_bytes, size_t spare_most)
{
	slab_init(s, object_bytes);
	s->loose = true;
	if (!SLAB_PLAIN)
		s->spare_most = spare_most;
}

void
slab_fini(struct slab *s)
{
	must(s->live == 0);
	while (s->loose && s->free != NULL) {
		struct slab_free *f = s->free;

		s->free = f->next;
		free(f);
	}
	while (s->pages != NULL) {
		struct slab_page *page = s->pages;

		s->pages = page->next;
		free(page);
	}
	s->free = NULL;
}

static void
slab_push(struct slab *s, void *object)
{
	struct slab_free *f = object;

	f->next = s->free;
	s->free = f;
	s->spare++;
}

static void
slab_grow(struct slab *s)
{
	size_t count = SLAB_PAGE / s->object_bytes > 4 ? SLAB_PAGE / s->object_bytes : 4;
	struct slab_page *page = malloc(sizeof *page + count * s->object_bytes);

	if (page == NULL)
		return;
	page->next = s->pages;
	s->pages = page;
	for (size_t i = count; i-- > 0;)
		slab_push(s, page->bytes + i * s->object_bytes);
}

static void
slab_grow_loose(struct slab *s)
{
	void *object = malloc(s->object_bytes);

	if (object != NULL)
		slab_push(s, object);
}

void *
slab_get_raw(struct slab *s)
{
	struct slab_free *f;

	if (s->free == NULL && s->loose)
		slab_grow_loose(s);
	else if (s->free == NULL)
		slab_grow(s);
	f = s->free;
	if (f == NULL)
		return NULL;
	s->free = f->next;
	s->spare--;
	s->live++;
	return f;
}

void *
slab_get(struct slab *s)
{
	void *object = slab_get_raw(s);

	if (object != NULL)
		memset(object, 0, s->object_bytes);
	return object;
}

void
slab_put(struct slab *s, void *object)
{
	if (object == NULL)
		return;
	must(s->live != 0);
	s->live--;
	if (s->loose && s->spare == s->spare_most)
		free(object);
	else
		slab_push(s, object);
}
