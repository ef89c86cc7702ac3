/* SPDX-License-Identifier: BSD-2-Clause */
/* top.h - `stickyctl top`: the state of a running stickyd on a live screen. */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include <stdbool.h>

/* Until q is pressed or it is told to end; a daemon that does not answer is asked again. Returns the exit status,
 * having said why. */
int top_run(const char *path);
/* One screen, printed. It takes a second, since rates need two looks. */
int top_once(const char *path);

#endif
