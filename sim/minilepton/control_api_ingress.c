/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about ingress: the weights of the deployments behind an endpoint, which is the lever of a
 * failover. An answer comes when the gateway has them. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

static struct control_doc *find(struct control *control, const char *name)
{
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++)
		if (control->ingress[i].used && !strcmp(control->ingress[i].name, name))
			return &control->ingress[i];
	return NULL;
}

static void unknown(struct http_request *request, const char *name)
{
	http_error(request, 404, "there is no ingress '%s'", name);
}

static void list(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *all = cJSON_CreateArray();

	(void)parts;
	pthread_mutex_lock(&control->lock);
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++)
		if (control->ingress[i].used)
			cJSON_AddItemToArray(all,
					     control_ingress_json(control, &control->ingress[i]));
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, all);
}

static void get(struct control *control, struct http_request *request, const char *const *parts)
{
	const struct control_doc *doc;
	cJSON *json = NULL;

	pthread_mutex_lock(&control->lock);
	doc = find(control, parts[0]);
	if (doc)
		json = control_ingress_json(control, doc);
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		unknown(request, parts[0]);
}

/* After a change, with the lock held, which it gives back: waits for the gateway, then answers. */
static void answer_changed(struct control *control, struct http_request *request, const char *name,
			   int status)
{
	const struct control_doc *doc;
	cJSON *json = NULL;
	int rc;

	control->routes_wanted++;
	fleet_touch(control->fleet);
	control_commit(control);
	rc = control_routes_wait(control);
	doc = find(control, name); /* others may have changed it meanwhile */
	json = doc ? control_ingress_json(control, doc) : cJSON_CreateObject();
	pthread_mutex_unlock(&control->lock);
	if (rc == 0) {
		http_answer_json(request, status, json);
		return;
	}
	cJSON_Delete(json);
	http_error(request, 503, "the change is noted, but the gateway does not answer");
}

/* Takes `spec`. */
static void replace(struct control *control, struct control_doc *doc, cJSON *spec)
{
	cJSON_Delete(doc->spec);
	doc->spec = spec;
	doc->version++;
	doc->modified_at = control_wall_ms(control, minilepton_now());
}

static int add(struct control *control, cJSON *body, const char **ret_name, struct error *e)
{
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(body, "metadata");
	const char *key = cJSON_GetObjectItemCaseSensitive(metadata, "name") ? "name" : "id";
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	const char *name;

	if (http_json_text(metadata, key, FLEET_NAME_MAX - 1, &name, e) ||
	    control_check_name(name, e) || control_check_ingress(spec, e))
		return -1;
	if (find(control, name))
		return error_set(e, ERROR_TARGET, NO_PLACE, "the name '%s' is taken", name);
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++) {
		struct control_doc *doc = &control->ingress[i];

		if (doc->used)
			continue;
		doc->used = true;
		snprintf(doc->name, sizeof(doc->name), "%s", name);
		replace(control, doc, cJSON_DetachItemFromObjectCaseSensitive(body, "spec"));
		doc->created_at = doc->modified_at;
		*ret_name = name;
		return 0;
	}
	return error_set(e, ERROR_LIMIT, NO_PLACE, "at most %d ingress", CONTROL_INGRESS_MAX);
}

static void create(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *body = http_body_json(request);
	struct error e = {0};
	const char *name = "";

	(void)parts;
	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	if (add(control, body, &name, &e)) {
		pthread_mutex_unlock(&control->lock);
		control_answer_error(request, &e);
	} else {
		answer_changed(control, request, name, 201);
	}
	cJSON_Delete(body);
}

static int change(struct control *control, struct control_doc *doc, const cJSON *patch,
		  struct error *e)
{
	cJSON *spec = cJSON_Duplicate(doc->spec, true);

	control_merge_patch(spec, patch);
	if (control_check_ingress(spec, e) == 0) {
		if (!cJSON_Compare(spec, doc->spec, true)) {
			replace(control, doc, spec);
			return 0;
		}
		error_set(e, ERROR_USAGE, NO_PLACE, "no valid field to update");
	}
	cJSON_Delete(spec);
	return -1;
}

static void patch(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *body = http_body_json(request);
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(body, "spec");
	struct control_doc *doc;
	struct error e = {0};
	int rc = -1;

	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	doc = find(control, parts[0]);
	if (doc && cJSON_IsObject(spec))
		rc = change(control, doc, spec, &e);
	else
		error_set(&e, ERROR_USAGE, NO_PLACE, "no valid field to update");
	cJSON_Delete(body);
	if (rc == 0) {
		answer_changed(control, request, parts[0], 200);
		return;
	}
	pthread_mutex_unlock(&control->lock);
	if (doc)
		control_answer_error(request, &e);
	else
		unknown(request, parts[0]);
}

static void drop(struct control *control, struct http_request *request, const char *const *parts)
{
	struct control_doc *doc;

	pthread_mutex_lock(&control->lock);
	doc = find(control, parts[0]);
	if (!doc) {
		pthread_mutex_unlock(&control->lock);
		unknown(request, parts[0]);
		return;
	}
	cJSON_Delete(doc->spec);
	*doc = (struct control_doc){0};
	answer_changed(control, request, parts[0], 200);
}

/* ---- one deployment behind it ---- */

static int endpoint_index(const cJSON *endpoints, const char *name)
{
	for (int i = 0; i < cJSON_GetArraySize(endpoints); i++) {
		const cJSON *item = cJSON_GetArrayItem(endpoints, i);

		if (!strcmp(cJSON_GetObjectItemCaseSensitive(item, "deployment")->valuestring,
			    name))
			return i;
	}
	return -1;
}

/* The endpoint is added, or takes the place of the one that is there. Takes `endpoint`. */
static int set_endpoint(struct control *control, struct control_doc *doc, cJSON *endpoint,
			struct error *e)
{
	cJSON *spec = cJSON_Duplicate(doc->spec, true);
	cJSON *endpoints = cJSON_GetObjectItemCaseSensitive(spec, "endpoints");
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(endpoint, "deployment");
	int at;

	if (!endpoints)
		endpoints = cJSON_AddArrayToObject(spec, "endpoints");
	at = cJSON_IsString(name) ? endpoint_index(endpoints, name->valuestring) : -1;
	if (at >= 0)
		cJSON_ReplaceItemInArray(endpoints, at, endpoint);
	else
		cJSON_AddItemToArray(endpoints, endpoint);
	if (control_check_ingress(spec, e)) {
		cJSON_Delete(spec);
		return -1;
	}
	replace(control, doc, spec);
	return 0;
}

static void endpoint_create(struct control *control, struct http_request *request,
			    const char *const *parts)
{
	cJSON *body = http_body_json(request);
	struct control_doc *doc;
	struct error e = {0};

	if (!body)
		return;
	pthread_mutex_lock(&control->lock);
	doc = find(control, parts[0]);
	if (!doc)
		cJSON_Delete(body);
	else if (set_endpoint(control, doc, body, &e) == 0) {
		answer_changed(control, request, parts[0], 200);
		return;
	}
	pthread_mutex_unlock(&control->lock);
	if (doc)
		control_answer_error(request, &e);
	else
		unknown(request, parts[0]);
}

static void endpoint_delete(struct control *control, struct http_request *request,
			    const char *const *parts)
{
	struct control_doc *doc;
	cJSON *endpoints;
	int at;

	pthread_mutex_lock(&control->lock);
	doc = find(control, parts[0]);
	endpoints = doc ? cJSON_GetObjectItemCaseSensitive(doc->spec, "endpoints") : NULL;
	at = endpoint_index(endpoints, parts[1]);
	if (doc && at >= 0) {
		cJSON_DeleteItemFromArray(endpoints, at);
		doc->version++;
		answer_changed(control, request, parts[0], 200);
		return;
	}
	pthread_mutex_unlock(&control->lock);
	if (doc)
		http_error(request, 404, "'%s' has no deployment '%s'", parts[0], parts[1]);
	else
		unknown(request, parts[0]);
}

const struct control_call control_calls_ingress[] = {
	{"GET", "/ingress", list},
	{"POST", "/ingress", create},
	{"GET", "/ingress/*", get},
	{"PATCH", "/ingress/*", patch},
	{"DELETE", "/ingress/*", drop},
	{"POST", "/ingress/*/endpoint/deployment", endpoint_create},
	{"DELETE", "/ingress/*/endpoint/deployment/*", endpoint_delete},
	{NULL, NULL, NULL},
};
