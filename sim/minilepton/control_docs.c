/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON shapes of Lepton's API, as its public SDK reads them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"

#define ACCOUNT "drsim"
#define TEXT(object, name, text) cJSON_AddStringToObject((object), (name), (text))
#define NUMBER(object, name, number) cJSON_AddNumberToObject((object), (name), (double)(number))
#define BOOLEAN(object, name, value) cJSON_AddBoolToObject((object), (name), (value))

int64_t control_wall_ms(const struct control *control, nanos at)
{
	return (at + control->wall_offset) / NANOS_MS;
}

/* 2026-01-31T12:00:00.123Z */
static void add_time(cJSON *object, const char *name, const struct control *control, nanos at)
{
	int64_t ms = control_wall_ms(control, at);
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[48], whole[32];

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	snprintf(text, sizeof(text), "%s.%03dZ", whole, (int)(ms % 1000));
	TEXT(object, name, text);
}

static cJSON *add_metadata(cJSON *object, const char *id, int64_t created, int64_t modified,
			   uint32_t version)
{
	cJSON *metadata = cJSON_AddObjectToObject(object, "metadata");

	TEXT(metadata, "id", id);
	TEXT(metadata, "name", id);
	NUMBER(metadata, "created_at", created);
	NUMBER(metadata, "version", version);
	TEXT(metadata, "created_by", ACCOUNT);
	TEXT(metadata, "last_modified_by", ACCOUNT);
	NUMBER(metadata, "last_modified_at", modified);
	cJSON_AddObjectToObject(metadata, "labels");
	TEXT(metadata, "owner", ACCOUNT);
	TEXT(metadata, "visibility", "public");
	return metadata;
}

static cJSON *document(const struct control_doc *doc)
{
	cJSON *json = cJSON_CreateObject();

	add_metadata(json, doc->name, doc->created_at, doc->modified_at, doc->version);
	cJSON_AddItemToObject(json, "spec", cJSON_Duplicate(doc->spec, true));
	return json;
}

/* ---- deployments ---- */

cJSON *control_deployment_json(const struct control *control, uint32_t d)
{
	const struct control_doc *doc = &control->deployments[d];
	const char *gateway = control->gateway_url ? control->gateway_url : "http://127.0.0.1";
	cJSON *json = document(doc), *status = cJSON_AddObjectToObject(json, "status");
	cJSON *endpoint = cJSON_AddObjectToObject(status, "endpoint"), *scaler;
	char url[FLEET_PATH_MAX];

	TEXT(status, "state", lepton_state_names[fleet_deployment_state(control->fleet, d)]);
	snprintf(url, sizeof(url), "%.150s/%s", gateway, doc->name);
	TEXT(endpoint, "internal_endpoint", url);
	TEXT(endpoint, "external_endpoint", url);
	scaler = cJSON_AddObjectToObject(status, "autoscaler_status");
	NUMBER(scaler, "desired_replicas", control->fleet->deployments[d].replicas);
	return json;
}

static bool unit_is(const struct unit *unit, enum unit_kind kind, uint32_t owner)
{
	return unit->phase != UNIT_FREE && unit->kind == kind && unit->owner == owner;
}

cJSON *control_replicas_json(const struct control *control, enum unit_kind kind, uint32_t owner)
{
	const struct fleet *fleet = control->fleet;
	cJSON *list = cJSON_CreateArray();

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];
		cJSON *json, *status, *node;
		char address[FLEET_ADDRESS_MAX];
		int64_t ms = control_wall_ms(control, unit->changed_at);

		if (!unit_is(unit, kind, owner))
			continue;
		json = cJSON_CreateObject();
		TEXT(json, "id", unit->id);
		add_metadata(json, unit->id, ms, ms, unit->starts);
		status = cJSON_AddObjectToObject(json, "status");
		if (unit->node != FLEET_NONE) {
			control_address(fleet, unit, address);
			*strrchr(address, ':') = '\0';
			TEXT(status, "public_ip", address);
			node = cJSON_AddObjectToObject(status, "node");
			TEXT(node, "name", fleet->nodes[unit->node].name);
			TEXT(node, "id", fleet->nodes[unit->node].name);
		}
		cJSON_AddArrayToObject(status, "domains");
		cJSON_AddItemToArray(list, json);
	}
	return list;
}

cJSON *control_readiness_json(const struct control *control, uint32_t d)
{
	const struct fleet *fleet = control->fleet;
	cJSON *json = cJSON_CreateObject();

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];
		char message[FLEET_MESSAGE_MAX];
		cJSON *list, *issue;

		if (!unit_is(unit, UNIT_REPLICA, d))
			continue;
		list = cJSON_AddArrayToObject(json, unit->id);
		issue = cJSON_CreateObject();
		TEXT(issue, "reason", lepton_reason_names[fleet_reason(fleet, unit, message)]);
		TEXT(issue, "message", message);
		add_time(issue, "creationTimestamp", control, unit->changed_at);
		cJSON_AddItemToArray(list, issue);
	}
	return json;
}

cJSON *control_termination_json(const struct control *control, uint32_t d)
{
	const struct fleet *fleet = control->fleet;
	cJSON *json = cJSON_CreateObject();

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];
		uint32_t count = unit->termination_count, first = 0;
		cJSON *list;

		if (!unit_is(unit, UNIT_REPLICA, d) || count == 0)
			continue;
		if (count > FLEET_TERMINATIONS_MAX)
			first = count - FLEET_TERMINATIONS_MAX;
		list = cJSON_AddArrayToObject(json, unit->id);
		for (uint32_t i = first; i < count; i++) {
			const struct fleet_termination *end =
				&unit->terminations[i % FLEET_TERMINATIONS_MAX];
			cJSON *item = cJSON_CreateObject();

			NUMBER(item, "started_at", control_wall_ms(control, end->started_at));
			NUMBER(item, "finished_at", control_wall_ms(control, end->finished_at));
			NUMBER(item, "exit_code", end->exit_code);
			TEXT(item, "reason", end->reason);
			TEXT(item, "message", end->message);
			cJSON_AddItemToArray(list, item);
		}
	}
	return json;
}

/* "chat" has the events of "chat" and of its units "chat-0", "chat-1". */
static bool concerns(const struct fleet_event *event, const char *name)
{
	size_t length = strlen(name);
	const char *rest = event->object + length;

	if (strncmp(event->object, name, length) != 0)
		return false;
	return !*rest ||
	       (*rest == '-' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1));
}

cJSON *control_events_json(const struct control *control, const char *name)
{
	const struct fleet *fleet = control->fleet;
	uint32_t count = fleet->event_count, first = 0;
	cJSON *list = cJSON_CreateArray();

	if (count > FLEET_EVENTS_MAX)
		first = count - FLEET_EVENTS_MAX;
	for (uint32_t i = first; i < count; i++) {
		const struct fleet_event *event = &fleet->events[i % FLEET_EVENTS_MAX];
		cJSON *item, *regarding;

		if (!concerns(event, name))
			continue;
		item = cJSON_CreateObject();
		TEXT(item, "type", event->warning ? "Warning" : "Normal");
		TEXT(item, "reason", event->reason);
		TEXT(item, "message", event->message);
		regarding = cJSON_AddObjectToObject(item, "regarding");
		TEXT(regarding, "kind", event->kind);
		TEXT(regarding, "name", event->object);
		NUMBER(item, "count", event->count);
		add_time(item, "last_observed_time", control, event->at);
		cJSON_AddItemToArray(list, item);
	}
	return list;
}

/* ---- jobs, ingress ---- */

cJSON *control_job_json(const struct control *control, uint32_t j)
{
	const struct fleet *fleet = control->fleet;
	const struct fleet_job *job = &fleet->jobs[j];
	cJSON *json = document(&control->jobs[j]);
	cJSON *status = cJSON_AddObjectToObject(json, "status");
	uint32_t active = 0;

	for (uint32_t u = 0; u < fleet->unit_count; u++)
		active += unit_is(&fleet->units[u], UNIT_RANK, j) &&
			  (fleet->units[u].phase == UNIT_RUNNING ||
			   fleet->units[u].phase == UNIT_STARTING);
	TEXT(status, "job_name", job->name);
	TEXT(status, "state", fleet_job_state_names[job->state]);
	NUMBER(status, "ready", fleet_ready_units(fleet, UNIT_RANK, j));
	NUMBER(status, "active", active);
	NUMBER(status, "failed", job->failures);
	NUMBER(status, "succeeded", job->state == JOB_COMPLETED ? job->ranks : 0);
	NUMBER(status, "creation_time", control_wall_ms(control, job->created_at));
	if (job->state == JOB_COMPLETED || job->state == JOB_FAILED)
		NUMBER(status, "completion_time", control_wall_ms(control, job->completed_at));
	TEXT(status, "message", job->message);
	cJSON_AddArrayToObject(status, "job_history");
	return json;
}

cJSON *control_ingress_json(const struct control *control, const struct control_doc *doc)
{
	cJSON *json = document(doc), *status = cJSON_AddObjectToObject(json, "status");

	TEXT(status, "validation_status",
	     control->routes_pushed >= control->routes_wanted ? "active" : "pending");
	TEXT(status, "expected_cname_target", control->gateway_url ? control->gateway_url : "");
	return json;
}

/* ---- nodes ---- */

static uint32_t bits(uint64_t mask)
{
	return (uint32_t)__builtin_popcountll(mask);
}

static void add_workloads(const struct control *control, uint32_t n, cJSON *status)
{
	const struct fleet *fleet = control->fleet;
	cJSON *list = cJSON_AddArrayToObject(status, "workloads");

	for (uint32_t u = 0; u < fleet->unit_count; u++) {
		const struct unit *unit = &fleet->units[u];
		bool rank = unit->kind == UNIT_RANK;
		const char *owner;
		cJSON *item;

		if (unit->phase == UNIT_FREE || unit->node != n)
			continue;
		owner = rank ? fleet->jobs[unit->owner].name : fleet->deployments[unit->owner].name;
		item = cJSON_CreateObject();
		TEXT(item, "type", rank ? "job" : "deployment");
		TEXT(item, "name", owner);
		TEXT(item, "id", owner);
		TEXT(item, "replica_id", unit->id);
		TEXT(item, "workspace", control->settings.workspace);
		NUMBER(item, "gpu_count", unit->gpus);
		cJSON_AddItemToArray(list, item);
	}
}

cJSON *control_node_json(const struct control *control, uint32_t n)
{
	const struct fleet_node *node = &control->fleet->nodes[n];
	uint64_t all = node->gpus >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << node->gpus) - 1;
	cJSON *json = cJSON_CreateObject(), *spec, *status, *words, *gpu;

	add_metadata(json, node->name, 0, 0, 1);
	spec = cJSON_AddObjectToObject(json, "spec");
	TEXT(spec, "dedicated_node_group", node->group);
	BOOLEAN(spec, "unschedulable", !node->schedulable);
	gpu = cJSON_AddObjectToObject(cJSON_AddObjectToObject(spec, "resource"), "gpu");
	TEXT(gpu, "product", "h100-sxm");
	NUMBER(gpu, "allocated", bits(node->gpus_used));
	NUMBER(gpu, "total", node->gpus);
	status = cJSON_AddObjectToObject(json, "status");
	words = cJSON_AddArrayToObject(status, "status");
	cJSON_AddItemToArray(words,
			     cJSON_CreateString(fleet_node_ready(node) ? "Ready" : "NotReady"));
	cJSON_AddItemToArray(words,
			     cJSON_CreateString(node->gpus_gone & all ? "Unhealthy" : "Healthy"));
	add_workloads(control, n, status);
	return json;
}

cJSON *control_group_json(const struct control *control, const char *group)
{
	const struct fleet *fleet = control->fleet;
	cJSON *json = cJSON_CreateObject(), *spec, *status, *workspaces;
	uint32_t nodes = 0, ready = 0;

	for (uint32_t n = 0; n < fleet->node_count; n++) {
		if (strcmp(fleet->nodes[n].group, group) != 0)
			continue;
		nodes++;
		ready += fleet_node_ready(&fleet->nodes[n]);
	}
	add_metadata(json, group, 0, 0, 1);
	spec = cJSON_AddObjectToObject(json, "spec");
	workspaces = cJSON_AddArrayToObject(spec, "workspaces");
	cJSON_AddItemToArray(workspaces, cJSON_CreateString(control->settings.workspace));
	TEXT(spec, "gpu_product", "h100-sxm");
	NUMBER(spec, "desired_nodes", nodes);
	status = cJSON_AddObjectToObject(json, "status");
	NUMBER(status, "ready_nodes", ready);
	BOOLEAN(status, "quota_enabled", false);
	return json;
}

/* ---- the workspace ---- */

struct shape {
	const char *name, *type;
	double cpu;
	uint32_t memory_mb, gpus;
};
static const struct shape shapes[] = {
	{"cpu.small", NULL, 1, 4096, 0},
	{"cpu.medium", NULL, 2, 8192, 0},
	{"cpu.large", NULL, 4, 16384, 0},
	{"gpu.a10", "NVIDIA-A10", 8, 32768, 1},
	{"gpu.a100-80gb", "NVIDIA-A100-80GB", 8, 131072, 1},
	{"gpu.2xa100-80gb", "NVIDIA-A100-80GB", 16, 262144, 2},
	{"gpu.4xa100-80gb", "NVIDIA-A100-80GB", 32, 524288, 4},
	{"gpu.8xa100-80gb", "NVIDIA-A100-80GB", 64, 1048576, 8},
	{"gpu.h100-sxm", "NVIDIA-H100-80GB-HBM3", 20, 200000, 1},
	{"gpu.2xh100-sxm", "NVIDIA-H100-80GB-HBM3", 40, 400000, 2},
	{"gpu.4xh100-sxm", "NVIDIA-H100-80GB-HBM3", 80, 800000, 4},
	{"gpu.8xh100-sxm", "NVIDIA-H100-80GB-HBM3", 160, 1600000, 8},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void add_shape(cJSON *object, const struct shape *shape, const char *memory)
{
	NUMBER(object, "cpu", shape->cpu);
	NUMBER(object, memory, shape->memory_mb);
	if (!shape->type)
		return;
	TEXT(object, "accelerator_type", shape->type);
	NUMBER(object, "accelerator_num", shape->gpus);
}

cJSON *control_shapes_json(const struct control *control)
{
	cJSON *list = cJSON_CreateArray();

	(void)control;
	for (size_t i = 0; i < SHAPES; i++) {
		cJSON *json = cJSON_CreateObject(), *spec;

		add_metadata(json, shapes[i].name, 0, 0, 1);
		spec = cJSON_AddObjectToObject(json, "spec");
		TEXT(spec, "name", shapes[i].name);
		add_shape(spec, &shapes[i], "memory_in_mb");
		cJSON_AddItemToArray(list, json);
	}
	return list;
}

static void add_total(cJSON *quota, const char *name, uint64_t gpus)
{
	cJSON *total = cJSON_AddObjectToObject(quota, name);

	NUMBER(total, "cpu", 0);
	NUMBER(total, "memory", 0);
	NUMBER(total, "accelerator_num", gpus);
}

static uint64_t disk_usage(const struct control *control)
{
	uint64_t bytes = 0;

	return control->storage && control_storage_usage(control->storage, &bytes) == 0 ? bytes : 0;
}

cJSON *control_workspace_json(const struct control *control)
{
	const struct fleet *fleet = control->fleet;
	cJSON *json = cJSON_CreateObject(), *list, *loads, *quota;
	uint32_t deployments = 0, jobs = 0;
	uint64_t gpus = 0, used = 0;

	for (uint32_t n = 0; n < fleet->node_count; n++) {
		gpus += fleet->nodes[n].gpus;
		used += bits(fleet->nodes[n].gpus_used);
	}
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++)
		deployments += control->deployments[d].used;
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++)
		jobs += control->jobs[j].used;
	TEXT(json, "build_time", "1970-01-01T00:00:00Z");
	TEXT(json, "git_commit", DRSIM_VERSION);
	TEXT(json, "workspace_name", control->settings.workspace);
	TEXT(json, "workspace_tier", "enterprise");
	TEXT(json, "workspace_state", "normal");
	list = cJSON_AddObjectToObject(json, "supported_shapes");
	for (size_t i = 0; i < SHAPES; i++)
		add_shape(cJSON_AddObjectToObject(list, shapes[i].name), &shapes[i], "memory");
	NUMBER(json, "workspace_disk_usage_bytes", disk_usage(control));
	loads = cJSON_AddObjectToObject(json, "workloads");
	NUMBER(loads, "num_deployments", deployments);
	NUMBER(loads, "num_jobs", jobs);
	NUMBER(loads, "num_pods", 0);
	NUMBER(loads, "num_secrets", cJSON_GetArraySize(control->secrets));
	NUMBER(loads, "num_image_pull_secrets", 0);
	quota = cJSON_AddObjectToObject(json, "resource_quota");
	add_total(quota, "limit", gpus);
	add_total(quota, "used", used);
	return json;
}

/* ---- drsim's own ---- */

static cJSON *unit_json(const struct control *control, const struct unit *unit)
{
	const struct fleet *fleet = control->fleet;
	char message[FLEET_MESSAGE_MAX], address[FLEET_ADDRESS_MAX];
	cJSON *json = cJSON_CreateObject();

	TEXT(json, "id", unit->id);
	if (unit->node != FLEET_NONE) {
		control_address(fleet, unit, address);
		TEXT(json, "node", fleet->nodes[unit->node].name);
		TEXT(json, "address", address);
	} else {
		cJSON_AddNullToObject(json, "node");
		cJSON_AddNullToObject(json, "address");
	}
	NUMBER(json, "gpu", unit->gpu);
	NUMBER(json, "gpus", unit->gpus);
	NUMBER(json, "pid", unit->pid);
	TEXT(json, "phase", unit_phase_names[unit->phase]);
	TEXT(json, "reason", lepton_reason_names[fleet_reason(fleet, unit, message)]);
	TEXT(json, "message", message);
	BOOLEAN(json, "ready", unit->ready);
	NUMBER(json, "starts", unit->starts);
	NUMBER(json, "crashes", unit->crashes);
	return json;
}

static void add_units(const struct control *control, enum unit_kind kind, uint32_t owner,
		      cJSON *object, const char *name)
{
	cJSON *list = cJSON_AddArrayToObject(object, name);

	for (uint32_t u = 0; u < control->fleet->unit_count; u++)
		if (unit_is(&control->fleet->units[u], kind, owner))
			cJSON_AddItemToArray(list, unit_json(control, &control->fleet->units[u]));
}

static void add_nodes(const struct control *control, cJSON *json)
{
	cJSON *list = cJSON_AddArrayToObject(json, "nodes");

	for (uint32_t n = 0; n < control->fleet->node_count; n++) {
		const struct fleet_node *node = &control->fleet->nodes[n];
		cJSON *item = cJSON_CreateObject();

		TEXT(item, "name", node->name);
		TEXT(item, "group", node->group);
		TEXT(item, "agent", node->agent);
		BOOLEAN(item, "ready", fleet_node_ready(node));
		BOOLEAN(item, "schedulable", node->schedulable);
		NUMBER(item, "gpus", node->gpus);
		NUMBER(item, "gpus_used", bits(node->gpus_used));
		NUMBER(item, "gpus_gone", bits(node->gpus_gone));
		cJSON_AddItemToArray(list, item);
	}
}

cJSON *control_whole_json(const struct control *control)
{
	const struct fleet *fleet = control->fleet;
	cJSON *json = cJSON_CreateObject(), *list, *item;

	add_nodes(control, json);
	list = cJSON_AddArrayToObject(json, "deployments");
	for (uint32_t d = 0; d < FLEET_DEPLOYMENTS_MAX; d++) {
		if (!control->deployments[d].used)
			continue;
		item = cJSON_CreateObject();
		TEXT(item, "name", control->deployments[d].name);
		TEXT(item, "state", lepton_state_names[fleet_deployment_state(fleet, d)]);
		NUMBER(item, "wanted", fleet->deployments[d].replicas);
		NUMBER(item, "ready", fleet_ready_units(fleet, UNIT_REPLICA, d));
		NUMBER(item, "start_delay_ns", fleet->deployments[d].start_delay);
		add_units(control, UNIT_REPLICA, d, item, "replicas");
		cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(json, "jobs");
	for (uint32_t j = 0; j < FLEET_JOBS_MAX; j++) {
		if (!control->jobs[j].used)
			continue;
		item = cJSON_CreateObject();
		TEXT(item, "name", control->jobs[j].name);
		TEXT(item, "state", fleet_job_state_names[fleet->jobs[j].state]);
		TEXT(item, "message", fleet->jobs[j].message);
		NUMBER(item, "failures", fleet->jobs[j].failures);
		add_units(control, UNIT_RANK, j, item, "ranks");
		cJSON_AddItemToArray(list, item);
	}
	list = cJSON_AddArrayToObject(json, "ingress");
	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++) {
		const struct control_doc *doc = &control->ingress[i];
		const cJSON *endpoints;

		if (!doc->used)
			continue;
		endpoints = cJSON_GetObjectItemCaseSensitive(doc->spec, "endpoints");
		item = cJSON_CreateObject();
		TEXT(item, "name", doc->name);
		cJSON_AddItemToObject(item, "endpoints",
				      endpoints ? cJSON_Duplicate(endpoints, true)
						: cJSON_CreateArray());
		cJSON_AddItemToArray(list, item);
	}
	BOOLEAN(json, "routes_in_force", control->routes_pushed >= control->routes_wanted);
	return json;
}

/* ---- routes ---- */

/* What is asked to stop leaves the gateway's rotation at once; the rest is up to health checks. */
static void add_replicas(const struct control *control, uint32_t d, cJSON *deployment)
{
	cJSON *list = cJSON_AddArrayToObject(deployment, "replicas");

	for (uint32_t u = 0; d != FLEET_NONE && u < control->fleet->unit_count; u++) {
		const struct unit *unit = &control->fleet->units[u];
		char address[FLEET_ADDRESS_MAX];
		cJSON *item;

		if (!unit_is(unit, UNIT_REPLICA, d) || unit->node == FLEET_NONE ||
		    unit->phase == UNIT_STOPPING)
			continue;
		control_address(control->fleet, unit, address);
		item = cJSON_CreateObject();
		TEXT(item, "id", unit->id);
		TEXT(item, "address", address);
		cJSON_AddItemToArray(list, item);
	}
}

static cJSON *route_json(const struct control *control, const struct control_doc *doc)
{
	const struct control_gateway *gateway = &control->settings.gateway;
	const cJSON *endpoints = cJSON_GetObjectItemCaseSensitive(doc->spec, "endpoints"), *one;
	cJSON *json = cJSON_CreateObject(), *list;

	TEXT(json, "name", doc->name);
	NUMBER(json, "interval_ns", gateway->interval);
	NUMBER(json, "timeout_ns", gateway->timeout);
	NUMBER(json, "misses", gateway->misses);
	NUMBER(json, "retries", gateway->retries);
	NUMBER(json, "request_timeout_ns", gateway->request_timeout);
	NUMBER(json, "concurrency", gateway->concurrency);
	list = cJSON_AddArrayToObject(json, "deployments");
	cJSON_ArrayForEach (one, endpoints) {
		const char *name = cJSON_GetObjectItemCaseSensitive(one, "deployment")->valuestring;
		cJSON *deployment = cJSON_CreateObject();

		TEXT(deployment, "name", name);
		NUMBER(deployment, "weight",
		       cJSON_GetObjectItemCaseSensitive(one, "weight")->valuedouble);
		add_replicas(control, fleet_find_deployment(control->fleet, name), deployment);
		cJSON_AddItemToArray(list, deployment);
	}
	return json;
}

cJSON *control_routes_json(const struct control *control)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "endpoints");

	for (size_t i = 0; i < CONTROL_INGRESS_MAX; i++)
		if (control->ingress[i].used)
			cJSON_AddItemToArray(list, route_json(control, &control->ingress[i]));
	return json;
}
