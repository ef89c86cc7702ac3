/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - the one entry point of a fuzz target, as libFuzzer names it.
 *
 * Any bytes may come; what must hold of the answers is asserted with must(). It returns 0.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
