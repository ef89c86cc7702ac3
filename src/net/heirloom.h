/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heirloom.h - listening sockets that this process did not make: the service manager's (sd_listen_fds(3)), or those
 * of the stickyd whose place it takes.
 *
 * Whoever wants to listen somewhere asks first whether a socket for it was inherited: that may be open where we could
 * not open one, and connections may wait in it. What nobody claims is closed. Main thread, at the start.
 *
 * A bequest is the other end: the sockets that are left to a process which is about to be executed, and in which
 * alone they lose their close-on-exec.
 */
#ifndef NET_HEIRLOOM_H
#define NET_HEIRLOOM_H

#include "net/addr.h"

/* "7 8l 9": a bequest's descriptors; l: lent. What they are bound to they tell themselves. */
#define BEQUEST_VARIABLE "STICKYD_SOCKETS"

struct heirloom {
	int fd;				/* -1: claimed */
	struct addr addr;
	char *path;			/* a Unix socket's; NULL: it has an address */
	char *name;			/* by which the service manager calls it; may be empty */
	bool is_dual;			/* "[::]:80" that takes IPv4 as well */
	bool is_mptcp;
	bool is_lent;			/* the service manager holds it too, and for longer than us */
};

struct heirlooms {
	struct heirloom *item;
	size_t n;
};

/* What LISTEN_FDS (if LISTEN_PID means us) and BEQUEST_VARIABLE name, which are taken out of the environment. A
 * descriptor that takes no stream connections is closed with a warning. */
struct heirlooms *heirlooms_new(void) MUST_CHECK;
/* What was not claimed is closed, with a warning each. NULL is fine. */
void heirlooms_free(struct heirlooms *h);
/* Takes over the descriptor. */
void heirlooms_add(struct heirlooms *h, int fd, const char *name, bool is_lent);
/* One that is bound to this address; its descriptor is the caller's now, its texts are borrowed. "*:80" is also
 * content with "[::]:80" that takes IPv4. h may be NULL. False, *to as it was: there is none, or none any more. */
bool heirlooms_claim(struct heirlooms *h, const struct addr *at, struct heirloom *to) MUST_CHECK;
/* Of a Unix socket: the descriptor, the caller's now, or -1. *is_lent: as above. h may be NULL. */
int heirlooms_claim_path(struct heirlooms *h, const char *path, bool *is_lent) MUST_CHECK;

struct bequest {
	int *fd;
	bool *is_lent;
	size_t n;
};

void bequest_add(struct bequest *b, int fd, bool is_lent);
/* For BEQUEST_VARIABLE. The caller's. */
char *bequest_text(const struct bequest *b) MUST_CHECK;
void bequest_fini(struct bequest *b);	/* closes nothing */

#endif
