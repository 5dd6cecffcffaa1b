/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of record.json that are there for the evidence: what the drill itself knows of them.
 */
#ifndef REPORTS_JSON_EVIDENCE_H
#define REPORTS_JSON_EVIDENCE_H

#include <cjson/cJSON.h>

#include "core/record.h"

/* drill.environment: what the scenario's drill: block says, the sites of the deployment where it
 * does not name them. */
void json_environment(cJSON *drill, const struct record *record);
/* integrity, backup, failback, timeline, clock. What was not measured is null. */
void json_evidence(cJSON *root, const struct record *record);

#endif
