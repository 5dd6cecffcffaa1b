/* SPDX-License-Identifier: Apache-2.0 */
/* Where a drill is in the cycle of recovery, in the words of the report, for whoever watches it. */
#include "core/run_private.h"

const char *const run_phase_names[] = {
	[PHASE_OF_NORMAL] = "normal",
	[PHASE_OF_DETECTION] = "detection",
	[PHASE_OF_DECISION] = "decision",
	[PHASE_OF_SWITCH] = "switch",
	[PHASE_OF_DATA_RECOVERY] = "data recovery",
	[PHASE_OF_READINESS] = "readiness",
	[PHASE_OF_REPAIR] = "repair",
	[PHASE_OF_FAILBACK] = "failback",
};

/* From the beginnings and ends that the open incident has so far. */
static enum run_phase phase_of_incident(struct run *run, uint32_t domain,
					const struct incident *incident)
{
	const nanos *marks = incident->marks;
	enum recovery_state state = recovery_state(run->recovery, domain);

	if (marks[MARK_RESTORED] != NANOS_NEVER)
		return state == RECOVERY_RETURNING ? PHASE_OF_FAILBACK : PHASE_OF_REPAIR;
	if (marks[MARK_DETECT] == NANOS_NEVER)
		return PHASE_OF_DETECTION;
	switch (state) {
	case RECOVERY_DECIDING:
		return PHASE_OF_DECISION;
	case RECOVERY_MOVING:
		return marks[MARK_DATA_BEGIN] != NANOS_NEVER &&
				       marks[MARK_DATA_RESTORED] == NANOS_NEVER
			       ? PHASE_OF_DATA_RECOVERY
			       : PHASE_OF_SWITCH;
	case RECOVERY_ON_STANDBY:
	case RECOVERY_NORMAL:
		return PHASE_OF_READINESS;
	case RECOVERY_IN_PLACE:
		return PHASE_OF_REPAIR;
	case RECOVERY_RETURNING:
		return PHASE_OF_FAILBACK;
	}
	return PHASE_OF_NORMAL;
}

/* Of several open incidents the one that is the least far tells most. */
enum run_phase run_phase(struct run *run)
{
	size_t domains = recovery_domains(run->recovery);
	enum run_phase least = PHASE_OF_NORMAL;

	for (uint32_t place = 0; place < run->place_count; place++) {
		const struct incident *incident = incident_at(run, place);
		enum run_phase phase;

		if (!incident)
			continue;
		phase = place < domains ? phase_of_incident(run, place, incident) : PHASE_OF_REPAIR;
		if (least == PHASE_OF_NORMAL || phase < least)
			least = phase;
	}
	return least;
}
