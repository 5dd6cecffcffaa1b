/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a parsed record.json or event without surprises. */
#include "reports/view.h"

#include <math.h>
#include <string.h>

#define KEY_MAX 64

const cJSON *view_get(const cJSON *object, const char *path)
{
	while (object && *path) {
		size_t length = strcspn(path, ".");
		char key[KEY_MAX];

		if (length >= sizeof(key) || !cJSON_IsObject(object))
			return NULL;
		memcpy(key, path, length);
		key[length] = '\0';
		object = cJSON_GetObjectItemCaseSensitive(object, key);
		path += length + (path[length] == '.');
	}
	return object;
}

double view_real(const cJSON *object, const char *path)
{
	const cJSON *item = view_get(object, path);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

double view_seconds(const cJSON *object, const char *path)
{
	return view_real(object, path) / 1e9;
}

const char *view_text(const cJSON *object, const char *path)
{
	return cJSON_GetStringValue(view_get(object, path));
}

const char *view_text_or(const cJSON *object, const char *path, const char *otherwise)
{
	const char *text = view_text(object, path);

	return text ? text : otherwise;
}

int view_bool(const cJSON *object, const char *path)
{
	const cJSON *item = view_get(object, path);

	return cJSON_IsTrue(item) ? 1 : cJSON_IsFalse(item) ? 0 : -1;
}

bool view_is(const cJSON *object, const char *path, const char *text)
{
	const char *found = view_text(object, path);

	return found && strcmp(found, text) == 0;
}

const cJSON *view_headline(const cJSON *record)
{
	double index = view_real(record, "metrics.incident");

	/* Compared as doubles: whatever stands in the file, no conversion is undefined. */
	if (!(index >= 0 && index < 1e6))
		return NULL;
	return cJSON_GetArrayItem(view_get(record, "incidents"), (int)index);
}

const char *view_seed(const cJSON *record)
{
	const cJSON *item = view_get(record, "drill.seed");

	return cJSON_IsRaw(item) ? item->valuestring : "";
}
