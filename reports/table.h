/* SPDX-License-Identifier: Apache-2.0 */
/* The plug-ins behind report_table[]. */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H

#include "core/report.h"

extern const struct report_ops report_junit, report_openmetrics, report_plots, report_html,
	report_markdown;

#endif
