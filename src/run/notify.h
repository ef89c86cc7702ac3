/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.h - what systemd is told of the service (sd_notify(3)); nothing where it does not listen, or we were built
 * without.
 */
#ifndef RUN_NOTIFY_H
#define RUN_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

#include "base/check.h"

void notify_ready(void);
void notify_stopping(void);
/* One line for "systemctl status". */
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Another process is the service's main one from now on. */
void notify_successor(pid_t pid);
/* How often the service manager wants to be told that we are alive, 0: it does not. */
uint64_t notify_watchdog_us(void);
void notify_alive(void);
/* notify_ready() ends it. */
void notify_reloading(void);

#endif
