/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of HTTP that only look at text: patterns of paths, tokens, JSON bodies. */
#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "sim/minilepton/http.h"

/* JSON numbers are doubles: integers above this are not told apart. */
#define JSON_INTEGER_MAX ((uint64_t)1 << 53)

bool http_path_fits(const char *pattern, const char *path, struct arena *arena,
		    const char *parts[HTTP_PARTS_MAX])
{
	size_t count = 0;

	for (;;) {
		size_t wanted = strcspn(pattern, "/"), given = strcspn(path, "/");
		bool any = wanted == 1 && pattern[0] == '*';

		if (wanted == 2 && memcmp(pattern, "**", 2) == 0) {
			assert(!pattern[2] && count < HTTP_PARTS_MAX);
			if (!path[0])
				return false;
			parts[count] = arena_strdup(arena, path);
			return true;
		}
		if (any && given > 0) {
			assert(count < HTTP_PARTS_MAX);
			parts[count++] = arena_strndup(arena, path, given);
		} else if (any || wanted != given || memcmp(pattern, path, given) != 0) {
			return false;
		}
		pattern += wanted;
		path += given;
		if (!*pattern || !*path)
			return *pattern == *path;
		pattern++;
		path++;
	}
}

bool http_token_fits(const char *authorization, const char *token)
{
	static const char scheme[] = "Bearer ";
	unsigned char given[SHA256_DIGEST_LENGTH], wanted[SHA256_DIGEST_LENGTH];

	if (!authorization || strncmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	authorization += sizeof(scheme) - 1;
	/* Digests of one length: neither length nor place of a difference can be timed. */
	SHA256((const unsigned char *)authorization, strlen(authorization), given);
	SHA256((const unsigned char *)token, strlen(token), wanted);
	return CRYPTO_memcmp(given, wanted, sizeof(given)) == 0;
}

/* cJSON goes down the stack once for each level. */
static bool depth_fits(const char *text, size_t size)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > HTTP_JSON_DEPTH_MAX)
			return false;
	}
	return true;
}

struct cJSON *http_json_parse(const char *text, size_t size)
{
	const char *end = NULL;
	cJSON *json;

	if (!depth_fits(text, size))
		return NULL;
	json = cJSON_ParseWithLengthOpts(text, size, &end, 0);
	if (!json)
		return NULL;
	for (; end < text + size; end++)
		if (!strchr(" \t\r\n", *end))
			break;
	if (cJSON_IsObject(json) && end == text + size)
		return json;
	cJSON_Delete(json);
	return NULL;
}

int http_json_text(const struct cJSON *object, const char *name, size_t max, const char **ret,
		   struct error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsString(item))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is missing or no text", name);
	if (!item->valuestring[0] || strlen(item->valuestring) > max)
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' has 1 to %zu bytes", name, max);
	*ret = item->valuestring;
	return 0;
}

int http_json_number(const struct cJSON *object, const char *name, uint64_t min, uint64_t max,
		     uint64_t *ret, struct error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	double value;

	assert(max <= JSON_INTEGER_MAX);
	if (!cJSON_IsNumber(item))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is missing or no number", name);
	value = item->valuedouble;
	if (!(value >= (double)min && value <= (double)max) || value != floor(value))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "'%s' is an integer of %" PRIu64 " to %" PRIu64, name, min, max);
	*ret = (uint64_t)value;
	return 0;
}

int http_json_array(const struct cJSON *object, const char *name, size_t max,
		    const struct cJSON **ret, struct error *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsArray(item))
		return error_set(e, ERROR_USAGE, NO_PLACE, "'%s' is missing or no list", name);
	if ((size_t)cJSON_GetArraySize(item) > max)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "'%s' has %zu entries at most", name,
				 max);
	*ret = item;
	return 0;
}
