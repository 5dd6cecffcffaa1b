/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the calls that match are meant, in strace's grammar: `when=first[..last][+[step]]`. */
#ifndef CORE_WHEN_H
#define CORE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

/* Calls are counted from 1. All zero: every call. */
struct when {
	uint64_t first, last, step; /* last: UINT64_MAX without end; step at least 1 */
};

#define WHEN_TEXT_MAX 72

/*
 * "3" the third, "3+" it and all after it, "3+2" it and every second after it, "3..7" the third to
 * the seventh, "3..7+2" of these every second. Blanks are not allowed. ERROR_SCENARIO at the column
 * of `place` plus that of what is wrong.
 */
int when_parse(const char *text, struct place place, struct when *ret, struct error *e);
/* Is the call number `n` (from 1) meant? */
bool when_includes(const struct when *when, uint64_t n);
/* The text that when_parse() reads the same from. Returns `out`. */
const char *when_text(char out[WHEN_TEXT_MAX], const struct when *when);

#endif
