/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.h - a doubly linked ring whose links live inside the objects.
 *
 * A link that is on no list is a ring of one, so taking it off twice does no harm. Nothing is owned.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY_OF(link, type, member) CONTAINER(link, type, member)
/* The body may take `at` off the list. */
#define LIST_EACH(at, after, head) \
	for (struct list *at = (head)->next, *after = at->next; at != (head); at = after, after = at->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add_tail(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void
list_add_head(struct list *head, struct list *l)
{
	list_add_tail(head->next, l);
}

static inline void
list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* All of `from`, in order, to the end of `to`. */
static inline void
list_move_all(struct list *to, struct list *from)
{
	while (!list_is_empty(from)) {
		struct list *l = from->next;

		list_remove(l);
		list_add_tail(to, l);
	}
}

#endif
