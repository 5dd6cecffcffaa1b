/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of reports/trend.h share. */
#ifndef REPORTS_TREND_PRIVATE_H
#define REPORTS_TREND_PRIVATE_H

#include "reports/trend.h"

/* The series as an SVG, for free(); NULL without gnuplot or with fewer than two nights. */
char *trend_picture(const struct trend_series *series, const char *name);

#endif
