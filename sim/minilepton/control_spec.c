/* SPDX-License-Identifier: Apache-2.0 */
/* The spec file of a workspace, and Lepton's own specs of deployments, jobs and ingress: read,
 * bounded, checked. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/minilepton/control.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/options.h"
#include "sim/minilepton/routes.h"

/* What a JSON number holds exactly ends at 104 days. */
#define DURATION_MAX ((uint64_t)NANOS_DAY * 100)
#define START_MAX ((uint64_t)NANOS_DAY)

static int wrong(struct error *e, const char *what)
{
	return error_set(e, ERROR_USAGE, NO_PLACE, "%s", what);
}

/* ---- words and shapes ---- */

int control_check_name(const char *name, struct error *e)
{
	size_t length = strlen(name);

	if (length == 0 || length >= FLEET_NAME_MAX || name[0] < 'a' || name[0] > 'z' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length ||
	    name[length - 1] == '-')
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "a name is a letter, then a-z, 0-9 and '-', at most %d: '%.80s'",
				 FLEET_NAME_MAX - 1, name);
	return 0;
}

int control_shape_gpus(const char *shape, uint32_t *ret_gpus, struct error *e)
{
	const char *rest;
	uint64_t count = 1;
	size_t digits;

	if (strncmp(shape, "cpu.", 4) == 0 && shape[4]) {
		*ret_gpus = 0;
		return 0;
	}
	if (strncmp(shape, "gpu.", 4) != 0 || !shape[4])
		return error_set(e, ERROR_USAGE, NO_PLACE, "unknown resource shape '%.80s'", shape);
	rest = shape + 4;
	digits = strspn(rest, "0123456789");
	if (digits && rest[digits] == 'x' &&
	    (options_number(rest, digits, FLEET_GPUS_MAX, &count) || count == 0))
		return error_set(e, ERROR_USAGE, NO_PLACE, "unknown resource shape '%.80s'", shape);
	*ret_gpus = (uint32_t)count;
	return 0;
}

/* Units are named after both. */
int control_check_free(const struct control *control, const char *name, struct error *e)
{
	if (fleet_find_deployment(control->fleet, name) == FLEET_NONE &&
	    fleet_find_job(control->fleet, name) == FLEET_NONE)
		return 0;
	return error_set(e, ERROR_TARGET, NO_PLACE, "the name '%s' is taken", name);
}

static bool is_texts(const cJSON *array, int max, size_t length)
{
	const cJSON *item;

	if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) > max)
		return false;
	cJSON_ArrayForEach (item, array)
		if (!cJSON_IsString(item) || strlen(item->valuestring) >= length)
			return false;
	return true;
}

static int check_container(const cJSON *spec, struct error *e)
{
	const cJSON *container = cJSON_GetObjectItemCaseSensitive(spec, "container");
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(container, "command");
	const cJSON *envs = cJSON_GetObjectItemCaseSensitive(spec, "envs"), *env;

	if (!is_texts(command, CONTROL_WORDS_MAX, CONTROL_WORD_MAX) ||
	    cJSON_GetArraySize(command) == 0)
		return wrong(e, "container.command is a list of words");
	if (!envs || cJSON_IsNull(envs))
		return 0;
	if (!cJSON_IsArray(envs) || cJSON_GetArraySize(envs) > CONTROL_WORDS_MAX)
		return wrong(e, "envs is a list of {name, value}");
	cJSON_ArrayForEach (env, envs) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(env, "name");
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(env, "value");

		if (!cJSON_IsString(name) || !name->valuestring[0] ||
		    strchr(name->valuestring, '=') || (value && !cJSON_IsString(value)))
			return wrong(e, "envs is a list of {name, value}");
	}
	return 0;
}

static int count_of(const cJSON *object, const char *name, uint64_t max, uint32_t *ret,
		    struct error *e)
{
	uint64_t value = *ret;

	if (cJSON_GetObjectItemCaseSensitive(object, name) &&
	    http_json_number(object, name, 0, max, &value, e))
		return -1;
	*ret = (uint32_t)value;
	return 0;
}

static int groups_of(const cJSON *affinity, char groups[FLEET_GROUPS_MAX][FLEET_NAME_MAX],
		     uint32_t *ret_count, struct error *e)
{
	const cJSON *list =
		cJSON_GetObjectItemCaseSensitive(affinity, "allowed_dedicated_node_groups");
	const cJSON *item;
	uint32_t count = 0;

	if (list && !is_texts(list, FLEET_GROUPS_MAX, FLEET_NAME_MAX))
		return wrong(e, "allowed_dedicated_node_groups is a list of names");
	cJSON_ArrayForEach (item, list)
		snprintf(groups[count++], FLEET_NAME_MAX, "%s", item->valuestring);
	*ret_count = count;
	return 0;
}

static int shape_of(const cJSON *object, uint32_t *ret_gpus, struct error *e)
{
	const char *shape;

	if (!cJSON_GetObjectItemCaseSensitive(object, "resource_shape"))
		return wrong(e, "resource_shape is missing");
	if (http_json_text(object, "resource_shape", FLEET_NAME_MAX - 1, &shape, e))
		return -1;
	return control_shape_gpus(shape, ret_gpus, e);
}

int control_derive_deployment(const cJSON *spec, struct fleet_deployment *deployment,
			      struct error *e)
{
	const cJSON *need = cJSON_GetObjectItemCaseSensitive(spec, "resource_requirement");
	struct fleet_deployment derived = *deployment;

	if (!cJSON_IsObject(need))
		return wrong(e, "resource_requirement is missing");
	derived.replicas = 1;
	if (check_container(spec, e) || shape_of(need, &derived.gpus, e) ||
	    count_of(need, "min_replicas", FLEET_UNITS_EACH_MAX, &derived.replicas, e) ||
	    groups_of(cJSON_GetObjectItemCaseSensitive(need, "affinity"), derived.groups,
		      &derived.group_count, e))
		return -1;
	*deployment = derived;
	return 0;
}

int control_derive_job(const cJSON *spec, struct fleet_job *job, struct error *e)
{
	char groups[FLEET_GROUPS_MAX][FLEET_NAME_MAX] = {{0}};
	const cJSON *retry = cJSON_GetObjectItemCaseSensitive(spec, "max_job_failure_retry");
	struct fleet_job derived = *job;
	uint32_t group_count = 0, retries = 0;

	derived.ranks = 1;
	if (check_container(spec, e) || shape_of(spec, &derived.gpus, e) ||
	    count_of(spec, "parallelism", FLEET_UNITS_EACH_MAX, &derived.ranks, e) ||
	    count_of(spec, "max_job_failure_retry", INT32_MAX, &retries, e) ||
	    groups_of(cJSON_GetObjectItemCaseSensitive(spec, "affinity"), groups, &group_count, e))
		return -1;
	if (derived.ranks == 0 || group_count != 1)
		return wrong(e, "a job has ranks, and one node group");
	derived.retries = retry ? (int64_t)retries : -1;
	derived.stopped = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(spec, "stopped"));
	memcpy(derived.group, groups[0], sizeof(derived.group));
	*job = derived;
	return 0;
}

int control_check_ingress(const cJSON *spec, struct error *e)
{
	const cJSON *endpoints = cJSON_GetObjectItemCaseSensitive(spec, "endpoints"), *endpoint;

	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(spec, "domain_name")))
		return wrong(e, "domain_name is missing");
	if (endpoints &&
	    (!cJSON_IsArray(endpoints) || cJSON_GetArraySize(endpoints) > CONTROL_ENDPOINTS_MAX))
		return wrong(e, "endpoints is a list of {deployment, weight}");
	cJSON_ArrayForEach (endpoint, endpoints) {
		const char *name;
		uint64_t weight;

		if (http_json_text(endpoint, "deployment", FLEET_NAME_MAX - 1, &name, e) ||
		    control_check_name(name, e) ||
		    http_json_number(endpoint, "weight", 0, CONTROL_WEIGHT_MAX, &weight, e))
			return -1;
	}
	return 0;
}

void control_merge_patch(cJSON *target, const cJSON *patch)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, patch) {
		cJSON *old = cJSON_GetObjectItemCaseSensitive(target, item->string);

		if (cJSON_IsNull(item)) {
			cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
		} else if (cJSON_IsObject(item)) {
			cJSON *into = cJSON_IsObject(old) ? old : cJSON_CreateObject();

			control_merge_patch(into, item);
			if (into != old && old)
				cJSON_ReplaceItemInObjectCaseSensitive(target, item->string, into);
			else if (into != old)
				cJSON_AddItemToObject(target, item->string, into);
		} else if (old) {
			cJSON_ReplaceItemInObjectCaseSensitive(target, item->string,
							       cJSON_Duplicate(item, true));
		} else {
			cJSON_AddItemToObject(target, item->string, cJSON_Duplicate(item, true));
		}
	}
}

/* ---- the spec file ---- */

static int text_of(const cJSON *object, const char *name, size_t room, char *ret, struct error *e)
{
	const char *text;

	if (http_json_text(object, name, room - 1, &text, e))
		return -1;
	snprintf(ret, room, "%s", text);
	return 0;
}

/* A member that may be missing. */
static int nanos_of(const cJSON *object, const char *name, nanos *ret, struct error *e)
{
	uint64_t value = 0;

	if (!cJSON_GetObjectItemCaseSensitive(object, name))
		return 0;
	if (http_json_number(object, name, 0, DURATION_MAX, &value, e))
		return -1;
	*ret = (nanos)value;
	return 0;
}

static int number_of(const cJSON *object, const char *name, uint64_t max, uint64_t *ret,
		     struct error *e)
{
	if (!cJSON_GetObjectItemCaseSensitive(object, name))
		return 0;
	return http_json_number(object, name, 0, max, ret, e);
}

static int at_least_one(const cJSON *object, const char *name, uint64_t max, uint64_t *ret,
			struct error *e)
{
	if (!cJSON_GetObjectItemCaseSensitive(object, name))
		return 0;
	return http_json_number(object, name, 1, max, ret, e);
}

static int load_node(struct fleet *fleet, const cJSON *item, struct error *e)
{
	struct fleet_node node = {.schedulable = true};
	uint64_t gpus = 0, base = 0;

	if (text_of(item, "name", sizeof(node.name), node.name, e) ||
	    text_of(item, "group", sizeof(node.group), node.group, e) ||
	    text_of(item, "agent", sizeof(node.agent), node.agent, e) ||
	    http_address_check(node.agent, e) ||
	    http_json_number(item, "gpus", 0, FLEET_GPUS_MAX, &gpus, e) ||
	    http_json_number(item, "port_base", 1, 65535 - FLEET_PORTS_MAX, &base, e))
		return -1;
	if (cJSON_GetObjectItemCaseSensitive(item, "devices") &&
	    text_of(item, "devices", sizeof(node.devices), node.devices, e))
		return -1;
	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(item, "schedulable")))
		node.schedulable = false;
	if (fleet_find_node(fleet, node.name) != FLEET_NONE)
		return error_set(e, ERROR_USAGE, NO_PLACE, "two nodes are named '%s'", node.name);
	node.gpus = (uint32_t)gpus;
	node.port_base = (uint32_t)base;
	if (fleet_add_node(fleet, &node) == FLEET_NONE)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d nodes", FLEET_NODES_MAX);
	return 0;
}

static int load_rules(struct control *control, const cJSON *root, struct error *e)
{
	struct fleet_rules *rules = &control->fleet->rules;
	struct control_settings *settings = &control->settings;
	const cJSON *gateway = cJSON_GetObjectItemCaseSensitive(root, "gateway");
	struct control_gateway *g = &settings->gateway;

	*rules = (struct fleet_rules){.restart = true,
				      .backoff_first = LEPTON_BACKOFF_FIRST_S * NANOS_S,
				      .backoff_max = LEPTON_BACKOFF_MAX_S * NANOS_S,
				      .backoff_reset = LEPTON_BACKOFF_RESET_S * NANOS_S,
				      .reschedule = NANOS_NEVER};
	*settings = (struct control_settings){
		.poll = 100 * NANOS_MS,
		.poll_timeout = 500 * NANOS_MS,
		.gateway = {.interval = 5 * NANOS_S,
			    .timeout = 2 * NANOS_S,
			    .request_timeout = 30 * NANOS_S,
			    .misses = 2,
			    .retries = 1,
			    .concurrency = ROUTES_OUTSTANDING_MAX},
	};
	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(root, "restart")))
		rules->restart = false;
	if (text_of(root, "workspace", sizeof(settings->workspace), settings->workspace, e) ||
	    (cJSON_GetObjectItemCaseSensitive(root, "log_dir") &&
	     text_of(root, "log_dir", sizeof(settings->log_dir), settings->log_dir, e)) ||
	    nanos_of(root, "backoff_first_ns", &rules->backoff_first, e) ||
	    nanos_of(root, "backoff_max_ns", &rules->backoff_max, e) ||
	    nanos_of(root, "backoff_reset_ns", &rules->backoff_reset, e) ||
	    nanos_of(root, "allocate_ns", &rules->allocate, e) ||
	    nanos_of(root, "poll_ns", &settings->poll, e) ||
	    nanos_of(root, "poll_timeout_ns", &settings->poll_timeout, e))
		return -1;
	if (!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "reschedule_ns")) &&
	    nanos_of(root, "reschedule_ns", &rules->reschedule, e))
		return -1;
	if (settings->poll < NANOS_MS || settings->poll_timeout < NANOS_MS)
		return wrong(e, "poll_ns and poll_timeout_ns are at least 1 ms");
	if (nanos_of(gateway, "interval_ns", &g->interval, e) ||
	    nanos_of(gateway, "timeout_ns", &g->timeout, e) ||
	    nanos_of(gateway, "request_timeout_ns", &g->request_timeout, e) ||
	    at_least_one(gateway, "misses", 1000, &g->misses, e) ||
	    number_of(gateway, "retries", ROUTES_RETRIES_MAX, &g->retries, e) ||
	    at_least_one(gateway, "concurrency", ROUTES_OUTSTANDING_MAX, &g->concurrency, e))
		return -1;
	return 0;
}

static int load_nodes(struct control *control, const cJSON *root, struct error *e)
{
	const cJSON *nodes, *item;

	if (load_rules(control, root, e) ||
	    http_json_array(root, "nodes", FLEET_NODES_MAX, &nodes, e))
		return -1;
	cJSON_ArrayForEach (item, nodes)
		if (load_node(control->fleet, item, e))
			return -1;
	return 0;
}

/* {"A": "b"} becomes [{"name": "A", "value": "b"}]. */
static int add_envs(cJSON *spec, const cJSON *item, struct error *e)
{
	const cJSON *env = cJSON_GetObjectItemCaseSensitive(item, "env"), *entry;
	cJSON *envs = cJSON_AddArrayToObject(spec, "envs");

	if (env && !cJSON_IsObject(env))
		return wrong(e, "env is an object of texts");
	cJSON_ArrayForEach (entry, env) {
		cJSON *pair;

		if (!cJSON_IsString(entry))
			return wrong(e, "env is an object of texts");
		pair = cJSON_CreateObject();
		cJSON_AddStringToObject(pair, "name", entry->string);
		cJSON_AddStringToObject(pair, "value", entry->valuestring);
		cJSON_AddItemToArray(envs, pair);
	}
	return 0;
}

static void add_container(cJSON *spec, const cJSON *item)
{
	const cJSON *argv = cJSON_GetObjectItemCaseSensitive(item, "argv");
	cJSON *container = cJSON_AddObjectToObject(spec, "container");

	cJSON_AddStringToObject(container, "image", "minilepton");
	cJSON_AddItemToObject(container, "command",
			      argv ? cJSON_Duplicate(argv, true) : cJSON_CreateArray());
}

static void add_shape(cJSON *object, uint64_t gpus)
{
	char shape[32];

	if (gpus == 0)
		snprintf(shape, sizeof(shape), "cpu.small");
	else if (gpus == 1)
		snprintf(shape, sizeof(shape), "gpu.h100-sxm");
	else
		snprintf(shape, sizeof(shape), "gpu.%ux%s", (unsigned)gpus, "h100-sxm");
	cJSON_AddStringToObject(object, "resource_shape", shape);
}

static void add_affinity(cJSON *object, const char *group)
{
	cJSON *affinity = cJSON_AddObjectToObject(object, "affinity");
	cJSON *groups = cJSON_AddArrayToObject(affinity, "allowed_dedicated_node_groups");

	cJSON_AddItemToArray(groups, cJSON_CreateString(group));
}

static void note(struct control_doc *doc, const char *name, cJSON *spec, int64_t now_ms)
{
	*doc = (struct control_doc){.used = true,
				    .spec = spec,
				    .created_at = now_ms,
				    .modified_at = now_ms,
				    .version = 1};
	snprintf(doc->name, sizeof(doc->name), "%s", name);
}

/* The ingress of an endpoint gets one more deployment. */
static int add_to_ingress(struct control *control, const char *name, const char *deployment,
			  uint64_t weight, int64_t now_ms, struct error *e)
{
	struct control_doc *doc = NULL, *room = NULL;
	cJSON *endpoints, *endpoint;

	for (size_t i = CONTROL_INGRESS_MAX; i-- > 0;) {
		struct control_doc *one = &control->ingress[i];

		if (!one->used)
			room = one;
		else if (!strcmp(one->name, name))
			doc = one;
	}
	if (!doc && !room)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d endpoints",
				 CONTROL_INGRESS_MAX);
	if (!doc) {
		cJSON *spec = cJSON_CreateObject();

		cJSON_AddStringToObject(spec, "domain_name", name);
		cJSON_AddArrayToObject(spec, "endpoints");
		doc = room;
		note(doc, name, spec, now_ms);
	}
	endpoints = cJSON_GetObjectItemCaseSensitive(doc->spec, "endpoints");
	endpoint = cJSON_CreateObject();
	cJSON_AddStringToObject(endpoint, "deployment", deployment);
	cJSON_AddNumberToObject(endpoint, "weight", (double)weight);
	cJSON_AddItemToArray(endpoints, endpoint);
	return control_check_ingress(doc->spec, e);
}

static cJSON *deployment_spec(const cJSON *item, const char *group, uint64_t replicas,
			      uint64_t gpus, struct error *e)
{
	cJSON *spec = cJSON_CreateObject(), *need;

	add_container(spec, item);
	need = cJSON_AddObjectToObject(spec, "resource_requirement");
	add_shape(need, gpus);
	cJSON_AddNumberToObject(need, "min_replicas", (double)replicas);
	cJSON_AddNumberToObject(need, "max_replicas", (double)(replicas ? replicas : 1));
	add_affinity(need, group);
	if (add_envs(spec, item, e) == 0)
		return spec;
	cJSON_Delete(spec);
	return NULL;
}

static int load_deployment(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	char name[FLEET_NAME_MAX], group[FLEET_NAME_MAX], endpoint[FLEET_NAME_MAX] = "";
	uint64_t replicas = 1, gpus = 0, weight = 0, start = 0;
	struct fleet_deployment derived = {0};
	int64_t now_ms = control_wall_ms(control, now);
	uint32_t d;
	cJSON *spec;

	if (text_of(item, "name", sizeof(name), name, e) || control_check_name(name, e) ||
	    text_of(item, "group", sizeof(group), group, e) ||
	    number_of(item, "replicas", FLEET_UNITS_EACH_MAX, &replicas, e) ||
	    number_of(item, "gpus_per_replica", FLEET_GPUS_MAX, &gpus, e) ||
	    number_of(item, "weight", CONTROL_WEIGHT_MAX, &weight, e) ||
	    number_of(item, "start_ns", START_MAX, &start, e) ||
	    (cJSON_GetObjectItemCaseSensitive(item, "endpoint") &&
	     (text_of(item, "endpoint", sizeof(endpoint), endpoint, e) ||
	      control_check_name(endpoint, e))))
		return -1;
	if (control_check_free(control, name, e))
		return -1;
	spec = deployment_spec(item, group, replicas, gpus, e);
	if (!spec)
		return -1;
	d = control_derive_deployment(spec, &derived, e)
		    ? FLEET_NONE
		    : fleet_add_deployment(control->fleet, name);
	if (d == FLEET_NONE) {
		cJSON_Delete(spec);
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d deployments",
				 FLEET_DEPLOYMENTS_MAX);
	}
	note(&control->deployments[d], name, spec, now_ms);
	control->deployments[d].start = (nanos)start;
	if (control_derive_deployment(spec, &control->fleet->deployments[d], e))
		return -1;
	control->fleet->deployments[d].reserved =
		cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "reserved"));
	control->fleet->deployments[d].at_once =
		replicas > 0 && !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "cold"));
	return endpoint[0] ? add_to_ingress(control, endpoint, name, weight, now_ms, e) : 0;
}

static cJSON *job_spec(const cJSON *item, const char *group, uint64_t ranks, uint64_t gpus,
		       struct error *e)
{
	const cJSON *retry = cJSON_GetObjectItemCaseSensitive(item, "max_job_failure_retry");
	cJSON *spec = cJSON_CreateObject();

	add_container(spec, item);
	add_shape(spec, gpus);
	add_affinity(spec, group);
	cJSON_AddNumberToObject(spec, "completions", (double)ranks);
	cJSON_AddNumberToObject(spec, "parallelism", (double)ranks);
	cJSON_AddBoolToObject(spec, "intra_job_communication", true);
	cJSON_AddBoolToObject(spec, "stopped",
			      cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "stopped")));
	if (retry && !cJSON_IsNull(retry))
		cJSON_AddItemToObject(spec, "max_job_failure_retry", cJSON_Duplicate(retry, true));
	if (add_envs(spec, item, e) == 0)
		return spec;
	cJSON_Delete(spec);
	return NULL;
}

static int load_job(struct control *control, const cJSON *item, nanos now, struct error *e)
{
	char name[FLEET_NAME_MAX], group[FLEET_NAME_MAX];
	uint64_t ranks = 1, gpus = 0, spares = 0;
	nanos restart = 0;
	struct fleet_job derived = {0};
	uint32_t j;
	cJSON *spec;

	if (text_of(item, "name", sizeof(name), name, e) || control_check_name(name, e) ||
	    text_of(item, "group", sizeof(group), group, e) ||
	    number_of(item, "ranks", FLEET_UNITS_EACH_MAX, &ranks, e) ||
	    number_of(item, "gpus_per_rank", FLEET_GPUS_MAX, &gpus, e) ||
	    number_of(item, "spares", FLEET_NODES_MAX, &spares, e) ||
	    nanos_of(item, "restart_ns", &restart, e))
		return -1;
	if (control_check_free(control, name, e))
		return -1;
	spec = job_spec(item, group, ranks, gpus, e);
	if (!spec)
		return -1;
	j = control_derive_job(spec, &derived, e) ? FLEET_NONE
						  : fleet_add_job(control->fleet, name, now);
	if (j == FLEET_NONE) {
		cJSON_Delete(spec);
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d jobs", FLEET_JOBS_MAX);
	}
	note(&control->jobs[j], name, spec, control_wall_ms(control, now));
	control->fleet->jobs[j].spares = (uint32_t)spares;
	control->fleet->jobs[j].restart = restart;
	return control_derive_job(spec, &control->fleet->jobs[j], e);
}

static int load_workloads(struct control *control, const cJSON *root, nanos now, struct error *e)
{
	const cJSON *list, *item;

	if (cJSON_GetObjectItemCaseSensitive(root, "deployments")) {
		if (http_json_array(root, "deployments", FLEET_DEPLOYMENTS_MAX, &list, e))
			return -1;
		cJSON_ArrayForEach (item, list)
			if (load_deployment(control, item, now, e))
				return -1;
	}
	if (cJSON_GetObjectItemCaseSensitive(root, "jobs")) {
		if (http_json_array(root, "jobs", FLEET_JOBS_MAX, &list, e))
			return -1;
		cJSON_ArrayForEach (item, list)
			if (load_job(control, item, now, e))
				return -1;
	}
	return 0;
}

static cJSON *parse(const char *text, size_t size, struct error *e)
{
	cJSON *root = size <= CONTROL_SPEC_MAX ? http_json_parse(text, size) : NULL;

	if (!root)
		wrong(e, "the spec is no JSON object");
	return root;
}

int control_spec_load(struct control *control, const char *text, size_t size, nanos now,
		      struct error *e)
{
	cJSON *root = parse(text, size, e);
	int rc;

	if (!root)
		return -1;
	rc = load_nodes(control, root, e) || load_workloads(control, root, now, e) ? -1 : 0;
	cJSON_Delete(root);
	return rc;
}

int control_spec_load_nodes(struct control *control, const char *text, size_t size, struct error *e)
{
	cJSON *root = parse(text, size, e);
	int rc;

	if (!root)
		return -1;
	rc = load_nodes(control, root, e);
	cJSON_Delete(root);
	return rc;
}

static void docs_free(struct control_doc *docs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cJSON_Delete(docs[i].spec);
		docs[i] = (struct control_doc){0};
	}
}

void control_docs_free(struct control *control)
{
	docs_free(control->deployments, FLEET_DEPLOYMENTS_MAX);
	docs_free(control->jobs, FLEET_JOBS_MAX);
	docs_free(control->ingress, CONTROL_INGRESS_MAX);
	cJSON_Delete(control->secrets);
	control->secrets = NULL;
}
