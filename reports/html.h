/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of report.html; each writes itself, or nothing when the run has nothing for it. */
#ifndef REPORTS_HTML_H
#define REPORTS_HTML_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "core/report.h"

void html_objectives(FILE *page, const cJSON *record);
void html_identity(FILE *page, const cJSON *record);
void html_incidents(FILE *page, const cJSON *record);
void html_brp(FILE *page, const cJSON *record);
void html_faults(FILE *page, const cJSON *record);
void html_measured(FILE *page, const cJSON *record); /* by a real drill */
void html_jobs(FILE *page, const cJSON *record);
void html_repairs(FILE *page, const cJSON *record);
void html_operations(FILE *page, const struct report_input *input); /* backups and requests */
void html_findings(FILE *page, const cJSON *record);
void html_campaign(FILE *page, const cJSON *record);
void html_repeat(FILE *page, const cJSON *record);
void html_not_shown(FILE *page, const cJSON *record);
void html_terms(FILE *page);

/* One cell "<td>" with escaped text; `class` may be NULL. */
void html_cell(FILE *page, const char *class, const char *text);

#endif
