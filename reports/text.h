/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in the units people use, and texts escaped for XML and HTML. */
#ifndef REPORTS_TEXT_H
#define REPORTS_TEXT_H

#include <stddef.h>
#include <stdio.h>

#define TEXT_MAX 64 /* room every text_… function below needs; returns its `out` */

#define TEXT_NONE "\xe2\x80\x94" /* an em dash: not measured, not reached */

/* "3 min 32.4 s", "2 h 30 min", "1 d 3 h 20 min", "250 ms", "0 s"; NAN: TEXT_NONE, INFINITY:
 * "without end". */
const char *text_duration(char out[TEXT_MAX], double seconds);
/* The same to whole seconds from a minute on ("3 min 32 s"), for headlines. */
const char *text_duration_short(char out[TEXT_MAX], double seconds);
/* SI units: "1.2 GB", "512 kB", "17 B". */
const char *text_bytes(char out[TEXT_MAX], double bytes);
/* Whole numbers with commas: "28,800". */
const char *text_count(char out[TEXT_MAX], double count);
/* A fraction as per cent, with as many digits as keep it apart from 100 %: "97 %", "99.9995 %". */
const char *text_percent(char out[TEXT_MAX], double fraction);
/* By the unit of an objective: "s", "bytes" or "B", "count" (shown bare), "fraction"; anything else
 * is the number and the unit. */
const char *text_value(char out[TEXT_MAX], double value, const char *unit);
/* Columns a UTF-8 text takes on a terminal; one per character, which holds for what drsim itself
 * prints. */
size_t text_columns(const char *text);
/*
 * Escaped for XML 1.0 and HTML, in text and in quoted attributes: < > & " ' as entities, characters
 * XML does not allow and bytes that are not UTF-8 as U+FFFD. NULL writes TEXT_NONE.
 */
void text_escape(FILE *file, const char *text);

#endif
