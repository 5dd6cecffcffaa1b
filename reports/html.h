/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of report.html, one file each, in the order of the page; each writes itself, or
 * nothing when the run has nothing for it. What stands in a long list is cut, worst first.
 */
#ifndef REPORTS_HTML_H
#define REPORTS_HTML_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/report.h"
#include "reports/plot.h"
#include "reports/ranked.h"

void html_top(FILE *page, const cJSON *record); /* the first screen */
void html_objectives(FILE *page, const cJSON *record);
void html_campaign(FILE *page, const struct report_input *input);
void html_incident(FILE *page, const struct report_input *input); /* the worst, all others */
void html_gantt(FILE *page, const cJSON *record); /* its picture, a part of html_incident() */
void html_client(FILE *page, const struct report_input *input);
void html_backups(FILE *page, const struct report_input *input);
void html_measured(FILE *page, const cJSON *record); /* by a real drill: wire, ledger, host */
void html_jobs(FILE *page, const struct report_input *input);
void html_faults(FILE *page, const cJSON *record);
void html_findings(FILE *page, const cJSON *record);
void html_residue(FILE *page, const cJSON *record);
void html_drill(FILE *page, const cJSON *record); /* what people supplied */
void html_not_shown(FILE *page, const cJSON *record);
void html_repeat(FILE *page, const cJSON *record);
void html_terms(FILE *page);

/* The objective of that name, or NULL. */
const cJSON *html_objective(const cJSON *record, const char *name);

/*
 * A plot of the run folder as a figure with its title; `text` says what there is to see. Returns
 * false, and writes nothing, when it was not drawn; one that is too large for a page is named.
 */
bool html_plot(FILE *page, const struct report_input *input, const struct plot *plot,
	       const char *text);

/* "These are 50 of 419 …" under a list that was cut; `which`: "those with the longest FRT". */
void html_cut(FILE *page, const struct ranked *ranked, const char *what, const char *which);

#endif
