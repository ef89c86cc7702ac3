/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * standing.h - what operators have said of gateways and no file knows: drains with their deadlines, who was taken
 * down, weights. Written for the process that takes over, so that an upgrade undoes nothing.
 *
 * JSON in a descriptor; deadlines as time that is left. Main thread.
 */
#ifndef RUN_STANDING_H
#define RUN_STANDING_H

#include "pool/pool.h"

/* False with errno. */
bool standing_write(int fd, struct pool *const *pool, size_t pools) MUST_CHECK;
/* From its beginning. Gateways that are not there any more are passed over. False: *why (static); some of it may be
 * in force. */
bool standing_read(int fd, struct pool *const *pool, size_t pools, const char **why) MUST_CHECK;

#endif
