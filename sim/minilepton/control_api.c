/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the call that a request means, below the base path of a workspace or at the root; and the
 * calls about the workspace itself, its nodes, and what only drsim asks for. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/minilepton.h"

#define BASE "/api/v2/workspaces/"
#define DELAY_MAX ((uint64_t)NANOS_DAY)

/* ---- finding the call ---- */

static const struct control_call *const tables[] = {
	control_calls_deployments, control_calls_jobs,    control_calls_ingress,
	control_calls_workspace,   control_calls_storage, control_calls_drsim,
};

/* The rest of the path after the base path, if it is there; NULL: another workspace's. */
static const char *below_base(const struct control *control, const char *path)
{
	const char *name = path + strlen(BASE);
	size_t length;

	if (strncmp(path, BASE, strlen(BASE)) != 0)
		return path;
	length = strcspn(name, "/");
	if (strlen(control->settings.workspace) != length ||
	    memcmp(name, control->settings.workspace, length) != 0)
		return NULL;
	return name[length] && name[length + 1] ? name + length : "/";
}

static const struct control_call *find(struct http_request *request, const char *method,
				       const char *path, const char *parts[HTTP_PARTS_MAX],
				       bool *ret_known)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct control_call *call = tables[t]; call->method; call++) {
			if (!http_path_fits(call->pattern, path, &request->arena, parts))
				continue;
			*ret_known = true;
			if (!strcmp(call->method, method))
				return call;
		}
	}
	return NULL;
}

void control_dispatch(void *self, struct http_request *request)
{
	struct control *control = self;
	const char *path = below_base(control, request->path);
	const char *parts[HTTP_PARTS_MAX] = {NULL};
	const struct control_call *call = NULL;
	bool known = false;

	if (path)
		call = find(request, request->method, path, parts, &known);
	if (!call && path && !strcmp(request->method, "HEAD"))
		call = find(request, "GET", path, parts, &known);
	if (call)
		call->handle(control, request, parts);
	else if (!path)
		http_error(request, 404, "the workspace is '%s'", control->settings.workspace);
	else if (known)
		http_error(request, 405, "%s does not take this method", request->path);
	else
		http_error(request, 404, "there is no %s", request->path);
}

void control_answer_error(struct http_request *request, const struct error *e)
{
	switch (e->kind) {
	case ERROR_TARGET:
		http_error(request, 409, "%s", e->text);
		return;
	case ERROR_IO:
	case ERROR_MEMORY:
	case ERROR_UNAVAILABLE:
		http_error(request, 500, "%s", e->text);
		return;
	case ERROR_NONE:
	case ERROR_USAGE:
	case ERROR_SCENARIO:
	case ERROR_LIMIT:
		http_error(request, 400, "%s", e->text);
		return;
	}
}

/* ---- the workspace ---- */

static void workspace(struct control *control, struct http_request *request,
		      const char *const *parts)
{
	cJSON *json;

	(void)parts;
	pthread_mutex_lock(&control->lock);
	json = control_workspace_json(control);
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, json);
}

/* The token's two ends, as the platform shows them. */
static void tokens(struct control *control, struct http_request *request, const char *const *parts)
{
	const char *token = control->token;
	size_t length = strlen(token), shown = length < 8 ? 0 : 2;
	cJSON *list = cJSON_CreateArray(), *item = cJSON_CreateObject();
	char masked[32];

	(void)parts;
	snprintf(masked, sizeof(masked), "%.*s...%s", (int)shown, token, token + length - shown);
	cJSON_AddStringToObject(item, "name", "drsim");
	cJSON_AddStringToObject(item, "masked_value", masked);
	cJSON_AddNumberToObject(item, "expires_at", 4102444800000.0); /* the year 2100 */
	cJSON_AddItemToArray(list, item);
	http_answer_json(request, 200, list);
}

static void shapes(struct control *control, struct http_request *request, const char *const *parts)
{
	(void)parts;
	http_answer_json(request, 200, control_shapes_json(control));
}

/* ---- node groups ---- */

/* Is it the first node of its group? */
static bool first_of_group(const struct fleet *fleet, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		if (!strcmp(fleet->nodes[k].group, fleet->nodes[n].group))
			return false;
	return true;
}

static void groups(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *list = cJSON_CreateArray();

	(void)parts;
	pthread_mutex_lock(&control->lock);
	for (uint32_t n = 0; n < control->fleet->node_count; n++)
		if (first_of_group(control->fleet, n))
			cJSON_AddItemToArray(
				list, control_group_json(control, control->fleet->nodes[n].group));
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, list);
}

static bool group_is(const struct control *control, const char *group)
{
	for (uint32_t n = 0; n < control->fleet->node_count; n++)
		if (!strcmp(control->fleet->nodes[n].group, group))
			return true;
	return false;
}

static void one_group(struct control *control, struct http_request *request,
		      const char *const *parts)
{
	cJSON *json = NULL;

	pthread_mutex_lock(&control->lock);
	if (group_is(control, parts[0]))
		json = control_group_json(control, parts[0]);
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		http_error(request, 404, "there is no node group '%s'", parts[0]);
}

static void group_nodes(struct control *control, struct http_request *request,
			const char *const *parts)
{
	const char *idle = http_query(request, "idle");
	bool only_idle = idle && !strcmp(idle, "true"), known;
	cJSON *list = cJSON_CreateArray();

	pthread_mutex_lock(&control->lock);
	known = group_is(control, parts[0]);
	for (uint32_t n = 0; n < control->fleet->node_count; n++) {
		const struct fleet_node *node = &control->fleet->nodes[n];

		if (!strcmp(node->group, parts[0]) && !(only_idle && node->gpus_used))
			cJSON_AddItemToArray(list, control_node_json(control, n));
	}
	pthread_mutex_unlock(&control->lock);
	if (known) {
		http_answer_json(request, 200, list);
		return;
	}
	cJSON_Delete(list);
	http_error(request, 404, "there is no node group '%s'", parts[0]);
}

/* ---- secrets ---- */

static void secrets(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *list = cJSON_CreateArray(), *item;

	(void)parts;
	pthread_mutex_lock(&control->lock);
	cJSON_ArrayForEach (item, control->secrets) {
		cJSON *shown = cJSON_CreateObject();

		cJSON_AddItemToObject(
			shown, "name",
			cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(item, "name"), true));
		cJSON_AddStringToObject(shown, "value", "********");
		cJSON_AddItemToArray(list, shown);
	}
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, list);
}

static int secret_index(const cJSON *list, const char *name)
{
	for (int i = 0; i < cJSON_GetArraySize(list); i++) {
		const cJSON *item = cJSON_GetArrayItem(list, i);

		if (!strcmp(cJSON_GetObjectItemCaseSensitive(item, "name")->valuestring, name))
			return i;
	}
	return -1;
}

/* The body is a list; only objects are parsed with bounds, so it is made one. */
static cJSON *list_body(struct http_request *request)
{
	char *text = arena_printf(&request->arena, "{\"list\":%.*s}", (int)request->body_size,
				  request->body);
	cJSON *root = http_json_parse(text, strlen(text));
	cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(root, "list"), *item;
	struct error e = {0};
	const char *word;
	bool good = cJSON_IsArray(list);

	cJSON_Delete(root);
	cJSON_ArrayForEach (item, list)
		good = good && http_json_text(item, "name", FLEET_NAME_MAX - 1, &word, &e) == 0 &&
		       http_json_text(item, "value", 4096, &word, &e) == 0;
	if (good)
		return list;
	cJSON_Delete(list);
	http_error(request, 400, "a list of {name, value} belongs here");
	return NULL;
}

static void secrets_add(struct control *control, struct http_request *request,
			const char *const *parts)
{
	cJSON *list = list_body(request), *item;
	bool room = true;

	(void)parts;
	if (!list)
		return;
	pthread_mutex_lock(&control->lock);
	if (!control->secrets)
		control->secrets = cJSON_CreateArray();
	cJSON_ArrayForEach (item, list) {
		const char *name = cJSON_GetObjectItemCaseSensitive(item, "name")->valuestring;
		int at = secret_index(control->secrets, name);

		if (at >= 0)
			cJSON_DeleteItemFromArray(control->secrets, at);
		room = cJSON_GetArraySize(control->secrets) < CONTROL_SECRETS_MAX;
		if (!room)
			break;
		cJSON_AddItemToArray(control->secrets, cJSON_Duplicate(item, true));
	}
	fleet_touch(control->fleet);
	control_commit(control);
	pthread_mutex_unlock(&control->lock);
	cJSON_Delete(list);
	if (room)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		http_error(request, 400, "at most %d secrets", CONTROL_SECRETS_MAX);
}

static void secret_delete(struct control *control, struct http_request *request,
			  const char *const *parts)
{
	int at;

	pthread_mutex_lock(&control->lock);
	at = secret_index(control->secrets, parts[0]);
	if (at >= 0)
		cJSON_DeleteItemFromArray(control->secrets, at);
	fleet_touch(control->fleet);
	control_commit(control);
	pthread_mutex_unlock(&control->lock);
	if (at >= 0)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		http_error(request, 404, "there is no secret '%s'", parts[0]);
}

const struct control_call control_calls_workspace[] = {
	{"GET", "/", workspace},
	{"GET", "/workspace", workspace},
	{"GET", "/tokens", tokens},
	{"GET", "/shapes", shapes},
	{"GET", "/dedicated-node-groups", groups},
	{"GET", "/dedicated-node-groups/*", one_group},
	{"GET", "/dedicated-node-groups/*/nodes", group_nodes},
	{"GET", "/usersecrets", secrets},
	{"POST", "/usersecrets", secrets_add},
	{"DELETE", "/usersecrets/*", secret_delete},
	{NULL, NULL, NULL},
};

/* ---- what only drsim asks for ---- */

static void whole(struct control *control, struct http_request *request, const char *const *parts)
{
	cJSON *json;

	(void)parts;
	pthread_mutex_lock(&control->lock);
	json = control_whole_json(control);
	pthread_mutex_unlock(&control->lock);
	http_answer_json(request, 200, json);
}

/* {"schedulable": false, "evict": true} */
static void node_put(struct control *control, struct http_request *request,
		     const char *const *parts)
{
	cJSON *body = http_body_json(request);
	const cJSON *schedulable = cJSON_GetObjectItemCaseSensitive(body, "schedulable");
	bool evict = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "evict"));
	bool on = cJSON_IsTrue(schedulable), known = cJSON_IsBool(schedulable);
	uint32_t n = FLEET_NONE;
	cJSON *json = NULL;

	if (!body)
		return;
	cJSON_Delete(body);
	if (!known) {
		http_error(request, 400, "'schedulable' is true or false");
		return;
	}
	pthread_mutex_lock(&control->lock);
	n = fleet_find_node(control->fleet, parts[0]);
	if (n != FLEET_NONE) {
		control->fleet->nodes[n].schedulable = on;
		fleet_touch(control->fleet);
		if (evict && !on)
			fleet_evict(control->fleet, n, minilepton_now());
		json = control_node_json(control, n);
		control_commit(control);
	}
	pthread_mutex_unlock(&control->lock);
	if (json)
		http_answer_json(request, 200, json);
	else
		http_error(request, 404, "there is no node '%s'", parts[0]);
}

/* {"ns": N}: starts from now on take longer by that. */
static void start_delay(struct control *control, struct http_request *request,
			const char *const *parts)
{
	cJSON *body = http_body_json(request);
	struct error e = {0};
	uint64_t delay = 0;
	uint32_t d;
	int rc;

	if (!body)
		return;
	rc = http_json_number(body, "ns", 0, DELAY_MAX, &delay, &e);
	cJSON_Delete(body);
	if (rc) {
		control_answer_error(request, &e);
		return;
	}
	pthread_mutex_lock(&control->lock);
	d = fleet_find_deployment(control->fleet, parts[0]);
	if (d != FLEET_NONE) {
		control->fleet->deployments[d].start_delay = (nanos)delay;
		fleet_touch(control->fleet);
		control_commit(control);
	}
	pthread_mutex_unlock(&control->lock);
	if (d != FLEET_NONE)
		http_answer_json(request, 200, cJSON_CreateObject());
	else
		http_error(request, 404, "there is no deployment '%s'", parts[0]);
}

const struct control_call control_calls_drsim[] = {
	{"GET", "/_drsim/state", whole},
	{"PUT", "/_drsim/nodes/**", node_put},
	{"POST", "/_drsim/deployments/*/start-delay", start_delay},
	{NULL, NULL, NULL},
};
