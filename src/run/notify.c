/* SPDX-License-Identifier: BSD-2-Clause */
/* The service manager's side of start and stop. */
#include "run/notify.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int
sd_notify(int unset_environment, const char *state)
{
	(void)unset_environment;
	(void)state;
	return 0;
}

static int
sd_watchdog_enabled(int unset_environment, uint64_t *usec)
{
	(void)unset_environment;
	(void)usec;
	return 0;
}
#endif

/* Longer texts are of no use in one line. */
#define NOTIFY_TEXT 256

static void
notify(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void
notify(const char *fmt, ...)
{
	char text[NOTIFY_TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	(void)sd_notify(0, text);
}

void
notify_ready(void)
{
	notify("READY=1");
}

/* By the clock that systemd compares it with (Type=notify-reload). */
void
notify_reloading(void)
{
	notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_exact_us());
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}

void
notify_status(const char *fmt, ...)
{
	char text[NOTIFY_TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	notify("STATUS=%s", text);
}

void
notify_successor(pid_t pid)
{
	notify("MAINPID=%ld", (long)pid);
}

uint64_t
notify_watchdog_us(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

void
notify_alive(void)
{
	notify("WATCHDOG=1");
}
