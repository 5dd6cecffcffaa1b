/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the operations that match are hit, by their number, in strace's words (strace(1),
 * `when=`): `first[..last][+[step]]`, counted from 1.
 *
 *   3        only the third          3+       the third and all after it
 *   3..9     the third to the ninth  3+2      the third, fifth, seventh ...
 *   3..9+2   the third, fifth, seventh and ninth
 *
 * No memory is allocated; any thread.
 */
#ifndef CORE_WHEN_H
#define CORE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

#define WHEN_MAX 1000000000000ull /* the largest number that may be written */
#define WHEN_ENDLESS UINT64_MAX   /* `last` where there is none */
#define WHEN_TEXT_MAX 48

struct when {
	uint64_t first, last, step; /* first and step from 1 on */
};

/* Each one: what stands where nothing is given. */
#define WHEN_ALWAYS ((struct when){.first = 1, .last = WHEN_ENDLESS, .step = 1})

/* -1 with ERROR_SCENARIO at `place`, which says what is wrong and how it is written. */
int when_parse(const char *text, struct place place, struct when *ret_when, struct error *e);
/* Is the operation of this number hit? Numbers count from 1. */
bool when_hits(const struct when *when, uint64_t number);
/* How many of the first `count` operations are hit: what a test of a whole run compares with. */
uint64_t when_hits_among(const struct when *when, uint64_t count);
/* As it is written, the shortest way. Returns `buffer`. */
const char *when_print(const struct when *when, char buffer[WHEN_TEXT_MAX]);

#endif
