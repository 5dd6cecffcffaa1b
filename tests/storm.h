/* SPDX-License-Identifier: Apache-2.0 */
/* What a program that makes calls in a storm tells of them, in memory shared with its test. */
#ifndef TESTS_STORM_H
#define TESTS_STORM_H

#include <stdint.h>

#define STORM_THREADS_MAX 16
#define STORM_FILES 2 /* the first is the one whose calls shall fail */

struct storm_thread {
	uint64_t started;     /* calls, with the one that is being made */
	uint64_t failed;      /* with EIO */
	uint64_t last_failed; /* the number of that call */
	uint64_t enosys, odd; /* with ENOSYS, with something else */
	uint64_t strangers;   /* of the other file that failed */
	uint64_t unused[2];   /* a cache line each */
};

struct storm {
	struct storm_thread threads[STORM_THREADS_MAX];
	uint64_t ends;    /* not 0: they end */
	uint64_t running; /* threads */
	uint64_t signals; /* sent among them */
};

#endif
