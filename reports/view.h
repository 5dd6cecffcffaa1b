/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a parsed record.json or event without surprises: whatever is missing, null or of another
 * type gives the "nothing" of the asked type, never a crash.
 */
#ifndef REPORTS_VIEW_H
#define REPORTS_VIEW_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* The item at a dotted path of keys ("metrics.brp.seconds"), or NULL. An empty path is the object
 * itself. */
const cJSON *view_get(const cJSON *object, const char *path);
/* NAN when it is not a number. */
double view_real(const cJSON *object, const char *path);
/* Nanoseconds as seconds; NAN when it is not a number. */
double view_seconds(const cJSON *object, const char *path);
/* NULL when it is not a string. Owned by the object. */
const char *view_text(const cJSON *object, const char *path);
/* The string, or `otherwise`. */
const char *view_text_or(const cJSON *object, const char *path, const char *otherwise);
/* 1 true, 0 false, -1 anything else (null: not known). */
int view_bool(const cJSON *object, const char *path);
/* Is the string at `path` equal to `text`? */
bool view_is(const cJSON *object, const char *path, const char *text);
/* The incident that metrics.incident names, or NULL. */
const cJSON *view_headline(const cJSON *record);
/* drill.seed as text, every digit of it although a JSON number is a double here (report_load keeps
 * it so). */
const char *view_seed(const cJSON *record);

#endif
