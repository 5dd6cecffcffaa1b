/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.json (schema "drsim/record/v1", reports/record.schema.json): written from a record in
 * memory, and a finished run folder read back (report_write_record() and report_load() of
 * core/report.h). Bytes depend on scenario, seed and version only, but for drill.id, drill.started,
 * drill.host, drill.wall_s and drill.command.
 */
#ifndef REPORTS_JSON_H
#define REPORTS_JSON_H

#include <stddef.h>

#include "core/error.h"

struct cJSON;

#define REPORT_FILE_LIMIT                                                                          \
	((size_t)64 << 20)  /* bytes of record.json or events.jsonl that are read back */
#define ECDF_POINTS_MAX 512 /* of one measure, in campaign.ecdf */

/* record.json of a run folder alone, checked as report_load() does; to be given to cJSON_Delete().
 */
int report_load_record(const char *run_dir, struct cJSON **ret_record, struct error *e);

#endif
