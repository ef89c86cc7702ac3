/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.h - what systemd is told of the service (sd_notify(3)); nothing where it does not listen, or we were built
 * without.
 */
#ifndef RUN_NOTIFY_H
#define RUN_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
