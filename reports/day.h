/* SPDX-License-Identifier: Apache-2.0 */
/* Days of the calendar, for what is due and what was done: no clock and no time zone is asked. */
#ifndef REPORTS_DAY_H
#define REPORTS_DAY_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_TEXT_MAX 16

/* The day that a text begins with ("2026-03-31", "2026-03-31T09:00:00Z"), counted from 1970-01-01
 * in the Gregorian calendar; false when it begins with none. */
bool day_parse(const char *text, int32_t *ret_day);
/* "2026-03-31". Returns `out`. */
const char *day_text(char out[DAY_TEXT_MAX], int32_t day);
/* The same day of a later month, or that month's last day where it is shorter. */
int32_t day_add_months(int32_t day, uint32_t months);

#endif
