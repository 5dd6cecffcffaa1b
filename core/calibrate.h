/* SPDX-License-Identifier: Apache-2.0 */
/* Fits a profile: runs the simulator beside each measured drill and keeps what reality added. */
#ifndef CORE_CALIBRATE_H
#define CORE_CALIBRATE_H

#include "core/calibration.h"
#include "core/observe.h"

#define CALIBRATE_RECORD_MAX ((size_t)64 << 20) /* bytes of a record.json */

struct calibrate_result {
	struct calibration *calibration;
	/* Of each source, in the order of the profile: as it was, and as the simulator has it. */
	const struct observation *measured, *modelled;
};

/*
 * Reads the run folders, whose order does not matter, and fits what they have in common. Refused,
 * with the folder's name: a folder that is no run or whose record, events or scenario are damaged
 * or do not belong together; the same run twice; runs that are simulated (unless
 * `allow_simulated`), shams, campaigns, not evaluable or not recovered from; runs whose deployment,
 * plan or scale differ; a drill that took another path than the model takes.
 */
int calibrate(const char *const *folders, size_t count, bool allow_simulated, struct arena *arena,
	      struct calibrate_result *ret, struct error *e);

#endif
