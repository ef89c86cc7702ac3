/* SPDX-License-Identifier: BSD-2-Clause */
/* The last words of a process that found itself wrong: straight to standard error, since the log may be what
 * broke. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "stickyd: %s:%d: this must hold and does not: %s\n", file, line, what);
	abort();
}
