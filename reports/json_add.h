/* SPDX-License-Identifier: Apache-2.0 */
/* Building the tree of record.json. Numbers are raw text, since a double does not hold every 64-bit
 * integer. */
#ifndef REPORTS_JSON_ADD_H
#define REPORTS_JSON_ADD_H

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/record.h"

/* Memory is like an arena's: when it runs out the program ends with 3. */
static inline cJSON *must(cJSON *item)
{
	if (item)
		return item;
	fputs("drsim: out of memory\n", stderr);
	exit(3);
}

static inline void add_integer(cJSON *object, const char *key, int64_t value)
{
	char text[REAL_TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRId64, value);
	must(cJSON_AddRawToObject(object, key, text));
}

static inline void add_count(cJSON *object, const char *key, uint64_t value)
{
	char text[REAL_TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	must(cJSON_AddRawToObject(object, key, text));
}

static inline cJSON *real(double value)
{
	char text[REAL_TEXT_MAX];

	real_text(text, value);
	return must(isfinite(value) ? cJSON_CreateRaw(text) : cJSON_CreateNull());
}

static inline void add_real(cJSON *object, const char *key, double value)
{
	cJSON_AddItemToObject(object, key, real(value));
}

static inline void add_nanos(cJSON *object, const char *key, nanos value)
{
	if (value == NANOS_NEVER)
		must(cJSON_AddNullToObject(object, key));
	else
		add_integer(object, key, value);
}

static inline void add_seconds(cJSON *object, const char *key, nanos value)
{
	add_real(object, key, value == NANOS_NEVER ? NAN : (double)value / 1e9);
}

static inline void add_text(cJSON *object, const char *key, const char *value)
{
	must(value ? cJSON_AddStringToObject(object, key, value)
		   : cJSON_AddNullToObject(object, key));
}

static inline void add_tristate(cJSON *object, const char *key, enum tristate value)
{
	must(value == TRISTATE_NULL ? cJSON_AddNullToObject(object, key)
				    : cJSON_AddBoolToObject(object, key, value == TRISTATE_TRUE));
}

static inline cJSON *add_object(cJSON *object, const char *key)
{
	return must(cJSON_AddObjectToObject(object, key));
}

static inline cJSON *append_object(cJSON *array)
{
	cJSON *object = must(cJSON_CreateObject());

	cJSON_AddItemToArray(array, object);
	return object;
}

#endif
