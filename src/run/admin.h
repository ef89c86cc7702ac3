/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.h - the operator's door: HTTP with JSON inside, on a Unix socket (stickyctl) and, where configured, on TCP.
 *
 * On the main thread, by libevent's evhttp. What can be asked is one table of method, path and function (api.c). The
 * socket's permissions (0660) are its authorization; over TCP whatever changes something needs the token
 * ("Authorization: Bearer TOKEN", compared in constant time), and everything does where the address is not a loopback
 * one.
 */
#ifndef RUN_ADMIN_H
#define RUN_ADMIN_H

#include "run/daemon.h"

struct event_base;
struct admin;

/* Before privileges are dropped: binds both, gives the socket to the user, reads the token. A stale socket is
 * replaced, one that answers is not. NULL: reported. */
struct admin *admin_open(const struct conf *cf, const struct privilege *p, conf_report_fn *report, void *arg)
    MUST_CHECK;
/* Answers from now on; d must outlive it. */
void admin_start(struct admin *a, struct event_base *base, struct daemon *d);
/* Whether that could be done, as far as can be seen without doing it. False: reported. */
bool admin_check(const struct conf_admin *cf, conf_report_fn *report, void *arg) MUST_CHECK;
void admin_free(struct admin *a);		/* before its base; removes the socket; NULL is fine */

#endif
