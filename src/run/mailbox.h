/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mailbox.h - how threads ask something of one another: a queue of calls, and an eventfd that wakes its owner.
 *
 * Any thread posts. The owner waits for the descriptor by whatever loop it has, and delivers: the calls are then made
 * on its thread, in the order in which they were posted.
 */
#ifndef RUN_MAILBOX_H
#define RUN_MAILBOX_H

#include <stddef.h>

#include "base/check.h"

struct mailbox;
typedef void mailbox_fn(void *arg, size_t number);

/* NULL with errno. */
struct mailbox *mailbox_new(void) MUST_CHECK;
/* What has not been delivered is dropped. NULL is fine. */
void mailbox_free(struct mailbox *m);
/* Aborts without memory (mem.h): what is posted is rare, and a stop must not be lost. */
void mailbox_post(struct mailbox *m, mailbox_fn *fn, void *arg, size_t number);
/* Readable when there is something to deliver. */
int mailbox_fd(const struct mailbox *m);
void mailbox_deliver(struct mailbox *m);

#endif
