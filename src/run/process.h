/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h - what the kernel says of this process. Any thread. */
#ifndef RUN_PROCESS_H
#define RUN_PROCESS_H

#include <stdint.h>

struct process_facts {
	uint64_t resident_bytes, virtual_bytes;
	uint64_t cpu_us;			/* of all threads, user's and system's */
	unsigned fds, fds_max;
};

uint64_t process_resident_bytes(void);
/* What can't be read (a system without /proc) is 0. */
struct process_facts process_facts(void);

#endif
