/* SPDX-License-Identifier: BSD-2-Clause */
/* words.h - amounts as people read them: few digits and a unit. Each returns text. */
#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include <stdint.h>

#define WORDS 40

/* "512 B", "1.5 KiB", "20 MiB". */
const char *words_bytes(uint64_t bytes, char text[WORDS]);
/* "0", "0.4", "12", "1500": a tenth counts below ten. */
const char *words_rate(double per_s, char text[WORDS]);
/* "80 us", "1.5 ms", "2.1 s". */
const char *words_us(uint64_t us, char text[WORDS]);
/* "45 s", "3 min", "2 h", "5 days". */
const char *words_span(uint64_t s, char text[WORDS]);

#endif
