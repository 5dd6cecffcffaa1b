/* SPDX-License-Identifier: Apache-2.0 */
/* Time: integer nanoseconds of one clock, counted from the start of the drill, and the two ways of
 * waiting for it. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>

#include "core/error.h"

/* Nanoseconds since the start of the drill (virtual in the simulator, CLOCK_MONOTONIC in a real
 * drill). */
typedef int64_t nanos;

#define NANOS_NEVER INT64_MAX /* "not reached", "no deadline" */
#define NANOS_US ((nanos)1000)
#define NANOS_MS ((nanos)1000000)
#define NANOS_S ((nanos)1000000000)
#define NANOS_MINUTE (60 * NANOS_S)
#define NANOS_HOUR (60 * NANOS_MINUTE)
#define NANOS_DAY (24 * NANOS_HOUR)

/*
 * What the run loop needs of time. wait_until returns 0 when the clock shows `when`, or earlier
 * when the driver has a completion to hand over; now() tells which. It returns -1 with the reason
 * on failure.
 */
struct clock_ops {
	const char *name; /* "virtual" or "monotonic" */
	nanos (*now)(void *self);
	int (*wait_until)(void *self, nanos when, struct error *e);
};

struct clock {
	const struct clock_ops *ops;
	void *self;
};

#endif
