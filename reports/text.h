/* SPDX-License-Identifier: Apache-2.0 */
/* Values with their units, and texts escaped for XML and HTML. */
#ifndef REPORTS_TEXT_H
#define REPORTS_TEXT_H

#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/words.h"

/* By the unit of an objective: "s", "bytes" or "B", "count" (shown bare), "fraction"; anything else
 * is the number and the unit. */
const char *text_value(char out[WORDS_MAX], double value, const char *unit);
/*
 * Escaped for XML 1.0 and HTML, in text and in quoted attributes: < > & " ' as entities, characters
 * XML does not allow and bytes that are not UTF-8 as U+FFFD. NULL writes WORDS_NONE.
 */
void text_escape(FILE *file, const char *text);

/* Is the limit of the objective of this name a lower one? */
bool text_is_floor(const char *objective);

#endif
