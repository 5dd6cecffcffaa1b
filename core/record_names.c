/* SPDX-License-Identifier: Apache-2.0 */
/* The words of record.json for the enums of record.h, in their order. */
#include "core/record.h"

const char *const mark_names[MARKS] = {
	[MARK_FAULT] = "t_fault",
	[MARK_DETECT] = "t_detect",
	[MARK_DECIDE] = "t_decide",
	[MARK_SWITCH_BEGIN] = "t_switch_begin",
	[MARK_SWITCHED] = "t_switched",
	[MARK_DATA_BEGIN] = "t_data_begin",
	[MARK_DATA_RESTORED] = "t_data_restored",
	[MARK_RESTORED] = "t_restored",
	[MARK_VERIFIED] = "t_verified",
	[MARK_DIAGNOSED] = "t_diagnosed",
	[MARK_REPAIRED] = "t_repaired",
	[MARK_FAILBACK] = "t_failback",
	[MARK_NORMAL] = "t_normal",
	[MARK_LOSS] = "t_loss",
	[MARK_BP] = "t_bp",
};

const char *const path_names[] = {
	[PATH_FAILOVER] = "failover",       [PATH_IN_PLACE] = "in_place",
	[PATH_ABSORBED] = "absorbed",       [PATH_FALSE_ALARM] = "false_alarm",
	[PATH_UNRECOVERED] = "unrecovered",
};

const char *const verdict_names[] = {
	[VERDICT_PASSED] = "passed",   [VERDICT_FAILED] = "failed",   [VERDICT_INVALID] = "invalid",
	[VERDICT_RESIDUE] = "residue", [VERDICT_ABORTED] = "aborted",
};

const char *const fidelity_names[] = {
	[FIDELITY_SIM] = "sim",
	[FIDELITY_DETECTOR] = "detector",
	[FIDELITY_API] = "api",
	[FIDELITY_REAL] = "real",
};

const char *const severity_names[] = {
	[SEVERITY_INFO] = "info",
	[SEVERITY_LOW] = "low",
	[SEVERITY_MEDIUM] = "medium",
	[SEVERITY_HIGH] = "high",
};

const char *const measure_names[MEASURES] = {
	[MEASURE_FRT] = "frt_s",
	[MEASURE_DETECTION] = "detection_s",
	[MEASURE_DECISION] = "decision_s",
	[MEASURE_SWITCH] = "switch_s",
	[MEASURE_DATA_RECOVERY] = "data_recovery_s",
	[MEASURE_READINESS] = "readiness_s",
	[MEASURE_BRT] = "brt_s",
	[MEASURE_BRP_SECONDS] = "brp_seconds",
	[MEASURE_BRP_BYTES] = "brp_bytes",
	[MEASURE_BRP_RECORDS] = "brp_records",
	[MEASURE_AVAILABILITY] = "availability",
};
