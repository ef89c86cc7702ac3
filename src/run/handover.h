/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.h - what an old process and the one that takes over say to each other, by a socket pair.
 *
 *   old                                      new
 *                                            makes everything of its configuration with the sockets that it
 *                                            inherited (heirloom.h), looks at the gateways
 *                                            PREPARED
 *   takes no more connections (they queue)
 *   STATE (two descriptors: the table, and
 *   what operators said of gateways)         puts that into force, accepts
 *                                            READY
 *   finishes what it has
 *
 * Whoever closes the pair before READY calls it off: the old process goes on as if nothing had been. Each message is
 * one packet (SOCK_SEQPACKET): a version, a word, descriptors alongside (unix(7), SCM_RIGHTS).
 */
#ifndef RUN_HANDOVER_H
#define RUN_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

/* Where the new process finds its end: a descriptor's number. */
#define HANDOVER_VARIABLE "STICKYD_HANDOVER"
#define HANDOVER_DESCRIPTORS 2

enum handover_word {
	HANDOVER_PREPARED,
	HANDOVER_STATE,
	HANDOVER_READY,
};
#define HANDOVER_WORDS (HANDOVER_READY + 1)

struct handover_message {
	enum handover_word word;
	int fd[HANDOVER_DESCRIPTORS];
	size_t fds;
};

/* Waits for room. False with errno. The descriptors stay the caller's. */
bool handover_send(int socket, enum handover_word word, const int *fd, size_t fds) MUST_CHECK;
/* Waits for as long as the socket does. The descriptors (close-on-exec) are the caller's. False with errno, which is
 * 0 when the other side has closed, EPROTO when it says what makes no sense. */
bool handover_receive(int socket, struct handover_message *m) MUST_CHECK;
/* Closes descriptors that nobody took: those that are not -1. */
void handover_message_fini(struct handover_message *m);

#endif
