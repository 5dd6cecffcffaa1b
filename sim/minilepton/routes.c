/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a gateway's routes from JSON, with every number and text in its bounds. */
#include "sim/minilepton/routes.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "sim/minilepton/http.h"

#define DURATION_MAX ((uint64_t)NANOS_HOUR)

static int text_copy(const cJSON *object, const char *name, struct arena *arena, const char **ret,
		     struct error *e)
{
	const char *text;

	if (http_json_text(object, name, ROUTES_TEXT_MAX, &text, e))
		return -1;
	/* Names become parts of paths and values of headers. */
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return error_set(e, ERROR_USAGE, NO_PLACE,
					 "'%s' has no blanks and only ASCII", name);
	*ret = arena_strdup(arena, text);
	return 0;
}

static int duration(const cJSON *object, const char *name, nanos *ret, struct error *e)
{
	uint64_t value;

	if (http_json_number(object, name, 1, DURATION_MAX, &value, e))
		return -1;
	*ret = (nanos)value;
	return 0;
}

static int replica_parse(const cJSON *json, struct arena *arena, struct routes_replica *ret,
			 struct error *e)
{
	if (text_copy(json, "id", arena, &ret->id, e) ||
	    text_copy(json, "address", arena, &ret->address, e))
		return -1;
	return http_address_check(ret->address, e);
}

static int deployment_parse(const cJSON *json, struct arena *arena, struct routes_deployment *ret,
			    struct error *e)
{
	const cJSON *list, *item;

	if (text_copy(json, "name", arena, &ret->name, e) ||
	    http_json_number(json, "weight", 0, ROUTES_WEIGHT_MAX, &ret->weight, e) ||
	    http_json_array(json, "replicas", ROUTES_REPLICAS_MAX, &list, e))
		return -1;
	ret->replicas =
		arena_array(arena, (size_t)cJSON_GetArraySize(list), sizeof(*ret->replicas));
	cJSON_ArrayForEach (item, list)
		if (replica_parse(item, arena, &ret->replicas[ret->replica_count++], e))
			return -1;
	for (size_t i = 0; i < ret->replica_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(ret->replicas[i].id, ret->replicas[j].id) == 0)
				return error_set(e, ERROR_USAGE, NO_PLACE,
						 "replica '%s' is there twice",
						 ret->replicas[i].id);
	return 0;
}

static int endpoint_parse(const cJSON *json, struct arena *arena, struct routes_endpoint *ret,
			  struct error *e)
{
	const cJSON *list, *item;

	if (text_copy(json, "name", arena, &ret->name, e) ||
	    duration(json, "interval_ns", &ret->interval, e) ||
	    duration(json, "timeout_ns", &ret->timeout, e) ||
	    duration(json, "request_timeout_ns", &ret->request_timeout, e) ||
	    http_json_number(json, "misses", 1, 1000, &ret->misses, e) ||
	    http_json_number(json, "retries", 0, ROUTES_RETRIES_MAX, &ret->retries, e) ||
	    http_json_array(json, "deployments", ROUTES_DEPLOYMENTS_MAX, &list, e))
		return -1;
	ret->concurrency = ROUTES_OUTSTANDING_MAX;
	if (cJSON_GetObjectItemCaseSensitive(json, "concurrency") &&
	    http_json_number(json, "concurrency", 1, ROUTES_OUTSTANDING_MAX, &ret->concurrency, e))
		return -1;
	if (ret->name[0] == '_' || strchr(ret->name, '/'))
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "'%s' is no name of an endpoint: no '/', no '_' in front",
				 ret->name);
	ret->deployments =
		arena_array(arena, (size_t)cJSON_GetArraySize(list), sizeof(*ret->deployments));
	cJSON_ArrayForEach (item, list)
		if (deployment_parse(item, arena, &ret->deployments[ret->deployment_count++], e))
			return -1;
	return 0;
}

static int parse(const cJSON *json, struct arena *arena, struct routes *ret, struct error *e)
{
	const cJSON *list, *item;

	if (http_json_number(json, "epoch", 0, (uint64_t)1 << 53, &ret->epoch, e) ||
	    http_json_array(json, "endpoints", ROUTES_ENDPOINTS_MAX, &list, e))
		return -1;
	ret->endpoints =
		arena_array(arena, (size_t)cJSON_GetArraySize(list), sizeof(*ret->endpoints));
	cJSON_ArrayForEach (item, list)
		if (endpoint_parse(item, arena, &ret->endpoints[ret->endpoint_count++], e))
			return -1;
	for (size_t i = 0; i < ret->endpoint_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(ret->endpoints[i].name, ret->endpoints[j].name) == 0)
				return error_set(e, ERROR_USAGE, NO_PLACE,
						 "endpoint '%s' is there twice",
						 ret->endpoints[i].name);
	return 0;
}

int routes_parse(const char *text, size_t size, struct arena *arena, struct routes *ret,
		 struct error *e)
{
	cJSON *json = http_json_parse(text, size);
	struct routes routes = {0};
	int rc;

	if (!json)
		return error_set(e, ERROR_USAGE, NO_PLACE, "the body is no JSON object");
	rc = parse(json, arena, &routes, e);
	cJSON_Delete(json);
	if (rc == 0)
		*ret = routes;
	return rc;
}
