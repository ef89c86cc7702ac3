/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.h - the operator's door: HTTP with JSON inside, on a Unix socket (stickyctl) and, where configured, on TCP.
 *
 * What can be asked is one table of method, path and function (api.c). The socket's permissions (0660) are its
 * authorization. Over TCP whatever changes something needs the token, and everything does where the address is not a
 * loopback one: as "Authorization: Bearer TOKEN", or by Basic with the token as password, which browsers can;
 * compared in constant time. A change that a browser sends has to come from our own page (its Origin is our Host).
 *
 * ADMIN_VISITORS are in at a time by each way: one more takes the place of whoever has longest asked nothing. At a
 * reload a way that stays what it is is not touched, and who is owed an answer gets it, by whatever way he came. On
 * the main thread, but for admin_prepare.
 */
#ifndef RUN_ADMIN_H
#define RUN_ADMIN_H

#include "net/heirloom.h"
#include "run/daemon.h"

#define ADMIN_VISITORS 64

struct event_base;
struct admin;
struct admin_change;

/* Before privileges are dropped: takes both from what was inherited or binds them, gives the socket to the user,
 * reads the token. A stale socket is replaced, one that answers is not. inherited may be NULL. NULL: reported. */
struct admin *admin_open(const struct conf *cf, const struct privilege *p, struct heirlooms *inherited,
    conf_report_fn *report, void *arg) MUST_CHECK;
/* Answers from now on; d must outlive it. */
void admin_start(struct admin *a, struct event_base *base, struct daemon *d);
/* Whether that could be done, as far as can be seen without doing it. False: reported. */
bool admin_check(const struct conf_admin *cf, conf_report_fn *report, void *arg) MUST_CHECK;
void admin_free(struct admin *a);		/* before its base; removes the socket; NULL is fine */

/* A reload: opens what is new, reads the token. Any thread; nothing in force is touched. NULL: reported. */
struct admin_change *admin_prepare(const struct admin *a, const struct conf *cf, conf_report_fn *report, void *arg)
    MUST_CHECK;
void admin_commit(struct admin *a, struct admin_change *change);
void admin_discard(struct admin_change *change);	/* NULL is fine */

/* Its listening sockets, for another process; */
void admin_bequeath(const struct admin *a, struct bequest *to);
/* that process answers there now: nobody is let in any more, and the socket's file is not ours to remove. */
void admin_hand_over(struct admin *a);

#endif
